"""``statusd doctor``: what may be wrong around a unit, and what to do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from statusd.cli.files import objection, settings_file

if TYPE_CHECKING:
    from rich.console import Console

    from statusd.doctor.findings import Finding

_STYLES = {"ok": "green", "unknown": "dim", "warning": "yellow", "error": "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file", nargs="?", type=settings_file, metavar="FILE", help="the settings (TOML)"
    )
    parser.add_argument(
        "--url", help="the broker, instead of the settings' one; with FILE, its password goes along"
    )
    parser.add_argument(
        "--admin-url",
        metavar="URL",
        help="the broker as somebody who may see its settings (CONFIG GET, INFO)",
    )
    parser.add_argument("--strict", action="store_true", help="a warning is as bad as an error")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = """\
examples:
  statusd doctor job.toml              what could trouble this unit, and what to do
  statusd doctor job.toml --strict     a warning is as bad as an error
  statusd doctor --json | jq '.findings[] | select(.level == "error")'

Nothing is changed anywhere: rights are tried without being used.

exit codes: 0 no error, 1 an error (--strict: or a warning), 78 mistakes in the settings"""


def main(arguments: argparse.Namespace) -> int:
    """Look at this machine, then at the broker."""
    from statusd.cli.run import find_settings
    from statusd.doctor import broker, findings, local
    from statusd.settings import with_url, without_credentials
    from statusd.wire.address import parse_url

    file, settings = find_settings(arguments.file, "doctor")
    if arguments.url:
        parse_url(arguments.url, "--url")
        if arguments.file is None:  # what was found is meant for another broker
            settings = without_credentials(settings)
        settings = with_url(settings, arguments.url)
    admin = parse_url(arguments.admin_url, "--admin-url") if arguments.admin_url else None
    found = [
        *_whose(file, is_named=arguments.file is not None),
        *local.examine(settings, file),
        *broker.examine(settings, admin),
    ]
    _show(found, as_json=arguments.json)
    return findings.exit_code(found, strict=arguments.strict)


def _whose(file: Path | None, *, is_named: bool) -> Iterator[Finding]:
    """Yield who may change what the unit is, and where its password goes."""
    from statusd.doctor.findings import ok, warning

    if file is None:
        return
    why = objection(file)
    if why:
        cure = f"give it to root or to the unit's user, and chmod go-w {file}, and its folder"
        yield warning("settings", f"{file}: {why}, and may make the unit run anything", cure)
    else:
        yield ok("settings", f"{file}{'' if is_named else ' (found)'}: nobody else may change it")


def _show(found: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([finding._asdict() for finding in found], indent=2))
        return
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        _draw(console, found)
    else:
        for level, about, what, cure in found:
            print(f"{level:<8} {about:<10} {what}" + (f"\n{'':<20}-> {cure}" if cure else ""))


def _draw(console: Console, found: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("", "about", "found, and what to do"):
        table.add_column(heading, overflow="fold")
    for level, about, what, cure in found:
        text = Text(what)
        if cure:
            text.append(f"\n-> {cure}", style="italic")
        table.add_row(Text(level, style=_STYLES[level]), about, text)
    console.print(table)
