"""What is asked of a unit's output: a question, and no command; the same by broker and by socket.

Rule of this file: what a stranger asks is judged before anything is done for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statusd.core import bounds
from statusd.core.bounds import Unreadable
from statusd.core.messages import to_json

ASK, LOGS = "ask", "logs"
MOST_BYTES = 2048
"""The longest question, in bytes."""
MOST_LINES = 2000
"""So many lines are told at once at most."""
MOST_FOLLOW_S = 60.0
"""So long a reader is sent what comes before he has to ask again."""
_KEYS = frozenset({ASK, "reply_to", "lines", "follow_s", "since", "stream", "boot", "after"})


class Unasked(Exception):
    """It is no question about output that could be answered.

    Args:
        reason: why not, in words for who asked; empty if it is no question about output at all.
        reply_to: where he listens, if that could be read.
    """

    def __init__(self, reason: str, reply_to: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply_to = reply_to


@dataclass(frozen=True, slots=True)
class LogRequest:
    """A question about output.

    Args:
        reply_to: the channel on which the answer is waited for; empty on a socket.
        lines: so many of the newest lines.
        follow_s: so long, in seconds, what comes is to be sent as well; 0 for not at all.
        since: only lines from that time on (Unix time); 0 for all.
        stream: ``stdout`` or ``stderr`` alone; empty for both.
        boot, after: what the reader has had already: of that boot so many lines of each stream.
            If he is followed still, nothing is told again.
    """

    reply_to: str = ""
    lines: int = 100
    follow_s: float = 0.0
    since: float = 0.0
    stream: str = ""
    boot: int = 0
    after: tuple[int, int] | None = None


def reply_prefix(namespace: str) -> str:
    """Return how the channels begin on which such answers are waited for: who may hear these may
    hear no verdicts to others' commands.
    """
    return f"{namespace}:reply:logs:"


def read(payload: bytes, namespace: str) -> LogRequest:
    """Return the question that ``payload`` is.

    Args:
        namespace: in which the answer may be waited for.

    Raises:
        Unasked: it is none.
    """
    try:
        found = bounds.fields(payload, 2) if len(payload) <= MOST_BYTES else {}
    except Unreadable as error:
        raise Unasked(str(error)) from None
    if found.get(ASK) != LOGS:
        raise Unasked("")
    reply_to = found.get("reply_to", "")
    if not _is_reply(reply_to, namespace):
        raise Unasked(
            f'"reply_to" must begin with {reply_prefix(namespace)} and be printable ASCII'
        )
    unknown = sorted(found.keys() - _KEYS)
    if unknown:
        raise Unasked(f"unknown key {unknown[0][:40]!a}", reply_to)
    try:
        return _read(found, reply_to)
    except Unreadable as error:
        raise Unasked(str(error), reply_to) from None


def _is_reply(value: Any, namespace: str) -> bool:
    if not isinstance(value, str) or len(value) > bounds.MOST_TEXT:
        return False
    is_plain = value.isascii() and value.isprintable() and " " not in value
    return not value or (is_plain and value.startswith(reply_prefix(namespace)))


def _read(found: dict[str, Any], reply_to: str) -> LogRequest:
    return LogRequest(
        reply_to,
        lines=_named("lines", bounds.whole, found.get("lines", 100), MOST_LINES),
        follow_s=_seconds(found.get("follow_s", 0)),
        since=_time(found.get("since", "")),
        stream=_stream(found.get("stream", "")),
        boot=_named("boot", bounds.whole, found.get("boot", 0), bounds.MOST_COUNT),
        after=_place(found["after"]) if "after" in found else None,
    )


def _named(key: str, judge: Any, *arguments: Any) -> Any:
    try:
        return judge(*arguments)
    except Unreadable as error:
        raise Unreadable(f'"{key}" is {error}') from None


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MOST_FOLLOW_S:
        raise Unreadable(f'"follow_s" is no number from 0 to {MOST_FOLLOW_S:g}')
    return float(value)


def _time(value: Any) -> float:
    if value == "":
        return 0.0
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.timestamp()
    except (TypeError, ValueError, OverflowError):
        pass
    raise Unreadable('"since" is no RFC 3339 time with its zone')


def _stream(value: Any) -> str:
    if value not in ("", "stdout", "stderr"):
        raise Unreadable('"stream" is neither stdout nor stderr')
    return str(value)


def _place(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise Unreadable('"after" is no list of two numbers')
    out, err = (_named("after", bounds.whole, one, bounds.MOST_COUNT) for one in value)
    return out, err


def question(request: LogRequest, since: str = "") -> str:
    """Return a question as it is sent.

    Args:
        since: the time as RFC 3339, in place of `LogRequest.since`.
    """
    told: dict[str, Any] = {ASK: LOGS, "lines": request.lines, "follow_s": request.follow_s}
    more = {"reply_to": request.reply_to, "since": since, "stream": request.stream}
    told |= {key: value for key, value in more.items() if value}
    if request.after is not None:
        told |= {"boot": request.boot, "after": list(request.after)}
    return to_json(told)
