"""Which channels a link wants to hear, and which of them the broker has confirmed.

Each channel is asked for by a line of its own: the broker refuses a line as a whole, and only so is
it known which channel was meant. Pure: no socket, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from statusd.wire.names import is_pattern
from statusd.wire.outbox import RedisCommand
from statusd.wire.patterns import MOST_BYTES, glob

ASKING = ("SUBSCRIBE", "PSUBSCRIBE")
_MOST_ROUTES = 1024


class Subscriptions:
    """Keeps book of the channels of one link, on one connection after the other.

    Args:
        channels: names and glob patterns.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self.unanswered = 0
        """So many channels were asked for, and the broker has said nothing of them yet."""
        self.ignored = 0
        """So many messages had a channel with too long a name."""
        self._heard: set[bytes] = set()
        self._asked: dict[bytes, str] = {}
        """What is heard when all has been answered, and the command that asked for it."""
        self._routes: dict[bytes, bytes] = {}
        self.want(channels)

    def want(self, channels: Sequence[str]) -> None:
        """Hear these from now on, and no others; `changes` says what is to be asked for that."""
        self.wanted = {c.encode(): ASKING[is_pattern(c)] for c in channels}
        patterns = (c for c, command in self.wanted.items() if command == "PSUBSCRIBE")
        self._globs = [(pattern, glob(pattern)) for pattern in patterns]
        self._routes.clear()

    def begin(self) -> list[RedisCommand]:
        """Return what a new connection has to ask: nothing is heard on it yet."""
        self._asked, self.unanswered = {}, 0
        self._heard.clear()
        return self.changes()

    def changes(self) -> list[RedisCommand]:
        """Return what is to be asked, so that what is wanted will be heard and nothing else."""
        added = [(command, c) for c, command in self.wanted.items() if c not in self._asked]
        gone = [(command, c) for c, command in self._asked.items() if c not in self.wanted]
        self._asked = dict(self.wanted)
        self.unanswered += len(added)
        return [*added, *((command.replace("SUB", "UNSUB"), c) for command, c in gone)]

    def confirmed(self, line: RedisCommand) -> None:
        """The broker has carried ``line`` out."""
        channel = line[1]
        assert isinstance(channel, bytes)
        if line[0] in ASKING:
            self._heard.add(channel)
            self.unanswered -= 1
        else:
            self._heard.discard(channel)

    def progress(self) -> str:
        """Return how many channels are confirmed, in words; empty if none is wanted."""
        total = len(self.wanted)
        return f"{total - self.unanswered} of {total} channels confirmed" if total else ""

    def counts(self, pattern: bytes, channel: bytes) -> bool:
        """Tell whether a message on ``channel`` counts that was heard by ``pattern``.

        The broker delivers it once for the name and once for each pattern that fits.
        """
        if len(channel) > MOST_BYTES:  # nobody calls a channel so in good faith
            self.ignored += 1
            return False
        route = self._routes.get(channel)
        if route is None:
            fitting = (pattern for pattern, known in self._globs if known.fits(channel))
            is_name = self.wanted.get(channel) == "SUBSCRIBE"
            route = channel if is_name else next(fitting, b"")
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[channel] = route
        return route == pattern
