"""Whom a command is for, and the command to them, before anything is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from statusd.core.errors import BadMessage, ConfigError
from statusd.core.messages import Scalar, Target, parse
from statusd.core.vocabulary import BUILT_IN_WORDS
from statusd.fleet.response_collector import UnitInfo
from statusd.wire.me import whoami
from statusd.wire.names import is_pattern
from statusd.wire.patterns import MOST_BYTES, glob

Globs = str | Sequence[str] | None
"""One glob, or some of which one has to fit; None for everybody."""


def message_to(
    reply_to: str,
    word: str,
    *,
    args: Mapping[str, Scalar] | None,
    by: str,
    expires: str,
    **target: Globs,
) -> tuple[dict[str, Any], Target]:
    """Return a command as it is sent, with a new id, and whom it is for.

    Raises:
        ConfigError: it is no command.
    """
    message: dict[str, Any] = {
        "command": word,
        "id": os.urandom(16).hex(),
        "by": by or whoami(),
        "reply_to": reply_to,
    }
    wanted = {key: list(texts(value)) for key, value in target.items() if value is not None}
    if wanted:
        message["target"] = wanted
    if args:
        message["args"] = dict(args)
    if expires:
        message["expires"] = expires
    try:
        command = parse(json.dumps(message).encode(), "fleet")
    except BadMessage as error:
        raise ConfigError(error.reason) from None
    assert command is not None
    return message, command.target


def texts(value: Globs) -> tuple[str, ...]:
    """Return the globs; none for None."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def hears(channel: str, unit: UnitInfo) -> bool:
    """Tell whether ``unit`` listens on ``channel``, as its document has it."""
    return any(
        glob(_bytes(heard)).fits(_bytes(channel)) if is_pattern(heard) else heard == channel
        for heard in unit.document.get("channels", ())
        if len(heard) <= MOST_BYTES
    )


def is_there(_: UnitInfo) -> bool:
    """Every unit hears the namespace's own channel."""
    return True


def vocabulary(units: Iterable[UnitInfo]) -> tuple[str, ...]:
    """Return every word that some unit's lifecycle has.

    Empty if that can't be told: nobody is there, or somebody who doesn't say what his has, as those
    of older versions.
    """
    known: dict[str, None] = {}
    for unit in units:
        document = unit.document
        if not unit.is_alive:
            continue
        if "words" not in document and "ends_within_s" not in document:
            return ()
        known |= dict.fromkeys(document.get("words", BUILT_IN_WORDS))
    return tuple(known)


def _bytes(text: str) -> bytes:
    """Return what the broker compares; a document's text may have half a character in it."""
    return text.encode("utf-8", "surrogatepass")
