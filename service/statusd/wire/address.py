"""Where the broker is and how to get in: URLs read strictly, secrets never shown.

A URL that redis-py would take with a shrug (a database that is no number, an option that it does
not know) is an error here.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from statusd.core.errors import ConfigError, Unavailable
from statusd.reading import MOST_SECRET_BYTES, opened, read_words

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

DEFAULT_URL = "redis://127.0.0.1:6379/0"
_TLS_OPTIONS = {
    "ssl_ca_certs": "ca_file",
    "ssl_certfile": "cert_file",
    "ssl_keyfile": "key_file",
    "ssl_cert_reqs": "verify",
}
_HERE = ("127.0.0.1", "localhost")
"""Where an embedded broker listens."""
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


class Tls(NamedTuple):  # a dataclass would cost `statusd send` ten milliseconds of imports
    """How to trust and be trusted.

    Args:
        ca_file: whom to trust, in place of the system's authorities.
        cert_file, key_file: who we are, if the broker asks.
        verify: whether the broker's certificate and name must be right.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Return a new context for one connection.

        Raises:
            Unavailable: a file can't be read or isn't what it should be.
        """
        import ssl

        ca_file = self.ca_file or _system_authorities()
        files = tuple(filter(None, (ca_file, self.cert_file, self.key_file)))
        try:
            with contextlib.ExitStack() as stack:
                held = {name: stack.enter_context(_held(name)) for name in files}
                context = ssl.create_default_context(cafile=held.get(self.ca_file))
                if self.cert_file:
                    key = held.get(self.key_file)
                    # A key that wants one would be asked for at the terminal, with all waiting.
                    context.load_cert_chain(held[self.cert_file], key, password=lambda: "")
        except OSError as error:  # SSLError is one too
            why = getattr(error, "reason", None) or error.strerror  # OpenSSL's name for it
            raise Unavailable(f"TLS files ({', '.join(files)}): {why}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@contextlib.contextmanager
def _held(file: str) -> Iterator[str]:
    """Give a name by which OpenSSL finds the regular file ``file``, whatever becomes of its own.

    Raises:
        OSError: it can't be read, or is something that OpenSSL would wait for.
    """
    with opened(file) as fd:
        yield f"/proc/self/fd/{fd}"


def _system_authorities() -> str:
    """Return the file of authorities that OpenSSL reads when nobody names one; empty for none."""
    import ssl

    paths = ssl.get_default_verify_paths()
    file = os.environ.get(paths.openssl_cafile_env, paths.openssl_cafile)
    return file if os.path.exists(file) else ""


class Address(NamedTuple):
    """One broker, as one user.

    Args:
        host, port: for TCP; path: of a Unix socket, if it is one.
        db: the database; Pub/Sub knows none.
        username, password: for AUTH; an empty password means none.
        password_file: read anew for each connection, so that a rotated password is found.
        tls: None for plain TCP.
        sentinels: host and port of each Sentinel that knows where the master is; host and port of
            the address itself mean nothing then.
        master: what they call it.
        sentinel_username, sentinel_password, sentinel_password_file: for them.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    password_file: str = ""
    tls: Tls | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_username: str = ""
    sentinel_password: str = ""
    sentinel_password_file: str = ""

    def __str__(self) -> str:
        """The address for a reader: a URL without its secrets."""
        if self.path:
            return f"unix://{quote(self.path)}?db={self.db}"
        scheme = "rediss" if self.tls else "redis"
        if self.sentinels:
            nodes = ",".join(_node(*node) for node in self.sentinels)
            return f"{scheme}+sentinel://{nodes}/{quote(self.master, safe='')}/{self.db}"
        return f"{scheme}://{_node(self.host, self.port)}/{self.db}"

    def __repr__(self) -> str:
        """Like `__str__`: a password must not appear in a traceback either."""
        return f"Address({self})"

    def secret(self) -> str:
        """Return the password to use now.

        Raises:
            Unavailable: the password file can't be read.
        """
        if not self.password_file:
            return self.password or self._own_broker_s()
        try:
            return read_words(self.password_file, MOST_SECRET_BYTES).rstrip("\n")
        except OSError as error:
            raise Unavailable(f"password file {self.password_file}: {error.strerror}") from None
        except UnicodeDecodeError:  # whose text shows a byte of it
            raise Unavailable(f"password file {self.password_file}: not UTF-8") from None

    def _own_broker_s(self) -> str:
        """Return the password of this user's embedded broker, if this is its address."""
        if self.host not in _HERE or self.path or self.username or self.tls or self.sentinels:
            return ""
        from statusd.wire.own_broker import password

        return password(self.port)

    def sentinel(self, host: str, port: int) -> Address:
        """Return the address of one of the Sentinels, as one that can be dialled."""
        return Address(
            host=host,
            port=port,
            username=self.sentinel_username,
            password=self.sentinel_password,
            password_file=self.sentinel_password_file,
            tls=self.tls,
        )

    def greeting(self, client_name: str) -> list[tuple[str, ...]]:
        """Return the commands that begin a connection; SETNAME alone may fail."""
        hello: tuple[str, ...] = ("HELLO", "3")
        secret = self.secret()
        if secret:
            hello += ("AUTH", self.username or "default", secret)
        greeting = [hello, ("CLIENT", "SETNAME", client_name)]
        if self.db:
            greeting.append(("SELECT", str(self.db)))
        return greeting


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


def _node(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
    from statusd.core.messages import nearest

    first, names = min(options), ("db", *_TLS_OPTIONS)
    if first in names:  # one of ours, so it can be said
        raise ConfigError(f"{first} in the broker's url is for rediss://, with TLS")
    near = nearest(first, names)
    meant = f", did you mean {near}?" if near else ""
    raise ConfigError(f"unknown option in the broker's url{meant}; known: {', '.join(names)}")


def is_text(value: str) -> bool:
    """Tell whether ``value`` can be sent; a variable of the environment may be any bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def with_credentials(address: Address, **more: str) -> Address:
    """Return ``address`` with those of the names, passwords and password files that are given.

    Raises:
        ConfigError: one of them can't be sent.
    """
    given: dict[str, Any] = {key: value for key, value in more.items() if value}
    for key, value in given.items():
        if not is_text(value):
            raise ConfigError(f"redis.{key}: not UTF-8")
    return address._replace(**given)
