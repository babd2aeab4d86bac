"""Settings as they are read: of a file and the environment, with every mistake found at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Lifecycle
from statusd.lifecycles import load as lifecycles
from statusd.lifecycles.load import Source
from statusd.settings.contradictions import attached_mistakes, contradictions, worker_mistakes
from statusd.settings.environment import NoJson, written
from statusd.settings.layers import merged
from statusd.settings.mistakes import describe, no_json
from statusd.settings.models import Settings
from statusd.settings.prompts import prompt_mistakes
from statusd.settings.tables import Content, LifecycleTable
from statusd.settings.variables import said_in, unknown_variables, variable
from statusd.settings.verdict import Judge, Mistake, Verdict
from statusd.wire.names import default_name


def here(content: Mapping[str, Any]) -> Verdict:
    """Judge in this process, which imports for it what else it needn't; see `Judge`."""
    from statusd.settings.judge import judge

    return judge(content)


def load(
    file: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    attached: bool = False,
    judge: Judge = here,
) -> Settings:
    """Return the settings of ``file`` and of the environment, with their lifecycle.

    Args:
        file: the TOML file; None if there is none.
        environ: what it says counts more; looked through for misspelt names.
        attached: nothing is to be started: the worker is the program that we are a child of.
        judge: is asked of what both say.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    return load_source(Source(file), default_name(file), environ, judge, attached=attached)


def load_source(
    source: Source,
    name: str,
    environ: Mapping[str, str],
    judge: Judge,
    *,
    attached: bool = False,
) -> Settings:
    """Return the same of what somebody wrote, wherever that was.

    Args:
        name: of the unit, if none is set.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    problems = list(unknown_variables(environ))
    try:
        settings = judged(source, name, environ, judge, attached=attached)
        problems += _of_folders(settings, source)
        problems += prompt_mistakes(settings, source)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return settings


def _of_folders(settings: Settings, source: Source) -> Iterator[str]:
    """Yield a complaint of each setting that only a folder of units has."""
    for path in (("instances",), ("daemon", "name")):
        if settings.says(*path):
            folder = source.file.parent if source.file is not None else "FOLDER"
            yield f"{source.place(path)}: it is for a folder of units: statusd run {folder}"


def judged(
    source: Source,
    name: str,
    environ: Mapping[str, str],
    judge: Judge,
    *,
    attached: bool = False,
    below: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings that ``source`` says, with their lifecycle.

    Args:
        source: what somebody wrote.
        name: of the unit, if none is set.
        environ: the environment, as far as it counts.
        judge: is asked of what both say.
        attached: as for `load`.
        below: what holds where they say nothing.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    problems: list[str] = []
    settings = lifecycle = None
    try:
        found = _asked(judge, source.content, environ, below, wins=source.wins)
        if isinstance(found, Settings):
            settings = found
        else:
            problems += (
                describe(mistake, source, environ)
                for mistake in found  # such a variable has been complained of already
                if not (mistake.is_unknown_key and variable(mistake.path) in environ)
            )
            right = _without(source.content, found)
            rest = _asked(judge, right, environ, below, wins=source.wins)
            settings = rest if isinstance(rest, Settings) else None
    except NoJson as error:
        problems.append(no_json(error.key))
    problems += (attached_mistakes if attached else worker_mistakes)(source, environ)
    try:
        lifecycle = _load_lifecycle(source, settings)
    except ConfigError as error:
        problems += error.problems
    if settings is not None and lifecycle is not None:
        settings = settings.completed(name, lifecycle, attached=attached)
        problems += contradictions(settings, source)
    if settings is None or problems:
        raise ConfigError(*problems)
    return settings


def _asked(
    judge: Judge,
    content: Mapping[str, Any],
    environ: Mapping[str, str],
    below: Mapping[str, Any] | None,
    *,
    wins: bool,
) -> Settings | tuple[Mistake, ...]:
    """Return what the judge makes of it all, or the mistakes.

    Args:
        wins: ``content`` counts more than the environment, and not less.

    Raises:
        NoJson: a variable is none.
    """
    wrote, said = spelt({**(below or {}), **content}), written(environ)
    whole = merged(said, wrote) if wins else merged(wrote, said)
    verdict = judge(whole)
    return Settings.of(verdict, said_in(whole)) if isinstance(verdict, Content) else verdict


def spelt(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same with each key at the top as it is spelt here, for upper case counts as lower.

    Of two that differ in that alone, the first one counts.
    """
    names = {field.name for field in fields(Content)}
    found: dict[str, Any] = {}
    for key, value in content.items():
        found.setdefault(key.lower() if key.lower() in names else key, value)
    return found


def _without(content: Mapping[str, Any], mistakes: tuple[Mistake, ...]) -> dict[str, Any]:
    """Return what somebody wrote without what is wrong, to ask the rest what else is wrong."""
    rest = copy.deepcopy(dict(content))
    for mistake in mistakes:
        *above, last = mistake.path or ("",)
        table: Any = rest
        for key in above:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table.pop(last, None)
    return rest


def load_lifecycle(file: Path | None) -> Lifecycle:
    """Return the lifecycle of ``file`` alone; the built-in one if it has none.

    Raises:
        ConfigError: with every mistake in it.
    """
    return lifecycles.load(Source(file))


def _load_lifecycle(source: Source, settings: Settings | None) -> Lifecycle:
    table = source.content.get("lifecycle", {})
    if settings is not None and isinstance(table, Mapping):
        keys = [
            field.name for field in fields(LifecycleTable) if settings.says("lifecycle", field.name)
        ]
        table = {**table, **{key: getattr(settings.lifecycle, key) for key in keys}}
    return lifecycles.load(source, table)
