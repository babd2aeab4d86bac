"""The settings that a verb works with, wherever they are."""

from __future__ import annotations

from pathlib import Path

from statusd.cli.files import default_files, find_file
from statusd.core.errors import ConfigError
from statusd.settings.load import load
from statusd.settings.models import Settings


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
