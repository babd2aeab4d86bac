"""``[web]`` by itself: what a server of the fleet is told, by a file that may say nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from statusd.core.errors import ConfigError
from statusd.lifecycles.load import Source
from statusd.settings.environment import NoJson, written
from statusd.settings.judge import judge
from statusd.settings.layers import merged
from statusd.settings.load import spelt
from statusd.settings.mistakes import describe, no_json
from statusd.settings.models import secret_file
from statusd.settings.tables import PREFIX, Content, Web
from statusd.settings.variables import unknown_variables, variable
from statusd.settings.verdict import Mistake

SECRETS = {"token_file": "statusd_web_token", "viewer_token_file": "statusd_web_viewer_token"}
"""Key -> the name of a systemd credential, or of a file in /run/secrets, that is taken if the key
says nothing."""
_ITS_OWN = {"redis", "web"}
"""The tables of a file that is for a server of the fleet and for no unit."""
_OPTIONS = {"allow_hosts": "allow-host", "trusted_proxies": "trusted-proxy"}


def is_for_web(file: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a file is for ``statusd web`` alone: it has [web], and nothing of a unit.

    Raises:
        ConfigError: it can't be read, or isn't TOML.
    """
    tables = spelt(Source(file).content).keys()
    is_units = any(name.upper().startswith(f"{PREFIX}WORKER") for name in environ)
    return "web" in tables and tables <= _ITS_OWN and not is_units


def load_web(
    file: Path | None, typed: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Web:
    """Return what was typed; what isn't by the environment, by ``file``, as usual.

    Args:
        file: may have anything else beside it, which isn't judged here; None for none.
        typed: key -> value; None for what wasn't.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    source = Source(file)
    typed = {key: value for key, value in typed.items() if value is not None}
    problems = list(unknown_variables(environ))
    content = {"web": spelt(source.content).get("web", {})}
    verdict = judge(merged(merged(content, _said(environ)), {"web": typed} if typed else {}))
    if isinstance(verdict, Content) and not problems:
        return _with_files(verdict.web, source, typed)
    if not isinstance(verdict, Content):
        problems += _mistakes(verdict, source, environ, typed)
    raise ConfigError(*problems)


def _said(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the environment says of the table.

    Raises:
        ConfigError: it is no JSON.
    """
    try:
        return {key: value for key, value in written(environ).items() if key == "web"}
    except NoJson as error:
        raise ConfigError(no_json(error.key)) from None


def _with_files(web: Web, source: Source, typed: Mapping[str, Any]) -> Web:
    """Return the same with files as they are meant: beside what names them, or as secrets."""
    found: dict[str, Any] = {}
    for key, secret in SECRETS.items():
        name = getattr(web, key)
        if not name:
            found[key] = secret_file(secret)
        elif key not in typed:
            found[key] = str(source.resolve(name))
    return replace(web, **found)


def _mistakes(
    mistakes: tuple[Mistake, ...],
    source: Source,
    environ: Mapping[str, str],
    typed: Mapping[str, Any],
) -> Iterator[str]:
    """Yield them in words: by the option that was typed, or where it stands."""
    for mistake in mistakes:
        key = mistake.path[1] if len(mistake.path) > 1 else ""
        if key in typed:
            option = _OPTIONS.get(key, key).replace("_", "-")
            yield f"--{option}: {mistake.text.removeprefix('Value error, ')}"
        elif not (mistake.is_unknown_key and variable(mistake.path) in environ):  # told already
            yield describe(mistake, source, environ)
