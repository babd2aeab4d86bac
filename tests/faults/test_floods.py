"""Floods: of fuzzed messages, judged by a table written by hand; and of junk, counted to the last.

Some in every run of the suite; ``pytest tests/faults/test_floods.py --rounds 200 -s`` for a
million, with the figures. The seed is pytest-randomly's, which pytest prints.
"""

from __future__ import annotations

import json
import os
import random
import time
from functools import partial

import pytest

from tests.conftest import Run
from tests.tools import Broker, Journal, Program, Stopwatch, wait_until
from tests.tools.fuzz import Fuzz, word_of
from tests.unit.test_words import WRITTEN

BATCH = 5_000
END_S = 1.0
"""So soon after a flood an END is obeyed."""
LEADS_TO = {"start": "RUNNING", "resume": "RUNNING", "pause": "PAUSED", "stop": "READY"}
MEANS = {(state, word.lower()): meaning for (state, word), meaning in WRITTEN.items()}

pytestmark = pytest.mark.timeout(1800)  # of many messages; each wait has its own limit


class Model:
    """Where a unit must be, by the table that is written by hand."""

    def __init__(self) -> None:
        self.state = "READY"
        self.moves: list[tuple[str, str]] = []

    def takes(self, message: bytes) -> bytes:
        """Follow ``message``, and return it."""
        trigger = MEANS.get((self.state, word_of(message).lower()), "-")
        if trigger in LEADS_TO:
            self.state = LEADS_TO[trigger]
            self.moves.append((trigger, self.state))
        return message


def how_many(rounds: int, some: int) -> int:
    """Return how many messages there are: ``some`` as a rule, 5,000 a round if asked for more."""
    return some if rounds <= 12 else rounds * 5_000


def listening(unit: Program) -> None:
    """Wait until the unit hears, speaks, and is ready."""
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("READY")


def told(journal: Journal) -> int:
    """Return how many messages have been called invalid so far."""
    return sum(v.get("count", 1) for v in journal.verdicts() if v["verdict"] == "invalid")


def answered(journal: Journal, command_id: str) -> dict[str, object] | None:
    """Return the newest verdict to the command with that id."""
    return next((v for v in reversed(journal.verdicts()) if v.get("id") == command_id), None)


def end(unit: Program, broker: Broker, journal: Journal, last: list[bytes]) -> float:
    """Send the last of a flood and END after it; return how long END took, in seconds.

    It is much work, and others may work on this machine: what they take isn't counted.
    """
    pipe = broker.client().pipeline(transaction=False)
    for message in (*last, b"END"):
        pipe.publish("mychannel", message)
    pipe.execute()
    watch = Stopwatch(unit.pid, broker.process.pid, os.getpid())
    wait_until(lambda: journal.events()[-1]["new"] in ("ENDING", "END"), 20, "the end")
    return watch.read()


@pytest.mark.fault("M01", "M03", "M04", "M05", "M06", "M07", "M08", "M15", "S09", "S10", "S11")
def test_fuzzed_messages_never_move_it_wrongly(
    rounds: int, broker: Broker, journal: Journal, run: Run
) -> None:
    """Random bytes, near-words, broken objects: exactly the words among them are obeyed."""
    unit = run("tests.workers:blocked", broker.url)
    listening(unit)
    worker, fuzz, client = unit.worker_pid(), Fuzz(random.Random(random.random())), broker.client()
    model = Model()
    began, total = time.monotonic(), how_many(rounds, 20_000)
    for number in range(total // BATCH - 1):
        pipe = client.pipeline(transaction=False)
        for _ in range(BATCH):
            pipe.publish("mychannel", model.takes(fuzz.message()))
        pipe.publish("mychannel", json.dumps({"command": "ping", "id": str(number)}))
        pipe.execute()
        pong = wait_until(partial(answered, journal, str(number)), 20, "an answer")
        assert pong["state"] == model.state

    end_s = end(unit, broker, journal, [model.takes(fuzz.message()) for _ in range(BATCH)])

    took_s = time.monotonic() - began
    assert unit.wait_exit(15) == 0
    heard = [e for e in journal.events() if e["source"].startswith("redis:")]
    print(
        f"\n{total} fuzzed messages in {took_s:.1f} s: {len(model.moves)} were words, all obeyed,"
        f" nothing else was; END {end_s * 1000:.0f} ms after the flood"
    )
    assert [(e["trigger"], e["new"]) for e in heard] == [*model.moves, ("end", "ENDING")]
    assert {e["source"] for e in journal.events()} <= {"redis:mychannel", "worker", "daemon"}
    assert end_s <= END_S
    assert unit.worker_pid() == worker
    assert [line for line in unit.log() if line["event"] in ("bug.caught", "link.lost")] == []


@pytest.mark.fault("M15")
def test_a_flood_of_junk_is_counted_to_the_last(
    rounds: int, broker: Broker, journal: Journal, run: Run
) -> None:
    """No two alike, as fast as the broker takes them; few answers, and END right after it."""
    unit = run("tests.workers:blocked", broker.url)
    listening(unit)
    client, total = broker.client(), min(500_000, how_many(rounds, 100_000))
    began = time.monotonic()
    for start in range(0, total, BATCH):
        pipe = client.pipeline(transaction=False)
        for number in range(start, start + BATCH):
            pipe.publish("mychannel", f"junk {number} " + "x" * 80)
        pipe.execute()
    wait_until(lambda: told(journal) >= total, 60, "all junk to be answered in sum")
    took_s = time.monotonic() - began
    answers = len([v for v in journal.verdicts() if v["verdict"] == "invalid"])
    logged = [line for line in unit.log() if line["event"] == "command.answered"]

    end_s = end(unit, broker, journal, [b"junk %d" % number for number in range(5 * BATCH)])

    print(
        f"\n{total} messages of junk, told after {took_s:.1f} s: {answers} answers, {len(logged)}"
        f" lines of the log; END {end_s * 1000:.0f} ms after another {5 * BATCH}"
    )
    assert unit.wait_exit(15) == 0
    assert max(answers, len(logged)) <= 10 + 3 * took_s
    assert end_s <= END_S
    assert unit.logged("link.lost") is None
