"""Which message is for whom: channel -> units, each of them once.

A link tells a message once, however many of its subscriptions fit; here it goes to every unit that
hears the channel by its name or by a pattern. Rule of this file: never answer an answer. Of the
namespace's own channels only the control channel is for anybody, and each on which a unit is asked
for its output for that unit; a daemon's canary is for that daemon alone, whatever its namespace;
what the server says of itself is for whoever names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from statusd.wire.names import Names, is_pattern
from statusd.wire.patterns import Glob, glob

MOST_ROUTES = 16_384
"""So many channels are remembered with who hears them."""
_CANARY = re.compile(rb"[\w.-]+:canary:\{.*\}", re.DOTALL)
"""Where a daemon of any namespace proves to itself that it hears; see `Names.canary`."""
_OF_SERVER = b"__"
"""How the channels begin on which a server tells of keys (``__keyevent@0__:set``: our own writing
as well) and of itself to Sentinels (``__sentinel__:hello``, every two seconds)."""


class Hears(Protocol):
    """Who takes messages."""

    @property
    def hear(self) -> Callable[[bytes, bytes], None]:
        """Take a message of that channel."""

    def fail(self, error: Exception) -> None:
        """A bug in it is nobody else's."""


class Hearer(Hears, Protocol):
    """A unit, or what hears in its place."""

    name: str

    @property
    def logs(self) -> Hears | None:
        """Who takes what is asked of its worker's output, on a channel for that; None: nobody."""


class _Subscriptions(NamedTuple):
    """What one unit hears: names, and patterns."""

    unit: Hearer
    names: frozenset[bytes]
    globs: tuple[Glob, ...]
    server_globs: tuple[Glob, ...]


class Router:
    """Tells each message to the units that hear its channel.

    Args:
        names: of the namespace, and of the canary.
        probed: gets what is heard on the canary's channel.
    """

    def __init__(self, names: Names, probed: Callable[[bytes], None]) -> None:
        self._prefix = f"{names.namespace}:".encode()
        self._control, self._canary = names.control.encode(), names.canary.encode()
        self._logs = Names(names.namespace).logs.removesuffix("}").encode()
        self._probed = probed
        self._heard: dict[str, _Subscriptions] = {}
        self._routes: dict[bytes, tuple[Hears, ...]] = {}
        self.touched: list[str] = []
        """The names of those that have heard something of what is being read."""

    def hears(self, unit: Hearer, channels: Sequence[str]) -> None:
        """Let ``unit`` have what is said on ``channels`` from now on, names and patterns."""
        names = frozenset(c.encode() for c in channels if not is_pattern(c))
        patterns = [c.encode() for c in channels if is_pattern(c)]
        globs = tuple(map(glob, patterns))
        server_globs = tuple(glob(p) for p in patterns if p.startswith(_OF_SERVER))
        self._heard[unit.name] = _Subscriptions(unit, names, globs, server_globs)
        self._routes.clear()

    def forget(self, unit: Hearer) -> None:
        """Let ``unit`` have nothing any more."""
        self._heard.pop(unit.name, None)
        self._routes.clear()

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message.

        Raises:
            TypeError: it is none, but something else that a broker has pushed.
        """
        route = self._routes.get(channel)
        if route is None:
            route = self._find(channel)
            if channel == self._canary:
                self._probed(payload)
        for unit in route:
            try:
                unit.hear(channel, payload)
            except Exception as error:  # the safety net: a bug in one unit is no other unit's
                if type(channel) is not bytes or type(payload) is not bytes:
                    raise  # no bug: what a broker says that is none, and that costs the link
                unit.fail(error)

    def _find(self, channel: bytes) -> tuple[Hears, ...]:
        units = (heard.unit for heard in self._heard.values() if self._is_for(heard, channel))
        route: tuple[Hears, ...] = tuple(units)
        if channel.startswith(self._logs):
            route = self._who_is_asked(channel)
        if channel != self._canary:  # that is looked at each time
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            self._routes[channel] = route
        return route

    def _who_is_asked(self, channel: bytes) -> tuple[Hears, ...]:
        """Return who takes what is asked of one unit's output."""
        heard = self._heard.get(channel[len(self._logs) : -1].decode("ascii", "replace"))
        logs = heard.unit.logs if heard is not None else None
        return (logs,) if logs is not None else ()

    def _is_for(self, heard: _Subscriptions, channel: bytes) -> bool:
        if channel.startswith(self._prefix):
            return channel == self._control
        if _CANARY.fullmatch(channel):
            return False
        globs = heard.server_globs if channel.startswith(_OF_SERVER) else heard.globs
        return channel in heard.names or any(known.fits(channel) for known in globs)
