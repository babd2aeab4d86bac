"""What a link hears before it has caught up: kept, to be told after what was sent before it."""

from __future__ import annotations

from statusd.wire.connection import Hearer

MOST = 10_000
"""So many messages wait; more of them are told at once: better out of turn than not at all."""


class Early:
    """Keeps the first messages of one connection.

    Args:
        hearer: who is told them in the end.
    """

    def __init__(self, hearer: Hearer) -> None:
        self.read_complete = hearer.read_complete
        self._hearer = hearer
        self._kept: list[tuple[bytes, bytes]] = []
        self._is_full = False

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Keep one message."""
        if self._is_full:
            self._hearer.hear(channel, payload)
            return
        self._kept.append((channel, payload))
        if len(self._kept) >= MOST:
            self._is_full = True
            self.hand_on()

    def hand_on(self) -> None:
        """Tell what was kept."""
        kept, self._kept = self._kept, []
        for channel, payload in kept:
            self._hearer.hear(channel, payload)
