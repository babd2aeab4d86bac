"""The events of one unit's history: read one by one, in their order, with what is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from statusd.core.bounds import Unreadable
from statusd.fleet import records

Event = dict[str, Any]

MOST_EVENTS = 1000
"""So many events of one unit are read at a time."""
_ID = re.compile(r"\d{1,20}(-\d{1,20})?", re.ASCII)


def event_of(name: str, key: str, entry_id: str, fields: Mapping[bytes, bytes]) -> Event:
    """Return the event of an entry, or what is known of one that can't be read."""
    try:
        return records.event(fields.get(b"event"), entry_id)
    except Unreadable as error:
        return unreadable(name, key, entry_id, str(error))


def unreadable(name: str, key: str, entry_id: str, reason: str) -> Event:
    """Return what stands in place of what can't be read; the id is empty for a whole key."""
    return {"unreadable": name, "key": key, "id": entry_id, "reason": reason}


def is_id(text: str) -> bool:
    """Tell whether an entry of a history can have that id."""
    return bool(_ID.fullmatch(text)) and max(place(text)) < 2**64


def place(entry_id: str) -> tuple[int, int]:
    """Return an id as what the broker sorts by: the boot, and the number in it."""
    boot, _, seq = entry_id.partition("-")
    return int(boot), int(seq or 0)


def is_void(since: str, before: str) -> bool:
    """Tell whether nothing can be after the one, or before the other: the last id, and the first.

    The broker doesn't take them as ends that are left out (XRANGE: "invalid start ID").
    """
    is_last = is_id(since) and place(since) == (2**64 - 1, 2**64 - 1)
    return is_last or (is_id(before) and place(before) == (0, 0))


def is_gap(known: str, event: Event) -> bool:
    """Tell whether something is missing between the event ``known`` and ``event``."""
    boot, seq = place(known)
    if known == "0-0":
        return False
    if event.get("boot") == boot:
        return event.get("seq") != seq + 1
    return event.get("previous") != known
