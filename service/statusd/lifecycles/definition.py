"""A user's lifecycle, from the `transitions` library's own words: states and transitions.

Every mistake is found, not the first; each knows where it stands and what would be right. Rules of
this file: INIT, BACKOFF, FAILED, ENDING and END belong to every lifecycle, and the daemon alone
leads through them; the rest is the user's. What is sound is asked in `soundness`.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from statusd.core.errors import StatusdError
from statusd.core.lifecycle import Deadline, Guard, Lifecycle, Part, Row, Who, supervision
from statusd.core.messages import nearest
from statusd.core.words import RESERVED
from statusd.lifecycles import soundness

DAEMONS_TRIGGERS = ("crash", "retry", "fail", "exited")
"""Triggers of the process, in every lifecycle; a user's must have other names."""
DAEMONS_STATES = ("INIT", "BACKOFF", "FAILED", "ENDING", "END")
"""States of the process, in every lifecycle."""
MAX_STATES = 200
"""The board has 8 bits for the state; some are left for what may come."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_STATE_KEYS = ("name", "kind", "worker", "timeout_s", "on_timeout", "restore")
_TRANSITION_KEYS = ("trigger", "source", "dest", "conditions", "unless", "who")
_KINDS = ("steady", "acting", "fault")
_PARTS = {"works": Part.WORKS, "waits": Part.WAITS}
_WHO = {"anyone": Who.ANYONE, "worker": Who.WORKER}
_YEAR_S = 365 * 86400

Path = tuple[str | int, ...]
Find = Callable[[str], object]


class Mistake(NamedTuple):
    """What is wrong with a lifecycle.

    Args:
        path: where it stands: keys and indices below ``[lifecycle]``.
        text: what is wrong, and what would be right.
    """

    path: Path
    text: str


class BadLifecycle(StatusdError):
    """A lifecycle that can't be run, with all its mistakes."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(mistake.text for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(slots=True)
class _State:
    name: str
    path: Path
    kind: str = "steady"
    part: Part = Part.WAITS
    timeout_s: float = 0.0
    on_timeout: str = ""
    restore: tuple[str, ...] = ()


@dataclass(slots=True)
class _Way:
    """A transition as the user wrote it, with its sources named."""

    trigger: str
    sources: list[str]
    dest: str
    path: Path
    who: Who = Who.ANYONE | Who.WORKER
    guards: tuple[Guard, ...] = ()


def define(states: object, transitions: object, find: Find) -> Lifecycle:
    """Return the lifecycle that ``states`` and ``transitions`` describe.

    Args:
        states: an Enum class, or a list of names, of an Enum's members, or of tables with ``name``,
            ``kind``, ``worker``, ``timeout_s``, ``on_timeout``, ``restore``.
        transitions: a list of tables with ``trigger``, ``source``, ``dest``, ``conditions``,
            ``unless``, ``who``, or of lists ``[trigger, source, dest]``.
        find: returns what ``module:name`` names; raises ValueError if there is no such thing.

    Raises:
        BadLifecycle: with all mistakes.
    """
    reader = _Reader(find)
    reader.read_states(states)
    reader.read_transitions(transitions)
    reader.check_start()
    lifecycle = reader.assemble() if not reader.mistakes else None
    if lifecycle is not None:
        places = {state.name: state.path for state in reader.states.values()}
        rows = [(row, way.path) for way in reader.ways for row in reader.rows_of(way, lifecycle)]
        reader.mistakes += [Mistake(*m) for m in soundness.mistakes(lifecycle, rows, places)]
    if lifecycle is None or reader.mistakes:
        raise BadLifecycle(reader.mistakes)
    return lifecycle


@dataclass(slots=True)
class _Reader:
    find: Find
    mistakes: list[Mistake] = field(default_factory=list)
    states: dict[str, _State] = field(default_factory=dict)
    ways: list[_Way] = field(default_factory=list)
    enum_class: type[enum.Enum] | None = None
    starts: int = 0

    def wrong(self, path: Path, text: str) -> None:
        self.mistakes.append(Mistake(path, text))

    # ---- states ------------------------------------------------------------------------------

    def read_states(self, states: object) -> None:
        if isinstance(states, type) and issubclass(states, enum.Enum):
            self.enum_class = states
            aliases = [n for n, member in states.__members__.items() if member.name != n]
            for name in aliases:
                of = states.__members__[name].name
                self.wrong(("states",), f"{name} is only another name of {of}: give it a value")
            states = list(states)
        if isinstance(states, str | Mapping) or not isinstance(states, Iterable):
            self.wrong(("states",), "must be a list of states, from INIT to END")
            return
        for number, item in enumerate(states):
            self._read_state(item, ("states", number))
        for name, why in (("INIT", "begins with it"), ("END", "ends with it")):
            if name not in self.states:
                self.wrong(("states",), f"{name} is missing: every lifecycle {why}")
        if len(self.states) > MAX_STATES:
            self.wrong(("states",), f"{len(self.states)} states, and {MAX_STATES} is the most")

    def _read_state(self, item: object, path: Path) -> None:
        options = dict(item) if isinstance(item, Mapping) else {"name": item}
        name = self._name(options.pop("name", None), (*path, "name"), "state")
        if not name:
            return
        twin = next((known for known in self.states if known.lower() == name.lower()), "")
        if twin == name:
            self.wrong(path, f"{name} stands twice")
        elif twin:
            self.wrong(path, f"{twin} and {name} differ in case only, and words ignore case")
        else:
            self.states[name] = state = _State(name, path)
            self._read_options(state, options)

    def _name(self, value: object, path: Path, what: str) -> str:
        """Return a name, or an empty text after complaining."""
        if isinstance(value, enum.Enum):
            self.enum_class, value = type(value), value.name
        if value is None:
            self.wrong(path[:-1], f"a {what} needs a {path[-1]}")
        elif not isinstance(value, str) or not _NAME.fullmatch(value):
            rule = "a letter, then letters, digits, - and _, at most 64"
            self.wrong(path, f"{value!r:.80} is not a name: {rule}")
        elif value.lower() in RESERVED:
            self.wrong(path, f"{value} is a word of statusd itself: choose another name")
        else:
            return value
        return ""

    def _read_options(self, state: _State, options: dict[str, Any]) -> None:
        if state.name in DAEMONS_STATES:
            for key in options:
                cure = "; worker.ready_timeout_s bounds it" if state.name == "INIT" else ""
                self.wrong((*state.path, key), f"{state.name} is the daemon's own state{cure}")
            state.part = Part.WAITS if state.name == "INIT" else Part.ENDS
            return
        self._refuse_unknown(options, _STATE_KEYS, state.path)
        state.kind = self._choice(options, "kind", _KINDS, "steady", state.path)
        works = state.name == "RUNNING" or state.kind == "acting"
        default = "works" if works else "waits"
        state.part = _PARTS[self._choice(options, "worker", tuple(_PARTS), default, state.path)]
        state.restore = tuple(self._texts(options.get("restore", ()), (*state.path, "restore")))
        self._read_deadline(state, options)

    def _read_deadline(self, state: _State, options: dict[str, Any]) -> None:
        timeout_s, trigger = options.get("timeout_s"), options.get("on_timeout")
        if timeout_s is None and trigger is None:
            if state.kind == "acting":
                text = "an acting state needs timeout_s and on_timeout: it may never be finished"
                self.wrong(state.path, text)
            return
        number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
        if timeout_s is None:
            self.wrong(state.path, "on_timeout needs timeout_s: after how many seconds?")
        elif not number or not math.isfinite(timeout_s) or not 0 < timeout_s <= _YEAR_S:
            self.wrong((*state.path, "timeout_s"), "timeout_s must be a number of seconds over 0")
        elif not isinstance(trigger, str) or not trigger:
            self.wrong(state.path, "timeout_s needs on_timeout: the trigger to be fired then")
        else:
            state.timeout_s, state.on_timeout = float(timeout_s), trigger

    # ---- transitions -------------------------------------------------------------------------

    def read_transitions(self, transitions: object) -> None:
        if isinstance(transitions, str | Mapping) or not isinstance(transitions, Iterable):
            self.wrong(("transitions",), "must be a list of transitions")
            return
        for number, item in enumerate(transitions):
            self._read_transition(item, ("transitions", number))

    def _read_transition(self, item: object, path: Path) -> None:
        if isinstance(item, list | tuple):
            item = dict(zip(_TRANSITION_KEYS, item, strict=False))
        if not isinstance(item, Mapping):
            self.wrong(path, "a transition is a table with trigger, source and dest")
            return
        self._refuse_unknown(item, _TRANSITION_KEYS, path)
        trigger = self._name(item.get("trigger"), (*path, "trigger"), "transition")
        self.starts += trigger == "ready"
        dest = self._dest(item.get("dest"), (*path, "dest"))
        sources = self._sources(item.get("source"), dest, (*path, "source"))
        way = _Way(trigger, sources, dest, path, self._who(item, path), self._guards(item, path))
        if trigger in DAEMONS_TRIGGERS:
            text = f"{trigger} is a trigger of the daemon's own: choose another name"
            self.wrong((*path, "trigger"), text)
        elif trigger and dest and sources:
            self.ways.append(way)
            self._check_init(way)

    def check_start(self) -> None:
        """Complain if it isn't said where the worker's start leads."""
        if self.starts != 1:
            text = "one transition with the trigger ready must lead out of INIT: the worker's start"
            self.wrong(("transitions",), text)

    def _dest(self, value: object, path: Path) -> str:
        if value == "=":
            return "="
        dest = self._state(value, path)
        if dest in ("INIT", "BACKOFF", "FAILED"):
            self.wrong(path, f"the daemon alone leads to {dest}: it tells of the process")
            return ""
        return "END" if dest == "ENDING" else dest

    def _state(self, value: object, path: Path) -> str:
        value = value.name if isinstance(value, enum.Enum) else value
        if value is None:
            self.wrong(path[:-1], f"a transition needs a {path[-1]}")
        elif not isinstance(value, str) or value not in {*self.states, *DAEMONS_STATES}:
            near = nearest(str(value), tuple(self.states))
            hint = f", did you mean {near}?" if near else f": {', '.join(self.states)}"
            self.wrong(path, f"{value!r:.80} is no state{hint}")
        else:
            return value
        return ""

    def _sources(self, value: object, dest: str, path: Path) -> list[str]:
        if value == "*":
            living = [name for name in self.states if name not in DAEMONS_STATES]
            ways_out = ["INIT", *living] if dest == "END" else living
            return [name for name in ways_out if name != dest]
        values = value if isinstance(value, list | tuple | set) else [value]
        found = [self._state(one, path) for one in values]
        for name in found:
            if name in ("BACKOFF", "FAILED"):
                text = f"what leads out of {name} is the daemon's: retry, reset, and the way to END"
                self.wrong(path, text)
            elif name in ("ENDING", "END"):
                self.wrong(path, f"nothing leads out of {name}")
        return [name for name in found if name and name not in DAEMONS_STATES[1:]]

    def _check_init(self, way: _Way) -> None:
        if way.trigger == "ready":
            if way.sources != ["INIT"]:
                text = "ready leads out of INIT, and out of no other state"
                self.wrong((*way.path, "source"), text)
            if way.guards:
                self.wrong(way.path, "the worker is ready or it isn't: no conditions on ready")
            way.who = Who.WORKER
        elif "INIT" in way.sources and way.dest != "END":
            text = f"{way.trigger} can't lead out of INIT: the worker isn't ready for anything yet"
            self.wrong((*way.path, "source"), text)

    def _who(self, item: Mapping[str, Any], path: Path) -> Who:
        given = item.get("who", ("anyone", "worker"))
        who = Who(0)
        for one in self._texts(given, (*path, "who")):
            if one in _WHO:
                who |= _WHO[one]
            else:
                self.wrong((*path, "who"), f'{one!r} is nobody: "anyone", "worker", or both')
        return who

    def _guards(self, item: Mapping[str, Any], path: Path) -> tuple[Guard, ...]:
        return tuple(
            guard
            for key, wanted in (("conditions", True), ("unless", False))
            for guard in self._guards_of(item.get(key, ()), wanted, (*path, key))
        )

    def _guards_of(self, given: object, wanted: bool, path: Path) -> Iterator[Guard]:
        for one in given if isinstance(given, list | tuple) else [given]:
            try:
                function = self.find(one) if isinstance(one, str) else one
            except ValueError as error:
                self.wrong(path, str(error))
                continue
            if callable(function):
                name = getattr(function, "__name__", type(function).__name__)
                yield Guard(name, function, wanted)
            else:
                self.wrong(path, f'{one!r:.80} is no function: write "module:name"')

    # ---- small things ------------------------------------------------------------------------

    def _refuse_unknown(self, table: Mapping[str, Any], known: tuple[str, ...], path: Path) -> None:
        for key in table:
            if key not in known:
                near = nearest(str(key), known)
                hint = f", did you mean {near}?" if near else f": {', '.join(known)}"
                self.wrong((*path, key), f"unknown key {key}{hint}")

    def _choice(
        self, table: Mapping[str, Any], key: str, known: tuple[str, ...], default: str, path: Path
    ) -> str:
        value = table.get(key, default)
        if value in known:
            return str(value)
        self.wrong((*path, key), f"{key} is one of {', '.join(known)}, not {value!r:.80}")
        return default

    def _texts(self, value: object, path: Path) -> list[str]:
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list | tuple) and all(isinstance(one, str) for one in values):
            return list(values)
        self.wrong(path, f"{path[-1]} is a text or a list of texts")
        return []

    # ---- the whole ---------------------------------------------------------------------------

    def assemble(self) -> Lifecycle:
        """Return the lifecycle; nothing in it is wrong by itself."""
        ready = next(way for way in self.ways if way.trigger == "ready")
        members = self._members()
        made: Any = enum.Enum  # the states are known at run time only
        states: type[enum.Enum] = made("State", {name: name for name in members}, type=str)
        own = [state for state in self.states.values() if state.name not in DAEMONS_STATES]
        shell = Lifecycle(
            states=states,
            rows=(),
            parts={
                states[name]: self.states[name].part if name in self.states else Part.ENDS
                for name in members
            },
            steady=frozenset(
                states[name]
                for name in ("FAILED", "END", *(s.name for s in own if s.kind != "acting"))
            ),
            faults=frozenset(
                states[name] for name in ("FAILED", *(s.name for s in own if s.kind == "fault"))
            ),
            home=states[ready.dest],
            deadlines={
                states[s.name]: Deadline(s.timeout_s, s.on_timeout) for s in own if s.on_timeout
            },
            restores={states[s.name]: s.restore for s in own if s.restore},
            worker_states=self._worker_states(),
        )
        rows = [row for way in self.ways for row in self.rows_of(way, shell)]
        return replace(shell, rows=tuple(self._with_daemon(rows, shell)))

    def _members(self) -> list[str]:
        """Return the user's states in their order; the daemon's that aren't there before END."""
        missing = [name for name in DAEMONS_STATES if name not in self.states]
        names = [name for name in self.states if name != "END"]
        return [*names, *missing, "END"]

    def _worker_states(self) -> str:
        if self.enum_class is None or "<locals>" in self.enum_class.__qualname__:
            return ""
        return f"{self.enum_class.__module__}:{self.enum_class.__qualname__}"

    def rows_of(self, way: _Way, lifecycle: Lifecycle) -> Iterator[Row]:
        """Yield a row for each source of ``way``."""
        for name in way.sources:
            dest = name if way.dest == "=" else way.dest
            state = lifecycle.ending if dest == "END" else lifecycle.states[dest]
            yield Row(way.trigger, lifecycle.states[name], state, way.who, way.guards)

    def _with_daemon(self, rows: list[Row], shell: Lifecycle) -> Iterator[Row]:
        """Yield the user's rows, with the daemon's part in them, and the daemon's own rows."""
        living = [state for state in shell.members() if shell.parts[state] is not Part.ENDS]
        may = {(state, deadline.trigger) for state, deadline in shell.deadlines.items()}
        may |= {(state, "end") for state in living}
        for row in rows:
            asked = (row.source, row.trigger) in may
            may.discard((row.source, row.trigger))
            who = row.who | Who.DAEMON if asked else row.who
            yield Row(row.trigger, row.source, row.dest, who, row.guards)
        yield from supervision(shell.states, living)
        for state in living:
            if (state, "end") in may:
                yield Row("end", state, shell.ending, Who.DAEMON)
        yield from self._end_of_the_dead(rows, shell)

    def _end_of_the_dead(self, rows: list[Row], shell: Lifecycle) -> Iterator[Row]:
        """From BACKOFF and FAILED anyone ends it as from elsewhere; the daemon says end."""
        word = next(
            (r.trigger for r in rows if r.dest is shell.ending and Who.ANYONE in r.who), "end"
        )
        for state in (shell.backoff, shell.failed):
            if word == "end":
                yield Row("end", state, shell.ending, Who.ANYONE | Who.DAEMON)
            else:
                yield Row(word, state, shell.ending, Who.ANYONE)
                yield Row("end", state, shell.ending, Who.DAEMON)
