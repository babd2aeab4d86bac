"""Tests of `statusd.daemon.reload`: what may change while the unit lives, and what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statusd.core.errors import Unavailable
from statusd.daemon.reload import LIVE, FolderSettings, changes, merged
from statusd.settings.folder import load_folder
from statusd.settings.models import Settings
from tests.tools.settings import made

WRITTEN = {"name": "a", "worker": {"function": "job:main"}}
OLD = made(WRITTEN)


def changed(**tables: Any) -> Settings:
    """Return the old settings with other values."""
    content: dict[str, Any] = dict(WRITTEN)
    for key, value in tables.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return made(content)


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


def test_who_is_launched_when_its_settings_are_gone_is_refused(tmp_path: Path) -> None:
    """No bug of ours: a reload came before the launch that had waited for it."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\n[worker]\ncommand = ["true"]\n')
    known = FolderSettings(load_folder(tmp_path), lambda: load_folder(tmp_path))
    assert known.begin("a").settings.name == "a"
    (tmp_path / "a.toml").unlink()
    folder, new = known.look()
    assert new.folder is not None
    known.accept(folder)
    known.remove(new.folder.removed)
    with pytest.raises(Unavailable, match="a has no settings"):
        known.begin("a")
    assert known.begin("b").settings.name == "b"
