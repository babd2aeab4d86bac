"""Words for the service manager, by sd_notify(3): a datagram to ``$NOTIFY_SOCKET``, or nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping

from statusd.daemon.notify_queue import WITHIN_S, NotifyQueue


class ServiceManager:
    """Tells whoever started us how far we are. Without a ``$NOTIFY_SOCKET`` it does nothing.

    Args:
        address: of the socket; a leading ``@`` means the abstract namespace.
        watchdog_s: we are taken for hung after so long without `alive`, in seconds; 0: never.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self.listens = bool(address)
        self.watchdog_s = watchdog_s if address else 0.0
        self.is_ready = self.is_stopping = False
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._queue = NotifyQueue()
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> ServiceManager:
        """Return the one of this process; a watchdog that is meant for another one is not ours."""
        pid, usec = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
        is_ours = pid in ("", str(os.getpid())) and usec.isdigit()
        return cls(environ.get("NOTIFY_SOCKET", ""), int(usec) / 1e6 if is_ours else 0.0)

    def status(self, text: str) -> None:
        """Say in a line how things are."""
        if self._address:
            self._queue.put_status(text)
            self._send_soon()

    def ready(self) -> None:
        """Say, once, that the start is over."""
        if self._address and not self.is_ready:
            self.is_ready = True
            self._stage(READY="1")

    def reloading(self) -> None:
        """Say that settings are being loaded anew, with the time of it, as sd_notify(3) wants."""
        if self.is_ready and not self.is_stopping:
            self._stage(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))
            self._send()  # before they are: that may take its time

    def reloaded(self) -> None:
        """Say that that is over."""
        if self.is_ready and not self.is_stopping:
            self._stage(READY="1")

    def stopping(self) -> None:
        """Say, once, that the end has begun."""
        if self._address and not self.is_stopping:
            self.is_stopping = True
            self._stage(STOPPING="1")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog_s:
            self._queue.put(WATCHDOG="1")
            self._send_soon()

    def extend(self, more_s: float) -> None:
        """Ask for more time to start or to stop: so much from now, in seconds."""
        if self._address:
            self._queue.put(EXTEND_TIMEOUT_USEC=str(int(more_s * 1e6)))
            self._send_soon()

    async def close(self) -> None:
        """Say what may be said; a stage is waited for: without READY, this was a failed start."""
        self._send()
        until = time.monotonic() + 2 * WITHIN_S
        while self._queue.owes_stage and time.monotonic() < until:
            await asyncio.sleep(self._queue.wait_s(time.monotonic()) or 0.0)
            self._send()
        self._forget_plans()

    def _stage(self, **fields: str) -> None:
        self._queue.put_stage(**fields)
        self._send_soon()

    def _send_soon(self) -> None:
        """Send what may go when all that belongs together has been said."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        """Send what may go now, and the rest when it may."""
        while note := self._queue.take(time.monotonic()):
            if not self._notify(note):
                self._queue.give_back(note)
        self._forget_plans()
        wait_s = self._queue.wait_s(time.monotonic())
        if wait_s is not None:
            self._later = asyncio.get_running_loop().call_later(wait_s, self._send)

    def _forget_plans(self) -> None:
        for planned in (self._soon, self._later):
            if planned is not None:
                planned.cancel()
        self._soon = self._later = None

    def _notify(self, note: Mapping[str, str]) -> bool:
        """Send a note; tell whether trying again makes no sense: it is sent, or nobody is there.

        A service manager that doesn't listen is no reason to stop, as sd_notify(3) advises; one
        that is busy will take it later.
        """
        text = "\n".join(f"{key}={value}" for key, value in note.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto(text.encode(), self._address)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True
