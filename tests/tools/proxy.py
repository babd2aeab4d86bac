"""A TCP proxy between client and server that can be told to misbehave, as networks do.

A change of mode is in force when the call returns.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self

from tests.tools.carrier import Connection, Mode
from tests.tools.ports import free_port, give_back

CALL_TIMEOUT_S = 5.0


class Proxy:
    """Carries bytes between clients and 127.0.0.1:``upstream``; as a context manager it is started.

    It has a thread of its own; every method may be called from any other thread.

    Args:
        upstream: the server's port; it need not be open yet.
    """

    def __init__(self, upstream: int) -> None:
        self.accepted = 0
        """How many connections have been accepted, in sum."""
        self._upstream = upstream
        self._mode = Mode()
        self._tasks: dict[asyncio.Task[None], Connection] = {}
        self._listener = socket.socket()
        # Else the listener couldn't listen again while old connections linger in TIME_WAIT.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setblocking(False)
        # An explicit port stays ours while we refuse connections; one given by bind(0) doesn't.
        self._listener.bind(("127.0.0.1", free_port()))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._listening = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._tasks)

    # ---- modes ---------------------------------------------------------------------------------

    def pass_(self) -> None:
        """Carry everything, both ways, at once; what was held back goes first."""
        self._call(self._change(Mode()))

    def swallow(self) -> None:
        """Accept and read, carry nothing, not even the end of the server's connections.

        A connection that was accepted meanwhile, or lost anything, never works again.
        """
        self._call(self._change(Mode(swallows=True)))

    def cut(self, *, reset: bool = True) -> None:
        """Close every connection and refuse new ones until the next mode.

        Args:
            reset: clients see a reset (RST), else an orderly end (FIN).
        """
        self._call(self._cut(reset))

    def half(self, n_bytes: int) -> None:
        """On each connection, stop after ``n_bytes`` of the server's next chunk.

        The rest of it, and all that follows from the server, is held back until the next mode.
        """
        self._call(self._change(Mode(half=n_bytes)))

    def split(self, gap_s: float) -> None:
        """Deliver each chunk of the server in two segments, ``gap_s`` seconds apart."""
        self._call(self._change(Mode(gap_s=gap_s)))

    def delay(self, seconds: float) -> None:
        """Deliver each chunk, both ways, ``seconds`` after it came; the order is kept."""
        self._call(self._change(Mode(delay_s=seconds)))

    # ---- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self.pass_()

    def close(self) -> None:
        """Reset every connection and end the thread; a second call does nothing."""
        if self._thread.is_alive():
            self.cut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_TIMEOUT_S)
        self._listener.close()
        self._loop.close()
        give_back(self.port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- on the proxy's own thread ---------------------------------------------------------------

    def _call(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(CALL_TIMEOUT_S)

    async def _change(self, mode: Mode) -> None:
        old, self._mode = self._mode, mode
        old.over.set()
        if not self._listening and not mode.refuses:
            self._listening = True
            self._listener.listen()
            self._loop.add_reader(self._listener, self._accept)

    async def _cut(self, reset: bool) -> None:
        await self._change(Mode(refuses=True))
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._listener)
            # Linux: it keeps its port, and the kernel refuses connections until the next listen.
            self._listener.shutdown(socket.SHUT_RD)
        await asyncio.sleep(0)  # a task that is cancelled before its first step can't clean up
        for task, connection in self._tasks.items():
            connection.reset = reset
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it has left already
        client.setblocking(False)
        self.accepted += 1
        connection = Connection(client, self._upstream, lambda: self._mode)
        task = self._loop.create_task(connection.run())
        self._tasks[task] = connection
        task.add_done_callback(self._tasks.pop)
