"""The peers' environments: made once, and anew when a pin changes."""

from __future__ import annotations

import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

from benchmarks.rounds import say

FOLDER = Path(__file__).resolve().parents[1]
PINS = FOLDER / "peers.txt"
HOME = FOLDER / ".peers"
REQUIREMENTS = {
    "rq": "rq",
    "celery": "celery[redis]",
    "circus": "circus",
    "supervisord": "supervisor",
    "bluesky": "bluesky-queueserver",
}
"""A peer's name here -> what pip calls it."""


def environment(requirement: str) -> Path:
    """Return the ``bin`` of the environment that has ``requirement``, as it is pinned.

    Raises:
        CalledProcessError: it can't be installed; pip has said why.
    """
    home = HOME / requirement.partition("[")[0]
    ready = home / ".ready"
    wanted = sha256(PINS.read_bytes() + requirement.encode() + sys.version.encode()).hexdigest()
    if not ready.exists() or ready.read_text("ascii") != wanted:
        say(f"installing {requirement}")
        venv.create(home, with_pip=True, clear=True)
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run(
            [home / "bin/python", "-m", "pip", "install", *quiet, "-c", PINS, requirement],
            check=True,
        )
        ready.write_text(wanted, encoding="ascii")
    return home / "bin"


def pinned(requirement: str) -> str:
    """Return the version that the pins give ``requirement``."""
    name = requirement.partition("[")[0]
    lines = PINS.read_text("utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))
