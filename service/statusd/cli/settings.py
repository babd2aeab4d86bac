"""The settings that a verb works with, wherever they are."""

from __future__ import annotations

import os
from pathlib import Path

from statusd.cli.files import default_files, find_file
from statusd.core.errors import ConfigError
from statusd.settings.load import load
from statusd.settings.models import PREFIX, Settings


def find_settings_if_any(given: Path | None, verb: str) -> tuple[Path | None, Settings]:
    """Return the same, or what holds where there are none: nothing is started by them.

    Raises:
        ConfigError: they have mistakes, or may be a stranger's.
    """
    is_told = any(name.startswith(f"{PREFIX}WORKER__") for name in os.environ)
    file = given or find_file(f"statusd {verb}")
    if file is None and not is_told:
        return None, load(None, attached=True)
    return find_settings(file, verb)


def find_settings(given: Path | None, verb: str) -> tuple[Path | None, Settings]:
    """Return the settings and the file that they came from.

    Args:
        given: the file, if somebody has named one.
        verb: who asks, for the message.

    Raises:
        ConfigError: there are none, they have mistakes, or may be a stranger's.
    """
    file = given or find_file(f"statusd {verb}")
    try:
        return file, load(file)
    except ConfigError as error:
        if file is None:
            places = ", ".join(map(str, default_files()))
            text = f"no settings file given, and none of {places} exists"
            others = [problem for problem in error.problems if not problem.startswith("settings:")]
            raise ConfigError(*others, text) from None
        raise
