"""Running the command line as a user would."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.tools.verbs import verbs

TIMEOUT_S = 20.0


def statusd(
    *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``statusd`` with those words to its end and return what it said.

    The environment is the caller's without ``STATUSD_*``, and with ``env``.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("STATUSD_")}
    done = verbs.run(words, cwd, {**clean, **(env or {})}, TIMEOUT_S)
    return done or subprocess.run(
        [sys.executable, "-m", "statusd", *words],
        cwd=cwd,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def redis_cli(directory: Path, port: int) -> Path:
    """Make a redis-cli that talks to ``port``: the real one, or a stand-in by redis-py."""
    real = shutil.which("redis-cli")
    python = (
        f"import os, redis, sys; it = redis.Redis(port={port}, "
        "password=os.environ.get('REDISCLI_AUTH')); print(it.execute_command(*sys.argv[1:]))"
    )
    words = [real, "-p", str(port)] if real else [sys.executable, "-c", python]
    script = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
    folder = directory / "bin"
    folder.mkdir()
    file = folder / "redis-cli"
    file.write_text(script)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


def changes(log: Path) -> list[str]:
    """Return the states that the log tells of, in order."""
    return re.findall(r'"new": "(\w+)"', log.read_text())


def typed(line: str, env: Mapping[str, str], cwd: Path | None = None) -> str:
    """Return what a line printed that a user types into bash, and that has to succeed."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout
