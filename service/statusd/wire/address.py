"""Where the broker is and how to get in: URLs read strictly, secrets never shown.

A URL that redis-py would take with a shrug (a database that is no number, an option that it does
not know) is an error here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from statusd.core.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    import ssl

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
_SENTINEL_PORT = 26379
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

        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except OSError as error:  # SSLError is one too
            files = ", ".join(filter(None, (self.ca_file, self.cert_file, self.key_file)))
            raise Unavailable(f"TLS files ({files}): {error}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


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
            return f"unix://{self.path}?db={self.db}"
        scheme = "rediss" if self.tls else "redis"
        if self.sentinels:
            nodes = ",".join(_node(*node) for node in self.sentinels)
            return f"{scheme}+sentinel://{nodes}/{self.master}/{self.db}"
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
            with open(self.password_file, encoding="utf-8") as file:
                return file.read().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"password file {self.password_file}: {error}") from None

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


def parse_url(url: str) -> Address:
    """Return the address that ``url`` names.

    Args:
        url: ``redis://[user[:password]@]host[:port][/db]``, the same with ``rediss://`` for TLS
            (options ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``ssl_cert_reqs``), or
            ``unix://[user[:password]@]/path[?db=n]``, or
            ``redis+sentinel://[user[:password]@]host[:port],host[:port]/master[/db]`` (with TLS:
            ``rediss+sentinel://``), whose user is one of the master's.

    Raises:
        ConfigError: it is none of these; the message shows no secret.
    """
    if url.partition(":")[0] in _SENTINEL:
        return _parse_sentinel_url(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the broker's url is not valid: {error}") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    who: dict[str, Any] = {
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    if parts.scheme == "unix":
        db = _database(options.pop("db", "0"))
        _refuse_options(options)
        if not parts.path:
            raise ConfigError("a unix:// url needs the socket's path: unix:///run/redis.sock")
        return Address(path=unquote(parts.path), db=db, **who)
    if parts.scheme not in ("redis", "rediss"):
        known = ", ".join(f"{scheme}://" for scheme in ("redis", "rediss", "unix", *_SENTINEL))
        raise ConfigError(f"the broker's url must begin with {known}, not {parts.scheme!r}")
    tls = _tls(options) if parts.scheme == "rediss" else None
    db = _database(options.pop("db", parts.path.strip("/") or "0"))
    _refuse_options(options)
    host = parts.hostname or "127.0.0.1"
    return Address(host=host, port=6379 if port is None else port, db=db, tls=tls, **who)


def _parse_sentinel_url(url: str) -> Address:
    parts = urlsplit(url)
    who, _, nodes = parts.netloc.rpartition("@")
    username, _, password = who.partition(":")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = _tls(options) if parts.scheme.startswith("rediss") else None
    master, _, db = parts.path.strip("/").partition("/")
    database = _database(options.pop("db", db or "0"))
    _refuse_options(options)
    if not master:
        example = f"{parts.scheme}://host:26379,host:26379/mymaster"
        raise ConfigError(f"the broker's url names no master: {example}")
    return Address(
        db=database,
        username=unquote(username),
        password=unquote(password),
        tls=tls,
        sentinels=tuple(_split_node(node) for node in nodes.split(",")),
        master=unquote(master),
    )


def _split_node(node: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{node}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"the broker's url is not valid: {error}") from None
    if not host:
        raise ConfigError(
            "the broker's url names no Sentinel: redis+sentinel://host:26379/mymaster"
        )
    return host, _SENTINEL_PORT if port is None else port


def _node(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"the database in the broker's url must be a number, not {text!r}")
    return int(text)


def _tls(options: dict[str, str]) -> Tls:
    given: dict[str, Any] = {
        _TLS_OPTIONS[key]: options.pop(key) for key in list(options) if key in _TLS_OPTIONS
    }
    verify = given.pop("verify", "required")
    if verify not in _VERIFY:
        raise ConfigError(f"ssl_cert_reqs must be required or none, not {verify!r}")
    return Tls(verify=_VERIFY[verify], **given)


def _refuse_options(options: dict[str, str]) -> None:
    if options:
        known = ", ".join(("db", *_TLS_OPTIONS))
        raise ConfigError(f"unknown option {min(options)!r} in the broker's url; known: {known}")


def with_credentials(address: Address, **more: str) -> Address:
    """Return ``address`` with those of the names, passwords and password files that are given."""
    given: dict[str, Any] = {key: value for key, value in more.items() if value}
    return address._replace(**given)
