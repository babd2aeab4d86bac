"""Settings as they are read: of a file and the environment, with every mistake found at once."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Lifecycle
from statusd.lifecycles import load as lifecycles
from statusd.lifecycles.load import Source
from statusd.settings.contradictions import attached_mistakes, contradictions, worker_mistakes
from statusd.settings.mistakes import describe, no_json, path_of
from statusd.settings.models import Settings
from statusd.settings.variables import unknown_variables, variable
from statusd.wire.names import default_name


def load(
    file: Path | None, environ: Mapping[str, str] = os.environ, *, attached: bool = False
) -> Settings:
    """Return the settings of ``file`` and of the environment, with their lifecycle.

    Args:
        file: the TOML file; None if there is none.
        environ: looked through for misspelt names.
        attached: nothing is to be started: the worker is the program that we are a child of.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    source, problems = Source(file), list(unknown_variables(environ))
    try:
        settings = judged(source, default_name(file), environ, attached=attached)
        problems += _of_folders(settings, source)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return settings


def _of_folders(settings: Settings, source: Source) -> Iterator[str]:
    """Yield a complaint of each setting that only a folder of units has."""
    for key in ("instances", "daemon"):
        if key in settings.model_fields_set:
            folder = source.file.parent if source.file is not None else "FOLDER"
            yield f"{source.place((key,))}: it is for a folder of units: statusd run {folder}"


def judged(
    source: Source,
    name: str,
    environ: Mapping[str, str],
    *,
    attached: bool = False,
    make: Callable[..., Settings] = Settings,
) -> Settings:
    """Return the settings that ``source`` says, with their lifecycle.

    Args:
        source: what somebody wrote.
        name: of the unit, if none is set.
        environ: the environment, as far as it counts.
        attached: as for `load`.
        make: makes them of the content.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    problems: list[str] = []
    settings = lifecycle = None
    try:
        settings = make(**source.content)
    except ValidationError as error:
        unknown = "extra_forbidden"  # such a variable has been complained of already
        problems += (
            describe(item, source, environ)
            for item in error.errors()
            if not (item["type"] == unknown and variable(path_of(item)) in environ)
        )
        settings = _salvage(source, error, make)
    except ValueError as error:  # pydantic-settings: a variable that is no JSON where it must be
        problems.append(no_json(error))
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


def _salvage(
    source: Source, error: ValidationError, make: Callable[..., Settings]
) -> Settings | None:
    """Return the settings without those that are wrong, to ask the rest what else is wrong."""
    content = copy.deepcopy(source.content)
    for item in error.errors():
        *above, last = path_of(item) or ("",)
        table: Any = content
        for key in above:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table.pop(last, None)
    try:
        return make(**content)
    except ValueError:
        return None


def load_lifecycle(file: Path | None) -> Lifecycle:
    """Return the lifecycle of ``file`` alone; the built-in one if it has none.

    Raises:
        ConfigError: with every mistake in it.
    """
    return lifecycles.load(Source(file))


def _load_lifecycle(source: Source, settings: Settings | None) -> Lifecycle:
    table = source.content.get("lifecycle", {})
    if settings is not None and settings.lifecycle.model_fields_set:
        chosen = settings.lifecycle.model_dump(exclude_unset=True)
        table = {**table, **chosen}
    return lifecycles.load(source, table)
