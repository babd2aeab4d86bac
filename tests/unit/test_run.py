"""What `statusd run` says of itself to whoever has typed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.cli.run import Subject, _naming
from statusd.settings.typed import Typed, load_typed


def never(*_: object) -> None:
    """Build nothing."""
    raise AssertionError


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host/1", " --url redis://host/1"),
        ("unix:///a;b", " --url 'unix:///a;b'"),
        ("redis://me:hunter2@host", " --url URL"),
        ("redis://:hunter2@host/0", " --url URL"),
        ("rediss://host/0?ssl_cert_reqs=none", " --url URL"),
        ("", ""),
    ],
)
def test_verbs_are_told_the_broker_of_a_typed_job(
    url: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But nothing of it that may be a password; by default they find it themselves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings = load_typed(Typed("job:main", redis={"url": url} if url else {}), {})
    subject = Subject(settings, None, (settings,), never, is_typed=True)  # type: ignore[arg-type]  # builds nothing

    assert _naming(subject, settings) == told
