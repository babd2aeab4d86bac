"""A ``$NOTIFY_SOCKET`` that listens, as a service manager does, and remembers what came when."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import NamedTuple, Self


class Note(NamedTuple):
    """One datagram, and when it came (monotonic seconds)."""

    at: float
    text: str

    @property
    def fields(self) -> dict[str, str]:
        """Its assignments."""
        return dict(line.split("=", 1) for line in self.text.splitlines())


class NotifySocket:
    """Listens at ``address``; a leading ``@`` means the abstract namespace.

    With ``live`` a thread takes each note as it comes, so that the times are true; without it they
    are taken when they are asked for.
    """

    def __init__(self, address: str, *, live: bool = False) -> None:
        self.address = address
        self._notes: list[Note] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._thread = threading.Thread(target=self._listen) if live else None
        if self._thread is None:
            self._socket.setblocking(False)
        else:
            self._thread.start()

    def notes(self) -> list[Note]:
        """Return every note so far."""
        if self._thread is None:
            with suppress(BlockingIOError):
                while True:
                    self._take()
        return list(self._notes)

    def texts(self) -> list[str]:
        """Return the text of every note so far."""
        return [note.text for note in self.notes()]

    def has_heard(self, text: str) -> bool:
        """Tell whether ``text`` is in a note."""
        return any(text in note for note in self.texts())

    def status(self) -> str:
        """Return the last STATUS."""
        told = [note.fields["STATUS"] for note in self.notes() if "STATUS" in note.fields]
        return told[-1] if told else ""

    def close(self) -> None:
        """Listen no more."""
        if self._thread is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join(5)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> bool:
        text = self._socket.recv(4096).decode()
        if text:
            self._notes.append(Note(time.monotonic(), text))
        return bool(text)

    def _listen(self) -> None:
        while self._take():
            pass


def most_in_a_second(notes: list[Note]) -> int:
    """Return how many notes came within the fullest second."""
    times = [note.at for note in notes]
    return max((sum(at <= other < at + 1.0 for other in times) for at in times), default=0)
