#!/bin/sh
# Run inside the throw-away machine after the install, before the start: settings for the demo worker.
set -eu
mkdir -p /etc/statusd
cat >/etc/statusd/statusd.toml <<'TOML'
name = "ops"
goal = "RUNNING"

[control]
channels = ["mychannel"]

[worker]
function = "statusd.examples.counter:main"
TOML
