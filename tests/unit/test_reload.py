"""Tests of `statusd.daemon.reload`: what may change while the unit lives, and what may not."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.daemon.reload import LIVE, changes, merged
from statusd.settings.models import Settings

OLD = Settings(name="a", worker={"function": "job:main"})  # type: ignore[arg-type]  # as from TOML


def changed(**tables: Any) -> Settings:
    """Return the old settings with other values."""
    content = OLD.model_dump()
    for key, value in tables.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    return Settings(**content)


def test_nothing_changes_by_nothing() -> None:
    """A reload of the same file."""
    assert changes(OLD, changed()) == ([], [])
    assert merged(OLD, changed()) == OLD


def test_the_live_and_the_rest_are_told_apart() -> None:
    """By their keys, as they stand in the file."""
    new = changed(name="b", tags=("x",), worker={"budget": 9, "nice": 3}, redis={"password": "p"})

    assert changes(OLD, new) == (
        ["tags", "redis.password", "worker.budget"],
        ["name", "worker.nice"],
    )


def test_only_what_is_live_is_taken_over() -> None:
    """The rest stays as it is in force, and is named again the next time."""
    new = changed(name="b", tags=("x",), worker={"budget": 9, "nice": 3})

    now = merged(OLD, new)

    assert (now.name, now.tags, now.worker.budget, now.worker.nice) == ("a", ("x",), 9, 0)
    assert changes(now, new) == ([], ["name", "worker.nice"])


@pytest.mark.parametrize("key", LIVE)
def test_every_live_key_is_a_setting(key: str) -> None:
    """And is taken over."""
    value: Any = OLD
    for part in key.split("."):
        value = getattr(value, part)
