"""Tests of `statusd.daemon.notify_queue`: never too many, never too old, and no stage lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.daemon.notify_queue import MOST, WITHIN_S, NotifyQueue


def sent(queue: NotifyQueue, until: float, now: float = 0.0) -> list[tuple[float, dict[str, str]]]:
    """Return what goes out until then, each with its time."""
    out = []
    while (wait_s := queue.wait_s(now)) is not None and now + wait_s <= until:
        now += wait_s
        if note := queue.take(now):
            out.append((now, note))
    return out


def test_what_is_news_goes_at_once_and_once() -> None:
    """The same status again isn't told."""
    queue = NotifyQueue()
    queue.put_status("READY")
    assert queue.take(0.0) == {"STATUS": "READY"}

    queue.put_status("READY")

    assert queue.wait_s(0.0) is None


def test_a_later_status_takes_the_place_of_an_unsent_one() -> None:
    """And one that is what was told last takes it away."""
    queue = NotifyQueue()
    for text in "abcd":
        queue.put_status(text)
        if text == "a":
            queue.take(0.0)

    assert [note for _, note in sent(queue, 9.0)] == [{"STATUS": "d"}]

    queue.put_status("e")
    queue.put_status("d")
    assert sent(queue, 99.0, 9.0) == []


def test_what_waits_goes_along_with_a_stage() -> None:
    """READY, status and the watchdog's food are one note; nobody waits for a start that is over."""
    queue = NotifyQueue()
    queue.put(EXTEND_TIMEOUT_USEC="5")
    queue.put(WATCHDOG="1")
    queue.put_status("READY")
    queue.put_stage(READY="1")

    assert queue.take(0.0) == {"READY": "1", "WATCHDOG": "1", "STATUS": "READY"}


def test_stages_never_share_a_note() -> None:
    """The service manager goes by the last one in it, and would wait for the other for ever."""
    queue = NotifyQueue()
    queue.put_stage(READY="1")
    queue.put_stage(RELOADING="1", MONOTONIC_USEC="7")
    queue.put_stage(READY="1")
    queue.put_stage(READY="1")

    assert [note for _, note in sent(queue, 9.0)] == [
        {"READY": "1"},
        {"RELOADING": "1", "MONOTONIC_USEC": "7"},
        {"READY": "1"},
    ]


def test_many_reloads_are_the_newest_one() -> None:
    """Their notes don't pile up; and an end makes the rest of them uninteresting."""
    queue = NotifyQueue()
    queue.put_stage(READY="1")
    queue.take(0.0)
    for number in range(9):
        queue.put_stage(RELOADING="1", MONOTONIC_USEC=str(number))
        queue.put_stage(READY="1")

    assert queue.take(0.0) == {"RELOADING": "1", "MONOTONIC_USEC": "8"}

    queue.put_stage(STOPPING="1")
    assert [note for _, note in sent(queue, 9.0)] == [{"STOPPING": "1"}]


def test_who_stops_before_ready_was_sent_was_ready_first() -> None:
    """Else the service manager takes a job that was done in a moment for one that never began."""
    queue = NotifyQueue()
    queue.put_stage(READY="1")
    queue.put_stage(RELOADING="1")
    queue.put_stage(STOPPING="1")

    assert queue.owes_stage
    assert [note for _, note in sent(queue, 9.0)] == [{"READY": "1"}, {"STOPPING": "1"}]
    assert not queue.owes_stage


def test_a_note_that_nobody_took_is_told_again() -> None:
    """Its stage first, and what has changed meanwhile as it is now."""
    queue = NotifyQueue()
    queue.put_status("a")
    queue.put(WATCHDOG="1")
    queue.put_stage(READY="1")
    note = queue.take(0.0)

    queue.give_back(note)
    queue.put_status("b")

    assert queue.take(0.0) == {"READY": "1", "STATUS": "b", "WATCHDOG": "1"}


def test_a_stage_finds_a_place_at_once() -> None:
    """What is no stage leaves one free: a start isn't told later because its status was."""
    queue = NotifyQueue()
    queue.put_status("INIT")
    queue.take(0.0)
    queue.put_status("READY")
    assert queue.take(0.1) == {}

    queue.put_stage(READY="1")

    assert queue.take(0.1) == {"READY": "1", "STATUS": "READY"}


ACTS = st.sampled_from(["status", "watchdog", "reload", "ready", "stop", "extend"])


@pytest.mark.fault("G13")
@given(st.lists(st.tuples(st.floats(0, 0.5), ACTS), max_size=60))
def test_there_are_never_more_than_two_in_any_second(acts: list[tuple[float, str]]) -> None:
    """Whatever comes together, and nothing waits for ever."""
    queue, now, times = NotifyQueue(), 0.0, []
    for number, (after_s, act) in enumerate(acts):
        now += after_s
        match act:
            case "status":
                queue.put_status(str(number))
            case "watchdog" | "extend":
                queue.put(**{act: "1"})
            case "reload":
                queue.put_stage(RELOADING="1", MONOTONIC_USEC=str(number))
                queue.put_stage(READY="1")
            case "ready":
                queue.put_stage(READY="1")
            case _:
                queue.put_stage(STOPPING="1")
        if queue.take(now):
            times.append(now)
    rest = sent(queue, now + 5 * WITHIN_S, now)
    times += [at for at, _ in rest]

    assert queue.wait_s(now + 99) is None
    gaps = [late - early for early, late in zip(times, times[MOST:], strict=False)]
    assert min(gaps, default=WITHIN_S) >= WITHIN_S - 1e-6
