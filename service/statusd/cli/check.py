"""``statusd check``: every mistake in the settings, at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from statusd.cli.run import find_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the settings (TOML)")


def main(arguments: argparse.Namespace) -> int:
    """Load the settings as `statusd run` would, and say what they come to."""
    file, settings = find_settings(arguments.file)
    channels = ", ".join((f"{settings.redis.namespace}:control", *settings.control.channels))
    print(f"{file or 'environment'}: no mistakes")
    print(f"  unit     {settings.name}")
    print(f"  broker   {settings.address()}")
    print(f"  hears    {channels}")
    print(f"  worker   {settings.worker.function}")
    return 0
