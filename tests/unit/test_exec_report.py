"""Whether a program could be executed: told once, and never waited for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from statusd.supervision.exec_report import ExecReport


def told(wrapper: Callable[[int], None]) -> list[str]:
    """Return what is told when ``wrapper`` has done this with its end, looked at twice."""
    reasons: list[str] = []

    async def live() -> None:
        report = ExecReport(reasons.append, asyncio.get_running_loop())
        theirs = os.dup(report.open())
        report.started()
        try:
            wrapper(theirs)
            report.drain()
            report.drain()
        finally:
            report.close()
            os.close(theirs)

    asyncio.run(live())
    return reasons


def execute(fd: int) -> None:
    """Close this end as execve(2) does; the number stays taken."""
    elsewhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(elsewhere, fd)
    os.close(elsewhere)


@pytest.mark.parametrize(
    ("wrapper", "reasons"),
    [
        (lambda fd: None, []),
        (execute, [""]),
        (lambda fd: os.write(fd, b"No such file"), ["No such file"]),
        (lambda fd: os.write(fd, b"\xff"), ["\ufffd"]),
    ],
)
def test_silence_is_good_news(wrapper: Callable[[int], None], reasons: list[str]) -> None:
    """Once the pipe is closed; as long as it is open, nobody knows."""
    assert told(wrapper) == reasons
