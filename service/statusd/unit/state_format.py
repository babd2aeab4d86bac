"""What stands in a state file: written from what is `Kept`, and read into one that can be believed.

Whoever can write the file could else make the next daemon crash at each start, or say in Redis
whatever he likes in its name. Rules of this file: nothing is converted before it was looked at;
what is read is wholly what we ourselves would have written, or none of it is taken; nothing is
written that would not be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from statusd.core.bounds import (
    MOST_BOOT,
    MOST_COUNT,
    MOST_ID,
    MOST_RUN,
    Unreadable,
    decimal,
    decode,
    whole,
)
from statusd.core.messages import Command, Scalar, is_valid
from statusd.core.times import LAST_S
from statusd.core.unit import Memory
from statusd.unit.kept import MOST_REASON, MOST_SOURCE, Ended, Kept
from statusd.unit.outages import Deaf
from statusd.unit.said import as_said
from statusd.unit.stream_position import NOWHERE, REMEMBERED, StreamPosition
from statusd.wire.names import Names
from statusd.wire.outbox import RedisCommand

FORMAT = 1
MOST_BYTES = 32 * 1024 * 1024
"""The longest state file."""
MOST_OPEN = 2_000
"""So many open commands are kept, the newest ones."""
MOST_LINES_BYTES = 8 * 1024 * 1024
"""So much of what is to be said is kept, the newest."""
MOST_PATH = 4096
"""The longest path, in characters."""
MOST_NAME = 128
"""The longest name of a state."""
_DEPTH = 4
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Whose content tells one start of this machine from another, and with it their clocks."""


def bounded(kept: Kept, names: Names) -> Kept:
    """Return what of it can be kept: all, but in a flood."""
    lines, room = [], MOST_LINES_BYTES
    for line in reversed(kept.unsent):
        room -= sum(len(str(part)) for part in line)
        if room < 0:
            break
        if as_said(line, names) is not None:  # what is asked is asked anew by whoever starts
            lines.append(line)
    memory = replace(kept.memory, open=kept.memory.open[-MOST_OPEN:])
    return kept._replace(memory=memory, unsent=tuple(reversed(lines)))


def encode(kept: Kept, boot: int, names: Names, settings: str = "") -> bytes:
    """Return the content of the file that has what is ``kept``, which is `bounded`.

    Args:
        settings: the path of the unit's settings file; empty for none.
    """
    memory, deaf = kept.memory, kept.deaf
    content = {
        "format": FORMAT,
        "boot": boot,
        "namespace": names.namespace,
        "settings": settings,
        "clock": _clock(),
        "goal": memory.goal,
        "args": memory.args,
        "run": memory.run,
        "last_event": memory.last_event,
        "open": [_fields(command) for command in memory.open],
        "unsent": kept.unsent,
        "cursor": {**kept.place.fields, "recent": kept.place.recent},
        "deaf": deaf and {"since": deaf.since, "reason": deaf.reason[:MOST_REASON]},
        "ended": kept.ended and kept.ended._asdict(),
    }
    return json.dumps(content).encode() + b"\n"  # without indent: that is done in C


def _fields(command: Command) -> dict[str, Any]:
    known = asdict(command)
    known["source"] = command.source[:MOST_SOURCE]
    return {key: known[key] for key in ("word", "source", "received", "id", "by", "reply_to")}


@lru_cache(maxsize=1)
def _clock() -> str:
    """Return the name of the monotonic clock: all processes share it until the machine restarts."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def settings_in(content: bytes) -> str | None:
    """Return the settings file that a state file names; None if it is of a version that names none.

    Empty if it is no state file, or its unit had no settings file.
    """
    try:
        kept = _table(decode(content, _DEPTH, MOST_BYTES))
        return _path(kept["settings"]) if "settings" in kept else None
    except Unreadable:
        return ""


def read(content: bytes, names: Names, now: float, former: str = "") -> tuple[Kept, int]:
    """Return what a state file keeps, and the boot of who wrote it.

    Of another namespace nothing is taken that has to do with its broker.

    Args:
        now: the time on the monotonic clock.
        former: a name that the unit may have had when the file was written; empty for none.

    Raises:
        Unreadable: the whole of it is not what one of us has written.
    """
    kept = _table(decode(content, _DEPTH, MOST_BYTES))
    if whole(kept.get("format"), MOST_COUNT) != FORMAT:
        raise Unreadable("of another format")
    boot = whole(kept.get("boot"), MOST_BOOT - 1)
    theirs = names._replace(namespace=_text(kept.get("namespace", names.namespace), MOST_NAME))
    known = [theirs, *([theirs._replace(name=former)] if former else [])]
    _path(kept.get("settings", ""))
    same_clock = bool(_clock()) and kept.get("clock") == _clock()
    memory = Memory(
        goal=_text(kept.get("goal"), MOST_NAME),
        args=_args(kept.get("args")),
        run=whole(kept.get("run"), MOST_RUN),
        last_event=_event_id(kept.get("last_event")),
        open=tuple(_command(one, now, same_clock=same_clock) for one in _list(kept, "open")),
    )
    found = Kept(
        memory,
        unsent=tuple(_lines(_list(kept, "unsent"), known, boot)),
        place=_place(kept.get("cursor")),
        deaf=_deaf(kept.get("deaf")),
        ended=_ended(kept.get("ended")),
    )
    if theirs != names:
        found = Kept(memory)
    return found, boot


def _table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable("no table")
    return value


def _list(kept: Mapping[str, Any], key: str) -> list[Any]:
    value = kept.get(key, [] if key == "unsent" else None)  # the first versions had no such key
    if not isinstance(value, list):
        raise Unreadable(f"{key} is no list")
    return value


def _text(value: object, most: int) -> str:
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise Unreadable(f"no text of at most {most} characters")
    return value


def _path(value: object) -> str:
    """Return the name of a file, which may have any sign in it, also half a one."""
    if not isinstance(value, str) or len(value) > MOST_PATH:
        raise Unreadable("settings is no path")
    return value


def _number(value: object, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise Unreadable(f"no number from 0 to {most:g}")
    return float(value)


def _args(value: object) -> dict[str, Scalar]:
    if not is_valid("args", value):
        raise Unreadable("args are no arguments")
    args: dict[str, Scalar] = value  # type: ignore[assignment]  # it is one, as was just found
    return args


def _event_id(value: object) -> str:
    text = _text(value, 2 * 20 + 1)
    if text:
        boot, _, seq = text.partition("-")
        decimal(boot, MOST_ID)
        decimal(seq, MOST_ID)
    return text


def _command(value: object, now: float, *, same_clock: bool) -> Command:
    """Return an open command; by another clock nobody knows when it was heard: it is so now."""
    kept = _table(value)
    word, source = kept.get("word"), kept.get("source")
    sender = {key: kept.get(key, "") for key in ("id", "by", "reply_to")}
    if not is_valid("command", word) or not all(
        said == "" or is_valid(key, said) for key, said in sender.items()
    ):
        raise Unreadable("no command")
    if not isinstance(source, str) or len(source) > MOST_SOURCE or not source.isascii():
        raise Unreadable("no source of a command")
    received = _number(kept.get("received", 0.0), MOST_COUNT)
    known = same_clock and 0 < received <= now
    return Command(str(word), source, received if known else now, **sender)


def _lines(values: Iterable[object], known: list[Names], boot: int) -> Iterable[RedisCommand]:
    for value in values:
        if not isinstance(value, list):
            raise Unreadable("no line")
        said = (as_said(tuple(value), names, boot) for names in known)
        line = next(filter(None, said), None)
        if line is None and not any(_is_asked(value, names) for names in known):
            raise Unreadable("a command for Redis that is none of ours")
        if line is not None:
            yield line


def _is_asked(line: list[Any], names: Names) -> bool:
    """Tell whether older versions could have kept that line, which says nothing to the world."""
    match line:
        case ["GET" | "PTTL", key] | ["SET", key, _, "EX", _]:
            return bool(key == names.owner)
        case ["HGET", key, name]:
            return bool((key, name) == (names.roster, names.name))
        case ["PUBLISH", channel, _]:
            return bool(channel == names.control)
        case _:
            return False


def _place(value: object) -> StreamPosition:
    if value is None:  # the first versions had no such key
        return NOWHERE
    kept = _table(value)
    added, recent = kept.get("added"), kept.get("recent", [])
    if not isinstance(recent, list) or len(recent) > REMEMBERED:
        raise Unreadable("no list of ids")
    ids = tuple(_entry_id(one) for one in recent)
    known = None if added is None else whole(added, MOST_COUNT)
    read_last = kept.get("id")
    return StreamPosition("" if read_last == "" else _entry_id(read_last), known, ids)


def _entry_id(value: object) -> str:
    text = _text(value, 2 * 20 + 1)
    milliseconds, _, count = text.partition("-")
    decimal(milliseconds, MOST_ID)
    decimal(count or "0", MOST_ID)
    return text


def _deaf(value: object) -> Deaf | None:
    if value is None:
        return None
    kept = _table(value)
    reason = kept.get("reason")
    if not isinstance(reason, str) or len(reason) > MOST_REASON:
        raise Unreadable("no reason")
    return Deaf(_number(kept.get("since"), LAST_S), reason.encode("utf-8", "replace").decode())


def _ended(value: object) -> Ended | None:
    if value is None:
        return None
    kept = _table(value)
    by = kept.get("by")
    if not isinstance(by, str) or (by and not is_valid("by", by)):
        raise Unreadable("no sender of a command")
    return Ended(by, _text(kept.get("source"), MOST_SOURCE), _number(kept.get("at"), LAST_S))
