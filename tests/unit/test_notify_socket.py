"""What is taken from notifications, and what is left."""

from __future__ import annotations

import asyncio
import os
import socket

from statusd import logs
from statusd.core import events as ev
from statusd.supervision.notify_socket import MAX_DATAGRAM, NotifySocket
from statusd.supervision.worker_channel import Pulse
from statusd.worker.board import Record


def heard(*notifications: str) -> tuple[list[ev.Input], Record | None, Pulse]:
    """Return what became of notifications: the inputs, and what is left when the socket is gone."""
    taken: list[ev.Input] = []

    async def live() -> NotifySocket:
        ours = NotifySocket(1, taken.append, lambda: None, asyncio.get_running_loop(), logs.get())
        address = ours.open()
        ours.started(os.getpid())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
            program.connect(f"\0{address.removeprefix('@')}")
            for text in notifications:
                program.send(text.encode())
                ours.drain()
        ours.close()
        return ours

    ours = asyncio.run(live())
    return taken, ours.record(), ours.pulse()


def test_a_notification_says_many_things_at_once() -> None:
    """A line each; what we don't know is left."""
    said = "READY=1\nSTATUS=first of two\nX_STATUSD_PROGRESS=1/2\nMAINPID=7\nWATCHDOG=1"
    said += "\nX_STATUSD_UNIT=Å"

    assert heard(said) == ([ev.WorkerReady(1)], Record(1.0, 2.0, "first of two", "Å"), Pulse(1))


def test_a_trigger_comes_with_its_reason() -> None:
    """Both are cut to what a trigger and a reason may be."""
    inputs, *_ = heard(f"X_STATUSD_TRIGGER=finish\nX_STATUSD_REASON={'x' * 600}")

    assert inputs == [ev.WorkerTriggered(1, "finish", "x" * 500)]


def test_nonsense_changes_nothing() -> None:
    """No field, no number, no end."""
    said = ("", "READY", "\0", "X_STATUSD_PROGRESS=-1", "X_STATUSD_PROGRESS=1/2/3", "WATCHDOG=0")

    assert heard(*said) == ([], None, Pulse(0))


def test_every_beat_counts() -> None:
    """But what is too long to be whole isn't looked at."""
    assert heard("WATCHDOG=1", "x" * MAX_DATAGRAM + "\nWATCHDOG=1", "WATCHDOG=1")[2] == Pulse(2)
