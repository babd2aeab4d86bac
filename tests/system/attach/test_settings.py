"""`statusd.attach`: in every setting."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.attach.programs import Start, last_reason, way
from tests.tools import (
    Broker,
    Journal,
    environment,
    wait_until,
)
from tests.tools.variants import nightly

SETTINGS = [
    *("looping", "polling", "threaded", "spawned", "in_asyncio", "notebook"),
    *("forking", "forked_pool", "dropping", "in_threads", "weird"),
]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_program_is_ended_by_a_word(
    name: str, start: Start, broker: Broker, journal: Journal
) -> None:
    """Attached, it hears at once: END is accepted, obeyed and done, and the program goes on."""
    parent = start(name)
    parent.wait_said("attached")
    seen = len(journal.events())

    broker.client().publish("mychannel", "END")

    assert parent.wait_exit() == 0, parent.said()
    told = [(verdict["command"], verdict["verdict"]) for verdict in journal.verdicts()]
    assert told == [("END", "accepted"), ("END", "done")]
    assert [event["new"] for event in journal.events()[seen:]][-2:] == ["ENDING", "END"]
    assert "Traceback" not in parent.said() or name == "forking"


def test_a_forked_child_looks_and_changes_nothing(
    start: Start, broker: Broker, journal: Journal
) -> None:
    """Whatever way it goes: detached, raised, exited, it is the parent's unit."""
    parent = start("forking")

    parent.wait_said("attached RUNNING True")

    assert "child RUNNING True" in parent.said()
    assert way(journal) == "READY RUNNING"
    broker.client().publish("mychannel", "pause")
    wait_until(lambda: "PAUSED" in way(journal), 10, "PAUSED")
    broker.client().publish("mychannel", "end")
    assert parent.wait_exit() == 0
    assert "left END" in parent.said()


def test_a_pool_of_processes_works_in_the_block(start: Start, broker: Broker) -> None:
    """By fork and by spawn."""
    parent = start("forked_pool")

    parent.wait_said("attached")

    assert "fork [1, 2]\nspawn [1, 2]\n" in parent.said()


def test_a_second_attach_says_what_is_wrong(start: Start) -> None:
    """A notebook's cell that is run twice: the name is taken, and the first goes on."""
    parent = start("notebook")

    parent.wait_said("twice:")

    assert re.search(r"twice: a unit named 'scan' runs here already \(pid \d+\)", parent.said())
    assert "it is yours: worker.detach()" in parent.said()
    assert len(parent.daemons()) == 1


def test_a_repl_is_attached(broker: Broker, journal: Journal, tmp_path: Path) -> None:
    """Line for line, with `detach`; an error in between is not its failure."""
    lines = [
        "import statusd",
        f"worker = statusd.attach('mychannel', {broker.url!r}, 'scan')",
        "str(worker.state)",
        "1 / 0",
        "worker.detach()",
        "str(worker.state)",
    ]

    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        cwd=tmp_path,
        env=environment(tmp_path),
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.stdout == "'READY'\n'END'\n", done.stderr
    assert way(journal) == "READY ENDING END"
    assert last_reason(journal) == "the program has detached"


KERNEL = """
import sys, types

class Shell:
    kernel = object()

sys.modules["IPython"] = types.ModuleType("IPython")
sys.modules["IPython"].get_ipython = Shell
"""
"""What tells a notebook's kernel from any other program: IPython's shell has one."""


@pytest.mark.parametrize("where", ["a notebook", *nightly("a program", "a notebook, chosen")])
def test_in_a_notebook_the_daemon_speaks_to_a_human(
    where: str, broker: Broker, tmp_path: Path
) -> None:
    """There is no terminal, and yet somebody reads it below the cell; unless it was chosen."""
    variables = environment(tmp_path)
    if where != "a notebook, chosen":
        del variables["STATUSD_LOG__FORMAT"]
    attach = f"statusd.attach('c', {broker.url!r}, 'scan', log='info')"
    before = KERNEL if "notebook" in where else ""
    code = f"{before}\nimport statusd\n{attach}.detach()"

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "state.changed" in done.stderr
    assert ('{"' in done.stderr) is (where != "a notebook")


def test_its_daemon_has_its_settings_judged_elsewhere(start: Start) -> None:
    """Also one that is the child of somebody's program."""
    parent = start("looping")
    parent.wait_said("attached")
    (daemon,) = parent.daemons()

    assert "_pydantic_core" not in Path(f"/proc/{daemon.pid}/maps").read_text()
