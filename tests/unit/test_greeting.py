"""Tests of `statusd.wire.greeting`: which answers to HELLO 3 tell that a server has none."""

from __future__ import annotations

import hiredis
import pytest
from redis import exceptions

from statusd.wire import redis_py
from statusd.wire.greeting import NEEDS, is_no_hello
from statusd.wire.server import Server

HELLO = ("HELLO", "3", "AUTH", "default", "secret")
NONE = [
    "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'secret' ",
    "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `secret`, ",
    "ERR unknown command 'hello'",
    "NOPROTO unsupported protocol version",
    "ERR unsupported",
    "ERR unknown command",
    "ERR command 'hello' is not supported",
]
OTHER = [
    "NOAUTH HELLO must be called with the client already authenticated",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "LOADING Redis is loading the dataset in memory",
    "NOPERM User x has no permissions to run the 'hello' command",
    "MASTERDOWN Link with MASTER is down",
    "ERR max number of clients reached",
    "ERR unknown command 'SENTINEL'",
    "ERR unknown command 'XREVRANGE'",
    "invalid username-password pair or user is disabled.",
]


@pytest.mark.fault("J17")
@pytest.mark.parametrize("told", NONE)
def test_a_server_without_resp3_is_told_with_what_is_needed(told: str) -> None:
    """By the link and by redis-py, without the password that it may repeat."""
    why = Server(lambda: 0.0).greeted(HELLO, hiredis.ReplyError(told), must_be_master=False)
    code, _, rest = told.partition(" ")
    error = exceptions.ResponseError(rest, status_code=code)
    by_redis_py = str(redis_py.unavailable(error, "redis://h:1/0", ("secret",)))

    assert why.startswith("the server doesn't speak RESP3 (HELLO 3 was answered: ")
    assert by_redis_py.startswith("redis://h:1/0 doesn't speak RESP3 (HELLO 3 was answered: ")
    for text in (why, by_redis_py):
        assert text.endswith(NEEDS)
        assert "secret" not in text


@pytest.mark.fault("J17")
@pytest.mark.parametrize("told", OTHER)
def test_whoever_is_not_let_in_is_told_something_else(told: str) -> None:
    """A password, a right, a server that is starting: nothing that another version would cure."""
    why = Server(lambda: 0.0).greeted(HELLO, hiredis.ReplyError(told), must_be_master=False)

    assert not is_no_hello(told)
    assert why == told


@pytest.mark.fault("J17")
def test_a_greeting_that_is_answered_in_resp2_is_told() -> None:
    """A proxy that passes HELLO 3 and keeps to its own protocol."""
    reply = [b"server", b"redis", b"version", b"7.0.0", b"proto", 2]
    why = Server(lambda: 0.0).greeted(HELLO, reply, must_be_master=False)

    assert why == f"the server doesn't speak RESP3 (HELLO 3 was answered: in RESP2): {NEEDS}"
