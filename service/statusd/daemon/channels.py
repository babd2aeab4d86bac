"""Other channels for the hearing link, while it hears.

The link reads the stream of durable commands with a read that blocks, and until that ends the
broker takes no new channel: so it is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from statusd.daemon.session import Session
from statusd.wire.link import LinkState
from statusd.wire.outbox import RedisCommand

UNBLOCK_S = 0.05
"""So soon the broker is asked again to end a read that it hadn't come to."""
LOOK_S = 0.005
"""How often it is looked whether new channels are heard, while somebody waits for that."""


class Channels:
    """Has the link hear what is to be heard now.

    Args:
        session: whose link it is.
        wanted: returns the names and patterns of all channels.
    """

    def __init__(self, session: Session, wanted: Callable[[], tuple[str, ...]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._wanted = wanted

    def refresh(self) -> None:
        """Hear what is wanted from now on."""
        self._session.subscriber_link.listen_to(self._wanted())
        self._unblock()

    async def heard(self, within_s: float) -> None:
        """Wait until each is confirmed or refused, or the link is lost; no longer than that."""
        link, until = self._session.subscriber_link, self._loop.time() + within_s
        while link.state is LinkState.LISTENING and not link.is_answered:
            if self._loop.time() > until:
                return
            await asyncio.sleep(LOOK_S)

    def _unblock(self) -> None:
        """End our own reading; without the right to do so it ends by itself, within seconds."""
        link = self._session.subscriber_link
        is_up = link.server.client_id and link.state is LinkState.LISTENING
        if is_up and not link.is_answered:
            line: RedisCommand = ("CLIENT", "UNBLOCK", link.server.client_id)
            self._session.outbox.put_latest("unblock", line, self._unblocked)
            self._session.flush()

    def _unblocked(self, _: RedisCommand, reply: object) -> bool:
        if reply == 0:  # the broker hadn't come to the read yet that it is to end
            self._loop.call_later(UNBLOCK_S, self._unblock)
        return True
