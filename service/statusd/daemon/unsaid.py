"""What units that rest had left to say: their daemon says it for them when the broker is there.

Rule of this file: it is in the unit's state file until the broker has all of it; what a broker may
have had before is said again, as by any daemon that begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hiredis

from statusd.daemon.farewell import FLUSH_S
from statusd.daemon.session import Session
from statusd.unit.history import TOO_LOW
from statusd.unit.parts import Parts
from statusd.wire.outbox import RedisCommand


def is_left(parts: Parts) -> bool:
    """Tell whether a unit has anything left to say."""
    return bool(parts.kept.unsent or parts.kept.memory.open)


async def say(parts: Parts, verdicts: Sequence[RedisCommand], session: Session, log: Any) -> bool:
    """Say it, and keep the state without it; the state file is given up in any case.

    Args:
        parts: of the unit, just read.
        verdicts: the lines of those that it owes to open commands.
        session: where; log: where it is told.

    Returns:
        Whether that is done: the broker had all of it in time.
    """
    lines = (*parts.kept.unsent, *verdicts)
    if not await _sent(lines, session):
        parts.state_file.give_up()
        return False
    memory = replace(parts.kept.memory, open=())
    parts.state_file.save(parts.kept._replace(unsent=(), memory=memory), parts.last_boot, now=True)
    await parts.state_file.close()
    log.info("unit.told", unit=parts.names.name, lines=len(lines))
    return True


async def _sent(lines: Sequence[RedisCommand], session: Session) -> bool:
    said: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def replied(line: RedisCommand, reply: object) -> bool:
        if line is lines[-1] and not said.done():
            said.set_result(None)
        is_there = any(words in str(reply) for words in TOO_LOW)
        return isinstance(reply, hiredis.ReplyError) and is_there  # the broker had it before

    for line in lines:
        session.outbox.put(line, replied)
    session.flush()
    if lines:
        await asyncio.wait([said], timeout=FLUSH_S)
    return said.done() or not lines
