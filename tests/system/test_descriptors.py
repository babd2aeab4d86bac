"""A folder of more units than the usual limit of descriptors lets a daemon have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import Broker, environment, killing, wait_until
from tests.tools.toml import to_toml

UNITS = 14
SOFT = 64
"""Of descriptors: with six each, fourteen units don't fit in."""
_ASKS = "import resource; print('limit', resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)"
JOB = f"def main(worker):\n    {_ASKS}\n    while worker.wait() != 'ENDING':\n        pass\n"


def folder(directory: Path, url: str) -> Path:
    """Write a folder of `UNITS`, half of them functions, all of which print their limit."""
    units = directory / "units"
    units.mkdir()
    (units / "job.py").write_text(JOB)
    program = [sys.executable, "-c", f"{_ASKS}; import time; time.sleep(600)"]
    shared = {"state_directory": str(directory / "state"), "redis": {"url": url}}
    (units / "statusd.toml").write_text(to_toml({**shared, "log": {"format": "json"}}))
    for name, worker in (("f", {"function": "job:main"}), ("p", {"command": program})):
        toml = {"name": name, "instances": UNITS // 2, "worker": worker}
        (units / f"{name}.toml").write_text(to_toml(toml))
    return units


@pytest.mark.parametrize(("hard", "are_few"), [(400, False), (SOFT + 80, True)])
def test_the_daemon_has_what_its_units_need(
    hard: int, are_few: bool, broker: Broker, tmp_path: Path
) -> None:
    """As far as the hard limit goes, and else it says so; their workers have what they had."""
    units = folder(tmp_path, broker.url)
    limited = f'ulimit -Sn {SOFT} && ulimit -Hn {hard} && exec "$@"'
    command = ["sh", "-c", limited, "sh", sys.executable, "-m", "statusd", "run", str(units)]
    said = tmp_path / "said"
    with said.open("wb") as file:
        daemon = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment(tmp_path), start_new_session=True
        )

    def lines() -> list[dict[str, object]]:
        whole = said.read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def limits() -> list[object]:
        printed = [line["line"] for line in lines() if line["event"] == "worker.output"]
        return [line for line in printed if line]

    with killing(daemon):
        wait_until(lambda: len(limits()) >= UNITS, 20, "all workers")
        few = [line for line in lines() if line["event"] == "descriptors.few"]
        assert bool(few) is are_few
        assert limits() == [f"limit {SOFT}"] * UNITS
        assert len(os.listdir(f"/proc/{daemon.pid}/fd")) > SOFT
        daemon.terminate()
        assert daemon.wait(20) == 0
