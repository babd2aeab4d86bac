"""Puts a lifecycle together: what the user wrote, and what belongs to every one of them."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from statusd.core.lifecycle import Deadline, Lifecycle, Part, Row, Who, supervision
from statusd.lifecycles.written import DAEMONS_STATES, Way, Written


def assemble(written: Written) -> Lifecycle:
    """Return the lifecycle that was written, with the daemon's part in it."""
    ready = next(way for way in written.ways if way.trigger == "ready")
    members = _members(written)
    made: Any = enum.Enum  # the states are known at run time only
    states: type[enum.Enum] = made("State", {name: name for name in members}, type=str)
    own = [state for state in written.states.values() if state.name not in DAEMONS_STATES]
    shell = Lifecycle(
        states=states,
        rows=(),
        parts={
            states[name]: written.states[name].part if name in written.states else Part.ENDS
            for name in members
        },
        steady=frozenset(
            states[name] for name in ("FAILED", "END", *(s.name for s in own if s.kind != "acting"))
        ),
        faults=frozenset(
            states[name] for name in ("FAILED", *(s.name for s in own if s.kind == "fault"))
        ),
        home=states[ready.dest],
        deadlines={
            states[s.name]: Deadline(s.timeout_s, s.on_timeout) for s in own if s.on_timeout
        },
        restores={states[s.name]: s.restore for s in own if s.restore},
        worker_states=_worker_states(written.enum_class),
    )
    rows = [row for way in written.ways for row in rows_of(way, shell)]
    return replace(shell, rows=tuple(_with_daemon(rows, shell)))


def _members(written: Written) -> list[str]:
    """Return the user's states in their order; the daemon's that aren't there before END."""
    missing = [name for name in DAEMONS_STATES if name not in written.states]
    names = [name for name in written.states if name != "END"]
    return [*names, *missing, "END"]


def _worker_states(own: type[enum.Enum] | None) -> str:
    if own is None or "<locals>" in own.__qualname__:
        return ""
    return f"{own.__module__}:{own.__qualname__}"


def rows_of(way: Way, lifecycle: Lifecycle) -> Iterator[Row]:
    """Yield a row for each source of ``way``."""
    for name in way.sources:
        dest = name if way.dest == "=" else way.dest
        state = lifecycle.ending if dest == "END" else lifecycle.states[dest]
        yield Row(way.trigger, lifecycle.states[name], state, way.who, way.conditions)


def _with_daemon(rows: list[Row], shell: Lifecycle) -> Iterator[Row]:
    """Yield the user's rows, with the daemon's part in them, and the daemon's own rows."""
    living = [state for state in shell.members() if shell.parts[state] is not Part.ENDS]
    may = {(state, deadline.trigger) for state, deadline in shell.deadlines.items()}
    may |= {(state, "end") for state in living}
    for row in rows:
        asked = (row.source, row.trigger) in may
        may.discard((row.source, row.trigger))
        who = row.who | Who.DAEMON if asked else row.who
        yield Row(row.trigger, row.source, row.dest, who, row.conditions)
    yield from supervision(shell.states, living)
    for state in living:
        if (state, "end") in may:
            yield Row("end", state, shell.ending, Who.DAEMON)
    yield from _end_of_the_dead(rows, shell)


def _end_of_the_dead(rows: list[Row], shell: Lifecycle) -> Iterator[Row]:
    """From BACKOFF and FAILED anyone ends it as from elsewhere; the daemon says end."""
    word = next((r.trigger for r in rows if r.dest is shell.ending and Who.ANYONE in r.who), "end")
    for state in (shell.backoff, shell.failed):
        if word == "end":
            yield Row("end", state, shell.ending, Who.ANYONE | Who.DAEMON)
        else:
            yield Row(word, state, shell.ending, Who.ANYONE)
            yield Row("end", state, shell.ending, Who.DAEMON)
