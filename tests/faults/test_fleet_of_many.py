"""Many units on one broker as real processes, and random runs that a checker judges.

For figures, ``pytest tests/faults --units 40 --rounds 200 -s``.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from statusd.fleet.fleet import Fleet
from statusd.fleet.response_collector import Report
from tests.conftest import settings
from tests.tools import Broker, Journal, Program, Publisher, check, wait_until

pytestmark = pytest.mark.timeout(1800)  # of many units; each wait in it has its own limit

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path, broker: Broker) -> Iterator[Start]:
    """Start a unit of that name; a second time, in the same folder."""
    with ExitStack() as stack:

        def start(name: str, **changes: Any) -> Program:
            toml = settings("tests.workers:obedient", broker.url, name=name, **changes)
            return stack.enter_context(Program(toml, directory=tmp_path / name))

        yield start


def are_there(fleet: Fleet, count: int) -> bool:
    """Tell whether so many units are alive, hearing, and have the goal that they were given."""
    alive = [unit for unit in fleet.status() if unit.is_alive]
    return len([u for u in alive if u.document["link"] == "LISTENING"]) == count


def took(report: Report) -> float:
    """Return the longest time that an answer took, in ms."""
    return max(outcome.ms for outcome in report.outcomes if outcome.ms is not None)


def test_a_fleet_of_many_answers_at_once(
    request: pytest.FixtureRequest, broker: Broker, start: Start
) -> None:
    """All answer at once; then one is frozen, one refuses, one was killed: exactly that is told."""
    count = int(request.config.getoption("units"))
    started = {f"unit-{n:02}": start(f"unit-{n:02}") for n in range(count)}
    with Fleet(broker.url) as fleet:
        wait_until(partial(are_there, fleet, count), 120, f"{count} units")
        for unit in started.values():
            unit.wait_state("READY")
        began = time.monotonic()
        report = fleet.send("start", timeout_s=30)
        whole_ms = (time.monotonic() - began) * 1000
        assert sorted(outcome.name for outcome in report.done) == sorted(started)
        print(
            f"\nstart to {count} units: the last in {took(report):.0f} ms, {whole_ms:.0f} ms in all"
        )
        assert whole_ms < 500 or count > 40

        frozen, refusing, killed, *_ = sorted(started)
        assert fleet.send("stop", name=refusing).exit_code == 0
        started[killed].signal(signal.SIGKILL)
        started[killed].wait_exit(15)
        broker.client().delete(f"statusd:status:{{{killed}}}")  # it goes by itself in ten seconds
        started[frozen].signal(signal.SIGSTOP)
        began = time.monotonic()
        report = fleet.send("pause", timeout_s=1)
        whole_ms = (time.monotonic() - began) * 1000
        started[frozen].signal(signal.SIGCONT)

        assert [outcome.name for outcome in report.silent] == [frozen]
        assert [outcome.name for outcome in report.refused] == [refusing]
        assert [outcome.name for outcome in report.lost] == [killed]
        assert len(report.done) == count - 3
        print(f"pause with one frozen, timeout 1 s: {whole_ms:.0f} ms in all")
        assert 1000 <= whole_ms < 2000


def are_answered(journal: Journal, ids: list[str], names: list[str]) -> bool:
    """Tell whether each of those commands has a final verdict from each unit."""
    found = {(verdict.get("id"), verdict["name"]) for verdict in journal.finals()}
    return all((command_id, name) in found for command_id in ids for name in names)


@pytest.mark.fault("N15", "M11")
def test_random_runs_are_answered_once(rounds: int, broker: Broker, start: Start) -> None:
    """Numbered commands, daemons killed in between: at most one final verdict a command and unit.

    Exactly one where the daemon lived from the command to its own end; each history is gapless.
    """
    chance = random.Random(random.random())
    names = ["a", "b"]
    units = {name: start(name) for name in names}
    client = broker.client()
    with Journal(client) as journal, Fleet(broker.url) as fleet:
        wait_until(partial(are_there, fleet, len(names)), 30, "the units")
        publisher = Publisher(client, "mychannel")
        must_answer: list[str] = []
        for number in range(max(2, rounds // 4)):
            words = [chance.choice(["start", "pause", "resume", "stop"]) for _ in range(30)]
            batch = [publisher.send(word).id for word in words]
            if number % 2 == 0:
                must_answer += batch
                wait_until(partial(are_answered, journal, batch, names), 30, "all answers")
                continue
            name = chance.choice(names)
            units[name].signal(signal.SIGKILL)
            units[name].wait_exit(15)
            units[name].close()
            units[name] = start(name)
            units[name].wait_logged("link.up", link="hears")
            units[name].wait_logged("link.up", link="sends")
        last = fleet.send("ping", timeout_s=30)
        assert len(last.done) == len(names)
        for unit in units.values():
            unit.signal(signal.SIGTERM)
            assert unit.wait_exit(15) == 0
        wait_until(lambda: len([e for e in journal.events() if e["new"] == "END"]) == 2, 15, "END")
        found = check(
            publisher.sent, journal, units=names, must_answer=must_answer, allow_resent=True
        )

    assert found == []
    finals = [(v["name"], v["id"]) for v in journal.finals() if v.get("id")]
    sent = len(publisher.sent)
    owed = len(must_answer)
    print(f"\n{sent} commands to 2 units: {len(finals)} final verdicts, {owed} owed by both")
