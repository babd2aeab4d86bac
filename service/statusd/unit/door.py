"""Takes connections in: a few at a time, and when the system has no room for one, later.

asyncio's own servers report a failing accept(2) to the loop's handler of bugs. Rules of this file:
whatever accept says is the world's doing: counted, logged in sum, and tried again after a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from statusd import logs

AT_ONCE = 4
"""So many are taken in one turn of the loop: those before them are heard before the next ones."""
PAUSE_S = 0.2
"""So long nobody is taken in when the system has no room for another one."""
COMPLAIN_S = 10.0
"""Failures are logged in sum, no more often than this."""
BACKLOG = 128
_GONE = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR)
"""Of one connection alone, which is gone (accept(2)); the next one may be taken at once."""

log = logs.get()


class Door:
    """Takes connections in from one listening socket.

    Args:
        listener: bound, not listening yet; it is the door's from now on.
        make: returns the protocol for a new connection.
        make_room: hangs up on somebody, if that is possible: the system has no descriptor left.
        what: names the socket in the log.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        make_room: Callable[[], None],
        what: str,
    ) -> None:
        self.failures = 0
        self._listener = listener
        self._make = make
        self._make_room = make_room
        self._what = what
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[object]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._told = float("-inf")
        self._untold = 0

    def open(self) -> None:
        """Listen.

        Raises:
            OSError: the system refused.
        """
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener, self._take_in)

    def close(self) -> None:
        """Take nobody in any more; whoever waits outside is hung up on."""
        if self._again is not None:
            self._again.cancel()
        if self._listener.fileno() != -1:
            self._loop.remove_reader(self._listener)
            self._listener.close()
        for coming in self._coming:
            coming.cancel()

    def _take_in(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                if error.errno not in _GONE:
                    self._pause()
                    return
            else:
                self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._connect(connection))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError as error:  # it may be gone by now, or there is no room to wait for it
            connection.close()
            self._failed(error)
        except BaseException:
            connection.close()
            raise

    def _pause(self) -> None:
        """Let the loop do other things: the socket stays readable, and would ask for ever."""
        self._loop.remove_reader(self._listener)
        self._again = self._loop.call_later(PAUSE_S, self._go_on)
        self._make_room()

    def _go_on(self) -> None:
        self._again = None
        with contextlib.suppress(ValueError):  # closed meanwhile
            self._loop.add_reader(self._listener, self._take_in)

    def _failed(self, error: OSError) -> None:
        self.failures += 1
        self._untold += 1
        now = self._loop.time()
        if now - self._told >= COMPLAIN_S:
            reason = error.strerror or str(error)
            log.warning("accept.failed", what=self._what, count=self._untold, reason=reason)
            self._told, self._untold = now, 0
