"""Tests of `statusd.supervision.exits`: what is said of an end."""

from __future__ import annotations

import signal

import pytest

from statusd.supervision.exits import describe_exit, last_words

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


@pytest.mark.fault("J14")
@pytest.mark.parametrize(
    ("code", "lines", "words"),
    [
        (1, (*TRACEBACK, "ValueError: no good", ""), "ValueError: no good"),
        (1, (*TRACEBACK, "package.Broken", "saved"), "package.Broken"),
        (1, (*TRACEBACK, "    1 / 0"), "1 / 0"),
        (3, ("looking", "acquire: no film", "  ", ""), "acquire: no film"),
        (3, ("\x1b[31macquire:\x1b[0m \x1b[2J\tno film\u202e",), r"acquire: \x1b[2J no film\u202e"),
        (1, ("w" * 600,), "w" * 500),
        (1, ("\x07" * 600,), (r"\x07" * 600)[:500]),
        (1, (), ""),
        (0, ("well done",), ""),
        (0, (*TRACEBACK, "ValueError: no good"), ""),
        (-signal.SIGTERM, ("acquire: no film",), ""),
        (-signal.SIGTERM, (*TRACEBACK, "ValueError: no good", "saved"), ""),
        (-signal.SIGABRT, (*TRACEBACK, "ValueError: no good", ""), "ValueError: no good"),
    ],
)
def test_the_last_words_are_why(code: int, lines: tuple[str, ...], words: str) -> None:
    """The exception, else the last line; of whom a signal has killed, only what came last."""
    assert last_words(code, lines) == words


def test_what_is_known_says_more_than_a_last_line() -> None:
    """But less than an exception."""
    assert last_words(3, ("a line",), "it had closed them") == "it had closed them"
    assert last_words(1, (*TRACEBACK, "OSError"), "it had closed them") == "OSError"
