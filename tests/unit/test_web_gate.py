"""Tests of `statusd.web.gate`: what a request may be, by its headers alone."""

from __future__ import annotations

import pytest

from statusd.web.gate import (
    Gate,
    bearer,
    cookies,
    host_name,
    is_led_here,
    networks,
    origin_refusal,
)

LOCAL = "192.0.2.7"


def headers(**fields: str) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI has them; an underscore is a hyphen."""
    return [(key.replace("_", "-").encode(), value.encode()) for key, value in fields.items()]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Status.Lab", "status.lab"),
        ("status.lab.:8080", "status.lab"),
        ("[::1]:9460", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        *((bad, None) for bad in ("", "a/b", "a@b", "a b", "a\\b", "a?b", "a#b", "a:b", "[::1")),
    ],
)
def test_a_host_is_a_name_and_perhaps_a_port(host: str, name: str | None) -> None:
    """What else could stand there would be read one way here and another way there."""
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("host", "local", "status"),
    [
        ("localhost:1", LOCAL, 0),
        ("status.lab", LOCAL, 0),
        (LOCAL, LOCAL, 0),
        ("127.0.0.1", "::ffff:127.0.0.1", 0),
        ("[fe80::1]", "fe80::1%eth0", 0),
        ("[::ffff:192.0.2.7]", LOCAL, 0),
        ("127.0.0.1", LOCAL, 421),
        ("0.0.0.0", LOCAL, 421),
        ("192.0.2.8", LOCAL, 421),
        ("evil.status.lab", LOCAL, 421),
        ("status.lab.evil", LOCAL, 421),
        ("0x7f000001", "127.0.0.1", 421),
        ("2130706433", "127.0.0.1", 421),
        ("status.lab", "", 0),
        ("127.0.0.1", "", 421),
    ],
)
def test_the_host_is_a_name_of_ours(host: str, local: str, status: int) -> None:
    """One that was allowed, this machine's, or the very address that the connection came to."""
    gate = Gate(frozenset(["status.lab"]))

    refusal = gate.host_refusal(headers(host=host), local)

    assert (refusal.status if refusal else 0) == status


def test_there_is_one_host() -> None:
    """None or two: some proxy on the way believes another one."""
    for several in ([], [*headers(host="localhost"), *headers(host="localhost")]):
        refusal = Gate().host_refusal(several, "127.0.0.1")
        assert refusal is not None
        assert refusal.status == 400


HERE = "http://status.lab:1"
SAME = {"sec_fetch_site": "same-origin"}


@pytest.mark.parametrize(
    ("said", "is_browser", "is_secure", "may"),
    [
        (SAME, True, False, True),
        (SAME | {"origin": HERE}, True, False, True),
        ({"origin": HERE}, True, False, True),
        ({"origin": HERE.upper()}, True, False, True),
        ({"origin": "https://status.lab:1"}, True, False, True),  # by a proxy that isn't told of
        ({"origin": HERE}, True, True, False),
        ({}, False, False, True),
        ({}, True, False, False),
        ({"origin": "null"}, True, False, False),
        ({"origin": "null"}, False, False, False),
        ({"origin": "http://status.lab"}, True, False, False),
        ({"origin": "http://status.lab:1/"}, True, False, False),
        ({"origin": "ftp://status.lab:1"}, True, False, False),
        ({"origin": "http://["}, True, False, False),
        ({"origin": ""}, True, False, False),
        (SAME | {"origin": "http://evil"}, True, False, False),
        ({"sec_fetch_site": "cross-site", "origin": HERE}, True, False, False),
        ({"sec_fetch_site": "same-site"}, False, False, False),
        ({"sec_fetch_site": "none"}, True, False, False),
        ({"sec_fetch_site": "Same-Origin"}, True, False, False),
    ],
)
def test_what_changes_something_comes_from_our_page_or_no_browser(
    said: dict[str, str], is_browser: bool, is_secure: bool, may: bool
) -> None:
    """By what a browser says of it, which no page can change."""
    sent = headers(host="status.lab:1", **said)

    assert (origin_refusal(sent, is_browser=is_browser, is_secure=is_secure) is None) == may


def test_another_page_leads_here_or_nobody_does() -> None:
    """What is typed, or no browser's, is led by nobody."""
    for site, is_led in (("cross-site", True), ("same-site", True), ("none", False)):
        assert is_led_here(headers(sec_fetch_site=site)) == is_led
    assert not is_led_here([])


@pytest.mark.parametrize(
    ("said", "token"),
    [
        ([], None),
        (["Basic dXNlcjpwYXNz"], None),
        (["Bearer abc"], "abc"),
        (["bEARER  abc "], "abc"),
        (["Basic dXNlcjpwYXNz", "Bearer abc"], "abc"),
        (["Bearer abc", "Bearer def"], ""),
        (["Bearer"], ""),
    ],
)
def test_a_proxy_s_own_password_is_no_token(said: list[str], token: str | None) -> None:
    """With it a browser's session counts; of two tokens none does."""
    assert bearer([(b"authorization", value.encode()) for value in said]) == token


TRUSTING = Gate(frozenset(), networks(["10.0.0.0/8", "::1"]), b"x-remote-user")


@pytest.mark.parametrize(
    ("peer", "user"),
    [
        ("10.1.2.3", "ann"),
        ("::ffff:10.1.2.3", "ann"),
        ("::1", "ann"),
        ("11.1.2.3", ""),
        ("127.0.0.1", ""),
        ("::2", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_only_a_proxy_that_was_named_is_believed(peer: str, user: str) -> None:
    """Who it says it is, and whether the browser came by HTTPS."""
    said = headers(x_remote_user=" ann ", x_forwarded_proto="https", x_forwarded_for="10.1.2.3")

    assert TRUSTING.user(said, peer) == user
    assert TRUSTING.is_secure(said, "http", peer) == bool(user)


def test_a_user_is_told_as_text() -> None:
    """Cut, in one line, in whatever letters; of two headers none counts."""
    peer = "10.0.0.1"

    assert TRUSTING.user([(b"x-remote-user", "jürgen".encode())], peer) == "jürgen"
    assert TRUSTING.user([(b"x-remote-user", b"\xff\x1b[31m")], peer) == "\ufffd\\x1b[31m"
    assert len(TRUSTING.user([(b"x-remote-user", b"a" * 500)], peer)) < 70
    assert TRUSTING.user([(b"x-remote-user", b"a"), (b"x-remote-user", b"b")], peer) == ""
    assert Gate().user(headers(x_remote_user="ann"), peer) == ""


def test_of_a_name_there_may_be_several_cookies() -> None:
    """In their order; what is another one, or none, is passed over."""
    several = [*headers(cookie="a=1; b; a=2;c=3=4; aa=5;a; ba=6"), *headers(cookie="a=")]

    assert cookies(several, "a") == ["1", "2", ""]
    assert cookies(several, "c") == ["3=4"]
    assert cookies(several, "d") == []
