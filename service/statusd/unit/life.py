"""How a unit begins and ends, step by step; its daemon takes each step with all of its units.

Rules of this file: nothing is started or said before the name is ours; the name is given up after
the last word.
"""

from __future__ import annotations

from statusd.core import events as ev
from statusd.core.errors import Unavailable
from statusd.unit.lease_holder import LeaseHolder
from statusd.unit.store import MOST_UNSENT, STATE_S
from statusd.unit.unit import Unit


async def take_name(unit: Unit, *, replace: bool) -> None:
    """Wait until its name is ours in Redis, or the broker doesn't answer.

    Args:
        replace: an older daemon that holds it is asked to end first.

    Raises:
        Unavailable: another daemon holds it; nothing was started or said.
    """
    found = await unit.lease.take_name(unit.ports.broker.flush, replace=replace)
    if isinstance(found, LeaseHolder):
        cure = "end it first, start with --replace, or give this one another name"
        raise Unavailable(f"a unit named {unit.name!r} is alive {found.text()}: {cure}")
    unit.status.rise_above(found)


async def start(unit: Unit) -> None:
    """Begin: the name is ours."""
    unit.lease.take()
    unit.document.is_ours = True
    await unit.socket.start()
    survivor = unit.supervisor.find_survivor(unit.status.worker.run)
    unit.submit(ev.Booted(survivor, unit.ports.wall()))


def stop_hearing(unit: Unit) -> None:
    """Nothing comes any more: give the answers that were held back, and keep what there is."""
    unit.timers.close()
    for verdict in unit.intake.last_answers():
        unit.answer(verdict)
    unit.logs.end()
    unit.socket.stop_hearing()
    unit.store.is_leaving = True
    unit.store.save()


async def say_last_words(unit: Unit) -> None:
    """Say all that is left, and give the name up."""
    await unit.store.finish()
    unit.socket.close()  # not before: the last verdict may have waited for the disk
    unit.note()
    unit.document.write(at_once=True)
    if unit.lease.holder is None:  # what was refused would be tried with the next beat
        unit.publisher.history.confirmed()
    unit.lease.leave()
    unit.ports.broker.flush()


def keep_unsent(unit: Unit) -> None:
    """Keep what could not be said: the next start says it."""
    unsent = unit.publisher.outbox.unsent(MOST_UNSENT)
    if unsent:
        then = "the next start sends them"
        unit.log.warning("outbox.unsent", lines=len(unsent), then=then)
    unit.store.leave(unsent)


async def close(unit: Unit) -> None:
    """Give everything back."""
    unit.note()
    unit.logs.close()
    await unit.supervisor.close(lives=unit.status.worker.alive, timeout_s=STATE_S)
    await unit.store.close()
