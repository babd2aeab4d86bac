"""What each setting allows, and all of them together don't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import fields

from statusd.core.capabilities import cure
from statusd.core.errors import ConfigError
from statusd.core.goals import Goals
from statusd.core.lifecycle import Part
from statusd.core.suggestions import nearest
from statusd.environment_file import environment_of
from statusd.lifecycles.load import Source
from statusd.reading import Unfit, opened
from statusd.settings.models import Settings
from statusd.settings.tables import Redis, WorkerSettings
from statusd.settings.variables import variable

_REDIS_FILES = ("password_file", "sentinel_password_file", "ca_file", "cert_file", "key_file")
"""What of ``[redis]`` names a file that is read at each connect."""
_ATTACHED = (
    *("ack_timeout_s", "hang_timeout_s", "memory_max", "on_memory", "stop_timeout_s"),
    *("deadline", "deadline_margin_s", "deadline_word"),
)
"""What of ``[worker]`` is for a program that we are attached to."""


def worker_mistakes(source: Source, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the choice between a function and a command."""
    table = source.content.get("worker", {})
    if not isinstance(table, Mapping):
        return  # complained of already
    given = {
        key
        for key in ("function", "command")
        if table.get(key) or variable(("worker", key)) in environ
    }
    if not given:
        text = 'missing: say function = "package.module:name" or command = ["program", "argument"]'
        yield f"{source.place(('worker', 'function'))}: {text}"
    elif len(given) == 2:
        yield f"{source.place(('worker', 'command'))}: a function or a command, not both"


def attached_mistakes(source: Source, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is set for a worker that we would have to start, and be free to kill."""
    table = source.content.get("worker", {})
    given = table if isinstance(table, Mapping) else {}  # complained of already
    for key in [field.name for field in fields(WorkerSettings)]:
        if key in _ATTACHED:
            continue
        named = variable(("worker", key))
        text = "attach() starts nothing and kills nothing: the program itself is the worker"
        if key in given:
            yield f"{source.place(('worker', key))}: {text}"
        elif named in environ:
            yield f"environment: {named}: {text}"


def contradictions(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what each setting allows and all of them together don't."""
    if not (settings.worker.command or settings.worker.function or settings.is_attached):
        return  # complained of already, and the rest depends on it
    if settings.worker.command:
        yield from _function_only(settings.worker, source, ("python",))
        yield from _signal_mistakes(settings, source)
    else:
        yield from _function_only(settings.worker, source, ("signals", "input"))
    if settings.is_attached and settings.worker.memory_max and settings.worker.on_memory == "crash":
        text = 'attach() kills nothing: with memory_max say on_memory = "tell" or "pause"'
        yield f"{source.place(('worker', 'memory_max'))}: {text}"
    yield from _goal_mistakes(settings, source)
    yield from _file_mistakes(settings.redis, source)
    if settings.worker.environment_file:
        try:
            environment_of(source.resolve(settings.worker.environment_file))
        except ConfigError as error:
            yield f"{source.place(('worker', 'environment_file'))}: {error}"


def _function_only(worker: WorkerSettings, source: Source, keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        if getattr(worker, key) != getattr(WorkerSettings(), key):
            kind = "function" if key == "python" else "command"
            yield f"{source.place(('worker', key))}: {key} is for a {kind}"


def _file_mistakes(redis: Redis, source: Source) -> Iterator[str]:
    """Yield which files can never be read; one that is missing may come before the broker does."""
    for key in _REDIS_FILES:
        path = getattr(redis, key)
        try:
            with opened(path) if path else contextlib.nullcontext():
                pass
        except Unfit as error:
            yield f"{source.place(('redis', key))}: {path}: {error.strerror}"
        except OSError:  # told at each connect
            pass


def _signal_mistakes(settings: Settings, source: Source) -> Iterator[str]:
    lifecycle, signals = settings.states(), settings.worker.signals
    names = lifecycle.states.__members__
    for name in signals:
        place = source.place(("worker", "signals", name))
        if name not in names:
            near = nearest(name, tuple(names))
            yield f"{place}: no state{f', did you mean {near}?' if near else ''}"
        elif name in ("INIT", "BACKOFF", "FAILED"):
            yield f"{place}: in {name} there is nobody to be signalled"
    if settings.worker.input == "states" or not signals.keys() <= names.keys():
        return
    parts = lifecycle.parts
    waits = [name for name in signals if parts[names[name]] is Part.WAITS]
    for name, state in names.items():
        if waits and parts[state] is Part.WORKS and name not in signals:
            text = f'{waits[0]} makes it wait, and nothing tells it {name}: add {name} = "SIG..."'
            yield f"{source.place(('worker', 'signals'))}: {text}"


def _goal_mistakes(settings: Settings, source: Source) -> Iterator[str]:
    lifecycle, capabilities = settings.states(), settings.capabilities()
    goals = Goals(lifecycle, capabilities)
    possible = goals.possible()
    names = [goal.name for goal in possible]
    home = lifecycle.home
    if settings.goal and settings.goal not in names:
        near = nearest(settings.goal, tuple(names))
        known = f"did you mean {near}?" if near else f"there are {', '.join(names) or 'none'}"
        untold = (
            capabilities.objection(lifecycle, lifecycle.start, home)
            if settings.goal == home.name
            else ""
        )
        why = untold or f"it can't be taken up by itself from {home.name}; {known}"
        yield f"{source.place(('goal',))}: {settings.goal}: {why}"
    elif goals.first() not in possible:
        text = f"this program works from its start, and {home.name} asks it to wait"
        yield f"{source.place(('worker', 'command'))}: {text}: {cure(home)}"
