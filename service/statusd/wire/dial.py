"""One blocking conversation with the broker: for `statusd send`, and whoever asks after a fleet."""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Any

import hiredis

from statusd.core.errors import Unavailable
from statusd.wire.address import Address
from statusd.wire.resp import NOTHING, complaint, pack_all, reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from statusd.core.outbox import Line

SENTINEL_S = 0.5
"""The longest wait for one Sentinel's connection, and for its reply."""


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
        self.hears = False
        """Whether a subscription was confirmed."""
        self._replies: deque[Any] = deque()
        self._pushes: deque[list[Any]] = deque()
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
        if self._address.sentinels:
            self._address = find_master(self._address)
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
        return self.calls([line])[0]

    def calls(self, lines: Sequence[Line]) -> list[Any]:
        """Send several commands at once and return their replies: one round trip.

        Raises:
            Unavailable: as for `call`; what the others did is done.
        """
        replies = self.replies(lines)
        for line, reply in zip(lines, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                raise Unavailable(f"{self._address} says: {complaint(reply, line)}")
        return replies

    def replies(self, lines: Sequence[Line]) -> list[Any]:
        """Return the replies to ``lines``, an error as a `hiredis.ReplyError` among them.

        Raises:
            Unavailable: no reply in time.
        """
        if not lines:
            return []
        try:
            self._socket.sendall(pack_all(lines))
            return [self._next_reply() for _ in lines]
        except (OSError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None

    def subscribe(self, channel: str) -> None:
        """Hear ``channel`` from now on; returns when the broker has confirmed it.

        Raises:
            Unavailable: it didn't, or may not.
        """
        try:
            self._socket.sendall(pack_all([("SUBSCRIBE", channel)]))
            while not self._pushes and not self._replies:
                self._read()
                self._sort_all()
        except (OSError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None
        if self._replies:  # a subscription has no reply but an error
            raise Unavailable(f"{self._address} says: {self._replies.popleft()}")
        self._pushes.popleft()
        self.hears = True

    def push(self, timeout_s: float) -> list[Any] | None:
        """Return what the broker pushes next (a message, a confirmation), or None in time.

        Raises:
            Unavailable: the connection is lost.
        """
        if self._pushes:
            return self._pushes.popleft()
        before = self._socket.gettimeout()
        self._socket.settimeout(max(timeout_s, 0.000_001))
        try:
            while not self._pushes:
                self._read()
                self._sort_all()
        except TimeoutError:
            return None
        except (OSError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None
        finally:
            self._socket.settimeout(before)
        return self._pushes.popleft()

    def _next_reply(self) -> Any:
        while not self._replies:
            self._sort_all()
            if not self._replies:
                self._read()
        return self._replies.popleft()

    def _sort_all(self) -> None:
        """Tell what the broker says by itself from what it replies."""
        while (found := self._reader.gets()) is not NOTHING:
            if isinstance(found, hiredis.PushNotification):
                self._pushes.append(list(found))
            else:
                self._replies.append(found)

    def _read(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise Unavailable(f"{self._address} closed the connection")
        self._reader.feed(data)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Dial:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_master(address: Address) -> Address:
    """Return where the master is now, as the first Sentinel that answers has it.

    Args:
        address: one with Sentinels.

    Raises:
        Unavailable: none of them answers, or none knows such a master.
    """
    complaints = []
    for host, port in address.sentinels:
        try:
            with Dial(address.sentinel(host, port), "statusd-sentinel", SENTINEL_S) as dial:
                found = dial.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master)
        except Unavailable as error:
            complaints.append(str(error))
            continue
        if isinstance(found, list) and len(found) == 2:
            return address._replace(host=found[0].decode(), port=int(found[1]), sentinels=())
        complaints.append(f"the Sentinel {host}:{port} knows no master {address.master!r}")
    raise Unavailable("; ".join(complaints))


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error)
