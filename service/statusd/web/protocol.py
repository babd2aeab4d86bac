"""A connection of uvicorn's that nobody can sit on: who is slow, or says nothing, is hung up on.

uvicorn bounds nothing before the first request, nor what a reader takes. Rules of this file: a
request is there in whole, up to its body, within seconds, however it dribbles; what is sent is
taken within seconds, or the connection is cut; where there are too many, a new one takes the place
of the oldest that has shown no token, so that silent ones keep nobody out. h11 is asked for by
name: it is strict about what a request is, and it is what all of this was tried with.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

KNOWN = "statusd.known"
"""The key in a scope of what is called when it is known who asks."""


class Protocol(H11Protocol):
    """One connection."""

    head_s: ClassVar[float] = 10.0
    """So long it may take until the head of the first request is there, or of the next one."""
    stuck_s: ClassVar[float] = 20.0
    """So long what was sent may wait to be taken."""
    leave_s: ClassVar[float] = 0.4
    """So long what was said last may take to be taken, when the server ends."""
    most: ClassVar[int] = 1000
    """So many connections there are at once."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._application: Any = self.app
        self.app: Any = self._asked
        self._began = self.loop.time()
        self._is_known = False
        self._waiting: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection; if there are too many, in the place of another one."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self.most:
            others = [c for c in self.connections if isinstance(c, Protocol) and c is not self]
            strangers = [c for c in others if not c._is_known]
            least = min(strangers, key=lambda c: c._began, default=self)
            self.connections.discard(least)  # it needs a moment to go
            least.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        for timer in (self._waiting, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self.loop.call_later(self.head_s, self.transport.abort)

    async def _asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, the head of which is there."""
        if self._waiting is not None:
            self._waiting.cancel()
        scope[KNOWN] = self._known
        await self._application(scope, receive, send)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._is_known = False
        self._await_head()
        super().on_response_complete()

    def _known(self) -> None:
        self._is_known = True

    def send_400_response(self, msg: str) -> None:
        """What goes on is no HTTP: say so, unless an answer has begun; nobody is answered here."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # or its answer would be a bug
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """What was sent isn't taken: wait for that a while."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self.stuck_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It is taken."""
        if self._stuck is not None:
            self._stuck.cancel()
        super().resume_writing()

    def shutdown(self) -> None:
        """Let go whom nothing is owed, or who doesn't take it."""
        if self.flow.write_paused or (self.cycle is not None and self.cycle.more_body):
            self.transport.abort()
        else:
            super().shutdown()
            self.loop.call_later(self.leave_s, self.transport.abort)
