"""Tests of `statusd.wire.dial` on a real broker: replies, pushes, and what goes wrong."""

from __future__ import annotations

import pytest

from statusd.core.errors import Unavailable
from statusd.wire.dial import Dial
from statusd.wire.url import parse_url
from tests.tools import Broker, Proxy


def dial(url: str, timeout_s: float = 2.0) -> Dial:
    """Return a connection."""
    return Dial(parse_url(url), "test", timeout_s)


def test_several_calls_are_one_round_trip(broker: Broker) -> None:
    """Replies in order, whatever the broker pushes between them."""
    with dial(broker.url) as line:
        line.subscribe("c")
        replies = line.calls([("SET", "k", "v"), ("PUBLISH", "c", "one"), ("GET", "k")])

        assert replies == [b"OK", 1, b"v"]
        assert line.push(5) == [b"message", b"c", b"one"]
        assert line.push(0.01) is None
        assert line.calls([]) == []


def test_an_error_is_told_and_the_next_call_works(broker: Broker) -> None:
    """What the other calls asked for is done."""
    with dial(broker.url) as line:
        with pytest.raises(Unavailable, match="wrong number of arguments"):
            line.calls([("SET", "k", "v"), ("GET",)])

        assert line.call("GET", "k") == b"v"


def test_a_subscription_that_is_not_allowed_is_told(broker: Broker) -> None:
    """By ACL: there is no confirmation, only an error."""
    with dial(broker.url) as line:
        line.call("ACL", "SETUSER", "me", "on", "nopass", "+@all", "resetchannels")
    url = broker.url.replace("redis://", "redis://me:x@")
    with dial(url) as line, pytest.raises(Unavailable, match="channel"):
        line.subscribe("c")


def test_a_silent_broker_is_not_waited_for(broker: Broker) -> None:
    """A call fails in time; so does a push on a connection that was cut."""
    with Proxy(broker.port) as proxy:
        with dial(f"redis://127.0.0.1:{proxy.port}", 0.2) as line:
            proxy.swallow()
            with pytest.raises(Unavailable, match="no answer in time"):
                line.call("PING")
            proxy.pass_()
        with dial(f"redis://127.0.0.1:{proxy.port}") as line:
            line.subscribe("c")
            proxy.cut()
            with pytest.raises(Unavailable):
                line.push(5)
