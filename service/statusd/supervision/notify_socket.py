"""What a program says by `sd_notify(3)`: that it is ready, that it lives, how far its work is.

Rules of this file: what comes in is believed only from the worker's own processes; a program that
babbles never stops the loop.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Callable, Mapping

from statusd import logs
from statusd.core import events as ev
from statusd.scheduler import Scheduler
from statusd.supervision.worker_channel import Pulse, Submit
from statusd.worker.board import MAX_TEXT, MAX_UNIT, Record, in_range

MAX_DATAGRAM = 4096
"""The longest notification, in bytes; what is longer is dropped."""
BATCH = 16
"""So many notifications are taken at a time: a program that babbles must not stop the loop."""

_CREDENTIALS = struct.Struct("=iII")
"""``struct ucred`` of unix(7): pid, uid, gid."""


class NotifySocket:
    """The socket of one run, from `open` to `close`; what it has heard stays.

    Args:
        run: its generation.
        submit: gets every input that the program causes; flush: called after a batch of them.
        loop: who waits for notifications.
    """

    def __init__(
        self,
        run: int,
        submit: Submit,
        flush: Callable[[], None],
        loop: Scheduler,
        log: logs.Logger,
    ) -> None:
        self._log = log
        self._run = run
        self._submit = submit
        self._flush = flush
        self._loop = loop
        self._pid = 0
        self._socket: socket.socket | None = None
        self._step: float | None = None
        self._total: float | None = None
        self._text = self._unit = ""
        self._beats = 0

    def open(self) -> str:
        """Make the socket, and return its address as ``NOTIFY_SOCKET`` has it.

        Raises:
            OSError: the system refused.
        """
        name = f"statusd/{os.getpid()}/{self._run}/{os.urandom(8).hex()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(f"\0{name}")
        return f"@{name}"

    def started(self, pid: int) -> None:
        """Listen to the process group of ``pid``."""
        assert self._socket is not None
        self._pid = pid
        self._loop.add_reader(self._socket.fileno(), self._hear)

    def record(self) -> Record | None:
        """Return what it said of its work by ``STATUS=`` and ``X_STATUSD_...=``."""
        if self._step is None and not self._text:
            return None
        return Record(self._step, self._total, self._text, self._unit)

    def pulse(self) -> Pulse:
        """Return how many times it said ``WATCHDOG=1``."""
        return Pulse(self._beats)

    def drain(self) -> None:
        """Take the notifications that it left."""
        while self._socket is not None and self._read_batch() == BATCH:
            pass

    def close(self) -> None:
        """Give back the socket."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _hear(self) -> None:
        self._read_batch()
        self._flush()

    def _read_batch(self) -> int:
        assert self._socket is not None
        for count in range(BATCH):
            try:
                # Descriptors that come along (FDSTORE=1, BARRIER=1) find no room here: the kernel
                # closes them, which is what sd_notify_barrier(3) waits for.
                data, more, _, _ = self._socket.recvmsg(
                    MAX_DATAGRAM, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except BlockingIOError:
                return count
            if self._is_ours(more):
                self._take_fields(dict(_fields(data)))
        return BATCH

    def _is_ours(self, ancillary: list[tuple[int, int, bytes]]) -> bool:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid, uid, _ = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
                return uid in (0, os.geteuid()) or _group_of(pid) == self._pid
        return False

    def _take_fields(self, fields: Mapping[str, str]) -> None:
        if "STATUS" in fields:
            self._text = fields["STATUS"][:MAX_TEXT]
        if "X_STATUSD_PROGRESS" in fields:
            self._take_progress(fields["X_STATUSD_PROGRESS"])
        if "X_STATUSD_UNIT" in fields:
            self._unit = fields["X_STATUSD_UNIT"][:MAX_UNIT]
        if fields.get("WATCHDOG") == "1":
            self._beats += 1
        if fields.get("READY") == "1":
            self._submit(ev.WorkerReady(self._run))
        if fields.get("STOPPING") == "1":
            self._log.info("worker.stopping", run=self._run)
        if "X_STATUSD_TRIGGER" in fields:
            reason = fields.get("X_STATUSD_REASON", "")[:500]
            self._submit(ev.WorkerTriggered(self._run, fields["X_STATUSD_TRIGGER"][:64], reason))

    def _take_progress(self, text: str) -> None:
        number = r"(\d+(?:\.\d+)?)"
        found = re.fullmatch(rf"{number}(?:/{number})?", text[:64])
        if found:
            self._step = in_range(float(found[1]))
            self._total = in_range(float(found[2])) if found[2] else None


def _fields(data: bytes) -> list[tuple[str, str]]:
    """Return the fields of a notification: lines ``NAME=value``."""
    pairs = (line.partition("=") for line in data.decode("utf-8", "replace").split("\n"))
    return [(name, value) for name, sign, value in pairs if sign]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1
