"""A folder of settings: a file a unit, and ``statusd.toml`` for what they share.

What is the daemon's (`COMMON`) stands in the shared file alone; everything else there is a default
for each unit. Rules of this file: every mistake in every file, and between them, is found at once,
and told once, not once an instance; nothing is started by it.

Length: one folder from its files to its units; what is judged of one unit is judged elsewhere.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from statusd.core.errors import ConfigError
from statusd.lifecycles.load import Source
from statusd.settings.layers import Layered, has, merged
from statusd.settings.load import here, judged
from statusd.settings.models import Settings
from statusd.settings.plain import plain
from statusd.settings.prompts import prompt_mistakes
from statusd.settings.tables import MOST_INSTANCES, PREFIX, KeyPath
from statusd.settings.variables import fields, unknown_variables, variable
from statusd.settings.verdict import Judge
from statusd.wire.names import default_name

SHARED = "statusd.toml"
COMMON = ("daemon", "redis", "http", "web", "log", "state_directory")
"""The daemon's own: said once for all its units."""
_OWN = (("name",), ("instances",), ("worker", "function"), ("worker", "command"))
"""What makes a unit this one, and so can't be shared."""
INSTANCE = "{instance}"
"""What stands for the number of an instance, in any text of its settings."""
INSTANCE_VARIABLE = f"{PREFIX}INSTANCE"
MOST_NAME = 64
"""So long is a name at most, in characters."""
_Make = Callable[[Source, str], Settings]
"""Makes the settings of what one unit's file says, and of the name that it has if it says none."""
_CURES = {
    errno.ENOENT: "is it spelt right?",
    errno.EACCES: "let this user read it (chmod u+rx), or ask as the one whose it is",
    errno.ENOTDIR: "it is a file: a folder has a *.toml for each unit",
}
"""Why a folder can't be listed -> what to do."""


@dataclass(frozen=True, slots=True)
class FolderUnit:
    """One unit of a folder.

    Args:
        file: where it is written; instance: its number; 0 if it is the only one.
        settings: its own, with what is shared.
        source: tells where each of them stands.
    """

    file: Path
    instance: int
    settings: Settings
    source: Source = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a daemon of many units is made of.

    Args:
        path: where; name: of the daemon.
        shared: the daemon's settings (`COMMON`), all else as by default.
        units: in the order of their names.
    """

    path: Path
    name: str
    shared: Settings
    units: tuple[FolderUnit, ...]

    def having(self, change: Callable[[Settings], Settings]) -> Folder:
        """Return the same with ``change`` made to all settings."""
        units = (replace(unit, settings=change(unit.settings)) for unit in self.units)
        return replace(self, shared=change(self.shared), units=tuple(units))


def load_folder(
    folder: Path, environ: Mapping[str, str] = os.environ, judge: Judge = here
) -> Folder:
    """Return the units of a folder.

    Args:
        folder: with a ``*.toml`` a unit; environ: overrides what is shared alone.
        judge: is asked of each file.

    Raises:
        ConfigError: with every mistake in every file, one a line.
    """
    found, problems = read_folder(folder, environ, judge)
    if problems:
        raise ConfigError(*problems)
    return found


def read_folder(
    folder: Path, environ: Mapping[str, str] = os.environ, judge: Judge = here
) -> tuple[Folder, list[str]]:
    """Return those units of a folder that are right, and every mistake in the others.

    Raises:
        ConfigError: it can't be read.
    """
    problems: list[str] = []
    sources = _read(folder, problems)
    shared = sources.pop(SHARED, None) or Source(None)
    problems += _stray_variables(environ)
    problems += _shared_mistakes(shared)
    common = _common(shared, environ, judge, problems)
    for name in {file for source in (shared, *sources.values()) for file in _lifecycle(source)}:
        if name in sources and not _is_unit(sources[name]):
            del sources[name]
    units: list[FolderUnit] = []
    faults: dict[str, list[str]] = {}
    below = {} if common is None else {key: plain(getattr(common, key)) for key in COMMON}
    said = frozenset() if common is None else common.said
    make = partial(_judged_with, below, said, judge)
    for name, source in sources.items():
        faults[name] = []
        units += _units(source, shared, make, faults[name])
    problems += _for_whom(faults, shared)
    problems += _between(units)
    if not units and not problems:
        problems.append(f"{folder}: no unit in it: each is a *.toml with [worker], beside {SHARED}")
    common = common or Settings()
    name = common.daemon.name or default_name(folder / SHARED)
    return Folder(
        folder, name, common, tuple(sorted(units, key=lambda u: u.settings.name))
    ), problems


def _read(folder: Path, problems: list[str]) -> dict[str, Source]:
    """Return file name -> what stands in it, of all that are TOML and not hidden."""
    found: dict[str, Source] = {}
    try:
        files = sorted(folder / name for name in os.listdir(folder) if is_settings(name))
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "")
        text = f"{folder}: {error.strerror}"
        raise ConfigError(f"{text}: {cure}" if cure else text) from None
    for file in files:
        try:
            found[file.name] = Source(file)
        except ConfigError as error:
            problems += error.problems
    return found


def is_settings(name: str) -> bool:
    """Tell whether a file is read; an editor's hidden copy isn't."""
    return name.endswith(".toml") and not name.startswith(".")


def _stray_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a complaint of each variable that is none, or would be for every unit at once."""
    yield from unknown_variables(environ)
    paths = [path[:length] for path in fields() if path[0] not in COMMON for length in (1, 2)]
    for name in dict.fromkeys(map(variable, paths)):
        if name in environ:
            yield f"environment: {name}: it would be for each unit: write it in {SHARED}"


def _shared_mistakes(shared: Source) -> Iterator[str]:
    for path in _OWN:
        if has(shared.content, path):
            yield f"{shared.place(path)}: it makes a unit this one: write it in the unit's file"


def _common(
    shared: Source, environ: Mapping[str, str], judge: Judge, problems: list[str]
) -> Settings | None:
    """Return what is the daemon's own, with what the environment says of it."""
    content = {key: shared.content[key] for key in COMMON if key in shared.content}
    layered = Layered(shared, shared, content)
    begins = tuple(map(variable, ((key,) for key in COMMON)))
    chosen = {name: value for name, value in environ.items() if name.upper().startswith(begins)}
    try:
        return judged(layered, "", chosen, judge, attached=True)
    except ConfigError as error:
        problems += error.problems
        return None


def _lifecycle(source: Source) -> Iterator[str]:
    """Yield the name of the lifecycle's file, if it lies in the folder."""
    table = source.content.get("lifecycle")
    name = table.get("file") if isinstance(table, Mapping) else None
    if isinstance(name, str) and source.file is not None:
        file = source.resolve(name)
        if os.path.normpath(file.parent) == os.path.normpath(source.file.parent):
            yield file.name


def _units(source: Source, shared: Source, make: _Make, problems: list[str]) -> list[FolderUnit]:
    """Return the unit of a file, or its instances; what is wrong goes to ``problems``."""
    if not _is_unit(source):
        problems.append(f"{source.file}: no [worker]: a unit has one; what else is it here for?")
        return []
    for key in COMMON:
        if key in source.content:
            text = f"it is the daemon's, for all of its units: write it in {SHARED}"
            problems.append(f"{source.place((key,))}: {text}")
    content = merged(_defaults(shared), _without_common(source.content))
    if "lifecycle" in source.content:  # as a whole: half of one and half of another is none
        content["lifecycle"] = source.content["lifecycle"]
    found: list[FolderUnit] = []
    faults: list[Iterable[str]] = []
    for number in _numbers(content):
        try:
            found.append(_unit(source, shared, make, content, number))
        except ConfigError as error:
            faults.append(error.problems)
    problems += of_instances(faults)
    return found


def _is_unit(source: Source) -> bool:
    return isinstance(source.content.get("worker"), Mapping)


def of_instances(faults: Iterable[Iterable[str]]) -> list[str]:
    """Return what is wrong with the instances of a file, once: the others have another number.

    Of each ``file:line: key`` what the first instance has there.
    """
    told: dict[str, list[str]] = {}
    for problems in faults:
        here: dict[str, list[str]] = {}
        for problem in problems:
            here.setdefault(": ".join(problem.split(": ", 2)[:2]), []).append(problem)
        told |= {place: some for place, some in here.items() if place not in told}
    return [problem for problems in told.values() for problem in problems]


def _for_whom(faults: Mapping[str, list[str]], shared: Source) -> Iterator[str]:
    """Yield each mistake once; one in what is shared says whose it is, if it isn't everybody's."""
    files: dict[str, list[str]] = {}
    for file, problems in faults.items():
        for problem in problems:
            files.setdefault(problem, []).append(file)
    for problem, whose in files.items():
        is_some = problem.startswith(f"{shared.file}:") and len(whose) < len(faults)
        yield f"{problem} (of {', '.join(whose)})" if is_some else problem


def _without_common(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in COMMON}


def _defaults(shared: Source) -> dict[str, Any]:
    """Return what each unit begins with; what can't be shared is complained of already."""
    defaults = _without_common(shared.content)
    for key in ("name", "instances"):
        defaults.pop(key, None)
    worker = defaults.get("worker")
    if isinstance(worker, Mapping):
        own = ("function", "command")
        defaults["worker"] = {key: value for key, value in worker.items() if key not in own}
    return defaults


def _numbers(content: Mapping[str, Any]) -> range:
    """Return the numbers of the instances; of what is no number, 0 alone, and somebody tells."""
    count = content.get("instances", 0)
    if type(count) is int and "instances" in content and 0 <= count <= MOST_INSTANCES:
        return range(1, count + 1)
    return range(1)


def _unit(
    source: Source, shared: Source, make: _Make, content: dict[str, Any], number: int
) -> FolderUnit:
    assert source.file is not None
    name = default_name(source.file)
    if number:
        name, content = _numbered_name(name, number, MOST_NAME), _of_instance(content, number)
    layered = Layered(source, shared, content)
    return FolderUnit(source.file, number, make(layered, name), layered)


def _judged_with(
    below: Mapping[str, Any], said: frozenset[KeyPath], judge: Judge, source: Source, name: str
) -> Settings:
    """Return the settings of a unit over those of its daemon, ``below``, of which ``said`` is."""
    settings = judged(source, name, {}, judge, below=below)
    if problems := [*prompt_mistakes(settings, source)]:
        raise ConfigError(*problems)
    return replace(settings, said=settings.said | {path for path in said if path[0] in COMMON})


def _of_instance(content: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return what the file says for its instance ``number``."""
    content = merged({"worker": {"environment": {INSTANCE_VARIABLE: str(number)}}}, content)
    chosen = content.get("name")
    if isinstance(chosen, str) and chosen and INSTANCE not in chosen:
        content["name"] = _numbered_name(chosen, number)
    return {key: _numbered(value, number) for key, value in content.items()}


def _numbered_name(name: str, number: int, most: int | None = None) -> str:
    """Return the name of an instance; with no more than ``most`` characters, as nobody chose it."""
    base, at, host = name.partition("@")
    end = f"-{number}{at}{host}"
    return f"{base if most is None else base[: max(1, most - len(end))]}{end}"[:most]


def _numbered(value: Any, number: int) -> Any:
    """Return ``value`` with `INSTANCE` replaced in every text."""
    if isinstance(value, str):
        return value.replace(INSTANCE, str(number))
    if isinstance(value, Mapping):
        return {key: _numbered(inner, number) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbered(inner, number) for inner in value]
    return value


def _between(units: list[FolderUnit]) -> Iterator[str]:
    """Yield a complaint of each name that two units have; one for two files, however many."""
    first: dict[str, FolderUnit] = {}
    told: set[tuple[Path, Path]] = set()
    for unit in units:
        other = first.setdefault(unit.settings.name, unit)
        if other is not unit and (other.file, unit.file) not in told:
            told.add((other.file, unit.file))
            text = f"{unit.settings.name} is the name of the unit in {other.file.name}"
            yield f'{unit.file}: {text}, too: write name = "..." into one of them'
