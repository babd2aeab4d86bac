"""Where the broker is and how to get in: with its secrets, which are never shown."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from statusd.core.errors import ConfigError, Unavailable
from statusd.reading import MOST_SECRET_BYTES, opened, read_words

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_HERE = ("127.0.0.1", "localhost")
"""Where an embedded broker listens."""


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


def _node(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
