"""``statusd check FOLDER``: every mistake in a folder of units, or what they come to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from statusd.cli import check_web, missing, out
from statusd.cli.out import Cell, Row, cell
from statusd.cli.work import once
from statusd.core.errors import ConfigError
from statusd.core.lifecycle import BUILT_IN
from statusd.lifecycles.load import Source
from statusd.settings.folder import SHARED, Folder, FolderUnit, read_folder

_HEADS = ("NAME", "CHANNELS", "WORKER", "GOAL", "STATES")
_BUILT_IN = "as built in"
"""What stands for the states of the built-in lifecycle, where others have others."""


def main(path: Path) -> int:
    """Look for mistakes in all files and between them, and say what the units come to."""
    folder, problems = read_folder(path)
    problems += once(folder, lambda unit: missing.missing_of_unit(unit.settings, unit.source))
    shared = _shared(path)
    of_web = check_web.judged(folder.shared, shared)
    problems += (*missing.missing_of_daemon(folder.shared, shared), *of_web.mistakes)
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    _say(folder)
    of_units = once(folder, lambda unit: missing.warnings(unit.settings, unit.source))
    for warning in (*of_units, *of_web.warnings):
        out.say(warning, to=sys.stderr)
    count = len(folder.units)
    out.say(f"{path}/: no mistakes; {count} unit{'s' if count > 1 else ''}")
    return 0


def _shared(path: Path) -> Source:
    """Return what stands in the shared file; nothing if there is none, or if it is none."""
    try:
        return Source(path / SHARED)
    except ConfigError:  # told already, if it is there
        return Source(None)


def _say(folder: Folder) -> None:
    out.say(f"  daemon   {folder.name}")
    out.say(f"  broker   {folder.shared.address()}")
    out.say(f"  hears    {folder.shared.redis.namespace}:control, and the channels of its units")
    if folder.shared.http.listen:
        out.say(f"  http     {missing.endpoint_of(folder.shared)}")
    for name, word in folder.shared.daemon.signals.items():
        out.say(f"  signal   {name} is {word}")
    if folder.shared.says("web"):
        out.say(f"  web      {check_web.where(folder.shared.web)}: passed over by a daemon")
    heads, rows = _table(folder)
    if out.size()[0]:
        out.draw(out.table(rows, heads, folds=True))
    else:
        out.say(*out.lines(rows, heads))


def _table(folder: Folder) -> tuple[list[str], list[Row]]:
    """Return heads and rows: a row a file, for its instances differ in their number alone."""
    by_file = sorted(folder.units, key=lambda unit: (unit.file, unit.instance))
    groups = [[*units] for _, units in groupby(by_file, key=lambda unit: unit.file)]
    rows: list[Row] = [_row(units) for units in groups]
    if all(unit.settings.states() is BUILT_IN for unit in folder.units):
        return [*_HEADS[:-1]], [row[:-1] for row in rows]
    return [*_HEADS], rows


def _row(units: Sequence[FolderUnit]) -> list[Cell]:
    first, last = (_texts(unit) for unit in (units[0], units[-1]))
    (name, *others), (last_name, *last_others) = first, last
    base, at, host = name.partition("@")
    if name != last_name and last_name.endswith(f"{at}{host}"):
        name = base  # the host is said once
    return [
        cell(_span(*pair)) for pair in zip((name, *others), (last_name, *last_others), strict=True)
    ]


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} ... {last}"


def _texts(unit: FolderUnit) -> tuple[str, ...]:
    settings = unit.settings
    lifecycle = settings.states()
    return (
        settings.name,
        ", ".join(settings.control.channels) or "-",
        missing.worker_of(settings),
        settings.first_goal(),
        _BUILT_IN if lifecycle is BUILT_IN else missing.states_of(lifecycle),
    )
