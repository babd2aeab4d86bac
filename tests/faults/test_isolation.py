"""One daemon, many units: whatever one of them does, the others lose no command.

Some trouble after the other in one daemon, for it costs as much as all of its workers; while each
lasts the quiet ones are commanded every 20 ms. How soon they are answered is no matter of a test:
`benchmarks/isolation.py` measures it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.neighbours import QUIET, House, function, program, quiet_units, repeated
from tests.tools import Broker, Journal, Program, wait_until
from tests.tools.halt import writing_halted

pytestmark = pytest.mark.timeout(180)

ALWAYS = {"restart": "always", "backoff_s": [0.05, 0.05], "budget": 1_000_000, "window_s": 1}
FORKING = "kill -STOP $$; i=0; while [ $i -lt {} ]; do {} i=$((i+1)); done; sleep 1000; true"
FLOODING = "kill -STOP $$; yes $(printf %2000s | tr ' ' x) | head -c {}; sleep 1000; true"
"""Each waits to be woken."""
JUNK = os.urandom(60)


def folder(directory: Path) -> dict[str, dict[str, Any]]:
    """Return the units of a daemon, of which each but the quiet ones has a trouble of its own."""
    shell = partial(program, "sh", "-c")
    unread = {"output": str(directory / "fifo")}
    units = {
        **quiet_units(),
        "a-hanging": function("tests.workers:blocked"),
        "full": function("tests.workers:blocked"),
        "printing": shell(FLOODING.format(20_000_000), goal="RUNNING"),
        "unread": shell(FLOODING.format(20_000_000), goal="RUNNING", worker=unread),
        "crashing": program("false", worker=ALWAYS),
        "forking": shell(FORKING.format(500, "sleep 1000 &"), goal="RUNNING"),
        "leaving": shell(FORKING.format(300, "(setsid sleep 1000 &);"), goal="RUNNING"),
        "triggering": function("tests.jobs:triggering"),
        "busy": function("tests.workers:blocked"),
        "unheard": function("tests.workers:blocked"),
    }
    for name, unit in units.items():
        unit["name"] = name
        unit["control"] = {"channels": ["secret" if name == "unheard" else name]}
    return units


@pytest.fixture
def house(broker: Broker, journal: Journal, tmp_path: Path) -> Iterator[House]:
    """A daemon whose quiet units are at work, and that may not hear one channel."""
    os.mkfifo(tmp_path / "fifo")
    unread = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    user = "hall", "on", ">word", "allcommands", "allkeys", "resetchannels"
    channels = [f"&{name}" for name in folder(tmp_path) if name != "unheard"]
    client: Any = broker.client()
    client.execute_command("ACL", "SETUSER", *user, *channels, "&statusd:*")
    url = f"redis://hall:word@127.0.0.1:{broker.port}/0"
    toml = {"redis": {"url": url}, "daemon": {"name": "hall"}}
    with Program(toml, directory=tmp_path / "d", units=folder(tmp_path)) as daemon:
        one = House(daemon, broker, journal)
        one.wait_states(**dict.fromkeys((*QUIET, "a-hanging", "full", "busy"), "READY"))
        for name in QUIET:
            assert one.ask(name, "start")["verdict"] == "done"
        yield one
    os.close(unread)


def wake(house: House, name: str) -> int:
    """Let the program of that unit begin with what it has in mind; return its pid."""
    started = house.daemon.wait_logged("worker.started", unit=name)
    pid = int(started["pid"])
    os.kill(pid, signal.SIGCONT)
    return pid


@pytest.mark.fault("K02", "K03", "K04", "K05", "K09", "K11")
def test_what_one_does_costs_no_other_a_command(house: House, broker: Broker) -> None:
    """Each of them has one verdict, and the daemon has lost neither its broker nor its head."""
    house.command_all()
    wait_until(lambda: "secret" in house.document("unheard")["trouble"], 10, "it to be told")
    assert [house.document(name)["trouble"] for name in QUIET] == ["", ""]
    assert house.daemon.logged("channel.refused")["channel"] == "secret"  # type: ignore[index]  # it is there

    in_the_way = house.daemon.directory / "state" / "full.new"
    in_the_way.mkdir()
    assert house.ask("full", "start")["verdict"] == "done"
    house.command_all()
    assert house.daemon.wait_logged("state_file.failed", unit="full")
    in_the_way.rmdir()
    with writing_halted(house.daemon.pid):
        assert house.ask("a-hanging", "start")["verdict"] == "done"
        house.command_all()
        assert house.daemon.wait_logged("state_file.failed", unit="a-hanging")

    wake(house, "printing")
    wake(house, "unread")
    house.command_all()
    assert house.daemon.wait_logged("output.dropped", unit="unread")
    assert not house.daemon.logged("output.dropped", unit="printing")

    client = broker.client()

    def flood(*messages: bytes) -> None:
        pipe = client.pipeline(transaction=False)
        for message in messages:
            pipe.publish("busy", message)
        pipe.execute()

    with repeated(partial(flood, *[JUNK] * 100)):
        house.command_all()
    with repeated(partial(flood, *[JUNK * 1000] * 4)):
        house.command_all()
    with repeated(partial(flood, *[b"start", b"pause", b"stop"] * 40)):
        house.command_all()
    house.assert_unharmed()


@pytest.mark.fault("K06", "K07", "K08", "K12")
def test_what_the_worker_of_one_does_costs_no_other_a_command(house: House) -> None:
    """Nor does its end, with all that it has started."""
    house.ask("crashing", "start")
    house.command_all()
    assert house.ask("crashing", "end")["verdict"] in ("done", "noop")

    for name in ("forking", "leaving"):
        group = wake(house, name)
        wait_until(lambda: len(house.daemon.descendants()) > 300, 20, "all that it starts")
        house.command_all()
        house.client.publish(name, "end")
        house.command_all()
        house.wait_states(**{name: "END"})
        assert not Path(f"/proc/{group}").exists()
    wait_until(lambda: len(house.daemon.descendants()) < 50, 10, "all of them to be gone")

    assert house.ask("triggering", "start")["verdict"] == "done"
    house.command_all()
    house.client.publish("triggering", "end")
    busy = house.daemon.wait_logged("worker.started", unit="busy")
    os.kill(busy["pid"], signal.SIGSTOP)
    house.client.publish("busy", "start")
    house.command_all()
    os.kill(busy["pid"], signal.SIGCONT)
    house.wait_states(busy="RUNNING", triggering="END")
    house.assert_unharmed()


@pytest.mark.fault("K17")
def test_a_storm_of_hangups_costs_nobody_a_command(house: House) -> None:
    """Settings are read beside the loop, and not more often than it takes to read them."""
    file = house.daemon.directory / "units" / "full.toml"
    whole = file.read_text()

    def hang_up() -> None:
        file.write_text("oops" if file.read_text() == whole else whole)
        house.daemon.signal(signal.SIGHUP)

    with repeated(hang_up):
        house.command_all()
    file.write_text(whole.replace("[worker]", 'tags = ["new"]\n[worker]', 1))
    house.daemon.signal(signal.SIGHUP)
    wait_until(lambda: house.document("full")["tags"] == ["new"], 10, "the last of them to be read")
    house.assert_unharmed()
