"""Durable commands and gaps in the core: what several entries lead to, and what was missed."""

from __future__ import annotations

import pytest

from statusd.core.errors import BadMessage
from statusd.core.events import Commanded, Delivered, Event, Gapped, InvalidMessage, Save, Say
from statusd.core.messages import Command
from tests.unit.histories import STATES, WAYS, Story, events, only, said


def delivered(*words: str) -> Delivered:
    """Return entries of the stream, with the ids of their places."""
    return Delivered(
        tuple(
            Commanded(Command(word, f"stream:{n}", 1000.0, id=f"{n}"))
            for n, word in enumerate(words)
        )
    )


def test_entries_are_obeyed_in_their_order_each_where_the_last_has_led() -> None:
    """The second is judged in the state that the first brought."""
    story = Story("boot [ready]")

    effects = story.status.handle(delivered("start", "pause", "start", "nonsense"), 1000.0)

    assert said(effects) == [
        "start accepted",
        "start failed",
        "pause accepted",
        "start refused",
        "nonsense invalid",
    ]
    assert [event["new"] for event in events(effects)] == ["RUNNING", "PAUSED"]
    assert story.goal == "PAUSED"


def test_goal_and_open_commands_are_one_memory() -> None:
    """Whatever is kept has both of the same moment."""
    story = Story("boot [ready]")

    story.status.handle(delivered("start"), 1000.0)

    memory = story.status.memory()
    assert (memory.goal, [c.id for c in memory.open]) == ("RUNNING", ["0"])


def test_entries_for_others_change_nothing() -> None:
    """What is not for us is not answered, but read: that is to be kept."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.status.handle(delivered(), 1000.0)

    assert effects == [Save()]
    assert story.snapshot() == before


def test_an_entry_that_is_no_command_is_answered_by_its_id() -> None:
    """Its sender knows the id: XADD has returned it."""
    story = Story("boot [ready]")
    error = BadMessage("not valid JSON", b"{", {"id": "50-2"})

    effects = story.status.handle(Delivered((InvalidMessage(error, "stream:50-2"),)), 1000.0)

    (say,) = only(effects, Say)
    assert (say.verdict.fields["verdict"], say.verdict.fields["id"]) == ("invalid", "50-2")


def test_the_same_id_by_another_path_is_obeyed_once() -> None:
    """Whichever came first; the second gets the recorded verdict."""
    story = Story("boot [ready] start#0 [sees]")
    again = Commanded(Command("start", "stream:50-2", 1000.0, id="0"))

    effects = story.status.handle(Delivered((again,)), 1000.0)

    (say,) = only(effects, Say)
    assert say.verdict.fields["repeat"]
    assert events(effects) == []


@pytest.mark.fault("X32")
@pytest.mark.parametrize("used_by", [Commanded, InvalidMessage])
def test_nobody_can_use_up_the_id_of_an_entry_beforehand(used_by: type) -> None:
    """It is known before the entry is there; the entry is obeyed, and its own repeat isn't."""
    story = Story("boot [ready]")
    taken: Commanded | InvalidMessage = Commanded(Command("ping", "redis:c", 900.0, id="50-2"))
    if used_by is InvalidMessage:
        taken = InvalidMessage(BadMessage("no word", b"{", {"id": "50-2"}), "redis:c", 900.0)
    story.status.handle(taken, 900.0)
    entry = Delivered((Commanded(Command("start", "stream:50-2", 1000.0, id="50-2")),))

    effects = story.status.handle(entry, 1000.0)

    assert said(effects) == ["start accepted"]
    assert [command.id for command in story.status.memory().open] == ["50-2"]
    (again,) = only(story.status.handle(entry, 1001.0), Say)
    assert (again.verdict.fields["repeat"], again.verdict.fields["id"]) == (True, "50-2")


def test_a_gap_is_an_event_of_its_own_and_changes_no_state() -> None:
    """In every state but END; with a number, so that a reader misses neither it nor the next."""
    gapped = Gapped("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z", "deaf for 9.0 s", 2, None)
    for state in STATES:
        story = Story(WAYS[state])
        before, last = story.status.seq, story.status.transitions.last

        effects = story.status.handle(gapped, 2000.0)

        if state == "END":
            assert effects == []
            continue
        (event,) = only(effects, Event)
        assert event.is_remark
        assert event.fields["gap"] == {
            "start": "2026-01-01T00:00:00Z",
            "end": "2026-01-01T00:00:09Z",
            "recovered": 2,
            "lost": None,
        }
        assert (event.fields["old"], event.fields["new"]) == (state, state)
        assert event.fields["seq"] == story.status.seq == before + 1
        assert (story.state, story.status.transitions.last) == (state, last)
