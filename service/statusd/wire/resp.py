"""RESP by hiredis, typed: its stubs know neither tuples of any length nor our sentinel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import hiredis

if TYPE_CHECKING:
    from statusd.core.outbox import Line

NOTHING = object()
"""What a reader returns when no whole reply has arrived: False is a reply under RESP3."""

pack: Callable[[Line], bytes] = cast("Callable[[Line], bytes]", hiredis.pack_command)
"""Encode one command."""


def pack_all(lines: Iterable[Line]) -> bytes:
    """Encode several commands, to be written at once."""
    return b"".join(map(pack, lines))


def reader() -> hiredis.Reader:
    """Return a parser for one connection."""
    return hiredis.Reader(notEnoughData=NOTHING)
