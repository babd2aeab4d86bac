"""Tests of `statusd.wire.redis_py`: replies as RESP3 has them, errors without secrets."""

from __future__ import annotations

import errno
from typing import Any

import hiredis
import pytest
from redis import exceptions

from statusd.wire import redis_py


@pytest.mark.parametrize(
    ("command", "reply", "found"),
    [
        ("HGETALL", [b"a", b"1", b"b", b"2"], {b"a": b"1", b"b": b"2"}),
        ("HGETALL", [], {}),
        ("HGETALL", [b"a"], [b"a"]),  # no map: for the shapes to judge
        ("XREAD", [[b"s", [[b"1-1", []]]]], {b"s": [[b"1-1", []]]}),
        ("XREAD", None, None),
        ("XREAD", [[[], b"x"]], [[[], b"x"]]),
        ("HKEYS", [b"a", b"b"], [b"a", b"b"]),
        ("GET", b"x", b"x"),
    ],
)
def test_maps_are_maps_whatever_was_spoken(command: str, reply: Any, found: Any) -> None:
    """RESP2 has none, and sends lists."""
    assert redis_py.plain((command, "key"), reply) == found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (exceptions.ResponseError("WRONGTYPE Operation"), "WRONGTYPE Operation"),
        (exceptions.NoPermissionError("may not"), "NOPERM may not"),
        (exceptions.NoPermissionError("may not", status_code="NOPERM"), "NOPERM may not"),
        (exceptions.ResponseError("unknown", status_code="ERR"), "unknown"),
    ],
)
def test_an_error_is_what_the_server_said(error: Exception, text: str) -> None:
    """redis-py makes a class of its code."""
    found = redis_py.plain(("GET", "key"), error)

    assert isinstance(found, hiredis.ReplyError)
    assert str(found) == text


def caused(error: Exception, cause: Exception) -> Exception:
    """Return an error as redis-py raises it for another."""
    error.__context__ = cause
    return error


REFUSED = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")
SEVERAL = OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (caused(exceptions.ConnectionError("Error 111 connecting to x."), REFUSED),
         "no connection to W: Connection refused"),
        (caused(exceptions.ConnectionError("Error connecting to x."), SEVERAL),
         "no connection to W: Connection refused"),
        (exceptions.TimeoutError("Timeout reading from there"), "W: no answer in time"),
        (exceptions.ConnectionError("secret"), "W: the connection was closed"),
        (exceptions.MaxConnectionsError(), "W: all connections of the client's pool are in use"),
        (RuntimeError("secret"), "W: RuntimeError"),
        (exceptions.ResponseError("unknown command 'X', with args beginning with: 'secret'"),
         "W says: unknown command 'X', with args beginning with: ..."),
        (exceptions.ResponseError("what is secret?"), "W says: what is ...?"),
    ],
)  # fmt: skip
def test_what_happened_is_told_without_what_nobody_may_see(error: Exception, text: str) -> None:
    """In the system's words or ours; the cause is kept if it is harmless."""
    found = redis_py.unavailable(error, "W", ("secret",))

    assert str(found) == text
    assert "secret" not in str(found.__cause__)
    assert found.__cause__ is error or "secret" in str(error)
