"""Reads what a user wrote of a lifecycle, and tells every mistake in it with its place.

What is read here is right by itself; whether it is sound as a whole is asked in `soundness`.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from statusd.core.conditions import Condition
from statusd.core.lifecycle import Part, Who
from statusd.core.suggestions import nearest
from statusd.core.words import RESERVED
from statusd.lifecycles.written import DAEMONS_STATES, Find, Mistake, Path, State, Way, Written

DAEMONS_TRIGGERS = ("crash", "retry", "fail", "exited")
"""Triggers of the process, in every lifecycle; a user's must have other names."""
MAX_STATES = 200
"""The board has 8 bits for the state; some are left for what may come."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_STATE_KEYS = ("name", "kind", "worker", "timeout_s", "on_timeout", "restore")
_TRANSITION_KEYS = ("trigger", "source", "dest", "conditions", "unless", "who")
_KINDS = ("steady", "acting", "fault")
_PARTS = {"works": Part.WORKS, "waits": Part.WAITS}
_WHO = {"anyone": Who.ANYONE, "worker": Who.WORKER}
_YEAR_S = 365 * 86400


@dataclass(slots=True)
class Reader:
    """What is read so far, and what was wrong with it."""

    find: Find
    mistakes: list[Mistake] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    enum_class: type[enum.Enum] | None = None
    starts: int = 0

    def written(self) -> Written:
        """Return what was read; only if nothing was wrong with it."""
        return Written(self.states, self.ways, self.enum_class)

    def wrong(self, path: Path, text: str) -> None:
        """Keep a mistake, and go on."""
        self.mistakes.append(Mistake(path, text))

    # ---- states ------------------------------------------------------------------------------

    def read_states(self, states: object) -> None:
        """Read an Enum, or a list of states."""
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
            self.states[name] = state = State(name, path)
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

    def _read_options(self, state: State, options: dict[str, Any]) -> None:
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

    def _read_deadline(self, state: State, options: dict[str, Any]) -> None:
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
        """Read the ways between the states, which are read already."""
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
        way = Way(trigger, sources, dest, path, self._who(item, path), self._conditions(item, path))
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

    def _check_init(self, way: Way) -> None:
        if way.trigger == "ready":
            if way.sources != ["INIT"]:
                text = "ready leads out of INIT, and out of no other state"
                self.wrong((*way.path, "source"), text)
            if way.conditions:
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

    def _conditions(self, item: Mapping[str, Any], path: Path) -> tuple[Condition, ...]:
        return tuple(
            condition
            for key, wanted in (("conditions", True), ("unless", False))
            for condition in self._conditions_of(item.get(key, ()), wanted, (*path, key))
        )

    def _conditions_of(self, given: object, wanted: bool, path: Path) -> Iterator[Condition]:
        for one in given if isinstance(given, list | tuple) else [given]:
            try:
                function = self.find(one) if isinstance(one, str) else one
            except ValueError as error:
                self.wrong(path, str(error))
                continue
            if callable(function):
                name = getattr(function, "__name__", type(function).__name__)
                yield Condition(name, function, wanted)
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
