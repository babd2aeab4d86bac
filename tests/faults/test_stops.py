"""Stops at random, with workers that are late: one final verdict to each command, over all lives.

One unit lives again and again in one folder. While its worker is in a step, several commands are
open at once; then it is ended, in one of all the ways. A few lives in every run of the suite, more
with ``--rounds``. The seed is printed; ``--randomly-seed=N`` plays it again.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.faults.outages import wait_for
from tests.tools import Broker, Journal, Program, Proxy, wait_until

pytestmark = [pytest.mark.timeout(7200), pytest.mark.fault("J08")]

STOP_S, KILL_S = 0.25, 0.2
"""How patient the units are with a worker that is late."""
WORDS = ("pause", "start", "stop", "resume", "RUNNING", "PAUSED", "nonsense")


class Lives:
    """One unit, life after life, and what was asked of it.

    Args:
        broker: where the commands go; port: where the unit connects.
        directory: of the unit; chance: decides.
    """

    def __init__(
        self, broker: Broker, port: int, directory: Path, chance: random.Random, journal: Journal
    ) -> None:
        self._toml = settings(
            "tests.workers:late",
            f"redis://127.0.0.1:{port}/0",
            worker={"stop_timeout_s": STOP_S, "kill_timeout_s": KILL_S},
            log={"level": "debug", "format": "json"},
        )
        self._client = broker.client()
        self._directory = directory
        self._chance = chance
        self._journal = journal
        self._ids = count(1)
        self.owed: set[str] = set()
        """The ids of commands that were heard, or that wait for whoever reads the stream."""

    def live(self, disturb: Callable[[], None] = lambda: None) -> Program:
        """Live once, up to the exit, and return the unit that has ended.

        Args:
            disturb: called when the stop has begun.
        """
        step_s, leave_s = (self._chance.uniform(s / 2, s * 2) for s in (STOP_S, KILL_S))
        self._directory.mkdir(exist_ok=True)
        (self._directory / "late").write_text(json.dumps([step_s, leave_s]))
        (self._directory / "working").unlink(missing_ok=True)
        with Program(self._toml, directory=self._directory) as unit:
            unit.wait_logged("link.up", 20, link="hears")
            unit.wait_logged("link.up", 20, link="sends")
            self._until_it_works(unit)
            self._wait_heard([self._ask(self._chance.choice(WORDS)) for _ in range(self._few())])
            for _ in range(self._few()):
                self._ask(self._chance.choice(WORDS), durable=True)
            self._stop(unit)
            unit.wait_logged("state.changed", new="ENDING")
            disturb()
            assert unit.wait_exit(20) == 0
        return unit

    def wait_answered(self) -> None:
        """Return when each command that was heard has its final verdict."""
        wait_until(lambda: not self.owed - set(self.finals()), 20, "all to be answered")

    def finals(self) -> Counter[str]:
        """Return id -> how many final verdicts there were, but for repeated ones."""
        return Counter(said["id"] for said in self._journal.finals() if "id" in said)

    def distinct(self) -> Counter[str]:
        """Return the same, with exact copies taken for one."""
        told = {json.dumps(said): said for said in self._journal.finals() if "id" in said}
        return Counter(said["id"] for said in told.values())

    def _few(self) -> int:
        return self._chance.randrange(4)

    def _until_it_works(self, unit: Program) -> None:
        """Bring it to work: it may have been left paused by its last life."""
        unit.wait_logged("state.changed", trigger="ready")
        self._wait_heard([self._ask("RUNNING")])
        wait_until((self._directory / "working").exists, 10, "the worker to be in a step")

    def _ask(self, word: str, *, durable: bool = False) -> str:
        """Send a command with an id, and return that."""
        name = f"{word}-{next(self._ids)}"
        message: dict[str, Any] = {"command": word, "id": name}
        if self._chance.random() < 0.3:
            message["reply_to"] = "statusd:reply:me"
        if durable:
            self._client.xadd("statusd:commands", {"command": json.dumps(message)})
            self.owed.add(name)
        else:
            self._client.publish("mychannel", json.dumps(message))
        return name

    def _wait_heard(self, names: list[str]) -> None:
        def heard() -> bool:
            return {*names} <= {said.get("id") for said in self._journal.verdicts()}

        wait_until(heard, 10, f"an answer to each of {names}")
        self.owed.update(names)

    def _stop(self, unit: Program) -> None:
        """End it in one way or two; whatever else is asked meanwhile may come too late."""
        ways: list[Callable[[], object]] = [
            lambda: self._client.publish("mychannel", "END"),
            *2 * [lambda: self._ask("END")],
            lambda: self._ask("END", durable=True),
            lambda: unit.signal(signal.SIGTERM),
        ]
        self._chance.choice(ways)()
        if self._chance.random() < 0.5:
            unit.wait_logged("state.changed", new="ENDING")
            for word in self._chance.sample(["END", "force", "pause", "ping"], self._few()):
                self._ask(word, durable=word == "pause")


@pytest.fixture
def chance() -> random.Random:
    """Decides, and says how to make it do so again."""
    seed = random.randrange(2**32)
    print(f"\nstops with seed {seed}")
    return random.Random(seed)


def test_a_stop_leaves_each_command_one_final_verdict(
    rounds: int, broker: Broker, journal: Journal, chance: random.Random, tmp_path: Path
) -> None:
    """With a broker that is there, nothing is left for the next start or said twice."""
    lives = Lives(broker, broker.port, tmp_path / "unit", chance, journal)
    for number in range(rounds):
        unit = lives.live()

        where = f"life {number + 1} of {rounds}"
        assert [line for line in unit.log() if line["event"] == "outbox.unsent"] == [], where
        assert unit.kept()["unsent"] == [], where
        assert told_twice(lives.finals()) == {}, where
    lives.live()  # whoever comes next would send what was left

    lives.wait_answered()
    assert told_twice(lives.finals()) == {}


@pytest.mark.fault("J23")
def test_a_broker_that_is_far_away_hears_the_last_words(broker: Broker, run: Run) -> None:
    """Its answers take longer than the second that a silent one is given."""
    with Proxy(broker.port) as far:
        far.delay(0.55)
        unit = run("tests.workers:until_end", f"redis://127.0.0.1:{far.port}/0")
        unit.wait_state("READY")
        unit.wait_logged("link.up", link="sends")

        unit.signal(signal.SIGTERM)

        assert unit.wait_exit(15) == 0
    assert unit.logged("outbox.unsent") is None
    assert unit.kept()["unsent"] == []
    assert in_history(broker) == ["READY", "ENDING", "END"]


@pytest.mark.fault("J23")
def test_what_the_broker_has_refused_is_tried_once_more_at_the_end(
    broker: Broker, run: Run
) -> None:
    """It takes it again by now; the next beat would have told."""
    client = broker.client()
    unit = run("tests.workers:until_end", broker.url)
    unit.wait_state("READY")
    unit.wait_logged("link.up", link="hears")
    client.config_set("maxmemory", "1")
    client.publish("mychannel", "start")
    unit.wait_logged("history.refused")
    client.config_set("maxmemory", "0")

    client.publish("mychannel", "end")

    assert unit.wait_exit(10) == 0
    assert unit.logged("outbox.unsent") is None
    assert in_history(broker) == ["READY", "RUNNING", "ENDING", "END"]


def in_history(broker: Broker) -> list[str]:
    """Return the states that the unit's history tells of."""
    client: Any = broker.client()
    entries = client.xrange("statusd:history:{unit}")
    return [json.loads(fields[b"event"])["new"] for _, fields in entries]


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    """The way to the broker, which can be closed."""
    with Proxy(broker.port) as way:
        yield way


def test_a_broker_that_is_away_at_the_stop_hears_it_from_the_next_start(
    rounds: int,
    broker: Broker,
    journal: Journal,
    proxy: Proxy,
    chance: random.Random,
    tmp_path: Path,
) -> None:
    """Once; but what was on its way when the connection broke may come again, an exact copy."""
    lives = Lives(broker, proxy.port, tmp_path / "unit", chance, journal)

    def cut() -> None:
        wait_for(time.monotonic() + chance.uniform(0, 2 * (STOP_S + KILL_S)))
        proxy.cut()

    for _ in range(max(2, rounds // 2)):
        lives.live(disturb=cut)
        proxy.pass_()
    lives.live()
    lives.live()

    lives.wait_answered()
    assert told_twice(lives.distinct()) == {}


def told_twice(finals: Counter[str]) -> dict[str, int]:
    """Return the commands that have more than one final verdict."""
    return {name: times for name, times in finals.items() if times > 1}
