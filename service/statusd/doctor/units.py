"""The units of a daemon, as the broker knows them: whose their names are, and who hears them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import hiredis

from statusd.core.bounds import Unreadable
from statusd.doctor.findings import Finding, Level, error, ok, warning
from statusd.doctor.local import lives_here
from statusd.doctor.web import role_of
from statusd.fleet import records
from statusd.settings.models import Settings
from statusd.unit.lease_holder import LeaseHolder
from statusd.wire import shapes
from statusd.wire.address import Address
from statusd.wire.client import Client
from statusd.wire.names import Names, is_pattern
from statusd.wire.rights import Role
from statusd.wire.talk import read

MOST_TOLD = 10
"""More names, or channels, with which all is well are told in one line."""
_FREE = " is free"


class Heard(NamedTuple):
    """A unit, and the user's own channels and patterns that it hears."""

    names: Names
    channels: tuple[str, ...]


class Daemon(NamedTuple):
    """Who needs the broker.

    Args:
        address: of the broker, with what it logs in with.
        canary: the channel on which it hears itself.
        units: at least one, all in one namespace.
        web_role: what a server of the fleet would do there, as the same user; None if none would.
    """

    address: Address
    canary: str
    units: tuple[Heard, ...]
    web_role: Role | None = None

    @property
    def control(self) -> str:
        """The channel of commands to all."""
        return self.units[0].names.control

    @property
    def channels(self) -> tuple[str, ...]:
        """The user's own channels and patterns, of all units."""
        return tuple(dict.fromkeys(channel for unit in self.units for channel in unit.channels))

    def hearers(self) -> dict[str, set[str]]:
        """Return each channel, and the names of the units that hear it."""
        found: dict[str, set[str]] = {}
        for names, channels in self.units:
            for channel in (names.control, *channels):
                found.setdefault(channel, set()).add(names.name)
        return found


def daemon_of(settings: Settings, units: Iterable[Settings], name: str) -> Daemon:
    """Return the daemon of these settings and units.

    Args:
        name: of the daemon.
    """
    namespace = settings.redis.namespace
    heard = (Heard(Names(namespace, unit.name), unit.control.channels) for unit in units)
    role = role_of(settings.web) if settings.says("web") else None
    return Daemon(settings.address(), Names(namespace, name).canary, tuple(heard), role)


def owners(units: Sequence[Names], replies: Sequence[object]) -> Iterator[Finding]:
    """Yield who has the units' names.

    Args:
        replies: what the server has for the key of each owner.
    """
    found = [finding for pair in zip(units, replies, strict=True) for finding in _owner(*pair)]
    free = sum(finding.what.endswith(_FREE) for finding in found)
    told = f"{free} names are free, {_right(found) - free} are this machine's own units"
    yield from _few(found, ok("name", told))


def _owner(names: Names, reply: object) -> Iterator[Finding]:
    """Yield who has the unit's name."""
    if isinstance(reply, hiredis.ReplyError) and not shapes.is_wrong_type(reply):
        return
    try:
        holder = _holder(reply)
    except Unreadable as failure:
        cure = f"DEL {names.owner}: a unit that holds the name writes it again"
        yield warning("name", f"{names.owner} can't be read: {failure}", cure)
        return
    if holder is None:
        yield ok("name", f"{names.name}{_FREE}")
    elif lives_here(holder):
        yield ok("name", f"{names.name} is this machine's own unit {holder.text()}")
    else:
        cure = "give this unit another name, or start it with --replace"
        yield error("name", f"{names.name} is taken: a unit lives {holder.text()}", cure)


def _alive(units: Sequence[Names], replies: Sequence[object]) -> frozenset[str] | None:
    """Return the names of those that somebody holds; None if it can't be told."""
    if any(isinstance(reply, hiredis.ReplyError) for reply in replies):
        return None
    pairs = zip(units, replies, strict=True)
    return frozenset(names.name for names, reply in pairs if reply is not None)


def _holder(reply: object) -> LeaseHolder | None:
    """Return who holds the name; None if nobody does.

    Raises:
        Unreadable: what stands there was written by no daemon.
    """
    if reply is None:
        return None
    records.decode(reply)
    holder = LeaseHolder.parse(reply)
    if holder is None:
        raise Unreadable("it names no holder")
    return holder


def channels(client: Client, daemon: Daemon, replies: Sequence[object]) -> Iterator[Finding]:
    """Yield who hears what, and which of it is too much.

    Args:
        replies: what the server has for the key of each unit's owner.
    """
    own = daemon.channels
    heard = (*(channel for channel in own if not is_pattern(channel)), daemon.control)
    alive = _alive([unit.names for unit in daemon.units], replies)
    reply = client.replies([("PUBSUB", "NUMSUB", *heard)])[0]
    if alive is not None and not isinstance(reply, hiredis.ReplyError):
        counts = client.run(read(shapes.audience, reply, "PUBSUB"))
        hearers = daemon.hearers()
        found = [
            _audience(channel, count, lives=not alive.isdisjoint(hearers[channel]))
            for channel, count in zip(heard, counts, strict=False)
        ]
        told = f"{_right(found)} of {len(found)} are heard, or of units that don't run"
        yield from _few(found, ok("channels", told))
    for channel in own:
        if is_pattern(channel) and not channel.strip("*"):
            cure = 'name what it is to hear, as in "jobs:*"'
            yield warning("channels", f"{channel}: it hears all that anybody says to anybody", cure)
    if not own:
        text = f"none of its own: it hears {daemon.control} alone"
        yield ok("channels", text)


def _few(found: list[Finding], instead: Finding) -> Iterator[Finding]:
    """Yield them; of many, ``instead`` of those that are as they should be."""
    if _right(found) > MOST_TOLD:
        yield instead
        found = [finding for finding in found if finding.level is not Level.OK]
    yield from found


def _right(found: list[Finding]) -> int:
    """Return how many are as they should be."""
    return sum(finding.level is Level.OK for finding in found)


def _audience(channel: str, count: int, *, lives: bool) -> Finding:
    if count:
        return ok("channels", f"{channel}: heard by {count}")
    if not lives:
        return ok("channels", f"{channel}: nobody hears it, as the unit doesn't run")
    cure = "look for link.failed in the unit's log; SIGHUP lets it read its settings anew"
    return error("channels", f"{channel}: nobody hears it, though the unit lives", cure)
