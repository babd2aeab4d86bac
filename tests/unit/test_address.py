"""URLs are read strictly, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.core.errors import ConfigError, Unavailable
from statusd.wire.address import Address, Tls, parse_url, with_credentials

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", Address()),
        ("redis://broker", Address("broker")),
        ("redis://broker:7000/3", Address("broker", 7000, db=3)),
        ("redis://broker?db=4", Address("broker", db=4)),
        ("redis://[::1]:7000", Address("::1", 7000)),
        ("redis://me:p%40ss@broker", Address("broker", username="me", password="p@ss")),
        ("redis://:p@broker", Address("broker", password="p")),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix://me:p@/run/r.sock?db=2", Address("127.0.0.1", 6379, "/run/r.sock", 2, "me", "p")),
        ("rediss://broker", Address("broker", tls=Tls())),
        (
            "rediss://broker?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k&ssl_cert_reqs=none",
            Address("broker", tls=Tls("/ca", "/c", "/k", verify=False)),
        ),
    ],
)
def test_every_form_of_url_is_understood(url: str, expected: Address) -> None:
    """Host, port, database, user, TLS files."""
    assert parse_url(url) == expected


@pytest.mark.fault("C02", "C03", "C06")
@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://broker", "must begin with redis://"),
        ("broker:6379", "must begin with redis://"),
        ("redis+sentinel://a:26379", "names no master"),
        ("redis+sentinel:///mymaster", "names no Sentinel"),
        ("redis+sentinel://a:x/mymaster", "not valid"),
        (f"redis://:{SECRET}@broker/one", "database in the broker's url must be a number"),
        (f"redis://:{SECRET}@broker:port", "not valid"),
        (f"redis://:{SECRET}@broker:70000", "not valid"),
        (f"redis://:{SECRET}@broker/0?timeout=3", "unknown option 'timeout'"),
        (f"redis://:{SECRET}@broker/0?ssl_ca_certs=/x", "unknown option 'ssl_ca_certs'"),
        (f"rediss://:{SECRET}@broker/0?ssl_cert_reqs=maybe", "must be required or none"),
        (f"unix://:{SECRET}@", "needs the socket's path"),
    ],
)
def test_anything_else_is_refused_in_words(url: str, complaint: str) -> None:
    """Where redis-py shrugs (faults.md C03); the secret is not repeated."""
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_url(url)

    assert SECRET not in str(caught.value)


@pytest.mark.fault("X08")
@pytest.mark.parametrize(
    "url", [f"redis://me:{SECRET}@b/1", f"unix://me:{SECRET}@/b", "rediss://b"]
)
def test_an_address_shows_no_secret(url: str) -> None:
    """Neither as text nor in a traceback."""
    address = parse_url(url)

    assert SECRET not in f"{address} {address!r} {[address]}"
    assert parse_url(str(address))._replace(username="", password="") == address._replace(
        username="", password=""
    )


@pytest.mark.fault("X04")
def test_a_password_file_is_read_each_time(tmp_path: Path) -> None:
    """So that a rotated password is found; its newline is not part of it."""
    file = tmp_path / "secret"
    address = with_credentials(parse_url("redis://:old@b"), password_file=str(file))

    file.write_text("one\n")
    first = address.secret()
    file.write_text("two\r\n")

    assert (first, address.secret()) == ("one", "two")


def test_a_missing_password_file_is_told(tmp_path: Path) -> None:
    """With its name; trying again may help."""
    address = with_credentials(Address(), password_file=str(tmp_path / "nowhere"))

    with pytest.raises(Unavailable, match="nowhere"):
        address.secret()


def test_the_greeting_asks_for_what_is_needed_only() -> None:
    """AUTH with a secret, SELECT with a database."""
    plain = parse_url("redis://b").greeting("me")
    full = parse_url("redis://u:p@b/3").greeting("me")

    assert plain == [("HELLO", "3"), ("CLIENT", "SETNAME", "me")]
    assert full == [
        ("HELLO", "3", "AUTH", "u", "p"),
        ("CLIENT", "SETNAME", "me"),
        ("SELECT", "3"),
    ]
    assert parse_url("redis://:p@b").greeting("me")[0] == ("HELLO", "3", "AUTH", "default", "p")
