"""Judged by history: publishers number, the journal notes what units said, a checker compares."""

from __future__ import annotations

import random

from statusd.core.lifecycle import BUILT_IN
from tests.conftest import Run
from tests.tools import Broker, Journal, Process, Publisher, check, wait_until

TABLE = {(row.source.name, row.trigger, row.dest.name) for row in BUILT_IN.rows}
WORDS = ["start", "PAUSE", "resume", "stop", "running", "status", "ping", "reset", "force", "blub"]


def test_several_publishers_at_once_are_each_answered_once(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """600 commands from three sides to two units: each answered once, each event in its chain."""
    names = ["one", "two"]
    units = [run("tests.workers:blocked", broker.url, name=name) for name in names]
    for unit in units:
        unit.wait_logged("link.up", link="hears")
        unit.wait_logged("link.up", link="sends")
        unit.wait_state("READY")
    publishers = [Publisher(broker.client(), "mychannel", prefix) for prefix in "abc"]
    chance = random.Random(7)

    for publisher in publishers:
        publisher.start(chance.choices(WORDS, k=200), rate_hz=1000)
    for publisher in publishers:
        publisher.join(20)
    broker.client().publish("mychannel", "END")

    assert [unit.wait_exit(8) for unit in units] == [0, 0]
    sent = [command for publisher in publishers for command in publisher.sent]
    ids = [command.id for command in sent]
    wait_until(lambda: len(journal.finals()) >= 2 * len(ids) + 2, 10, "all final verdicts")
    assert check(sent, journal, units=names, table=TABLE, must_answer=ids) == []
    assert len(journal.events()) > 40


def test_a_worker_that_is_killed_again_and_again(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """Commands meet every state of a crashing worker: still one answer each, and no lie."""
    worker = {"backoff_s": [0.01, 0.02], "budget": 1000}
    unit = run("tests.workers:blocked", broker.url, worker=worker)
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    publisher = Publisher(broker.client(), "mychannel", "k")
    publisher.start(random.Random(11).choices(WORDS, k=400), rate_hz=200)

    for number in range(1, 9):
        unit.wait_logged("state.changed", new="READY", run=number)
        process = Process.of(unit.worker_pid())
        if process is not None:
            process.kill()
        unit.wait_logged("state.changed", new="BACKOFF", run=number)
    publisher.join(20)
    broker.client().publish("mychannel", "END")

    assert unit.wait_exit(8) == 0
    ids = [command.id for command in publisher.sent]
    last = {"verdict": "done", "command": "END"}
    wait_until(
        lambda: any(last.items() <= v.items() for v in journal.finals()), 10, "the last verdict"
    )
    assert check(publisher.sent, journal, units=["unit"], table=TABLE, must_answer=ids) == []
