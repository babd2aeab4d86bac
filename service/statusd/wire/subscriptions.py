"""Which channels a link wants to hear, and which of them the broker confirms or refuses.

Each channel is asked for by a line of its own: the broker refuses a line as a whole, and only so is
it known which channel was meant. Pure: no socket, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from statusd.wire.greeting import no_channels
from statusd.wire.names import is_pattern
from statusd.wire.outbox import RedisCommand
from statusd.wire.patterns import MOST_BYTES, glob

ASKING = ("SUBSCRIBE", "PSUBSCRIBE")
MOST_ROUTES = 1024


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
        self.vital = ""
        """The channel without which nothing that is heard counts; empty for none."""
        self.refused: dict[str, str] = {}
        """What the broker doesn't let us hear, and why: until it is heard, or not wanted."""
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
        for channel in [c for c in self.refused if c.encode() not in self.wanted]:
            del self.refused[channel]

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

    def answered(self, line: RedisCommand, refusal: str) -> bool:
        """The broker has carried ``line`` out, or refuses it with these words.

        Returns:
            Whether a channel is heard now that was refused.
        """
        channel = cast(bytes, line[1])
        if line[0] not in ASKING:
            self._heard.discard(channel)
            return False
        self.unanswered -= 1
        if not refusal:
            self._heard.add(channel)
            return self.refused.pop(channel.decode(), None) is not None
        self._asked.pop(channel, None)  # so that it is asked for again
        if channel in self.wanted:
            self.refused[channel.decode()] = refusal
        return False

    @property
    def heard(self) -> list[str]:
        """Those that are confirmed; one that nobody wants any more is none of them."""
        return [channel.decode() for channel in self.wanted if channel in self._heard]

    def objection(self) -> str:
        """Return why what is heard isn't enough to live with; empty if it is.

        Without the vital channel it isn't, nor with that one alone when others are refused.
        """
        others = set(self.heard) - {self.vital}
        if not self.refused or (others and self.vital not in self.refused):
            return ""
        channel = self.vital if self.vital in self.refused else next(iter(self.refused))
        reason = self.refused[channel]
        return f"{channel}: {reason}" if reason.startswith("NOPERM") else no_channels(reason)

    def progress(self) -> str:
        """Return how many channels are confirmed, in words; empty if none is wanted."""
        total = len(self.wanted)
        return f"{len(self.heard)} of {total} channels confirmed" if total else ""

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
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            self._routes[channel] = route
        return route == pattern
