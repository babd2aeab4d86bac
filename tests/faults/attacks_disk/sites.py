"""A unit on a disk in trouble: what the attacks from the disk share.

The rules: what Redis says is never ahead of what our disk holds; nobody waits for a file; what a
file says is wholly what we would have written, or nothing of it is taken; and no lack of anything
ends a daemon.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import redis

from tests.conftest import settings
from tests.faults.outages import wait_listening
from tests.tools import Broker, Program, SmallDisk

STREAM = "statusd:commands"

CURSOR = "statusd:cursor:{unit}"

DOCUMENT = "statusd:status:{unit}"


class Site(NamedTuple):
    """A unit whose state directory is on a disk of its own."""

    disk: SmallDisk
    broker: Broker
    folder: Path

    def start(self, **changes: Any) -> Program:
        """Return the unit, once it hears and has a worker."""
        toml = settings("tests.workers:obedient", self.broker.url, goal="RUNNING", **changes)
        variables = {"STATUSD_STATE_DIRECTORY": str(self.disk.path / "state")}
        unit = Program(toml, directory=self.folder, env=variables)
        wait_listening(unit)
        unit.wait_logged("state.changed", 20, trigger="ready")
        return unit

    def add(self, word: str) -> str:
        """Add a durable command to the stream; return its entry's id."""
        return add(self.broker.client(), word)

    def cursor(self) -> dict[str, Any]:
        """Return what Redis has as our place."""
        return place_in(self.broker.client())

    def document(self) -> dict[str, Any]:
        """Return the status document; nothing if there is none."""
        content: dict[str, Any] = json.loads(self.broker.client().get(DOCUMENT) or "{}")
        return content

    def kept(self) -> dict[str, Any]:
        """Return what the disk holds; nothing if there is no file."""
        file = self.disk.path / "state" / "unit.json"
        content: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
        return content

    def is_kept(self, entry: str) -> bool:
        """Tell whether disk and Redis have come as far as ``entry``, and are both content."""
        kept = self.kept().get("cursor", {}).get("id")
        return kept == self.cursor().get("id") == entry and "obeyed" not in self.cursor()


def add(client: redis.Redis, word: str) -> str:
    """Add a durable command to the stream, as anybody could; return its entry's id."""
    entry = client.xadd(STREAM, {"command": word})
    assert isinstance(entry, bytes)
    return entry.decode()


def place_in(client: redis.Redis) -> dict[str, Any]:
    """Return what Redis has as the unit's place; nothing if it has none."""
    content: dict[str, Any] = json.loads(client.get(CURSOR) or "{}")
    return content
