"""Tests of `statusd.unit.counts`: what is counted, and what of it counts."""

from __future__ import annotations

from statusd.core.answers import Verdict
from statusd.core.messages import to_json
from statusd.core.unit import Death, ExitKind
from statusd.unit.counts import CAUSES, Counts, Histogram


def test_a_value_is_counted_where_it_fits_first() -> None:
    """A bound belongs to the bucket below it, as Prometheus has it; the last has no end."""
    histogram = Histogram((1.0, 2.0))

    for value in (0.5, 1.0, 1.5, 7.0):
        histogram.add(value)

    assert histogram.counts == [2, 1, 1]
    assert histogram.sum == 10.0


def test_an_answer_may_stand_for_many() -> None:
    """In a flood they are told in sum, and counted singly."""
    counts = Counts()

    counts.answered(Verdict({"verdict": "noop", "ms": 0.1, "count": 412}))
    counts.answered(Verdict({"verdict": "noop", "ms": 0.1}))

    assert counts.verdicts == {"noop": 413}
    assert counts.done.sum == 0


def test_only_what_was_done_is_measured() -> None:
    """The same id again gets the recorded verdict, and a question only an answer."""
    counts = Counts()

    done = {"verdict": "done", "command": "pause", "ms": 250}
    counts.answered(Verdict(None, "", to_json(done), "done", "", "pause", 250))
    counts.answered(Verdict({**done, "repeat": True}))
    counts.answered(Verdict({"verdict": "done", "command": "STATUS", "ms": 0.1}))

    assert counts.verdicts == {"done": 3}
    assert sum(counts.done.counts) == 1
    assert counts.done.sum == 0.25


def test_a_restart_has_a_cause() -> None:
    """The death before it, or somebody who asked for it."""
    counts = Counts()

    counts.restarted(Death(1, ExitKind.HUNG, "hung: no progress for 3 s"))
    counts.restarted(None)

    assert counts.restarts == {"hang": 1, "reset": 1}
    assert set(counts.restarts) <= set(CAUSES)
