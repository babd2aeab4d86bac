"""Commands in, verdicts out: the messages of design section 4 as values.

`parse` takes bytes from anybody and either returns a `Command`, returns None for an answer of
another unit (never answer an answer), or raises `BadMessage`, and nothing else; see `fields`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from statusd.core.bounds import Unreadable, decode
from statusd.core.encodings import BOM_UTF8, UTF16, is_utf16
from statusd.core.errors import BadMessage
from statusd.core.fields import FIELDS, WORD, fits
from statusd.core.suggestions import nearest

MAX_BYTES = 16 * 1024
"""The size of the longest command, in bytes."""
MAX_DEPTH = 4
"""How deep the objects and arrays of a command may be nested."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a command is for; an empty tuple asks for nothing.

    Args:
        name: glob patterns; one must match the unit's name.
        tag: the unit must have one of them.
        state: the unit must be in one of them when the command is applied.
    """

    name: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    state: tuple[str, ...] = ()

    def is_for(self, name: str, tags: frozenset[str], state: str) -> bool:
        """Tell whether a unit of that ``name`` and ``tags``, now in ``state``, is meant."""
        return (
            (not self.name or any(fnmatchcase(name, glob) for glob in self.name))
            and (not self.tag or not tags.isdisjoint(self.tag))
            and (not self.state or state in self.state)
        )


EVERYBODY = Target()
_SHOWN = ("id", "reply_to", "command")


@dataclass(slots=True)  # a frozen one takes three times as long to make
class Command:
    """A word, or a JSON object with a word in it; never changed.

    Args:
        word: as it was typed, without blanks around it.
        source: where it came in, e.g. ``redis:mychannel``.
        received: when, on the monotonic clock, in seconds.
        id: the sender's name for it; an empty one means a plain word.
        by: who the sender claims to be.
        reply_to: a channel that gets the verdicts as well.
        expires: RFC 3339 time after which it must not be obeyed; empty for never.
        boot, run: if given, an older one than the unit's own is refused.
        args: flat, for the worker.
        is_control: the word is one of the daemon's, whatever the lifecycle has.
    """

    word: str
    source: str
    received: float = 0.0
    id: str = ""
    by: str = ""
    target: Target = EVERYBODY
    reply_to: str = ""
    expires: str = ""
    boot: int | None = None
    run: int | None = None
    args: Mapping[str, Scalar] = field(default_factory=dict)
    is_control: bool = False

    @property
    def key(self) -> str:
        """Under which name its verdicts are kept: no sender can choose that of a stream's entry.

        An entry without an id of its own is named by its place, which can be known beforehand.
        """
        return key_of(self.id, self.source)

    @property
    def is_plain(self) -> bool:
        """Tell whether it is a word and nothing else: for everybody, for ever, from nobody."""
        return (
            not (self.id or self.reply_to or self.expires or self.args or self.is_control)
            and self.target is EVERYBODY
            and self.boot is None
            and self.run is None
        )


def key_of(command_id: str, source: str) -> str:
    """Return `Command.key`; a sender's id has no blank in it."""
    if source.startswith("stream:") and source[7:] == command_id:
        return f" {command_id}"
    return command_id


def parse(payload: bytes, source: str, received: float = 0.0) -> Command | None:
    """Return the command that ``payload`` says, or None if it is some unit's verdict or event.

    Args:
        payload: a word (ASCII; blanks around it and one newline are tolerated), the same as a JSON
            string, or a JSON object; each may begin with the mark of UTF-8.
        source: where it came in, for verdict, event and log.
        received: when, on the monotonic clock, in seconds.

    Raises:
        BadMessage: it is neither; says why, with as much of its id as could be read.
    """
    if len(payload) > MAX_BYTES:
        raise BadMessage(f"longer than {MAX_BYTES} bytes", payload)
    text = _strip(payload)
    if text.startswith(b"{"):
        return _parse_object(text, source, received)
    if not WORD.fullmatch(text):
        return _parse_unusual(payload, text, source, received)
    return Command(text.decode("ascii"), source, received)


def _parse_unusual(payload: bytes, text: bytes, source: str, received: float) -> Command | None:
    """Return what a program says that encodes words by itself; see `parse`."""
    if text.startswith(BOM_UTF8):
        text = text.removeprefix(BOM_UTF8).lstrip(b" \t")
        if text.startswith(b"{"):
            return _parse_object(text, source, received)
    elif is_utf16(payload):
        raise BadMessage(UTF16, payload)
    if text.startswith(b'"'):
        text = _strip(str(_decode(text)).encode("ascii", "replace"))
    if not WORD.fullmatch(text):
        raise BadMessage("not a word and not a JSON object", payload)
    return Command(text.decode("ascii"), source, received)


def _strip(payload: bytes) -> bytes:
    text = payload.rstrip(b" \t")
    if text.endswith(b"\n"):
        text = text[:-2] if text.endswith(b"\r\n") else text[:-1]
    return text.strip(b" \t")


def _parse_object(text: bytes, source: str, received: float) -> Command | None:
    message: dict[str, Any] = _decode(text)
    if "verdict" in message or "event" in message:
        return None
    for key, value in message.items():
        if not fits(key, value):
            raise BadMessage(_complaint(key, value), text, _readable(message))
    control = message.pop("control", "")
    word = message.pop("command", control)
    if not word or (control and word is not control):
        reason = "both a command and a control" if word else 'a JSON object needs "command"'
        raise BadMessage(reason, text, _readable(message))
    if "target" in message:
        message["target"] = _target(message["target"])
    return Command(word, source, received, **message, is_control=bool(control))


def _readable(message: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be told of a message that has something wrong in it."""
    return {key: message[key] for key in _SHOWN if key in message and fits(key, message[key])}


def _decode(text: bytes) -> Any:
    """Return what a JSON text says: an object if it begins with a brace, with a quote a string."""
    try:
        return decode(text, MAX_DEPTH, MAX_BYTES)
    except Unreadable as error:
        raise BadMessage(UTF16 if is_utf16(text) else str(error), text) from None


def is_valid(key: str, value: object) -> bool:
    """Tell whether a command may have ``value`` under ``key`` (``command`` is its word)."""
    return fits(key, value)


def _complaint(key: str, value: Any) -> str:
    if key in FIELDS:
        return f'"{key}" must be {FIELDS[key].wanted}'
    near = nearest(key, tuple(FIELDS))
    return f"unknown key {key[:40]!a}" + (f", did you mean {near!r}?" if near else "")


def _target(value: Mapping[str, Any]) -> Target:
    if not value:
        return EVERYBODY
    return Target(**{k: tuple(v) if isinstance(v, list) else (v,) for k, v in value.items()})


to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""Encode a value as compact ASCII JSON: one line, whatever stands in its texts."""


def as_template(fields: Mapping[str, Any]) -> str:
    """Return ``fields`` as a part of a JSON object that is a part of a template of ``%``."""
    return to_json(fields)[1:-1].replace("%", "%%")
