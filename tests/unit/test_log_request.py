"""Tests of `statusd.wire.log_request`: what may be asked of a unit's output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statusd.wire.log_request import LogRequest, Unasked, question, read

REPLY = "statusd:reply:logs:7f3a"


def asked(**more: Any) -> bytes:
    """Return a question."""
    return json.dumps({"ask": "logs", "reply_to": REPLY, **more}).encode()


def test_what_is_asked_is_read() -> None:
    """As it was written."""
    request = LogRequest(REPLY, 7, 15.0, 0.0, "stderr", 12, (3, 4))

    assert read(question(request).encode(), "statusd") == request
    assert read(question(LogRequest()).encode(), "statusd") == LogRequest()
    later = question(LogRequest(REPLY), "2026-11-28T00:00:00Z")
    assert read(later.encode(), "statusd").since == 1795824000.0


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"lines": 10**30}, '"lines" is no number from 0 to 2000'),
        ({"lines": -1}, '"lines" is no number'),
        ({"lines": True}, '"lines" is no number'),
        ({"lines": "100"}, '"lines" is no number'),
        ({"follow_s": 61}, '"follow_s" is no number from 0 to 60'),
        ({"follow_s": 10**400}, '"follow_s" is no number'),  # no float is that large
        ({"follow_s": "for ever"}, '"follow_s" is no number'),
        ({"since": "2026-11-28"}, '"since" is no RFC 3339 time'),
        ({"since": 5}, '"since" is no RFC 3339 time'),
        ({"stream": "stdin"}, '"stream" is neither'),
        ({"stream": []}, '"stream" is neither'),
        ({"after": [1]}, '"after" is no list of two numbers'),
        ({"after": [1, -1]}, '"after" is no number'),
        ({"boot": 2**80}, '"boot" is no number'),
        ({"tail": 5}, "unknown key 'tail'"),
    ],
)
def test_what_is_none_of_these_is_refused(more: dict[str, Any], complaint: str) -> None:
    """With the reason, to whoever can be told it."""
    with pytest.raises(Unasked) as refused:
        read(asked(**more), "statusd")

    assert complaint in refused.value.reason
    assert refused.value.reply_to == REPLY


@pytest.mark.parametrize(
    "reply_to",
    [
        *("statusd:control", "statusd:verdicts", "statusd:reply:7f3a", "lab:reply:logs:1"),
        *("statusd:reply:logs:a b", "statusd:reply:logs:\n", "statusd:reply:logs:ä", "x" * 300),
        *(5, None, ["statusd:reply:logs:1"]),
    ],
)
def test_nobody_is_answered_elsewhere(reply_to: Any) -> None:
    """A question makes no unit speak on the channel of a command, or of another namespace."""
    with pytest.raises(Unasked) as refused:
        read(asked(reply_to=reply_to), "statusd")

    assert refused.value.reply_to == ""


@pytest.mark.parametrize(
    "payload",
    [
        *(b"logs", b"pause", b"", b"{}", b"[]", b"\xff", b'{"ask": "health"}'),
        *(b'{"ask": "logs"' + b" " * 3000 + b"}", b'{"ask": "logs", "after": [[[1]]]}'),
        b'{"command": "pause", "args": {"ask": "logs"}}',
    ],
)
def test_what_is_no_such_question_isnt_answered(payload: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(Unasked) as refused:
        read(payload, "statusd")

    assert refused.value.reply_to == ""
