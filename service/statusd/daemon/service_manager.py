"""Words for the service manager, by sd_notify(3): a datagram to ``$NOTIFY_SOCKET``, or nothing."""

from __future__ import annotations

import os
import socket
import time


class ServiceManager:
    """Tells whoever started us how far we are. Without a ``$NOTIFY_SOCKET`` it does nothing.

    Args:
        address: of the socket; a leading ``@`` means the abstract namespace.
    """

    def __init__(self, address: str = "") -> None:
        self.listens = bool(address)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._said: dict[str, str] = {}

    @classmethod
    def from_environment(cls) -> ServiceManager:
        """Return the one of this process."""
        return cls(os.environ.get("NOTIFY_SOCKET", ""))

    def reloading(self) -> None:
        """Say that settings are being loaded anew, with the time of it, as sd_notify(3) wants."""
        self._said.pop("READY", None)
        self.say(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def reloaded(self) -> None:
        """Say that that is over."""
        self._said.pop("RELOADING", None)
        self.say(READY="1")

    def say(self, **fields: str) -> None:
        """Send the fields that are news, e.g. ``READY="1"``, ``STATUS="RUNNING"``.

        A service manager that doesn't listen is no reason to stop: errors are passed over, as
        sd_notify(3) advises.
        """
        news = {key: text for key, text in fields.items() if self._said.get(key) != text}
        if not self._address or not news:
            return
        self._said |= news
        text = "\n".join(f"{key}={value}" for key, value in news.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto(text.encode(), self._address)
        except OSError:
            pass
