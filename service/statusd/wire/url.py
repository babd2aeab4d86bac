"""A broker's url, read strictly; nothing of one that is wrong is ever shown.

A URL that redis-py would take with a shrug (a database that is no number, an option that it does
not know) is an error here.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from statusd.core.errors import ConfigError
from statusd.wire.address import Address, Tls, is_text

DEFAULT_URL = "redis://127.0.0.1:6379/0"
_TLS_OPTIONS = {
    "ssl_ca_certs": "ca_file",
    "ssl_certfile": "cert_file",
    "ssl_keyfile": "key_file",
    "ssl_cert_reqs": "verify",
}
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_SCHEMES = ("redis", "rediss", "unix", *_SENTINEL)
_SENTINEL_PORT = 26379
_NODE = re.compile(
    r"(?:\[(?P<ip>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[\w.-]*))(?::(?P<port>[0-9]*))?"
)
_LABEL = 63
"""The longest part of a host's name between two dots (RFC 1035)."""
_DIGITS = 9
"""A database has no more; int() refuses to read thousands of them, in words of its own."""
_QUOTES = ("'", '"')
_OR_ELSE = "in user and password / ? # @ are written %2F %3F %23 %40"
_CURE = f"{_OR_ELSE} (or use password_file)"
_VERIFY = {"required": True, "none": False}


def parse_url(url: str, where: str = "") -> Address:
    """Return the address that ``url`` names.

    Args:
        url: ``redis://[user[:password]@]host[:port][/db]``, the same with ``rediss://`` for TLS
            (options ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``ssl_cert_reqs``), or
            ``unix://[user[:password]@]/path[?db=n]``, or
            ``redis+sentinel://[user[:password]@]host[:port],host[:port]/master[/db]`` (with TLS:
            ``rediss+sentinel://``), whose user is one of the master's.
        where: what it was given as, for the message: ``--url``.

    Raises:
        ConfigError: it is none of these; the message shows nothing of it, for what stands where in
            a url that is wrong nobody knows, and some of it is a password.
    """
    try:
        parts = _split(url)
        if parts.scheme == "unix":
            return _unix(parts)
        return _sentinel(parts) if parts.scheme in _SENTINEL else _tcp(parts)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None


class _Parts(NamedTuple):
    """What a url is made of: ``place`` is host and port, ``who`` the user with the password."""

    scheme: str
    who: dict[str, Any]
    place: str
    path: str
    options: dict[str, str]


def _split(url: str) -> _Parts:
    """Take a url apart by our own hands: a library's error would repeat what it can't read."""
    url = url.strip()
    if url[:1] in _QUOTES or url[-1:] in _QUOTES:
        raise _invalid("it is in quotes: docker --env-file keeps them; leave them out")
    if not is_text(url):
        raise _invalid("it is not UTF-8")
    scheme, sign, rest = url.partition("://")
    scheme = scheme.lower()
    if not sign or scheme not in _SCHEMES:
        known = ", ".join(f"{known}://" for known in _SCHEMES)
        raise ConfigError(f"the broker's url must begin with {known}")
    if "#" in rest:
        raise _invalid(f"it has a # in it: {_CURE}")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    if "@" in path or "@" in query:
        raise _invalid(f"it has an @ behind its first / or ?: {_CURE}")
    user, _, place = authority.rpartition("@")
    username, _, password = user.partition(":")
    who = {"username": unquote(username), "password": unquote(password)}
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "\0" in unquote(path) or any("\0" in value for value in options.values()):
        raise _invalid("no name has a zero byte (%00) in it")
    return _Parts(scheme, who, place, slash + path, options)


def _tcp(parts: _Parts) -> Address:
    options = dict(parts.options)
    tls = _tls(options) if parts.scheme == "rediss" else None
    db = _database(options.pop("db", parts.path.strip("/") or "0"))
    _refuse_options(options)
    host, port = _split_node(parts.place, 6379)
    return Address(host=host or "127.0.0.1", port=port, db=db, tls=tls, **parts.who)


def _unix(parts: _Parts) -> Address:
    options = dict(parts.options)
    db = _database(options.pop("db", "0"))
    _refuse_options(options)
    if parts.place or not parts.path:
        example = "unix:///run/redis.sock, unix://user:password@/run/redis.sock"
        raise ConfigError(f"a unix:// url needs the socket's path, from the root: {example}")
    return Address(path=unquote(parts.path), db=db, **parts.who)


def _sentinel(parts: _Parts) -> Address:
    options = dict(parts.options)
    tls = _tls(options) if parts.scheme.startswith("rediss") else None
    master, _, db = parts.path.strip("/").partition("/")
    database = _database(options.pop("db", db or "0"))
    _refuse_options(options)
    if not master:
        example = f"{parts.scheme}://host:26379,host:26379/mymaster"
        raise ConfigError(f"the broker's url names no master: {example}")
    nodes = tuple(_split_node(node, _SENTINEL_PORT) for node in parts.place.split(","))
    if not all(host for host, _ in nodes):
        raise ConfigError(
            "the broker's url names no Sentinel: redis+sentinel://host:26379/mymaster"
        )
    return Address(db=database, tls=tls, sentinels=nodes, master=unquote(master), **parts.who)


def _split_node(node: str, default_port: int) -> tuple[str, int]:
    """Return host, empty if there is none, and port of ``host[:port]``, ``[IPv6][:port]``."""
    found = _NODE.fullmatch(node)
    if found is None or not _is_port(found["port"] or "0"):
        raise _invalid(
            "host and port are written host:6379 or [::1]:6379, the port up to 65535; "
            "before a host, user and password end with an @"
        )
    name, zone, rest = (found["ip"] or found["name"] or "").partition("%")
    if name and not _is_host(name):
        raise _invalid("no host has such a name")
    return name.lower() + zone + rest, int(found["port"] or default_port)


def _is_port(text: str) -> bool:
    return len(text) <= 5 and int(text) <= 65535


def _is_host(name: str) -> bool:
    """Tell whether a host can have that name; for one that can't, the resolver raises anything."""
    if not name.isascii():
        try:
            name.encode("idna")
        except UnicodeError:
            return False
    return all(0 < len(label) <= _LABEL for label in name.removesuffix(".").split("."))


def _invalid(why: str) -> ConfigError:
    return ConfigError(f"the broker's url is not valid: {why}")


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise ConfigError(f"the database in the broker's url must be a number; {_OR_ELSE}")
    return int(text)


def _tls(options: dict[str, str]) -> Tls:
    given: dict[str, Any] = {
        _TLS_OPTIONS[key]: options.pop(key) for key in list(options) if key in _TLS_OPTIONS
    }
    verify = given.pop("verify", "required")
    if verify not in _VERIFY:
        raise ConfigError("ssl_cert_reqs in the broker's url must be required or none")
    return Tls(verify=_VERIFY[verify], **given)


def _refuse_options(options: dict[str, str]) -> None:
    if not options:
        return
    from statusd.core.suggestions import nearest

    first, names = min(options), ("db", *_TLS_OPTIONS)
    if first in names:  # one of ours, so it can be said
        raise ConfigError(f"{first} in the broker's url is for rediss://, with TLS")
    near = nearest(first, names)
    meant = f", did you mean {near}?" if near else ""
    raise ConfigError(f"unknown option in the broker's url{meant}; known: {', '.join(names)}")
