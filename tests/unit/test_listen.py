"""Tests of `statusd.wire.listen`: where a unit may listen, and where nobody else gets to."""

from __future__ import annotations

import pytest

from statusd.core.errors import ConfigError
from statusd.wire.listen import Listen, parse_listen


@pytest.mark.parametrize(
    ("text", "where", "reach"),
    [
        ("9464", Listen("127.0.0.1", 9464), "this machine"),
        ("127.0.0.1:9464", Listen("127.0.0.1", 9464), "this machine"),
        ("localhost:80", Listen("localhost", 80), "this machine"),
        ("[::1]:9464", Listen("::1", 9464), "this machine"),
        ("0.0.0.0:9464", Listen("0.0.0.0", 9464), "everywhere"),
        ("[::]:9464", Listen("::", 9464), "everywhere"),
        ("gpu-3:9464", Listen("gpu-3", 9464), "others"),
        ("10.0.0.5:9464", Listen("10.0.0.5", 9464), "others"),
    ],
)
def test_an_address_is_read_as_it_is_meant(text: str, where: Listen, reach: str) -> None:
    """A port alone is for this machine; anything else is the user's choice."""
    assert parse_listen(text) == where
    assert where.is_private is (reach == "this machine")
    assert where.is_everywhere is (reach == "everywhere")
    assert parse_listen(str(where)) == where


@pytest.mark.parametrize(
    "text",
    ["", "0", "99999", "localhost", ":9464", "1.2.3.4:", "http://a:1", "a:1/b", "me@a:1", "::1:9"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match="9464"):
        parse_listen(text)
