"""``statusd check`` of ``[web]``: in a file of its own, or in that of a unit or of a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from statusd.cli import out
from statusd.cli.missing import missing_files
from statusd.cli.settings import is_shared
from statusd.cli.web import MISSING
from statusd.core.errors import ConfigError
from statusd.lifecycles.load import Source
from statusd.settings.load import load
from statusd.settings.models import Settings
from statusd.settings.tables import Web
from statusd.settings.web import load_web
from statusd.web import is_installed
from statusd.web.doubts import doubts


class Judged(NamedTuple):
    """What is to be said of a table: what nobody can want, and what may be wrong."""

    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def main(file: Path) -> int:
    """Say what a file for ``statusd web`` alone comes to.

    Raises:
        ConfigError: with every mistake in it.
    """
    source = Source(file)
    settings = load(file, attached=True)
    found = judged(settings, source)
    problems = [*missing_files(settings, source), *found.mistakes]
    if not is_installed():
        problems.append(f"{source.place(('web',))}: {MISSING}")
    if problems:
        raise ConfigError(*problems)
    web = load_web(file, {})
    out.say(f"{file}: no mistakes; for `statusd web` alone, as it has no [worker]")
    out.say(f"  broker   {settings.address()}, namespace {settings.redis.namespace}")
    out.say(f"  page     {where(web)}")
    out.say(f"  lets in  {_who(web)}")
    for warning in (*found.warnings, *_hint(file)):
        out.say(warning, to=sys.stderr)
    return 0


def judged(settings: Settings, source: Source) -> Judged:
    """Return what is to be said of the ``[web]`` in ``source``; nothing if there is none."""
    if not settings.says("web"):
        return Judged()
    mistakes: list[str] = []
    warnings: list[str] = []
    for doubt in doubts(load_web(source.file, {})):
        text = f"{source.place(('web', doubt.key))}: {doubt.what}: {doubt.cure}"
        (mistakes if doubt.is_mistake else warnings).append(text)
    return Judged(tuple(mistakes), tuple(f"warning: {text}" for text in warnings))


def where(web: Web) -> str:
    """Return where browsers find it, if there is no proxy."""
    return f"http://{web.listen}{web.root_path}/"


def _who(web: Web) -> str:
    """Say who gets in, by what, and what they may."""
    ways = [f"viewers by {web.viewer_token_file}"] if web.viewer_token_file else []
    by = web.token_file or "a new token, printed at each start"
    ways.insert(0, f"operators by {by}")
    return ", ".join(ways) + (", to look alone" if web.read_only else "")


def _hint(file: Path) -> list[str]:
    """Return what is to be said of a file that may be what the units beside it share."""
    if not is_shared(file):
        return []
    return [f"warning: {file}: the units beside it share it, too: statusd check {file.parent}/"]
