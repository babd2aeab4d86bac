"""Tests of `wire.talk` and `fleet.operations`: what is asked, step by step, without a broker."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import hiredis
import pytest

from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet import operations
from statusd.fleet.operations import Order
from statusd.wire import shapes
from statusd.wire.talk import Ask, Listen, Operation, Request, Subscribe, Where, ask

T = TypeVar("T")
WHERE = "redis://there:6379/0"


def carried_out(operation: Operation[T], *answers: Any) -> tuple[T, list[Request]]:
    """Answer what an operation asks; return its result, and what it has asked."""
    asked: list[Request] = []
    given = list(answers)
    answer: Any = None
    while True:
        try:
            request = operation.send(answer)
        except StopIteration as end:
            return end.value, asked
        asked.append(request)
        answer = WHERE if isinstance(request, Where) else given.pop(0)


def test_a_reply_is_what_it_stands_for() -> None:
    """One command, one reply."""
    assert carried_out(ask(shapes.number, "PUBLISH", "c", "x"), [3]) == (
        3,
        [Ask([("PUBLISH", "c", "x")])],
    )


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (hiredis.ReplyError("NOPERM no"), f"{WHERE} says: NOPERM no"),
        (b"OK", f"{WHERE}: that is no answer to PUBLISH: bytes b'OK'"),
    ],
)
def test_what_is_no_answer_is_told_with_the_broker(reply: object, told: str) -> None:
    """A refusal in the server's words; anything else by what it is."""
    with pytest.raises(Unavailable) as caught:
        carried_out(ask(shapes.number, "PUBLISH", "c", "x"), [reply])

    assert str(caught.value) == told


def test_a_send_listens_before_it_speaks() -> None:
    """To its own answers; and it stops with the last of them."""
    document = json.dumps({"boot": 5, "state": "RUNNING"}).encode()
    answers = [
        [{b"a": b'{"boot": 5}'}],  # the roster
        [document],
        None,  # subscribed
        [1],  # published
        b'{"verdict": "done", "name": "a", "boot": 5, "id": "another"}',
        None,  # no more in time
    ]

    report, asked = carried_out(operations.send("ns", Order("pause")), *answers)

    kinds = [type(request) for request in asked]
    assert kinds == [Ask, Ask, Subscribe, Ask, Listen, Listen]
    subscribed, said = asked[2], asked[3]
    assert isinstance(subscribed, Subscribe)
    assert isinstance(said, Ask)
    message = json.loads(str(said.lines[0][2]))
    assert (subscribed.channel, subscribed.about) == (message["reply_to"], message["id"])
    assert [outcome.name for outcome in report.silent] == ["a"]


def test_what_can_not_be_sent_asks_nobody() -> None:
    """A durable command is for no channel."""
    with pytest.raises(ConfigError, match="not for a channel"):
        carried_out(operations.send("ns", Order("pause", durable=True, channel="c")))
