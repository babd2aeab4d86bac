"""What redis-py's blocking and asyncio clients have in common: options, replies, errors.

The daemon's link knows nothing of it. Nothing that redis-py says of a connection reaches a user as
it stands: it may repeat what a server has repeated, and that may be a password.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import hiredis
from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.credentials import CredentialProvider
from redis.sentinel import MasterNotFoundError

from statusd.core.errors import Unavailable
from statusd.core.text import shown
from statusd.wire.address import Address, Tls
from statusd.wire.greeting import is_no_hello, no_resp3

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

SENTINEL_S = 0.5
"""The longest wait for one Sentinel's connection, and for its reply."""
_MAPS = frozenset({"HGETALL", "CONFIG", "HELLO", "XREAD"})
"""Their replies are maps; RESP2 has none, and sends lists."""
_CODES: dict[type[Exception], str] = {
    exceptions.NoPermissionError: "NOPERM",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.NoScriptError: "NOSCRIPT",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ExecAbortError: "EXECABORT",
}
"""redis-py takes an error's code away and makes a class of it."""
_REFUSALS = (exceptions.ResponseError, exceptions.AuthenticationError, exceptions.BusyLoadingError)
"""What the server has said; all else happened on the way to it."""
_NO_REPLY = (exceptions.InvalidResponse, RecursionError)
_NO_REPLY_EITHER = (ValueError, TypeError, AttributeError)
"""What redis-py and its parser raise at what is no answer."""
_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (exceptions.MaxConnectionsError, "all connections of the client's pool are in use"),
    (_NO_REPLY, "Protocol error: whoever answers there is no Redis or Valkey"),
    (
        _NO_REPLY_EITHER,
        "Protocol error: no Redis or Valkey answers there, or the client's credentials provider "
        "fails",
    ),
    (
        (MasterNotFoundError, AsyncMasterNotFoundError),
        "no Sentinel answers that knows of a living master of that name",
    ),
    (exceptions.ConnectionError, "the connection was closed"),
)
"""Kind of error -> what it means; of its own text nothing is believed. The first that fits."""
LOST = (
    "the connection was lost, and made anew, while it was listened to: what was said meanwhile is "
    "lost"
)


class PasswordFile(CredentialProvider):
    """The password as it stands in its file when a connection is made: it may have been rotated.

    Raises:
        Unavailable: the file can't be read.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self.told = ""
        """The password that was used last."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return name and password."""
        self.told = self._address.secret()
        return self._address.username or "default", self.told

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return the same: a file is read at once."""
        return self.get_credentials()


def options(
    address: Address, client_name: str, timeout_s: float, redis_class: type
) -> dict[str, Any]:
    """Return what a client of our own is made with: no retries, no extra questions.

    Args:
        timeout_s: the longest wait for a connection, and for each part of a reply.
        redis_class: whose options they are.

    Raises:
        Unavailable: a password or TLS file can't be read.
    """
    found: dict[str, Any] = {
        "db": address.db,
        "protocol": 3,
        "client_name": client_name,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 0,
        "driver_info": None,  # CLIENT SETINFO is a right that our roles don't have
    }
    if "maint_notifications_config" in inspect.signature(redis_class).parameters:
        from redis.maint_notifications import MaintNotificationsConfig

        found["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    found |= _place(address) | _credentials(address)
    return found | (_tls(address.tls) if address.tls is not None else {})


def _place(address: Address) -> dict[str, Any]:
    if address.path:
        return {"unix_socket_path": address.path}
    return {} if address.sentinels else {"host": address.host, "port": address.port}


def _credentials(address: Address) -> dict[str, Any]:
    secret = address.secret()
    if not secret:
        return {}
    if address.password_file:
        return {"credential_provider": PasswordFile(address)}
    return {"username": address.username or "default", "password": secret}


def _tls(tls: Tls) -> dict[str, Any]:
    tls.context()  # whatever is wrong with a file is told in our words, and nothing waits for it
    return {
        "ssl": True,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
        "ssl_ca_certs": tls.ca_file or None,
        "ssl_certfile": tls.cert_file or None,
        "ssl_keyfile": tls.key_file or None,
        "ssl_password": "",  # a key that wants one would be asked for at the terminal
    }


def sentinel_options(address: Address, redis_class: type) -> dict[str, Any]:
    """Return what the clients of the Sentinels are made with; see `options`."""
    one = options(address.sentinel("", 0), "statusd-sentinel", SENTINEL_S, redis_class)
    return {key: value for key, value in one.items() if key not in ("host", "port")}


def place_of(pool: Any) -> str:
    """Return where a client's pool leads, as our own addresses are written, without secrets."""
    given: Mapping[str, Any] = getattr(pool, "connection_kwargs", {})
    master = getattr(pool, "service_name", "")
    if master:
        return f"the master {shown(str(master), 80)}"
    is_tls = "SSL" in getattr(getattr(pool, "connection_class", None), "__name__", "")
    db = given.get("db") or 0
    if given.get("path"):
        return str(Address(path=str(given["path"]), db=db))
    host, port = str(given.get("host", "localhost")), given.get("port") or 6379
    return shown(str(Address(host=host, port=port, db=db, tls=Tls() if is_tls else None)), 200)


def pool_of(client: Any) -> Any:
    """Return the pool that a client of redis-py takes its connections from; None for no client."""
    return getattr(client, "connection_pool", None)


def secrets_of(pool: Any) -> tuple[str, ...]:
    """Return the passwords that a client is known to have; it may have none yet."""
    given: Mapping[str, Any] = getattr(pool, "connection_kwargs", {})
    provider = given.get("credential_provider")
    password = provider.told if isinstance(provider, PasswordFile) else given.get("password")
    return (str(password),) if password else ()


def secrets_of_sentinels(address: Address) -> tuple[str, ...]:
    """Return the password of the Sentinels; whoever asks them has read it already."""
    with contextlib.suppress(Unavailable):
        return tuple(filter(None, [address.sentinel("", 0).secret()]))
    return ()


# ---- replies ------------------------------------------------------------------------------------


def filled(pipe: Any, lines: Sequence[RedisCommand]) -> Any:
    """Put ``lines`` into a pipeline whose replies are left as they are, whatever its client does.

    redis-py would decode them, make dates, lists and trues of them, and differently so with RESP2
    and RESP3.
    """
    pipe.response_callbacks = {}
    for line in lines:
        pipe.execute_command(*line, NEVER_DECODE=True)
    return pipe


def plain(line: RedisCommand, reply: Any) -> Any:
    """Return a reply as RESP3 has it, an error as a `hiredis.ReplyError`."""
    if isinstance(reply, exceptions.RedisError):
        return hiredis.ReplyError(_said(reply))
    if isinstance(reply, list) and str(line[0]) in _MAPS:
        return _as_map(reply)
    return reply


def _as_map(reply: list[Any]) -> Any:
    """Return the map that RESP2 makes a list of: pairs (XREAD), or keys and values in turn."""
    try:
        if all(isinstance(pair, list) for pair in reply):
            return dict(reply)
        return dict(zip(reply[::2], reply[1::2], strict=True))
    except (TypeError, ValueError):  # no map, and `wire.shapes` says so
        return reply


def _said(error: Exception) -> str:
    """Return an error as the server has said it."""
    text = str(error)
    code = getattr(error, "status_code", None)
    if not code:
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
    return text if not code or code == "ERR" or text.startswith(code) else f"{code} {text}"


# ---- errors -------------------------------------------------------------------------------------


def unavailable(error: Exception, where: str, secrets: tuple[str, ...] = ()) -> Unavailable:
    """Return what to raise for what redis-py has raised; with it as the cause, if it is harmless.

    Args:
        where: the broker's address.
        secrets: passwords that a server may have repeated.
    """
    text = re.sub(r"(?is)(with args beginning with:).*", r"\1 ...", _why(error))
    for secret in filter(None, secrets):
        text = text.replace(secret, "...")
    # In redis-py's own words; if it finds others one day, ours are a little less exact.
    begins = "no connection to " if "connecting to" in str(error) else ""
    found = Unavailable(f"{begins}{where}{shown(text, 1000)}")
    said = "".join(str(one) for one in _chain(error))
    if "with args beginning with" not in said and not any(s in said for s in secrets if s):
        found.__cause__ = error
    else:
        found.__suppress_context__ = True
    return found


def _why(error: Exception) -> str:
    """Return what happened, after the address."""
    for one in _chain(error):
        if isinstance(one, Unavailable):  # a file of ours that can't be read
            return f": {one}"
        if isinstance(one, TimeoutError | exceptions.TimeoutError):
            return ": no answer in time"
        if isinstance(one, OSError):
            return f": {_of_system(one)}"
    if isinstance(error, _REFUSALS):
        said = _said(error)
        return f" {no_resp3(said)}" if is_no_hello(said) else f" says: {said}"
    told = next((text for kinds, text in _WORDS if isinstance(error, kinds)), type(error).__name__)
    return f": {told}"


def _of_system(error: OSError) -> str:
    """Return what the system says; asyncio puts words and addresses of its own around it."""
    number = error.errno if type(error).__module__ == "builtins" else None
    wrapped = re.search(r"\[Errno (\d{1,3})\]", str(error))
    if number is None and wrapped is not None and error.strerror is None:
        number = int(wrapped[1])
    return os.strerror(number) if number else error.strerror or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
