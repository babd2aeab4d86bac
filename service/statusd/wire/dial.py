"""One short blocking conversation with the broker: what `statusd send` needs, and no more."""

from __future__ import annotations

import socket
from typing import Any

import hiredis

from statusd.core.errors import Unavailable
from statusd.wire.address import Address
from statusd.wire.resp import NOTHING, pack, reader


class Dial:
    """A connection that is used for a few calls and closed.

    Args:
        address: the broker.
        client_name: how CLIENT LIST shows us.
        timeout_s: the longest wait for the connection and for each reply.

    Raises:
        Unavailable: the broker can't be reached or does not let us in.
    """

    def __init__(self, address: Address, client_name: str, timeout_s: float = 2.0) -> None:
        self._address = address
        self._reader = reader()
        try:
            self._socket = self._connect(timeout_s)
        except OSError as error:
            raise Unavailable(f"no connection to {address}: {_why(error)}") from None
        try:
            for line in address.greeting(client_name):
                self._greet(line)
        except BaseException:
            self.close()
            raise

    def _connect(self, timeout_s: float) -> socket.socket:
        address = self._address
        if address.path:
            unix = socket.socket(socket.AF_UNIX)
            unix.settimeout(timeout_s)
            unix.connect(address.path)
            return unix
        tcp = socket.create_connection((address.host, address.port), timeout_s)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls is None:
            return tcp
        return address.tls.context().wrap_socket(tcp, server_hostname=address.host)

    def _greet(self, line: tuple[str, ...]) -> None:
        try:
            self.call(*line)
        except Unavailable:
            if line[0] != "CLIENT":  # being nameless is no reason to stay silent
                raise

    def call(self, *line: str | bytes | int) -> Any:
        """Send one command and return its reply.

        Raises:
            Unavailable: no reply in time, or the reply is an error, which the message repeats.
        """
        try:
            self._socket.sendall(pack(line))
            reply = self._reader.gets()
            while reply is NOTHING:
                data = self._socket.recv(65536)
                if not data:
                    raise Unavailable(f"{self._address} closed the connection")
                self._reader.feed(data)
                reply = self._reader.gets()
        except (OSError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None
        if isinstance(reply, hiredis.ReplyError):
            raise Unavailable(f"{self._address} says: {reply}")
        return reply

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Dial:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error)
