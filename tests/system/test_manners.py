"""How the command line behaves towards people: narrow terminals, Ctrl-C, closed pipes, slips."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from statusd.cli import VERBS
from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Terminal, environment, free_port, wait_until

STATUSD = [sys.executable, "-m", "statusd"]


@pytest.fixture
def unit(broker: Broker, run: Run) -> dict[str, str]:
    """The environment of a user whose broker knows one unit, with a name that takes room."""
    unit = run(
        "tests.workers:obedient", broker.url, name="acquisition.1@beamline-7", goal="RUNNING"
    )
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    return environment(unit.directory) | {"STATUSD_REDIS__URL": broker.url}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_a_help_with_examples(verb: str) -> None:
    """On forty columns, too."""
    done = statusd(verb, "--help", env={"COLUMNS": "40"})

    assert done.returncode == 0
    assert f"  statusd {verb}" in done.stdout.partition("examples:")[2]
    prose = [line for line in done.stdout.splitlines() if not line.startswith("  statusd ")]
    assert [line for line in prose if len(line) > 60] == []


def test_slips_are_answered_with_what_was_meant() -> None:
    """A verb, an option, nothing at all; exit code 64, and one line."""
    verb, option, word = statusd("stauts"), statusd("send", "end", "--wiat"), statusd("send")
    nothing, helped = statusd(), statusd("help", "send")

    assert "did you mean status?" in verb.stderr
    assert "did you mean --wait?; try: statusd send --help" in option.stderr
    assert "required: WORD; try: statusd send --help" in word.stderr
    assert "examples:" in nothing.stderr
    assert "examples:" in helped.stdout
    assert {done.returncode for done in (verb, option, word, nothing)} == {64}
    assert {len(done.stderr.splitlines()) for done in (verb, option, word)} == {1}


def test_the_version_tells_all_parts() -> None:
    """statusd's own first, the broker that comes along, what isn't installed; also as JSON."""
    told, as_json = statusd("--version"), json.loads(statusd("--version", "--json").stdout)

    assert told.stdout.splitlines()[0] == f"statusd {as_json['statusd']}"
    assert {"python", "hiredis", "transitions", "valkey-server", "system"} <= as_json.keys()
    assert f"valkey-server {as_json['valkey-server']}\n" in told.stdout
    missing = [name for name, version in as_json.items() if version is None]
    assert all(f"{name} not installed: pip install" in told.stdout for name in missing)


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_shows_what_matters(columns: int, unit: dict[str, str]) -> None:
    """Name and state are whole, no row is broken, and no verb falls over its width."""
    verbs = (
        *("status", "status acquisition.1@beamline-7", "send status --wait"),
        *("history acquisition.1@beamline-7", "send end --dry-run"),
    )
    for verb in verbs:
        with Terminal([*STATUSD, *verb.split()], unit, columns=columns) as terminal:
            assert terminal.wait_exit() == 0
            screen = terminal.text()
            assert "acquisition.1@beamline-7" in screen.replace("\n", "")
            assert "RUNNING" in screen
            if verb == "status":
                assert len(screen.rstrip().splitlines()) == 2
                assert ("SINCE" in screen) == (columns == 80)


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_colours_are_for_who_wants_them(
    variables: dict[str, str], is_coloured: bool, unit: dict[str, str]
) -> None:
    """A terminal has them, unless it is told not to."""
    given = [f"{key}={value}" for key, value in variables.items()]
    with Terminal(["env", *given, *STATUSD, "status"], unit) as terminal:
        assert terminal.wait_exit() == 0
        terminal.text()

        assert (b"\x1b[32m" in terminal.raw) == is_coloured


def test_a_pipe_has_colours_only_by_force(unit: dict[str, str]) -> None:
    """FORCE_COLOR, as others have it."""
    plain, forced = (
        subprocess.run([*STATUSD, "status"], env=unit | more, capture_output=True, check=True)
        for more in ({}, {"FORCE_COLOR": "1"})
    )

    assert b"\x1b[" not in plain.stdout
    assert b"\x1b[32m" in forced.stdout


@pytest.mark.parametrize(
    "verb",
    ["watch", "status --watch", "send pause --wait --timeout 30 --name mute", "send end"],
)
def test_ctrl_c_ends_it_quietly(verb: str, broker: Broker, run: Run) -> None:
    """Exit code 130, no traceback."""
    units = [
        run("tests.workers:obedient", broker.url, name=name, goal="RUNNING")
        for name in ("mute", "other")
    ]
    for one in units:
        one.wait_logged("link.up", link="hears")
        one.wait_state("RUNNING")
    env = environment(units[0].directory) | {"STATUSD_REDIS__URL": broker.url}
    seen = {"watch": "mute", "send end": "[y/N]"}.get(verb, "")
    if "--wait" in verb:
        os.kill(units[0].pid, 19)  # SIGSTOP: it will not answer
    with Terminal([*STATUSD, *verb.split()], env) as terminal:
        if verb == "watch":
            clients = broker.client()
            wait_until(lambda: "statusd-watch" in str(clients.client_list()), 10, "its connection")
            units[1].signal(15)
            terminal.wait("other")
        elif seen:
            terminal.wait(seen)
        elif "--wait" in verb:
            wait_until(lambda: b"reply" in str(broker.client().pubsub_channels()).encode(), 10, "")
        else:
            terminal.wait("other")
        terminal.type("\x03")

        assert terminal.wait_exit() == 130
        assert b"Traceback" not in terminal.raw


def test_the_end_of_input_is_no(broker: Broker, run: Run) -> None:
    """Ctrl-D at the question: nothing is sent, and it says so."""
    units = [run("tests.workers:obedient", broker.url, name=name) for name in ("a", "b")]
    for one in units:
        one.wait_logged("link.up", link="hears")
    env = environment(units[0].directory) | {"STATUSD_REDIS__URL": broker.url}
    with Terminal([*STATUSD, "send", "end"], env) as terminal:
        terminal.wait("[y/N]")
        terminal.type("\x04")

        assert terminal.wait_exit() == 5
        assert "nothing was sent" in terminal.text()
        assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize("verb", ["status", "completion bash", "graph", "--version"])
def test_a_closed_pipe_ends_it_quietly(verb: str, unit: dict[str, str]) -> None:
    """141, as if SIGPIPE had: `statusd status | head -0`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*STATUSD, *verb.split()],
            env=unit,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.fault("J20")
def test_a_full_disk_is_told() -> None:
    """Exit code 74: what was asked for isn't there (J20)."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*STATUSD, "completion", "bash"], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert done.returncode == 74
    assert done.stderr == b"statusd: standard output: No space left on device\n"


def test_watch_says_that_it_waits() -> None:
    """Nobody looks at an empty screen and wonders."""
    url = f"redis://127.0.0.1:{free_port()}"
    with Terminal([*STATUSD, "watch", "--url", url], dict(os.environ), columns=200) as terminal:
        terminal.wait("waiting for it")
        terminal.type("\x03")

        assert terminal.wait_exit() == 130


@pytest.mark.parametrize(
    "words",
    [["status", "--forget"], ["watch", "--since", "x"], ["watch", "--since", "a=soon"]],
)
def test_half_an_option_is_no_option(words: list[str]) -> None:
    """Exit code 64, and how it is written."""
    done = statusd(*words)

    assert done.returncode == 64
    assert "NAME" in done.stderr
