"""Tests of `wire.talk` and `fleet.operations`: what is asked, step by step, without a broker."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import hiredis
import pytest

from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet import operations
from statusd.fleet.operations import Order
from statusd.fleet.snapshot import Snapshot
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


@pytest.mark.parametrize("documents", [[], [None, None]])
def test_an_answer_to_many_has_one_for_each(documents: list[object]) -> None:
    """Whoever told of others would have them told as those that were asked for."""
    with pytest.raises(Unavailable, match=f"to MGET: {len(documents)} in the place of 1"):
        carried_out(Snapshot("ns").look(), [{b"a": b'{"boot": 5}'}], [documents])


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
    assert kinds == [Ask, Ask, Subscribe, Ask, Listen, Listen, Where]
    subscribed, said = asked[2], asked[3]
    assert isinstance(subscribed, Subscribe)
    assert isinstance(said, Ask)
    message = json.loads(str(said.lines[0][2]))
    assert (subscribed.channel, subscribed.about) == (message["reply_to"], message["id"])
    assert [outcome.name for outcome in report.silent] == ["a"]
    assert report.where == f"namespace 'ns' on {WHERE}"


@pytest.mark.parametrize(
    ("timeout_s", "accepted", "waits_s"),
    [
        (None, {"state": "ENDING"}, 70.0),
        (None, {"state": "PAUSED"}, 5.0),
        (5.0, {"state": "ENDING"}, 5.0),
        (0.5, {"state": "ENDING"}, 0.5),
    ],
)
def test_an_end_is_waited_for_as_long_as_it_may_take(
    timeout_s: float | None,
    accepted: dict[str, str],
    waits_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the document says, and a margin; what somebody has said wins, as for any other word."""
    document = json.dumps({"boot": 5, "state": "RUNNING", "ends_within_s": 67.0}).encode()
    monkeypatch.setattr(operations, "LOOK_S", 1000.0)  # nobody looks meanwhile
    order = Order("leave", timeout_s=timeout_s)
    operation = operations.send("ns", order)
    asked: list[Request] = [next(operation)]
    for answer in ([{b"a": b'{"boot": 5}'}], [document], None):
        asked.append(operation.send(answer))
    assert isinstance(asked[-1], Ask)
    told = {"id": json.loads(str(asked[-1].lines[0][2]))["id"], "name": "a", "boot": 5}

    first = operation.send([1])
    second = operation.send(json.dumps({"verdict": "accepted", **told, **accepted}).encode())

    assert isinstance(first, Listen)
    assert first.timeout_s == pytest.approx(min(waits_s, 5.0), abs=0.3)
    assert isinstance(second, Listen)
    assert second.timeout_s == pytest.approx(waits_s, abs=0.3)


def test_whose_document_goes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was killed after it had taken the word: its document is gone ten seconds later."""
    monkeypatch.setattr(operations, "LOOK_S", 0.0)
    shown: list[list[str]] = []
    order = Order(
        "end", timeout_s=None, waiting=lambda units, _: shown.append([u.state for u in units])
    )
    documents = [
        json.dumps({"boot": 5, "state": state, "ends_within_s": 67.0}).encode()
        for state in ("RUNNING", "ENDING")
    ]
    roster = {b"a": b'{"boot": 5}', b"b": b'{"boot": 5}'}

    report, asked = carried_out(
        operations.send("ns", order),
        *([roster], [documents[0], documents[0]], None, [2]),
        *([documents[1], None], [documents[1].replace(b"5", b"6", 1)], [None]),
    )

    assert shown == [["ENDING"], ["RUNNING"]]
    assert [type(request) for request in asked[4:]] == [Ask, Ask, Ask, Where]
    assert [outcome.name for outcome in report.silent] == ["a", "b"]


def test_what_can_not_be_sent_asks_nobody() -> None:
    """A durable command is for no channel."""
    with pytest.raises(ConfigError, match="not for a channel"):
        carried_out(operations.send("ns", Order("pause", durable=True, channel="c")))
