"""Where settings are looked for when nobody says."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def settings_file(text: str) -> Path:
    """Take an argument that names a file.

    Raises:
        argparse.ArgumentTypeError: it is a url, which may hold a password and is not repeated.
    """
    if "://" in text:
        raise argparse.ArgumentTypeError("that is a url, and a file with settings is wanted here")
    return Path(text)


def default_files() -> list[Path]:
    """Return the places where a settings file may be, best first."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return [
        Path("statusd.toml"),
        Path(config, "statusd", "statusd.toml"),
        Path("/etc/statusd/statusd.toml"),
    ]


def find_file() -> Path | None:
    """Return the first settings file that exists, or None."""
    return next((path for path in default_files() if path.is_file()), None)
