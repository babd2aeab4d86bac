"""Which lines for Redis a unit can have meant to say: what a daemon leaves to the next one to send.

Rule of this file: of a file that others may have written, nothing else ever reaches the broker.
"""

from __future__ import annotations

from statusd.core.bounds import MOST_BOOT, MOST_COUNT, Unreadable, decimal
from statusd.core.messages import to_json
from statusd.wire.names import Names
from statusd.wire.outbox import RedisCommand

HISTORY_LENGTH = 10_000
"""About so many events are kept in a unit's history."""
MOST_TEXT = 1024 * 1024
"""The longest message that is said, in bytes: a verdict with a document in it."""


def as_said(line: RedisCommand, names: Names, boot: int = MOST_BOOT) -> RedisCommand | None:
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
            known: RedisCommand = ("XADD", names.history, "MAXLEN", "~", HISTORY_LENGTH, entry_id)
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
