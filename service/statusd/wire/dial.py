"""One blocking conversation with the broker: for `statusd send`, and whoever asks after a fleet."""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import hiredis

from statusd.core.errors import Unavailable
from statusd.core.text import shown
from statusd.wire import shapes
from statusd.wire.address import Address
from statusd.wire.resp import NOTHING, complaint, pack_all, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from statusd.wire.outbox import RedisCommand

T = TypeVar("T")

WHOLE_S = 30.0
"""A reply that has begun has to be whole by then: a server may also send a byte a second."""
MOST_BYTES = 64 * 1024 * 1024
"""A longer reply is given up."""
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
        self._unfinished = 0
        try:
            self._socket = self._connect(timeout_s)
        except (OSError, ValueError) as error:  # a name that can be none is a ValueError
            raise Unavailable(f"no connection to {address}: {_why(error)}") from None
        try:
            for line in address.greeting(client_name):
                self._greet(line)
        except shapes.Misshapen:
            self.close()
            raise Unavailable(f"{address}: whoever answers there is no Redis or Valkey") from None
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
        reply = self.replies([line])[0]
        if line[0] == "CLIENT":  # being nameless is no reason to stay silent
            return
        if isinstance(reply, hiredis.ReplyError):
            raise Unavailable(self._refusal(reply, line))
        if line[0] == "HELLO" and shapes.table(reply).get(b"proto") != 3:
            raise shapes.Misshapen("another protocol than RESP3")

    def call(self, *line: str | bytes | int) -> Any:
        """Send one command and return its reply.

        Raises:
            Unavailable: no reply in time, or the reply is an error, which the message repeats.
        """
        return self.calls([line])[0]

    def ask(self, shape: Callable[[object], T], *line: str | bytes | int) -> T:
        """Send one command and return what its reply stands for; see `wire.shapes`.

        Raises:
            Unavailable: as for `call`, or the reply is no answer to the command.
        """
        return self.read(shape, self.call(*line), str(line[0]))

    def read(self, shape: Callable[[object], T], reply: object, command: str) -> T:
        """Return what ``reply`` stands for.

        Raises:
            Unavailable: it is an error, or no answer to ``command``.
        """
        if isinstance(reply, hiredis.ReplyError):
            raise Unavailable(self._refusal(reply))
        try:
            return shape(reply)
        except shapes.Misshapen as error:
            text = f"{self._address}: that is no answer to {command}: {error}"
            raise Unavailable(text) from None

    def _refusal(self, reply: object, line: RedisCommand = ()) -> str:
        return f"{self._address} says: {shown(complaint(reply, line))}"

    def calls(self, lines: Sequence[RedisCommand]) -> list[Any]:
        """Send several commands at once and return their replies: one round trip.

        Raises:
            Unavailable: as for `call`; what the others did is done.
        """
        replies = self.replies(lines)
        for line, reply in zip(lines, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                raise Unavailable(self._refusal(reply, line))
        return replies

    def replies(self, lines: Sequence[RedisCommand]) -> list[Any]:
        """Return the replies to ``lines``, an error as a `hiredis.ReplyError` among them.

        Raises:
            Unavailable: no reply in time.
        """
        if not lines:
            return []
        try:
            self._socket.sendall(pack_all(lines))
            return [self._next_reply() for _ in lines]
        except (OSError, UnicodeError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None

    def subscribe(self, channel: str) -> None:
        """Hear ``channel`` from now on; returns when the broker has confirmed it.

        Raises:
            Unavailable: it didn't, or may not.
        """
        try:
            self._socket.sendall(pack_all([("SUBSCRIBE", channel)]))
            deadline = time.monotonic() + WHOLE_S
            while not (confirmed := self._confirmed(channel.encode())) and not self._replies:
                self._read(deadline)
                self._sort_all()
        except (OSError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None
        if not confirmed:  # a subscription has no reply but an error
            raise Unavailable(self._refusal(self._replies.popleft()))
        self.hears = True

    def _confirmed(self, channel: bytes) -> bool:
        """Take the confirmation of ``channel`` out of what was pushed; tell whether it is there."""
        for push in self._pushes:
            if push[:2] == [b"subscribe", channel]:
                self._pushes.remove(push)
                return True
        return False

    def push(self, timeout_s: float) -> list[Any] | None:
        """Return what the broker pushes next, or None in time: kind, channel and content.

        Raises:
            Unavailable: the connection is lost.
        """
        if self._pushes:
            return self._pushes.popleft()
        before = self._socket.gettimeout()
        deadline = time.monotonic() + timeout_s
        try:
            while not self._pushes:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.000_001))
                self._read(float("inf"))
                self._sort_all()
        except TimeoutError:
            return None
        except (OSError, hiredis.ProtocolError) as error:
            raise Unavailable(f"{self._address}: {_why(error)}") from None
        finally:
            self._socket.settimeout(before)
        return self._pushes.popleft()

    def _next_reply(self) -> Any:
        deadline = time.monotonic() + WHOLE_S
        while not self._replies:
            self._sort_all()
            if not self._replies:
                self._read(deadline)
        return self._replies.popleft()

    def _sort_all(self) -> None:
        """Tell what the broker says by itself from what it replies."""
        while (found := self._gets()) is not NOTHING:
            self._unfinished = 0
            if not isinstance(found, hiredis.PushNotification):
                self._replies.append(found)
            elif len(found) == 3 and all(isinstance(one, bytes) for one in found[:2]):
                self._pushes.append(list(found))
            # else the broker says something that nobody has asked for: RESP3 allows it

    def _gets(self) -> object:
        try:
            return self._reader.gets()
        except (TypeError, ValueError, RecursionError) as error:  # a map with a list for a key
            raise hiredis.ProtocolError(f"Protocol error: {error}") from None

    def _read(self, deadline: float) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise Unavailable(f"{self._address} closed the connection")
        self._unfinished += len(data)
        if time.monotonic() > deadline:
            raise TimeoutError
        if self._unfinished > MOST_BYTES:
            raise hiredis.ProtocolError(f"Protocol error: a reply of more than {MOST_BYTES} bytes")
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
                if found is not None:
                    name, number = dial.read(shapes.place, found, "SENTINEL")
                    return address._replace(host=name, port=number, sentinels=())
        except Unavailable as error:
            complaints.append(str(error))
            continue
        complaints.append(f"the Sentinel {host}:{port} knows no master {address.master!r}")
    raise Unavailable("; ".join(complaints))


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return shown(getattr(error, "strerror", None) or error)
