"""A folder of units in one daemon, as its users see it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.system.commands import statusd
from tests.tools import Broker, Program
from tests.tools.waiting import wait_until

Start = Callable[..., Program]


def unit(function: str = "blocked", **more: Any) -> dict[str, Any]:
    """Return the settings of a unit; ``worker`` has more of that table."""
    worker = {"function": f"tests.workers:{function}", **more.pop("worker", {})}
    return {**more, "worker": worker}


@pytest.fixture
def start(broker: Broker, tmp_path: Path) -> Iterator[Start]:
    """Run a folder: ``start({"a": unit(), "b": unit()}, "--fresh", http={...})``."""
    with ExitStack() as stack:

        def run(
            units: dict[str, Any], *args: str, where: str = "d", state: str = "", **shared: Any
        ) -> Program:
            toml = {"redis": {"url": broker.url}, "daemon": {"name": "hall"}, **shared}
            directory = tmp_path / where
            env = {"STATUSD_STATE_DIRECTORY": state} if state else {}
            program = Program(toml, directory=directory, args=args, units=units, env=env)
            return stack.enter_context(program)

        yield run


def named(*names: str, **more: Any) -> dict[str, Any]:
    """Return units of these names."""
    return {name: unit(name=name, **more) for name in names}


def documents(broker: Broker) -> dict[str, dict[str, Any]]:
    """Return name -> status document of every unit."""
    client = broker.client()
    found = {}
    for key in client.scan_iter("statusd:status:*"):
        document = json.loads(client.get(key) or b"{}")
        found[document.get("name", "")] = document
    return found


def wait_states(broker: Broker, **states: str) -> None:
    """Wait until these units are in these states, by their documents."""

    def are_so() -> bool:
        found = documents(broker)
        return all(found.get(name, {}).get("state") == state for name, state in states.items())

    wait_until(are_so, 10, f"{states}")


def sent(broker: Broker, *words: str) -> dict[str, str]:
    """Send a command, wait for the verdicts, and return name -> verdict."""
    done = statusd("send", *words, "--wait", "--json", "--url", broker.url)
    return {one["name"]: one["verdict"] for one in json.loads(done.stdout)["units"]}


def test_all_units_of_a_folder_live_in_one_daemon(start: Start, broker: Broker) -> None:
    """Over one session; each by its name, its channel, its socket; the log says whose a line is."""
    speaking = unit("speaking", instances=2, control={"channels": ["scan.{instance}"]}, name="scan")
    program = start({"camera": unit(name="camera"), "scan": speaking})
    wait_states(broker, camera="READY", **{"scan-1": "READY", "scan-2": "READY"})
    client = broker.client()
    names = [info["name"] for info in client.client_list() if "statusd" in info["name"]]
    assert sorted(names) == ["statusd-hall-hears", "statusd-hall-sends"]

    assert sent(broker, "start", "--name", "scan-*") == {"scan-1": "done", "scan-2": "done"}
    client.publish("scan.2", "pause")
    wait_states(broker, camera="READY", **{"scan-1": "RUNNING", "scan-2": "PAUSED"})
    for name in ("camera", "scan-1", "scan-2"):
        assert program.logged("state.changed", unit=name, new="READY")
    assert not [line for line in program.log() if "run" in line and not line.get("unit")]

    env = {"XDG_RUNTIME_DIR": str(program.directory)}
    by_socket = statusd("send", "start", "--name", "camera", "--wait", "--socket", env=env)
    assert "camera" in by_socket.stdout
    assert "done" in by_socket.stdout
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    assert {one["state"] for one in documents(broker).values()} == {"END"}
    assert not client.keys("statusd:owner:*")


def test_health_of_the_daemon_and_of_each_unit(start: Start, broker: Broker) -> None:
    """Also when no unit is left; a unit that isn't there is told, and is nobody's illness."""
    program = start({**named("a", "b"), "c": unit(name="c")})
    wait_states(broker, a="READY", b="READY", c="READY")
    sent(broker, "end", "--name", "c")
    folder, env = str(program.directory / "units"), {"XDG_RUNTIME_DIR": str(program.directory)}

    def health(*words: str) -> tuple[int, str]:
        done = statusd("health", *words, env=env)
        return done.returncode, done.stdout + done.stderr

    code, said = health(folder)
    first, *others = said.splitlines()
    assert (code, first.partition(" (")[0]) == (0, "hall: 2 units, 1 ended, the loop turns")
    assert others == ["a: READY", "b: READY"]
    code, said = health()
    assert (code, [line.partition(":")[0] for line in said.splitlines()]) == (0, ["hall", "a", "b"])
    assert health("--name", "a")[1].startswith("a: READY, the loop turns")
    assert health(folder, "--name", "c")[0] == 1
    told = json.loads(health(folder, "--json")[1])
    assert (told["healthy"], told["units"]) == (True, [])
    (daemon,) = told["daemons"]
    assert (daemon["daemon"], daemon["pid"], daemon["ended"]) == ("hall", program.pid, ["c"])
    sent(broker, "end")
    wait_states(broker, a="END", b="END")
    assert health()[1].startswith("hall: 0 units, 3 ended")

    program.signal(signal.SIGSTOP)
    try:
        assert health(folder, "--timeout", "0.3")[0] == 1
    finally:
        program.signal(signal.SIGCONT)
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0
    assert health(folder)[0] == 1


def test_what_workers_print_names_their_unit(start: Start, broker: Broker) -> None:
    """As JSON beside a log of JSON."""
    program = start({"scan": unit("telling_args", instances=2, name="scan")})
    wait_states(broker, **{"scan-1": "READY", "scan-2": "READY"})
    sent(broker, "start")
    told = [json.loads(line) for line in program.printed().splitlines() if "worker.output" in line]
    assert {line["unit"] for line in told} <= {"scan-1", "scan-2"}


def test_an_end_by_command_is_kept_and_no_other(start: Start, broker: Broker) -> None:
    """The daemon stays without any unit; started again it begins those that nobody has ended."""
    units = named("a", "b", "c")
    first = start(units)
    wait_states(broker, a="READY", b="READY", c="READY")
    assert sent(broker, "end", "--name", "a") == {"a": "done"}
    assert sent(broker, "end", "--name", "b") == {"b": "done"}
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0

    second = start(units)
    wait_states(broker, a="END", b="END", c="READY")
    assert second.wait_logged("unit.rests", unit="a")["then"]
    assert sent(broker, "end") == {"c": "done"}
    wait_states(broker, c="END")
    assert second.exit_code() is None
    second.signal(signal.SIGTERM)
    assert second.wait_exit() == 0

    third = start(units)  # nobody is left: it is there for whoever launches one
    third.wait_logged("unit.rests", unit="c")
    third.wait_logged("link.up", link="hears")
    third.signal(signal.SIGTERM)
    assert third.wait_exit() == 0

    start(units, "--fresh")
    wait_states(broker, a="READY", b="READY", c="READY")


def test_until_ended_leaves_with_the_last_unit(start: Start, broker: Broker) -> None:
    """With the worst of their codes."""
    units = named("a", "b") | {
        "c": unit("raising", name="c", worker={"budget": 0, "on_failed": "exit"}, goal="RUNNING")
    }
    program = start(units, "--until-ended")
    wait_states(broker, a="READY", b="READY", c="FAILED")
    assert sent(broker, "end") == {"a": "done", "b": "done"}
    assert program.wait_exit() == 75


def test_a_name_that_is_held_costs_no_other_unit(start: Start, broker: Broker) -> None:
    """On this machine, or by another one; if all are held the daemon leaves."""
    holder = start(named("a"), where="held", daemon={"name": "other"})
    wait_states(broker, a="READY")
    state = str(holder.directory / "state")
    elsewhere = start(named("a", "b"))
    wait_states(broker, b="READY")
    assert "is alive" in elsewhere.wait_logged("unit.not_started", unit="a")["reason"]
    here = start(named("a", "c"), where="here", daemon={"name": "x"}, state=state)
    assert "runs here already" in here.wait_logged("unit.not_started", unit="a")["reason"]
    wait_states(broker, a="READY", b="READY", c="READY")
    elsewhere.signal(signal.SIGTERM)
    assert elsewhere.wait_exit() == 78
    alone = start(named("a"), where="alone", daemon={"name": "y"})
    assert alone.wait_exit() == 78
    assert "is alive" in alone.output()


def test_two_daemons_of_one_name_are_refused(start: Start, broker: Broker) -> None:
    """The name of a folder's daemon is locked like that of a unit."""
    first = start(named("a"))
    wait_states(broker, a="READY")
    state = str(first.directory / "state")
    second = start(named("b"), where="second", state=state)
    assert second.wait_exit() == 78
    assert "a daemon named 'hall' runs here already" in second.output()


def test_sighup_takes_over_what_lives_and_begins_or_ends_nobody(
    start: Start, broker: Broker
) -> None:
    """A mistake in one file changes nothing; what has to wait for a restart is named."""
    program = start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    folder, client = program.directory / "units", broker.client()
    job = '[worker]\nfunction = "tests.workers:blocked"\n'

    (folder / "a.toml").write_text("oops")
    (folder / "b.toml").write_text(f'name = "b"\ntags = ["x"]\n{job}[control]\nchannels = ["new"]')
    program.signal(signal.SIGHUP)
    assert "a.toml" in program.wait_logged("reload.refused")["reason"]

    (folder / "a.toml").unlink()
    (folder / "c.toml").write_text(f'name = "c"\n{job}')
    program.signal(signal.SIGHUP)
    told = program.wait_logged("reload.done", unit="b")
    assert set(told["changed"]) == {"tags", "control.channels"}
    rest = program.wait_logged("reload.done", added=["c"])
    assert (rest["added"], rest["removed"]) == (["c"], ["a"])
    client.publish("new", "start")
    wait_states(broker, a="READY", b="RUNNING")
    assert "c" not in documents(broker)


def test_an_environment_for_all_units_is_refused(start: Start, broker: Broker) -> None:
    """All mistakes at once, with code 78; nothing was started."""
    program = start({"a": unit(name="x"), "b": unit(name="x"), "c": "[worker]\n"})
    assert program.wait_exit() == 78
    for text in ("b.toml: x is the name of the unit in a.toml", "c.toml"):
        assert text in program.output()
    assert not documents(broker)
