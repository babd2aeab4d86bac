"""Where a unit listens for HTTP: the setting read strictly, as the broker's address is."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from statusd.core.errors import ConfigError

LOOPBACK = "127.0.0.1"
"""Where a port alone is: nobody outside this machine gets there."""


class Listen(NamedTuple):
    """A TCP port of one of this machine's addresses."""

    host: str
    port: int

    def __str__(self) -> str:
        """The address as it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Tell whether only this machine gets there."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_everywhere(self) -> bool:
        """Tell whether it is at each address of this machine, and none of them by itself."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def is_meant_by(self, host: str) -> bool:
        """Tell whether a request with that ``Host`` header may be answered here.

        Where only this machine gets to, a foreign name means that somebody's page in a browser of
        this machine asks, by a name of its own that leads here (DNS rebinding). Whoever opens the
        port to others has others' names for it, and everybody may ask.
        """
        if not self.is_private:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return name in ("localhost", socket.gethostname().lower()) or _is_number(name)


def _is_number(name: str) -> bool:
    """Tell whether it is an address as such, which nobody can lead elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def parse_listen(text: str) -> Listen:
    """Return what ``text`` says: ``9464``, ``127.0.0.1:9464``, ``[::1]:9464``, ``0.0.0.0:9464``.

    Raises:
        ConfigError: it is none of these.
    """
    example = 'as in "9464" or "127.0.0.1:9464"'
    try:
        parts = urlsplit(f"//{LOOPBACK}:{text}" if text.isdecimal() else f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{text!r:.80} is no address and port, {example}") from None
    if not host or not port or parts.netloc.rpartition("@")[0] or parts.path or parts.query:
        raise ConfigError(f"{text!r:.80} is no address and port, {example}")
    return Listen(host, port)
