"""``statusd doctor``: what may be wrong around a unit, and what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from statusd.cli import out
from statusd.cli.files import (
    default_files,
    find_file,
    folder_objection,
    objection,
    settings_file,
)
from statusd.core.text import shown

if TYPE_CHECKING:
    from statusd.doctor.findings import Finding
    from statusd.settings.folder import Folder
    from statusd.settings.models import Settings
    from statusd.wire.address import Address

MOST = 2000
"""How much of what was found is shown, and of what to do, in characters."""
_STYLES = {"ok": "green", "unknown": "dim", "warning": "yellow", "error": "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "file",
        nargs="?",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="the settings (TOML), or a folder with those of several units",
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
  statusd doctor web.toml              [redis] and [web] alone: for `statusd web`
  statusd doctor units/                the daemon of a folder: each unit, and what all of them need
  statusd doctor                       without settings: this machine, and the broker that runs here
  statusd doctor --json | jq '.[] | select(.level == "error")'

Nothing is changed anywhere: rights are tried without being used.

exit codes: 0 no error, 1 an error (--strict: or a warning), 78 mistakes in the settings"""


def main(arguments: argparse.Namespace) -> int:
    """Look at this machine, then at the broker."""
    from statusd.cli.settings import find_folder
    from statusd.doctor import findings
    from statusd.wire.url import parse_url

    admin = parse_url(arguments.admin_url, "--admin-url") if arguments.admin_url else None
    folder = find_folder(arguments.file)
    looked = _at_file(arguments, admin) if folder is None else _at_folder(folder, arguments, admin)
    found = [*looked]
    _print(found, as_json=arguments.json)
    return findings.exit_code(found, strict=arguments.strict)


def _at_file(arguments: argparse.Namespace, admin: Address | None) -> Iterator[Finding]:
    """Yield what is to be said of the one unit of a file."""
    from statusd.cli.settings import find_settings_if_any
    from statusd.doctor import broker, local, units
    from statusd.settings.web import is_for_web

    named = arguments.file if arguments.file is not None else find_file("statusd doctor")
    if named is not None and is_for_web(named):
        yield from _at_web(named, arguments)
        return
    file, settings = find_settings_if_any(arguments.file, "doctor")
    settings, how = _with_broker(settings, file, arguments)
    yield from _whose(file, is_named=arguments.file is not None)
    yield from local.examine(settings, file)
    yield from _web(settings, file)
    yield from _which(settings, how)
    yield from broker.examine(units.daemon_of(settings, [settings], settings.name), admin)


def _at_web(file: Path, arguments: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is to be said of a file for ``statusd web`` alone."""
    from statusd.doctor import broker, local, web
    from statusd.settings.load import load

    settings, how = _with_broker(load(file, attached=True), file, arguments)
    yield from _whose(file, is_named=arguments.file is not None)
    yield from local.secrets(settings, file)
    yield from _web(settings, file, is_alone=True)
    yield from _which(settings, how)
    role = web.role_of(settings.web)
    yield from broker.examine_for_web(settings.address(), settings.redis.namespace, role)


def _web(settings: Settings, file: Path | None, *, is_alone: bool = False) -> Iterator[Finding]:
    """Yield what is to be said of ``[web]``, if anybody has said anything there.

    Args:
        is_alone: the file is for nothing else.
    """
    from statusd.doctor import web
    from statusd.settings.web import load_web

    if settings.says("web"):
        is_there = file is not None and file.is_file()
        yield from web.examine(load_web(file if is_there else None, {}), is_alone=is_alone)


def _at_folder(
    folder: Folder, arguments: argparse.Namespace, admin: Address | None
) -> Iterator[Finding]:
    """Yield what is to be said of the units of a folder: of what is common to them once."""
    from statusd.doctor import broker, local, units
    from statusd.settings.folder import SHARED

    shared = folder.path / SHARED
    settings, how = _with_broker(folder.shared, shared, arguments)
    yield from _whose_folder(folder, shared)
    yield from local.of_daemon(settings, shared if shared.is_file() else None, folder.path)
    yield from _web(settings, shared)
    for unit in folder.units:
        label = f"{unit.settings.name}: "
        yield from local.of_unit(unit.settings, unit.file, label=label)
    yield from _which(settings, how)
    each = [unit.settings for unit in folder.units]
    yield from broker.examine(units.daemon_of(settings, each, folder.name), admin)


def _with_broker(
    settings: Settings, file: Path | None, arguments: argparse.Namespace
) -> tuple[Settings, str]:
    """Return the settings with the broker to look at, and how it was found, as other verbs do.

    Raises:
        ConfigError: ``--url`` is none, or it can't be told which embedded broker is meant.
    """
    from statusd.cli import own_broker
    from statusd.settings.broker import with_running_broker, with_url, without_credentials
    from statusd.wire.url import parse_url

    if arguments.url:
        parse_url(arguments.url, "--url")
        if arguments.file is None:  # what was found is meant for another broker
            settings = without_credentials(settings)
        return with_url(settings, arguments.url), "--url"
    if settings.says("redis", "url"):
        return settings, ""
    url, how = own_broker.find(file, is_named=arguments.file is not None, is_quiet=True)
    return (with_running_broker(settings, url), how) if url else (settings, "the default")


def _which(settings: Settings, how: str) -> Iterator[Finding]:
    """Yield which broker is looked at, if no settings say so."""
    from statusd.doctor.findings import ok

    if how:
        yield ok("broker", f"{settings.address()} is looked at: found by {how}")


def _whose(file: Path | None, *, is_named: bool) -> Iterator[Finding]:
    """Yield who may change what the unit is, and where its password goes."""
    from statusd.doctor.findings import ok, unknown, warning

    if file is None:
        places = ", ".join(map(str, default_files()))
        cure = "statusd doctor FILE, for what a unit of that file needs"
        yield unknown("settings", f"no file given, and none of {places} exists", cure)
        return
    why = objection(file)
    if why:
        cure = f"give it to root or to the unit's user, and chmod go-w {file}, and its folder"
        yield warning("settings", f"{file}: {why}, and may make the unit run anything", cure)
    else:
        yield ok("settings", f"{file}{'' if is_named else ' (found)'}: nobody else may change it")


def _whose_folder(folder: Folder, shared: Path) -> Iterator[Finding]:
    """Yield who may change what its units are, or add one."""
    from statusd.doctor.findings import ok, warning

    cure = "give it to root or to the units' user, and chmod go-w"
    about_folder = folder_objection(folder.path)
    if about_folder:
        what = f"{folder.path}/: {about_folder}, and may add a unit that runs anything"
        yield warning("settings", what, f"{cure} {folder.path}/")
    files = dict.fromkeys((shared, *(unit.file for unit in folder.units)))
    found = {file: objection(file) for file in files if file.is_file()}
    for file, why in found.items():
        if why and not (about_folder and "its folder" in why):
            what = f"{file}: {why}, and may make the unit run anything"
            yield warning("settings", what, f"{cure} {file}")
    if not about_folder and not any(found.values()):
        what = f"{folder.path}/: nobody else may change it, nor its {len(found)} files"
        yield ok("settings", what)


def _print(found: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        out.say_json([finding._asdict() for finding in found], indent=2)
    elif out.size()[0]:
        rows = [row for finding in found for row in _rows(finding)]
        out.draw(out.table(rows, ("", "about", "found, and what to do"), folds=True))
    else:
        for level, about, what, cure in found:
            more = [f"{'':<20}-> {shown(cure, MOST)}"] if cure else []
            out.say(f"{level:<8} {about:<10} {shown(what, MOST)}", *more)


def _rows(finding: Finding) -> Iterator[out.Row]:
    """Yield what was found, and below it what to do."""
    level, about, what, cure = finding
    style = _STYLES[level]
    yield out.cell(level, style), out.cell(about), out.Cell(shown(what, MOST))
    if cure:
        yield out.cell(""), out.cell(""), out.Cell(shown(f"-> {cure}", MOST), "italic")
