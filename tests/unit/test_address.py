"""URLs are read strictly, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path
from traceback import format_exception
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statusd.core.errors import ConfigError, Unavailable
from statusd.lifecycles.load import Source
from statusd.settings.judge import judge
from statusd.settings.mistakes import describe
from statusd.settings.models import Settings
from statusd.settings.tables import Content
from statusd.settings.variables import said_in
from statusd.wire.address import Address, Tls, is_text, with_credentials
from statusd.wire.url import parse_url

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
        ("redis://:p@ss@broker", Address("broker", password="p@ss")),
        ("redis://:p[s:s@broker", Address("broker", password="p[s:s")),
        ("redis://broker\n", Address("broker")),
        ("REDIS://Broker.:", Address("broker.")),
        ("redis://[FE80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        ("unix:///run/redis%40a%23.sock", Address(path="/run/redis@a#.sock")),
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
        (f"redis://:{SECRET}@broker/0?timeout=3", "unknown option"),
        (f"redis://:{SECRET}@broker/0?dbs=3", "unknown option .*, did you mean db?"),
        (f"redis://:{SECRET}@broker/0?ssl_ca_certs=/x", "ssl_ca_certs .* is for rediss://"),
        (f"rediss://:{SECRET}@broker/0?ssl_cert_reqs=maybe", "must be required or none"),
        (f"unix://:{SECRET}@", "needs the socket's path"),
        (f"unix://:{SECRET}@run/redis.sock", "needs the socket's path, from the root"),
        (f"redis://:{SECRET}@broker/{'9' * 5000}", "database in the broker's url must be"),
        (f"redis://:{SECRET}@broker:{'9' * 5000}", "not valid"),
        (f"redis://:{SECRET}@a..b", "no host has such a name"),
        (f"redis://:{SECRET}@{'a' * 64}.b", "no host has such a name"),
        (f"redis://:{SECRET}@\u2100.b", "not valid"),
        (f"redis://:{SECRET}@[::1", "not valid"),
        (f"unix://:{SECRET}@/run/a%00b", "zero byte"),
        (f"redis://:{SECRET}\udcff@broker", "not UTF-8"),
        (f"redis://:{SECRET}#x@broker", "# in it: .*%23.*password_file"),
        (f"redis://:{SECRET}/x@broker", "an @ behind its first / or .*%2F.*password_file"),
        (f"redis://:{SECRET}?x@broker", "an @ behind its first / or .*%3F.*password_file"),
        (f"redis://:x@y/{SECRET}@broker", "an @ behind its first / or .*%40.*password_file"),
        (f'"redis://:{SECRET}@broker"', "in quotes: docker --env-file keeps them"),
        (f"'redis://:{SECRET}@broker/0'", "in quotes: docker --env-file keeps them"),
        (f"redis://:{SECRET}", "not valid.*user and password end with an @"),
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


# ---- no part of a url that is wrong is shown -----------------------------------------------------

PIECES = ("Xyzzy", "PLUGH", "plover47", "FeeFie")
SPECIAL = st.sampled_from(
    [*"#/?@:%[]&=;, '\"<>{}|\\^`~+.-_\t\n", "//", "@/", "#@", "\u2100", "\xe4"]
)
PLACES = (
    *("{}", "'{}'", "{}://broker", "redis:{}@broker", "redis://{}@broker/0", "{}@broker"),
    *("redis://:{}@broker/0", "redis://me:{}@broker:6379/0?db=1", "redis://:{}", "redis://me:{}"),
    *('"redis://:{}@broker"', "redis://broker:{}", "redis://broker/{}", "redis://broker/0?{}"),
    *("redis://broker/0?db={}", "redis://broker/0?{}=1", "redis://broker/0#{}", "redis:// {}@b"),
    *("rediss://:{}@broker/0", "rediss://broker?ssl_cert_reqs={}", "rediss://broker?{}"),
    *("unix://:{}@/run/r.sock", "unix://{}@/run/r.sock?db=1", "unix:///run/r.sock?db={}"),
    *("redis+sentinel://:{}@a:1,b:2/mymaster", "redis+sentinel://a:{},b/mymaster"),
    *("redis+sentinel://:{}@a/mymaster/0", "rediss+sentinel://a/mymaster/{}", "http://:{}@b"),
)
"""Where a secret may stand, on purpose or by mistake; not where a url names what is shown."""


@st.composite
def secrets(draw: st.DrawFn) -> str:
    """Return one made of a few pieces that are looked for, with anything around and in between."""
    between = st.lists(st.one_of(SPECIAL, SPECIAL, st.characters()), max_size=3).map("".join)
    first, *more = draw(st.permutations(PIECES))
    return draw(between) + first + "".join(draw(between) + piece for piece in more) + draw(between)


def forms(secret: str) -> list[str]:
    """Return what may be typed for a secret: as it is, or percent-encoded a little or wholly."""
    data = secret.encode("utf-8", "surrogatepass")
    return [secret, quote(data, safe=""), "".join(f"%{byte:02X}" for byte in data)]


def shows(text: str) -> list[str]:
    """Return the pieces of a secret that stand in ``text``, as they are or percent-encoded."""
    found = text.lower()
    encoded = {piece: forms(piece)[2].lower() for piece in PIECES}
    return [p for p in PIECES if p.lower() in found or encoded[p] in found]


@pytest.mark.fault("J07", "X08", "C02")
@hypothesis.settings(deadline=None, max_examples=400)
@given(secrets(), st.sampled_from(PLACES))
@example("Xyzzy@/PLUGH", "unix://:{}@/run/r.sock")  # which would be a path
@example("Xyzzy@PLUGH/1", "redis://:{}@broker/0")  # which would be a host, and a database
@example("Xyzzy@PLUGH/1?ssl_ca_certs=plover47", "rediss://:{}@broker/0")
def test_no_secret_is_ever_shown(secret: str, place: str) -> None:
    """Wherever it stands in a url and whatever is in it: neither in an error nor as an address."""
    for form in forms(secret):
        url = place.format(form)
        if "@" in form and "@" not in place and "{}" in place.partition("://")[2].split("/")[0]:
            continue  # what follows it is a host, as in every url
        try:
            address = parse_url(url, "--url")
        except ConfigError as error:
            said = f"{error} {error!r} {error.problems} {''.join(format_exception(error))}"
        else:
            said = f"{address} {address!r} {[address]}"
        assert shows(said) == [], url


@pytest.mark.fault("J07", "X08", "C02")
@hypothesis.settings(deadline=None, max_examples=100)
@given(secrets(), st.sampled_from(PLACES))
def test_no_setting_shows_it_either(secret: str, place: str) -> None:
    """Nor does pydantic, from a file or from the environment, nor the settings themselves."""
    url = place.format(secret)
    given: list[dict[str, Any]] = [
        {"redis": {"url": url}},
        {"redis": {"url": [url]}},
        {"redis": url},
        {"redis": {"password": [url]}},
        {"redis": {"password": url}},
    ]
    for content in given:
        verdict = judge(content)
        if isinstance(verdict, Content):
            said = f"{verdict!r} {Settings.of(verdict, said_in(content))!r}"
        else:
            said = f"{verdict!r} {[describe(mistake, Source(None), {}) for mistake in verdict]}"
        assert shows(said) == [], content


@pytest.mark.fault("J07")
@given(secrets())
def test_a_secret_that_is_encoded_is_the_password(secret: str) -> None:
    """As the messages advise: whatever is in it, encoded it comes through."""
    if is_text(secret):
        url = f"redis://:{quote(secret, safe='')}@broker"

        assert parse_url(url) == Address("broker", password=secret)


def test_what_is_no_text_can_be_no_password() -> None:
    """A variable of the environment may be any bytes; the mistake is told, not raised as a bug."""
    with pytest.raises(ConfigError, match=r"redis\.password: not UTF-8"):
        with_credentials(Address(), password="\udcff")


@pytest.mark.fault("J07")
def test_a_password_file_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    """Not a byte of it, as Python's own words would."""
    file = tmp_path / "secret"
    file.write_bytes(b"hunter\xff2")

    with pytest.raises(Unavailable) as caught:
        Address(password_file=str(file)).secret()

    assert str(caught.value) == f"password file {file}: not UTF-8"
