"""Tests of `statusd.supervision.exits`: what is said of an end."""

from __future__ import annotations

import signal

import pytest

from statusd.supervision.exits import describe_exit, last_of_traceback

TRACEBACK = ("Traceback (most recent call last):", '  File "job.py", line 3, in <module>')


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-signal.SIGRTMIN - 1, f"killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_an_exit_is_told_in_words(code: int, words: str) -> None:
    """A signal by its name, if it has one."""
    assert describe_exit(code) == words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((*TRACEBACK, "ValueError: no good", ""), "ValueError: no good"),
        ((*TRACEBACK, "package.Broken"), "package.Broken"),
        ((*TRACEBACK, "    1 / 0"), ""),
        (("ValueError: no good",), ""),
        ((), ""),
    ],
)
def test_the_last_line_of_a_traceback_is_why(lines: tuple[str, ...], words: str) -> None:
    """Of a traceback alone: any other last line may be anything."""
    assert last_of_traceback(lines) == words
