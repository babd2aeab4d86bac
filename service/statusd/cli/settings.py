"""The settings that a verb works with, wherever they are: of a file, or of a folder of units."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from statusd.cli.files import default_files, existing, find_file
from statusd.core.errors import ConfigError
from statusd.lifecycles.load import Source
from statusd.settings.folder import SHARED, Folder, is_settings, load_folder
from statusd.settings.load import here, load
from statusd.settings.models import Settings
from statusd.settings.tables import PREFIX
from statusd.settings.verdict import Judge


def find_folder(given: Path | None) -> Folder | None:
    """Return the units of a folder, if somebody has named one; None if it is a file, or nothing.

    Raises:
        ConfigError: with every mistake in it; or nothing is there.
    """
    return load_folder(given) if given is not None and is_folder(given) else None


def is_folder(given: Path) -> bool:
    """Tell whether somebody has named a folder.

    Raises:
        ConfigError: he has named what isn't there.
    """
    return existing(given).is_dir()


def load_all(given: Path, verb: str) -> list[Settings]:
    """Return the settings of a file, or those of each unit of a folder.

    Raises:
        ConfigError: they have mistakes.
    """
    folder = find_folder(given)
    if folder is None:
        return [find_settings(given, verb)[1]]
    return [unit.settings for unit in folder.units]


def find_settings_if_any(given: Path | None, verb: str) -> tuple[Path | None, Settings]:
    """Return the same as `find_settings`, or what holds where there are none: nothing is started.

    Raises:
        ConfigError: they have mistakes, or may be a stranger's.
    """
    is_told = any(name.startswith(f"{PREFIX}WORKER__") for name in os.environ)
    file = given or find_file(f"statusd {verb}")
    if file is None and not is_told:
        return None, load(None, attached=True)
    return find_settings(file, verb)


def find_settings(
    given: Path | None, verb: str, judge: Judge = here
) -> tuple[Path | None, Settings]:
    """Return the settings and the file that they came from.

    Args:
        given: the file, if somebody has named one.
        verb: who asks, for the message.
        judge: is asked of what they say.

    Raises:
        ConfigError: there are none, they have mistakes, or may be a stranger's.
    """
    file = existing(given) if given is not None else find_file(f"statusd {verb}")
    try:
        return file, load(file, judge=judge)
    except ConfigError as error:
        if file is None:
            places = ", ".join(map(str, default_files()))
            text = f"no settings file given, and none of {places} exists"
            others = [problem for problem in error.problems if not problem.startswith("settings:")]
            raise ConfigError(*others, text) from None
        if is_shared(file):
            text = f"{file}: it has no worker: is it what the units beside it share?"
            raise ConfigError(*error.problems, f"{text} statusd {verb} {file.parent}/") from None
        raise


def shared_beside(file: Path) -> Path | None:
    """Return what the units in the folder of ``file`` share, if it is one of them; else None."""
    shared = file.parent / SHARED
    return shared if file.name != SHARED and is_shared(shared) else None


def is_shared(file: Path) -> bool:
    """Tell whether ``file`` may be what units beside it share: they are there, it has no worker."""
    if file.name != SHARED:
        return False
    try:
        worker = Source(file).content.get("worker", {})
        beside = [name for name in os.listdir(file.parent) if is_settings(name) and name != SHARED]
    except (ConfigError, OSError):  # whoever needs it tells
        return False
    return bool(beside) and isinstance(worker, Mapping) and not {"function", "command"} & {*worker}
