"""Tests of `statusd.unit.document`: what a unit tells of itself, beside its state."""

from __future__ import annotations

from typing import Any

import pytest
from hiredis import ReplyError

from statusd.core.policy import OnMemory, Policy
from statusd.core.status import Status
from statusd.core.unit import Identity
from statusd.unit.document import Proof, document
from statusd.worker.board import Record
from tests.unit.test_own_lifecycle import INSTRUMENT
from tests.unit.worlds import World

WORKING = "boot [ready] start [sees] +1 disk"


def documented(history: str) -> dict[str, Any]:
    """Return the last document of a history."""
    return World(f"{history} +1 disk").documents()[-1]


@pytest.mark.parametrize(
    ("history", "ended"),
    [
        (f"{WORKING} end#a [exits 0] [gone]", {"source": "redis:mychannel", "command": "end"}),
        (f"{WORKING} end#a", {"source": "redis:mychannel", "command": "end"}),
        (f"{WORKING} SIGTERM [exits 0] [gone]", {"source": "signal:SIGTERM"}),
        (f"{WORKING} [exits 0] [gone]", {"source": "worker", "reason": "the worker finished"}),
        (WORKING, {}),
    ],
    ids=["command", "ending", "signal", "finished", "alive"],
)
def test_who_has_ended_it_stays_in_the_document(history: str, ended: dict[str, str]) -> None:
    """Also when `last` tells how the worker left; null as long as it isn't ending."""
    told = documented(history)["ended"]

    assert (told is None) is (not ended)
    assert ended.items() <= (told or {}).items()


@pytest.mark.parametrize(
    ("history", "word"),
    [
        ("boot [ready]", "start"),
        (f"{WORKING} stop [sees]", "start"),
        (WORKING, ""),
        (f"{WORKING} pause [sees]", ""),
        ("boot", ""),
        (f"{WORKING} end#a", ""),
    ],
)
def test_a_unit_that_stands_at_home_says_what_it_waits_for(history: str, word: str) -> None:
    """Nobody is to wonder why nothing happens; elsewhere somebody has said so."""
    assert documented(history)["waits_for"] == word


def test_what_a_dead_run_had_reached_stays() -> None:
    """While the next ones say nothing, and in FAILED; another one's word takes its place."""
    world = World(WORKING)
    world.workers[-1].said = Record(4, 10, "exposing")
    reached = {"run": 1, "step": 4, "total": 10, "text": "exposing"}

    alive = world.documents()[-1]["worker"]
    world.play("[exits 1]")
    dead = world.documents()[-1]
    world.play("[gone] (backoff) +1 disk")
    starting = world.documents()[-1]
    world.play("[exits 1]")
    again = world.documents()[-1]

    assert "reached" not in alive
    assert dead["worker"]["reached"] == again["worker"]["reached"] == reached
    assert (starting["worker"]["reached"], starting["progress"]) == (reached, None)
    assert (again["state"], again["run"]) == ("BACKOFF", 2)


def told(**more: Any) -> dict[str, Any]:
    """Return the document of a unit that has such a status."""
    status = Status(Identity("unit"), **more)
    return document(status, None, "LISTENING", Proof(0, None), (), 0.0, 0.0)


def test_that_a_state_is_seen_now_is_written_at_once() -> None:
    """Who was told that it isn't needn't wait for the next beat."""
    world = World(f"{WORKING} pause#a +0.1")
    late = world.documents()

    world.play("[sees] +0.1")

    (seen,) = world.documents()[len(late) :]
    assert late[-1]["unseen_since"] == late[-1]["since"] == seen["since"]
    assert seen["unseen_since"] is None


def beaten(world: World, beats: int) -> list[dict[str, Any]]:
    """Let it beat so often, three seconds apart; return the documents that were written since."""
    before = len(world.documents())
    for _ in range(beats):
        world.play("+3")
        world.unit.beat()
        world.unit.ports.broker.flush()
    return world.documents()[before:]


def test_who_has_nothing_new_to_say_says_it_every_six_seconds() -> None:
    """It says when: nothing else in it has changed."""
    world = World(WORKING)
    beaten(world, 2)
    last = world.documents()[-1]
    first, second = beaten(world, 4)

    assert first["at"] != second["at"]
    assert {**first, "at": ""} == {**second, "at": ""} == {**last, "at": ""}


def test_what_its_processes_use_goes_with_a_document_that_is_written_anyway() -> None:
    """Six seconds old at most, and nothing is written for it; of a worker that died nothing."""
    world = World(WORKING)
    beaten(world, 2)
    sampler = world.workers[-1].sampler
    uses = []
    for second in range(6):
        sampler.has(2**30 + second)
        uses += [one["worker"]["resources"]["memory"] for one in beaten(world, 1)]

    assert uses == [2**30 + 1, 2**30 + 3, 2**30 + 5]
    assert world.documents()[-1]["worker"]["resources"] == {
        **{"cpu": 0.5, "cpu_s": 12.0, "memory": uses[-1], "pss": None},
        **{"threads": 3, "processes": 1, "descriptors": 7},
    }
    world.play("[exits 1] +1")
    assert "resources" not in world.documents()[-1]["worker"]


@pytest.mark.parametrize(("limit", "samples"), [(0, 0), (2**30, 4)])
def test_what_nobody_waits_for_is_read_when_it_is_due(limit: int, samples: int) -> None:
    """With each beat where memory has a limit."""
    world = World(WORKING, memory_max=limit)
    sampler = world.workers[-1].sampler
    sampler.due_at = world.loop.now + 100.0

    beaten(world, 4)

    assert sampler.samples == samples
    sampler.due_at = world.loop.now + 3.0
    beaten(world, 1)
    assert sampler.samples == samples + 1


def test_too_much_memory_is_a_trouble_as_long_as_it_is() -> None:
    """Written with the beat that has seen it, and gone with the one that sees no more of it."""
    world = World(WORKING, memory_max=2**30, on_memory=OnMemory.TELL)
    beaten(world, 2)
    sampler = world.workers[-1].sampler
    troubles = []
    for gib in (0.5, 1.5, 1.6, 0.95, 0.5):
        sampler.has(round(gib * 2**30))
        beaten(world, 1)
        troubles.append(world.documents()[-1]["trouble"])

    text = "1.5 GiB of memory, memory_max is 1 GiB"
    assert troubles == ["", text, text, text, ""]
    assert [event["trigger"] for event in world.events()][-2:] == ["grow", "shrink"]
    assert [name for name, _ in world.logged if name.startswith("worker.")][-2:] == [
        *("worker.grown", "worker.shrunk"),
    ]


def test_whoever_watches_sees_each_step_within_three_seconds() -> None:
    """What a worker says of its work is no input: the beats look for it."""
    world = World(WORKING)
    beaten(world, 2)
    steps = []
    for step in range(3):
        world.workers[-1].said = Record(step, 10, "exposing")
        steps += [written["progress"]["step"] for written in beaten(world, 1)]

    assert steps == [0, 1, 2]


def test_how_fast_the_work_goes_is_told_with_its_steps() -> None:
    """In steps a second of the time with work to do, and in seconds of it that are left."""
    world = World(WORKING)
    for step in range(0, 60, 6):
        world.workers[-1].said = Record(step, 100, "exposing", "images")
        beaten(world, 1)
    told = world.documents()[-1]["progress"]
    world.play("pause [sees] +600")
    paused = beaten(world, 2)[-1]["progress"]
    world.play("end#a +1")
    ending = world.documents()[-1]["progress"]

    known = {"step": 54, "total": 100, "unit": "images"}
    assert told == {**known, "rate": 2.0, "left_s": 23.0}
    assert paused == told
    assert ending == {**known, "rate": None, "left_s": None}


def test_how_fast_it_goes_is_no_news() -> None:
    """Of a worker that makes no step nothing is written but what grows old."""
    world = World(WORKING)
    world.workers[-1].said = Record(5, 10, "exposing")
    beaten(world, 2)

    assert len(beaten(world, 6)) == 3


def test_another_run_is_estimated_anew() -> None:
    """It goes on from where the last one was, or begins anew: nobody knows how fast."""
    world = World(WORKING)
    for step in range(0, 60, 6):
        world.workers[-1].said = Record(step, 100, "")
        beaten(world, 1)
    world.play("[exits 1] [gone] (backoff) [ready] [sees] +1")
    world.workers[-1].said = Record(60, 100, "")
    first = beaten(world, 1)[-1]["progress"]
    for step in range(63, 90, 3):
        world.workers[-1].said = Record(step, 100, "")
        beaten(world, 1)

    assert (first["step"], first["rate"], first["left_s"]) == (60, None, None)
    assert world.documents()[-1]["progress"]["rate"] == 1.0


def test_the_time_that_is_left_is_told_with_each_beat() -> None:
    """It passes, whatever else does."""
    world = World(f"{WORKING} end#a +0.1")

    assert [written["stop"]["in_s"] for written in beaten(world, 3)] == [56.9, 53.9, 50.9]


def test_what_is_refused_is_written_with_the_next_beat() -> None:
    """The older one runs out ten seconds after it was written."""
    world = World(WORKING)
    beaten(world, 2)
    world.broker.replies["SET"] = ReplyError("OOM command not allowed")

    assert len(beaten(world, 4)) == 3


@pytest.mark.parametrize(("attached", "within_s"), [(False, 72.0), (True, 60.0)])
def test_it_says_how_long_its_end_may_take(attached: bool, within_s: float) -> None:
    """Up to SIGKILL; an attached program gets no signal."""
    policy = Policy(stop_timeout_s=60.0, kill_timeout_s=12.0, attached=attached)

    assert told(policy=policy)["ends_within_s"] == within_s


def test_it_says_which_words_a_lifecycle_of_ones_own_has() -> None:
    """Triggers and states; the built-in ones are known to everybody."""
    words = told(lifecycle=INSTRUMENT)["words"]

    assert {"acquire", "abort", "ACQUIRING", "end", "END", "status"} <= {*words}
    assert "words" not in told()


@pytest.mark.parametrize(
    ("history", "kind"),
    [
        ("boot", "acting"),
        ("boot [ready]", "waiting"),
        (WORKING, "working"),
        (f"{WORKING} [exits 3] [gone]", "acting"),
        (f"{WORKING} end#a", "acting"),
        (f"{WORKING} end#a [exits 0] [gone]", "end"),
    ],
)
def test_a_document_says_of_what_kind_its_state_is(history: str, kind: str) -> None:
    """Who looks at many needs no lifecycle to tell trouble from rest."""
    assert documented(history)["kind"] == kind


def test_so_it_does_of_a_state_that_the_user_has_named() -> None:
    """A fault is one though its worker waits in it as in any other."""
    kinds = {state.name: kind for state, kind in INSTRUMENT.kinds.items()}

    assert (kinds["FAULT"], kinds["FAILED"], kinds["END"]) == ("fault", "fault", "end")
    assert {"waiting", "working", "acting"} < set(kinds.values())
