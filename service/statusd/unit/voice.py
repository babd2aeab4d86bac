"""What a unit says to the world, as Redis commands: verdicts, events, history, status document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from statusd.core.bounds import MOST_BOOT, MOST_COUNT, Unreadable, decimal
from statusd.core.events import Event
from statusd.core.messages import Verdict, to_json
from statusd.core.outbox import Line, Outbox
from statusd.wire.names import Names

HISTORY_LENGTH = 10_000
"""About so many events are kept in a unit's history."""
DOCUMENT_TTL_S = 10
"""A document that is not touched for so long is gone: its unit is lost."""
BEAT_S = 3.0
"""How often the document is touched."""
LEFT_TTL_S = 24 * 3600
"""How long the last document stays after END."""

MOST_TEXT = 1024 * 1024
"""The longest message that is said, in bytes: a verdict with a document in it."""


class Voice:
    """Puts what is to be said into the outbox of the sending link.

    Args:
        outbox: where it waits.
        names: what the unit's channels and keys are called.
        keep: takes the line of an event for the history.
    """

    def __init__(self, outbox: Outbox, names: Names, keep: Callable[..., None]) -> None:
        self._outbox = outbox
        self._keep = keep
        self._names = names
        self._verdicts, self._events = names.verdicts, names.events
        self._history, self._status = names.history, names.status

    def answer(
        self, verdict: Verdict, more: Mapping[str, Any] | None = None, *, awaited: bool = False
    ) -> tuple[Line, ...]:
        """Publish a verdict, to its sender's own channel as well; return the lines."""
        lines = self.answer_lines(verdict, more)
        for line in lines:
            self._outbox.put(line, awaited=awaited)
        return lines

    def answer_lines(
        self, verdict: Verdict, more: Mapping[str, Any] | None = None
    ) -> tuple[Line, ...]:
        """Return the lines that publish a verdict."""
        text = to_json({**verdict.fields, **more}) if more else verdict.text
        line: Line = ("PUBLISH", self._verdicts, text)
        return (line, ("PUBLISH", verdict.reply_to, text)) if verdict.reply_to else (line,)

    def tell(self, event: Event, at: str) -> Line:
        """Add an event, told at the time ``at``, to the history and publish it.

        Returns:
            The line for the history; its reply is told if the event is a remark.
        """
        text = event.text(at)
        line = ("XADD", self._history, "MAXLEN", "~", HISTORY_LENGTH, event.id, "event", text)
        self._keep(line, awaited=event.is_remark)
        self._outbox.put(("PUBLISH", self._events, text))
        return line

    def show(self, document: Mapping[str, Any], *, left: bool = False) -> None:
        """Write the status document; an older one that still waits is not sent."""
        ttl_s = LEFT_TTL_S if left else DOCUMENT_TTL_S
        self._outbox.put_latest("document", ("SET", self._status, to_json(document), "EX", ttl_s))


def as_said(line: Line, names: Names, boot: int = MOST_BOOT) -> Line | None:
    """Return ``line`` if a unit of those ``names`` says such things to the world, else None.

    Verdicts and events, also for the history: all that a daemon leaves to the next one to send.

    Args:
        boot: of the last daemon that can have said it.
    """
    match line:
        case ("PUBLISH", str(channel), str(text)):
            is_reply = channel.startswith(f"{names.namespace}:reply:") and len(channel) <= 256
            is_ours = is_reply or channel in (names.verdicts, names.events)
            return (
                line if is_ours and _is_plain(channel) and _is_message(text, names.name) else None
            )
        case ("XADD", names.history, "MAXLEN", "~", int(), str(entry_id), "event", str(text)):
            is_ours = _is_event_id(entry_id, boot) and _is_message(text, names.name)
            known: Line = ("XADD", names.history, "MAXLEN", "~", HISTORY_LENGTH, entry_id)
            return (*known, "event", text) if is_ours else None
        case _:
            return None


def _is_message(text: str, name: str) -> bool:
    """Tell whether ``text`` is a JSON object of the unit, as we write them: ASCII, on one line."""
    if len(text) > MOST_TEXT or not _is_plain(text) or not text.startswith("{"):
        return False
    return text.endswith("}") and f'"name":{to_json(name)}' in text


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_event_id(text: str, boot: int) -> bool:
    ours, _, seq = text.partition("-")
    try:
        return decimal(ours, MOST_COUNT) <= boot and decimal(seq, MOST_COUNT) > 0
    except Unreadable:
        return False
