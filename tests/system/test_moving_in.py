"""docs/many-units.md: whoever moves into a folder, or out of it, from files or from supervisord."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from statusd.cli import VERBS, parser
from statusd.settings.variables import fields
from tests.system.commands import statusd
from tests.system.test_folder import documents, sent, wait_states
from tests.tools import Broker, Program, wait_until
from tests.tools.pages import block, blocks, text

PAGE = "docs/many-units.md"
WORKER = {"function": "tests.workers:obedient"}


def rows(head: str) -> list[list[str]]:
    """Return the cells of each row of the table whose first cell is ``head``."""
    table = text(PAGE).partition(f"\n| {head} |")[2].partition("\n\n")[0]
    lines = table.splitlines()[2:]
    assert lines, head
    return [[cell.strip() for cell in re.split(r"\s\|(?=\s)", line[1:-1])] for line in lines]


def ticked(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]*)`", cell)


def is_key(key: str) -> bool:
    """Tell whether our settings have that key."""
    path = tuple(key.split("."))
    return any(path == known[: len(path)] for known in fields())


def test_each_key_that_is_named_beside_one_of_supervisord_is_there() -> None:
    """With its table; where there is none the cell is empty, and the words say what is done."""
    told = rows("`[program:x]`")
    keys = [key for row in told for key in ticked(row[1])]
    assert len(keys) > 15
    assert [key for key in keys if not is_key(key)] == []
    assert not is_key("worker.priority")
    for _, key, *words in told:
        assert key or any("none" in one or "always" in one for one in words), words


def test_each_verb_that_is_typed_beside_one_of_supervisorctl_is_there() -> None:
    """Its own parser takes the line."""
    told = [words for row in rows("`supervisorctl`") for words in ticked(row[1])]
    ours = [shlex.split(one)[1:] for one in told if one.startswith("statusd ")]
    assert len(ours) > 12
    for words in ours:
        assert words[0] in VERBS
        parser(words[0]).parse_args(words)  # leaves with 64 where it can't


def test_the_program_of_supervisord_is_a_unit(tmp_path: Path) -> None:
    """The example is checked as the file of a folder; each key of the old one has its row."""
    (old,) = blocks(text(PAGE), "ini")
    named = {key for row in rows("`[program:x]`") for key in ticked(row[0])}
    typed = {line.split(" = ")[0] for line in old.splitlines() if " = " in line}
    assert typed - {"process_name", "numprocs_start"} <= {key.split(" ")[0] for key in named}
    folder = tmp_path / "units"
    folder.mkdir()
    script = block(PAGE, "cat >units/scan.toml <<'END'").replace("/srv/scan", str(tmp_path))
    write, _, check = script.rpartition("\nstatusd ")
    subprocess.run(["sh", "-ec", write], cwd=tmp_path, check=True)
    (tmp_path / "scan").write_text("#!/bin/sh\n")
    (tmp_path / "scan").chmod(0o755)
    done = statusd(*check.split(), cwd=tmp_path)
    assert "no mistakes" in done.stdout, done.stdout + done.stderr


def test_a_unit_takes_its_state_into_a_folder_and_back(broker: Broker, tmp_path: Path) -> None:
    """By its name: the goal that it had is taken up; who was ended stays so only in the folder."""
    shared = {"redis": {"url": broker.url}}
    alone = {"name": "camera", "worker": WORKER, **shared}
    together = {"camera": {"name": "camera", "worker": WORKER}}
    runs: list[int] = []
    for toml, units in ((alone, None), (shared, together), (alone, None)):
        with Program(toml, directory=tmp_path / "d", units=units) as program:
            if not runs:
                wait_states(broker, camera="READY")
                assert sent(broker, "start") == {"camera": "done"}
            wait_states(broker, camera="RUNNING")
            runs.append(documents(broker)["camera"]["run"])
            program.signal(signal.SIGTERM)
            assert program.wait_exit() == 0
    assert runs == sorted(set(runs))  # it goes on counting


@pytest.mark.parametrize("chosen", [False, True])
def test_a_name_by_the_file_is_written_down_before_it_moves(
    chosen: bool, broker: Broker, tmp_path: Path
) -> None:
    """Else that unit stays out: nothing of another file's is taken over."""
    shared = {"redis": {"url": broker.url}}
    old = tmp_path / "camera"
    with Program({"worker": WORKER, **shared}, directory=old) as program:
        program.wait_state("READY")
        name = wait_until(lambda: "".join(documents(broker)), 10, "its document")
        program.signal(signal.SIGTERM)
        assert program.wait_exit() == 0
    unit: dict[str, Any] = {"worker": WORKER, **({"name": name} if chosen else {})}
    units = {"camera": unit, "b": {**unit, "name": "b"}}
    env = {"STATUSD_STATE_DIRECTORY": str(old / "state")}
    new = tmp_path / "hall"
    with Program(shared, directory=new, units=units, env=env) as it:
        if chosen:
            wait_states(broker, b="READY", **{name: "READY"})
            return
        reason = it.wait_logged("unit.not_started")["reason"]
    assert f"is of {old}/statusd.toml" in reason  # what to write is told by tests/unit/test_claim
