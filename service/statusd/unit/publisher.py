"""What a unit says to the world, as Redis commands: verdicts, events, history, status document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import hiredis

from statusd.core.answers import Verdict
from statusd.core.events import Event, EventHead
from statusd.core.messages import as_template, to_json
from statusd.unit.history import History
from statusd.unit.said import HISTORY_LENGTH
from statusd.wire.names import Names
from statusd.wire.outbox import OnReply, Outbox, RedisCommand

DOCUMENT_TTL_S = 10
"""A document that is not touched for so long is gone: its unit is lost."""
BEAT_S = 3.0
"""How often a unit sees whether there is something to be said: a worker's progress, say."""
TOUCH_S = 2 * BEAT_S
"""How often the document and the claim to the name are touched where there is nothing new."""
LEFT_TTL_S = 24 * 3600
"""How long the last document stays after END, and the lifecycle after it was written."""
DRAW_S = 6 * 3600.0
"""How often the lifecycle is written anew on the same connection."""
DRAW_AGAIN_S = 60.0
"""How long after a refusal it is tried again: an access list may have been loaded meanwhile."""
START = "INIT"
"""The state that each lifecycle begins with."""


class Publisher:
    """Puts what is to be said into the unit's outbox.

    Args:
        outbox: where it waits.
        names: what the unit's channels and keys are called.
        history: keeps the events.
        drawn: returns the lifecycle as JSON.
        clock: returns the loop's time.
    """

    def __init__(
        self,
        outbox: Outbox,
        names: Names,
        history: History,
        drawn: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self.outbox = outbox
        self.history = history
        self._verdicts, self._events = names.verdicts, names.events
        self._history, self._status = names.history, names.status
        self._lifecycle, self._drawn, self._clock = names.lifecycle, drawn, clock
        self._draw_at = 0.0
        self._hold_until = clock() + BEAT_S

    def publish_verdict(
        self,
        verdict: Verdict,
        more: Mapping[str, Any] | None = None,
        on_reply: OnReply | None = None,
    ) -> tuple[RedisCommand, ...]:
        """Publish a verdict, to its sender's own channel as well; return the lines."""
        lines = verdict_lines(self._verdicts, verdict, more)
        for line in lines:
            self.outbox.put(line, on_reply)
        return lines

    def verdict_lines(
        self, verdict: Verdict, more: Mapping[str, Any] | None = None
    ) -> tuple[RedisCommand, ...]:
        """Return the lines that publish a verdict."""
        return verdict_lines(self._verdicts, verdict, more)

    def publish_event(self, event: Event, at: str) -> RedisCommand:
        """Add an event, told at the time ``at``, to the history and publish it.

        Returns:
            The line for the history; that it is kept is told if the event is a remark.
        """
        event_id, text = f"{event.change.boot}-{event.seq}", event_text(event, at)
        line = ("XADD", self._history, "MAXLEN", "~", HISTORY_LENGTH, event_id, "event", text)
        if self.history.trouble or event.is_remark:
            self.history.put(line, awaited=event.is_remark)
        else:
            self.outbox.put_watched(line, self.history.replied)
        self.outbox.put(("PUBLISH", self._events, text))
        return line

    def publish_status(
        self, document: Mapping[str, Any], on_reply: OnReply, *, left: bool = False
    ) -> None:
        """Write the status document; an older one that still waits is not sent.

        The lifecycle comes with it, if that is due: what it takes to draw it is no part of a start.
        """
        ttl_s = LEFT_TTL_S if left else DOCUMENT_TTL_S
        line: RedisCommand = ("SET", self._status, to_json(document), "EX", ttl_s)
        self.outbox.put_latest("document", line, on_reply)
        now = self._clock()
        is_starting = document["state"] == START and now < self._hold_until
        if left or (now >= self._draw_at and not is_starting):
            self._draw_at = now + DRAW_S
            drawn: RedisCommand = ("SET", self._lifecycle, self._drawn(), "EX", LEFT_TTL_S)
            self.outbox.put_latest("lifecycle", drawn, self._drawn_replied)

    def _drawn_replied(self, _: RedisCommand, reply: object) -> bool:
        if isinstance(reply, hiredis.ReplyError):
            self._draw_at = self._clock() + DRAW_AGAIN_S
        return False

    def link_changed(self) -> None:
        """Another broker may be at the end of the link, or another life of it."""
        self._draw_at = 0.0


def verdict_lines(
    channel: str, verdict: Verdict, more: Mapping[str, Any] | None = None
) -> tuple[RedisCommand, ...]:
    """Return the lines that publish a verdict on ``channel``, and to its sender's own."""
    text = to_json({**verdict.fields, **more}) if more else verdict.text
    line: RedisCommand = ("PUBLISH", channel, text)
    return (line, ("PUBLISH", verdict.reply_to, text)) if verdict.reply_to else (line,)


def event_text(event: Event, at: str) -> str:
    """Return an event as JSON, told at the time ``at`` (RFC 3339)."""
    more = "".join([f',"{key}":{to_json(value)}' for key, value in event.more.items()])
    return _template(event.change) % (event.seq, event.seq, more, at)


@lru_cache(maxsize=2048)
def _template(change: EventHead) -> str:
    """Return the JSON of an event of ``change`` for number, number, what more it says, time."""
    name, boot, *others = change
    head = as_template({"name": name, "boot": boot})
    middle = as_template(dict(zip(EventHead._fields[2:], others, strict=True)))
    return f'{{"event":"{boot}-%d",{head},"seq":%d,{middle}%s,"at":"%s"}}'
