"""Running the command line as a user would."""

from __future__ import annotations

import os
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
