"""``[web]`` by itself: what a server of the fleet is told, by a file that may say nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from statusd.core.errors import ConfigError
from statusd.lifecycles.load import Source
from statusd.settings.environment import NoJson, written
from statusd.settings.judge import judge
from statusd.settings.layers import merged
from statusd.settings.mistakes import describe, no_json
from statusd.settings.tables import Content, Web

_FILES = ("token_file", "viewer_token_file")


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
    wrote = {"web": source.content["web"]} if "web" in source.content else {}
    try:
        said = {key: value for key, value in written(environ).items() if key == "web"}
    except NoJson as error:
        if error.key != "web":
            said = {}
        else:
            raise ConfigError(no_json(error.key)) from None
    typed = {key: value for key, value in typed.items() if value is not None}
    verdict = judge(merged(merged(wrote, said), {"web": typed} if typed else {}))
    if not isinstance(verdict, Content):
        raise ConfigError(*(_said(mistake, source, environ, typed) for mistake in verdict))
    beside: dict[str, Any] = {
        key: str(source.resolve(value))
        for key in _FILES
        if (value := getattr(verdict.web, key)) and key not in typed
    }
    return replace(verdict.web, **beside)


def _said(
    mistake: Any, source: Source, environ: Mapping[str, str], typed: Mapping[str, Any]
) -> str:
    """Return a mistake in words: by the option that was typed, or where it stands."""
    key = mistake.path[1] if len(mistake.path) > 1 else ""
    if key not in typed:
        return describe(mistake, source, environ)
    option = {"allow_hosts": "allow-host", "trusted_proxies": "trusted-proxy"}.get(key, key)
    return f"--{option.replace('_', '-')}: {mistake.text.removeprefix('Value error, ')}"
