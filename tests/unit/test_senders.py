"""Tests of `statusd.daemon.senders`: what the kernel tells of who has sent a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from functools import partial
from pathlib import Path
from threading import get_ident

import pytest

from statusd.daemon.senders import Senders, sender
from tests.tools.waiting import until

ME = f"of pid {os.getpid()} ({Path('/proc/self/comm').read_text().strip()}), uid {os.getuid()}"


def record(code: int, pid: int, uid: int) -> bytes:
    """Return a ``signalfd_siginfo`` of SIGTERM."""
    return struct.pack("@IiiII", signal.SIGTERM, 0, code, pid, uid).ljust(128, b"\0")


@pytest.mark.parametrize(
    ("code", "pid", "uid", "told"),
    [
        (0, os.getpid(), os.getuid(), ME),
        (-6, os.getpid(), 7, ME.rpartition(" ")[0] + " 7"),
        (0, 2**22 + 1, 7, f"of pid {2**22 + 1}, uid 7"),
        (0, 0, 7, "of uid 7, from outside of this container"),
        (0x80, 0, 0, ""),
    ],
    ids=["kill", "tkill", "gone", "outside", "kernel"],
)
def test_who_has_sent_a_signal_is_told(code: int, pid: int, uid: int, told: str) -> None:
    """With the name of the program, if it is there still; of the kernel there is nothing to say."""
    assert sender(record(code, pid, uid)) == told


def test_until_the_first_end_the_sender_is_known_and_then_each_one_counts() -> None:
    """Of those that come together the kernel keeps one, so no more are held back then."""
    heard: list[tuple[str, str]] = []

    def has_heard(count: int) -> bool:
        return len(heard) == count

    async def story() -> None:
        loop, this = asyncio.get_running_loop(), get_ident()  # other threads here block nothing
        loop.add_signal_handler(signal.SIGUSR2, lambda: heard.append(("SIGUSR2", "")))
        Senders(loop, [signal.SIGUSR2], lambda *told: heard.append(told), lambda _: len(heard) > 0)
        for count in (1, 2):
            signal.pthread_kill(this, signal.SIGUSR2)
            await until(partial(has_heard, count), "the signal")
        assert heard == [("SIGUSR2", ME)] * 2
        assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        signal.pthread_kill(this, signal.SIGUSR2)
        signal.pthread_kill(this, signal.SIGUSR2)
        await until(partial(has_heard, 4), "both signals")
        loop.remove_signal_handler(signal.SIGUSR2)

    asyncio.run(story())
    assert heard[2:] == [("SIGUSR2", "")] * 2
