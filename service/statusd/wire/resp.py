"""RESP by hiredis, typed: its stubs know neither tuples of any length nor our sentinel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import hiredis

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

NOTHING = object()
"""What a reader returns when no whole reply has arrived: False is a reply under RESP3."""

pack: Callable[[RedisCommand], bytes] = cast(
    "Callable[[RedisCommand], bytes]", hiredis.pack_command
)
"""Encode one command."""


def pack_all(lines: Iterable[RedisCommand]) -> bytes:
    """Encode several commands, to be written at once."""
    return b"".join(map(pack, lines))


def complaint(reply: object, line: RedisCommand) -> str:
    """Return the error that is the ``reply`` to ``line``, without what it repeats of a secret.

    A server that is too old, or no Redis at all, may repeat what it doesn't understand.
    """
    text = str(reply)
    if line[:1] != ("HELLO",):
        return text
    text = re.sub(r"(?is)(with args beginning with:).*", r"\1 ...", text)
    for secret in map(str, line[4:]):  # HELLO 3 AUTH user password
        text = text.replace(secret, "...")
    return text


def reader() -> hiredis.Reader:
    """Return a parser for one connection."""
    return hiredis.Reader(notEnoughData=NOTHING)
