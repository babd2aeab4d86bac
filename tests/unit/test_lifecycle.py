"""Tests of `statusd.core.lifecycle`: the table of design section 3, written down once more."""

import enum
from collections import Counter

import pytest

from statusd.core.lifecycle import BUILT_IN, Part, State, Who

A, W, D = Who.ANYONE, Who.WORKER, Who.DAEMON

TRANSITIONS: list[tuple[str, str, str, Who]] = [
    # trigger   from                                     to         who
    ("ready",   "INIT",                                  "READY",   W),
    ("start",   "READY",                                 "RUNNING", A),
    ("pause",   "RUNNING",                               "PAUSED",  A | W),
    ("pause",   "READY",                                 "PAUSED",  D),
    ("resume",  "PAUSED",                                "RUNNING", A),
    ("stop",    "RUNNING PAUSED",                        "READY",   A | W),
    ("crash",   "INIT READY RUNNING PAUSED",             "BACKOFF", D),
    ("retry",   "BACKOFF",                               "INIT",    D),
    ("fail",    "INIT READY RUNNING PAUSED BACKOFF",     "FAILED",  D),
    ("reset",   "FAILED BACKOFF",                        "INIT",    A),
    ("end",     "INIT READY RUNNING PAUSED BACKOFF FAILED", "ENDING", A | W | D),
    ("exited",  "ENDING",                                "END",     D),
]  # fmt: skip


def reachable(start: enum.Enum) -> set[enum.Enum]:
    """Return every state that some row leads to from ``start``, directly or not."""
    found, edge = {start}, {start}
    while edge:
        edge = {row.dest for row in BUILT_IN.rows if row.source in edge} - found
        found |= edge
    return found


def test_the_transitions_are_those_of_the_design() -> None:
    """Row by row: trigger, source, target, and who may fire it."""
    rows = Counter((row.trigger, str(row.source), str(row.dest), row.who) for row in BUILT_IN.rows)

    assert rows == Counter(
        (trigger, source, dest, who)
        for trigger, sources, dest, who in TRANSITIONS
        for source in sources.split()
    )


def test_a_trigger_leads_to_one_target_from_a_state() -> None:
    """The Machine would take the first of two and never tell."""
    pairs = [(row.trigger, row.source) for row in BUILT_IN.rows]

    assert len(set(pairs)) == len(pairs)


def test_anyone_has_one_way_from_a_state_to_another() -> None:
    """So a state's name as a word never has two meanings."""
    ways = [(row.source, row.dest) for row in BUILT_IN.rows if row.who & Who.ANYONE]

    assert len(set(ways)) == len(ways)


def test_every_state_is_reached() -> None:
    """From INIT, where every run begins."""
    assert reachable(BUILT_IN.start) == set(BUILT_IN.members())


def test_every_state_has_a_way_to_the_end() -> None:
    """There is no dead end."""
    assert [state for state in State if State.END not in reachable(state)] == []


@pytest.mark.fault("S16")
def test_nothing_leads_out_of_the_end() -> None:
    """END absorbs (S16)."""
    assert reachable(State.END) == {State.END}


def test_a_state_equals_its_own_name() -> None:
    """So that it can be compared with what stands in a message."""
    assert [(state, state.name) for state in State] == [(name, name) for name in State.__members__]


def test_states_keep_their_numbers() -> None:
    """The numbers stand on the board, between processes: order is part of the format."""
    numbers = {BUILT_IN.number(state): state.name for state in BUILT_IN.members()}

    assert numbers == {
        0: "INIT",
        1: "READY",
        2: "RUNNING",
        3: "PAUSED",
        4: "BACKOFF",
        5: "FAILED",
        6: "ENDING",
        7: "END",
    }


def test_the_worker_works_in_running_alone() -> None:
    """It stands by in INIT, READY and PAUSED, and leaves in all others."""
    parts = {state.name: BUILT_IN.parts[state] for state in BUILT_IN.members()}

    assert parts == {
        "INIT": Part.WAITS,
        "READY": Part.WAITS,
        "RUNNING": Part.WORKS,
        "PAUSED": Part.WAITS,
        "BACKOFF": Part.ENDS,
        "FAILED": Part.ENDS,
        "ENDING": Part.ENDS,
        "END": Part.ENDS,
    }


def test_the_parts_are_told_by_their_letters() -> None:
    """The worker's side knows r, w and e, and imports nothing of ours."""
    assert [part.value for part in Part] == ["r", "w", "e"]


def test_acting_states_are_not_steady() -> None:
    """In INIT, BACKOFF and ENDING somebody works towards the next state."""
    acting = set(State) - BUILT_IN.steady

    assert acting == {State.INIT, State.BACKOFF, State.ENDING}


def test_goals_are_what_a_user_can_wish_for() -> None:
    """FAILED is steady, but nobody's goal."""
    assert BUILT_IN.goals == {State.READY, State.RUNNING, State.PAUSED, State.END}


def test_ending_is_about_the_end() -> None:
    """Every other state is about itself."""
    finals = {state: BUILT_IN.final_of(state) for state in State}

    assert finals == {state: state for state in State} | {State.ENDING: State.END}
