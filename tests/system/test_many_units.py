"""docs/many-units.md, typed as it stands."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tests.tools import environment, processes_with_marker, wait_until
from tests.tools.output import as_read
from tests.tools.pages import block
from tests.tools.processes import MARKER

PAGE = "docs/many-units.md"


def test_a_folder_as_the_page_has_it(tmp_path: Path) -> None:
    """It is checked, runs with a broker of its own, and obeys by name."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    tool = bin_folder / "statusd"
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m statusd "$@"\n')
    tool.chmod(0o755)
    env = environment(tmp_path) | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}
    del env["STATUSD_LOG__FORMAT"]

    def typed(script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    log = tmp_path / "units.log"
    assert "no mistakes" in typed(block(PAGE, "mkdir -p units"))
    run, *rest = block(
        PAGE, "setsid statusd run units --embedded </dev/null >>units.log 2>&1 &"
    ).splitlines()
    typed(run)
    wait_until(lambda: log.exists() and log.read_text().count("RUNNING") >= 4, 20, "four units")
    said = typed("\n".join(rest))
    for text in ("4 units, the loop turns", "pause: 3 done", "end: 1 done"):
        assert text in said
    assert "run 1 | part 2 of 3" in as_read(log.read_text())
    told = json.loads(typed("statusd health units --json"))
    (daemon,) = told["daemons"]
    assert (len(daemon["units"]), len(daemon["ended"])) == (3, 1)
    os.kill(daemon["pid"], signal.SIGTERM)
    wait_until(lambda: not processes_with_marker(env[MARKER]), 20, "all to be gone")
