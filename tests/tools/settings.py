"""Settings in tests: as the judge makes them of what is written, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from statusd.settings.judge import judge
from statusd.settings.models import Settings
from statusd.settings.tables import Content
from statusd.settings.variables import said_in
from statusd.settings.verdict import Mistake


def made(content: Mapping[str, Any]) -> Settings:
    """Return the settings that ``content`` comes to, in which there is no mistake."""
    verdict = judge(content)
    assert isinstance(verdict, Content), verdict
    return Settings.of(verdict, said_in(content))


def mistakes(content: Mapping[str, Any]) -> tuple[Mistake, ...]:
    """Return what is wrong with ``content``; it is wrong."""
    verdict = judge(content)
    assert not isinstance(verdict, Content), verdict
    return verdict


def written(settings: Content) -> dict[str, Any]:
    """Return all that may be written, as TOML has it: tables and lists."""
    content = {field.name: getattr(settings, field.name) for field in fields(Content)}
    plain: dict[str, Any] = json.loads(json.dumps(content, default=vars))
    return plain
