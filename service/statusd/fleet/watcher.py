"""`Watcher`: follows the events of a fleet, one by one, from wherever it was left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from statusd.core.errors import Unavailable
from statusd.fleet.follower import Follower
from statusd.fleet.history import Event
from statusd.wire.client import Client


class Watcher:
    """An endless iterator over events, in the order of each unit, without a gap.

    It reads the histories, not the channel: what happens while the broker is away is read later.
    Where the history was cut (it is bounded), ``{"gap": unit, "after": id, "before": id}`` comes in
    place of what is missing; in place of what can't be read, ``{"unreadable": unit, "key": key,
    "id": id, "reason": why}``. If that is a whole key, because it is of another type, the id is
    empty and the unit empty for the roster; it is told once, and looked at again every second.

    Args:
        client: to the broker, for this watcher alone if it is ours.
        follower: what it does.
    """

    def __init__(self, client: Client, follower: Follower) -> None:
        self.is_closed = False
        self._client = client
        self._follower = follower

    @property
    def positions(self) -> dict[str, str]:
        """Unit -> id of the last event that was given out; kept up to date."""
        return self._follower.positions

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Return the next event; wait for it, however long the broker is away."""
        while not self.is_closed:
            event = self.poll()
            if event is not None:
                return event
        raise StopIteration

    def poll(self) -> Event | None:
        """Return the next event, or None after a second without one.

        Raises:
            Unavailable: we have no right to read; a broker that is away is waited for.
        """
        event = self._follower.next_ready()
        if event is not None:
            return event
        try:
            self._client.run(self._follower.step(self._client.block_s))
        except Unavailable as error:
            self._client.close()
            self._client.run(self._follower.failed(error))
        return self._follower.next_ready()

    def close(self) -> None:
        """Hang up, unless the client is yours, and give out no more."""
        self.is_closed = True
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
