"""Whether a lifecycle is sound: every state can be reached and left, a word has one meaning.

The questions of design section 3, each a function that yields what is wrong and where. They are
asked of a lifecycle whose names are all known.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from statusd.core.lifecycle import Lifecycle, Part, Row, Who

Path = tuple[str | int, ...]
Found = Iterator[tuple[Path, str]]
Placed = Sequence[tuple[Row, Path]]


def mistakes(lifecycle: Lifecycle, rows: Placed, places: Mapping[str, Path]) -> Found:
    """Yield where and what, for everything that is wrong.

    Args:
        lifecycle: the whole one.
        rows: the user's own transitions, each with the place where it stands.
        places: where each of the user's states stands.
    """
    questions: tuple[Callable[[Lifecycle, Placed, Mapping[str, Path]], Found], ...] = (
        _two_of_a_kind,
        _two_ways_for_a_word,
        _two_spellings,
        _misleading_triggers,
        _homeless,
        _deadlines,
        _acting,
        _restores,
        _idle,
        _unreachable,
        _no_way_to_end,
    )
    for question in questions:
        yield from question(lifecycle, rows, places)


def _two_of_a_kind(_: Lifecycle, rows: Placed, __: Mapping[str, Path]) -> Found:
    seen: list[Row] = []
    for row, path in rows:
        for other in seen:
            same = (row.trigger, row.source) == (other.trigger, other.source)
            if same and row.who & other.who:
                text = f"{row.trigger} leads out of {row.source.name} twice"
                yield path, f"{text}: to {other.dest.name} and to {row.dest.name}"
                break
        seen.append(row)


def _two_ways_for_a_word(_: Lifecycle, rows: Placed, __: Mapping[str, Path]) -> Found:
    ways: dict[tuple[enum.Enum, enum.Enum], str] = {}
    for row, path in rows:
        if Who.ANYONE not in row.who or row.source is row.dest:
            continue
        other = ways.setdefault((row.source, row.dest), row.trigger)
        if other != row.trigger:
            dest = "END" if row.dest.name == "ENDING" else row.dest.name
            text = f"{other} and {row.trigger} both lead from {row.source.name} to {dest}"
            yield path, f"{text}: the word {dest} would have two meanings"


def _two_spellings(_: Lifecycle, rows: Placed, __: Mapping[str, Path]) -> Found:
    spelt: dict[str, str] = {}
    for row, path in rows:
        other = spelt.setdefault(row.trigger.lower(), row.trigger)
        if other != row.trigger:
            text = f"{other} and {row.trigger} differ in case only, and words ignore case"
            yield (*path, "trigger"), text


def _misleading_triggers(lifecycle: Lifecycle, rows: Placed, _: Mapping[str, Path]) -> Found:
    states = {state.name.lower(): state for state in lifecycle.members()}
    for row, path in rows:
        state = states.get(row.trigger.lower())
        if state is None or row.trigger == "ready":
            continue
        if state not in (row.dest, lifecycle.final_of(row.dest)):
            text = f"the trigger {row.trigger} is spelt like the state {state.name}"
            dest = lifecycle.final_of(row.dest).name
            yield (*path, "trigger"), f"{text}, but leads to {dest}: choose another name"


def _homeless(lifecycle: Lifecycle, rows: Placed, _: Mapping[str, Path]) -> Found:
    home = lifecycle.home
    path = next(path for row, path in rows if row.trigger == "ready")
    if home is lifecycle.end or lifecycle.parts[home] is Part.ENDS:
        yield path, "ready must lead to a state to live in"
    elif home not in lifecycle.goals:
        text = f"ready must lead to a steady state, and {home.name} is none"
        yield path, f'{text}: let the worker prepare in INIT, with ready = "notified"'


def _deadlines(lifecycle: Lifecycle, rows: Placed, places: Mapping[str, Path]) -> Found:
    for state, deadline in lifecycle.deadlines.items():
        ways = [row.trigger for row, _ in rows if row.source is state]
        if deadline.trigger not in ways:
            text = f"on_timeout: no transition {deadline.trigger} leads out of {state.name}"
            known = f"; there are {', '.join(dict.fromkeys(ways))}" if ways else ""
            yield places[state.name], text + known


def _acting(lifecycle: Lifecycle, rows: Placed, places: Mapping[str, Path]) -> Found:
    for state in lifecycle.members():
        if state in lifecycle.steady or state.name not in places:
            continue
        if lifecycle.parts[state] is Part.ENDS or state is lifecycle.start:
            continue
        ways = lifecycle.ways_on(state)
        if len(ways) != 1:
            text = (
                f'{state.name} is acting: one transition with who = "worker" must lead on from it'
            )
            yield places[state.name], f"{text}, and there are {len(ways)}"
        elif lifecycle.final_of(state) not in lifecycle.steady:
            yield places[state.name], f"{state.name} never leads to a steady state"


def _restores(lifecycle: Lifecycle, rows: Placed, places: Mapping[str, Path]) -> Found:
    for goal, path in lifecycle.restores.items():
        where = (*places[goal.name], "restore")
        if goal not in lifecycle.goals:
            yield where, f"{goal.name} is no goal: only a steady state that is no fault is restored"
            continue
        state = lifecycle.home
        for trigger in path:
            dests = [
                row.dest
                for row, _ in rows
                if row.trigger == trigger and row.source is state and Who.ANYONE in row.who
            ]
            if not dests:
                yield where, f"nobody can fire {trigger} in {state.name}"
                break
            state = lifecycle.final_of(dests[0])
        else:
            if state is not goal:
                yield where, f"these triggers lead to {state.name}, not to {goal.name}"


def _idle(lifecycle: Lifecycle, _: Placed, __: Mapping[str, Path]) -> Found:
    if not any(
        lifecycle.parts[state] is Part.WORKS and state in lifecycle.steady
        for state in lifecycle.members()
    ):
        yield ("states",), 'the worker works in no state: say worker = "works" for one'


def _unreachable(lifecycle: Lifecycle, rows: Placed, places: Mapping[str, Path]) -> Found:
    reached = _closure({lifecycle.start}, [(row.source, row.dest) for row, _ in rows])
    for state in _living(lifecycle):
        if state not in reached:
            yield places[state.name], f"nothing leads to {state.name}"


def _no_way_to_end(lifecycle: Lifecycle, rows: Placed, places: Mapping[str, Path]) -> Found:
    ends = {row.source for row, _ in rows if row.dest is lifecycle.ending and Who.ANYONE in row.who}
    if not ends:
        usual = '{ trigger = "end", source = "*", dest = "END" }'
        yield ("transitions",), f"nobody can lead it to END: {usual} is the usual way"
        return
    # By somebody's will or by the worker's; what the daemon does on its own is for emergencies.
    arrows = [(row.dest, row.source) for row, _ in rows]
    saved = _closure(ends, arrows)
    leaving = {row.source for row, _ in rows if row.source is not row.dest}
    for state in _living(lifecycle):
        if state not in leaving:
            yield places[state.name], f"nothing leads out of {state.name}"
        elif state not in saved:
            yield places[state.name], f"no way leads from {state.name} to END"


def _living(lifecycle: Lifecycle) -> Iterator[enum.Enum]:
    for state in lifecycle.members():
        if lifecycle.parts[state] is not Part.ENDS and state is not lifecycle.start:
            yield state


def _closure(
    first: set[enum.Enum], arrows: Iterable[tuple[enum.Enum, enum.Enum]]
) -> set[enum.Enum]:
    """Return every state that the arrows lead to from ``first``, and ``first``."""
    arrows, found, edge = list(arrows), set(first), set(first)
    while edge:
        edge = {dest for source, dest in arrows if source in edge} - found
        found |= edge
    return found
