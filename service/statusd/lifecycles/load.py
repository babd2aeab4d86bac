"""The user's lifecycle: from a TOML table, a file of its own, or Python (``module:name``).

Rules of this file: every mistake is named with file, line and key; the user's modules are looked
for where the worker's are, and nothing stays on ``sys.path``.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from statusd.core.errors import ConfigError
from statusd.core.lifecycle import BUILT_IN, Lifecycle
from statusd.core.suggestions import nearest
from statusd.home import expanded
from statusd.lifecycles.definition import BadLifecycle, define
from statusd.lifecycles.toml_lines import line_of, lines, mistake
from statusd.reading import read_words

_KEYS = ("file", "states", "transitions")


class Source:
    """A TOML file as somebody wrote it: its text, its content, and where everything stands.

    Args:
        file: where it is; None if there is none.

    Raises:
        ConfigError: it can't be read, or isn't TOML.
    """

    wins = False
    """Whether what it says counts more than the environment does."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        text = _read(file) if file is not None else ""
        try:
            self.content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{file}: {mistake(error)}") from None
        self._lines = lines(text)

    def place(self, path: tuple[str | int, ...]) -> str:
        """Return ``file:line: key`` of what stands at ``path``, as far as they are known."""
        line = line_of(self._lines, path)
        where = f"{self.file}:{line}" if line else str(self.file or "settings")
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        return f"{where}: {key[1:]}" if key else where

    @property
    def written(self) -> tuple[Mapping[str, Any], ...]:
        """What stands in it; and behind that, if it is one of several, in what they share."""
        return (self.content,)

    def resolve(self, path: str) -> Path:
        """Return ``path`` as it is meant: beside this file, if it isn't absolute.

        Raises:
            ConfigError: it begins with a ``~``, and there is no such home.
        """
        return (self.file.parent if self.file is not None else Path()) / expanded(path)


def _read(file: Path) -> str:
    try:
        return read_words(file)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8") from None


def load(source: Source, table: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of ``[lifecycle]`` in ``source``, or the built-in one.

    Args:
        table: what stands there, if the environment has changed it.

    Raises:
        ConfigError: with all mistakes, each with file, line and key.
    """
    table = source.content.get("lifecycle", {}) if table is None else table
    if not isinstance(table, Mapping):
        raise ConfigError(f"{source.place(('lifecycle',))}: must be a table")
    table = {key: value for key, value in table.items() if value not in ("", [], ())}
    problems = list(_unknown_keys(source, table))
    if "file" in table and len(table) > 1:
        problems.append(f"{source.place(('lifecycle',))}: a file, or states and transitions")
    if problems:
        raise ConfigError(*problems)
    if "file" in table:
        return _load_file(source, table["file"])
    return _define(source, table) if table else BUILT_IN


def _unknown_keys(source: Source, table: Mapping[str, Any]) -> Iterator[str]:
    for key in table:
        if key not in _KEYS:
            near = nearest(key, _KEYS)
            hint = f", did you mean {near}?" if near else ""
            yield f"{source.place(('lifecycle', key))}: unknown key{hint}"


def _load_file(source: Source, name: object) -> Lifecycle:
    path = ("lifecycle", "file")
    if not isinstance(name, str):
        raise ConfigError(f"{source.place(path)}: must be the name of a file")
    try:
        other = Source(source.resolve(name))
    except ConfigError as error:
        raise ConfigError(f"{source.place(path)}: {error}") from None
    table = other.content.get("lifecycle")
    if not isinstance(table, Mapping) or "file" in table:
        text = f"{other.file} has no [lifecycle] with states and transitions"
        raise ConfigError(f"{source.place(path)}: {text}")
    return load(other)


def _define(source: Source, table: Mapping[str, Any]) -> Lifecycle:
    places = module_places(source.file)
    given: dict[str, object] = {}
    problems = []
    for key in ("states", "transitions"):
        given[key] = table.get(key, ())
        if isinstance(given[key], str):
            try:
                given[key] = find(str(given[key]), places)
            except ValueError as error:
                problems.append(f"{source.place(('lifecycle', key))}: {error}")
    if problems:
        raise ConfigError(*problems)
    try:
        return define(given["states"], given["transitions"], lambda name: find(name, places))
    except BadLifecycle as error:
        raise ConfigError(
            *(f"{source.place(('lifecycle', *m.path))}: {m.text}" for m in error.mistakes)
        ) from None


def module_places(file: Path | None) -> list[str]:
    """Return where a user's modules are looked for first: here, then beside the settings."""
    places = [Path.cwd()] if file is None else [Path.cwd(), file.resolve().parent]
    return list(dict.fromkeys(map(str, places)))


def find(reference: str, places: list[str]) -> object:
    """Return what ``module:name`` names.

    Raises:
        ValueError: it names nothing, or its module can't be imported.
    """
    module, sign, path = reference.partition(":")
    if not (module and sign and path):
        raise ValueError(f'{reference!r:.80}: write "module:name"')
    try:
        with _looking_in(places):
            found: Any = importlib.import_module(module)
    except Exception as error:  # the user's own module: anything may be raised in it
        raise ValueError(f"can't import {module}: {type(error).__name__}: {error}") from None
    for name in path.split("."):
        if not hasattr(found, name):
            near = nearest(name, tuple(dir(found)))
            hint = f", did you mean {near}?" if near else ""
            raise ValueError(f"{module} has no {path}{hint}")
        found = getattr(found, name)
    return found


@contextlib.contextmanager
def _looking_in(places: list[str]) -> Iterator[None]:
    before = sys.path[:]
    library = os.path.dirname(os.__file__)  # first: a json.py of the user's must not become ours
    places = [library, os.path.join(library, "lib-dynload"), *places]
    sys.path[:0] = [place for place in places if os.path.isdir(place)]
    try:
        yield
    finally:
        sys.path[:] = before
