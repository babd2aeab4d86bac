"""A user who has neither a name nor a home: the number that a container runs as.

He is made by a user namespace (user_namespaces(7)), in which our files are his; where there can be
none, tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import statusd

UID = 4711
TIMEOUT_S = 30.0


@cache
def why_not() -> str:
    """Return why there can't be such a user here; empty if there can."""
    if shutil.which("unshare") is None:
        return "unshare(1) isn't installed"
    done = subprocess.run([*_words(), "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def nobody(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run our interpreter with those words as him, to its end.

    Args:
        env: the environment, but for the search path of modules and ``TMPDIR``.
    """
    package = str(Path(statusd.__file__).parents[1])
    least = {"PYTHONPATH": package, "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    return subprocess.run(
        [*_words(), sys.executable, *words],
        cwd=cwd,
        env={**least, **(env or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _words() -> list[str]:
    unshare = shutil.which("unshare") or "unshare"
    return [unshare, "--user", f"--map-user={UID}", f"--map-group={UID}", "--"]
