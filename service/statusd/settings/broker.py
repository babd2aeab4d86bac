"""The broker of settings, in place of theirs: another one, one of our own, or as a stranger."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from statusd.settings.models import Settings
from statusd.settings.variables import variable


def with_url(settings: Settings, url: str) -> Settings:
    """Return the settings with another broker."""
    redis = replace(settings.redis, url=url)
    return replace(settings, redis=redis)


def with_own_broker(settings: Settings, url: str, password_file: Path) -> Settings:
    """Return the settings with a broker of our own: what was meant for theirs isn't told to it."""
    credentials = {"username": "", "password": "", "password_file": str(password_file)}
    redis = replace(settings.redis, url=url, **credentials)
    return replace(settings, redis=redis)


def with_running_broker(settings: Settings, url: str) -> Settings:
    """Return the settings with this user's embedded broker, whose password is found by its port."""
    credentials = {"username": "", "password": "", "password_file": ""}
    redis = replace(settings.redis, url=url, **credentials)
    return replace(settings, redis=redis)


def without_credentials(settings: Settings, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings without the users and passwords that don't stand in the environment."""
    held = ("username", "password", "password_file")
    names = (*held, *(f"sentinel_{name}" for name in held))
    dropped = {name: "" for name in names if variable(("redis", name)) not in environ}
    redis = replace(settings.redis, **dropped)
    return replace(settings, redis=redis)
