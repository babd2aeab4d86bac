"""How a process ended, in words: by its exit code or signal, and by what it said last."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from statusd.core.text import shown
from statusd.supervision import tracebacks
from statusd.worker.notes import MAX_REASON

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def last_words(code: int, lines: Sequence[str], known: str = "") -> str:
    """Return what a program died of by its own account, as text that is fit for a terminal.

    That is the last exception of Python, or else its last line. Whoever was killed by a signal has
    mostly said nothing of it: only an exception that was its very last word counts.

    Args:
        code: how it ended, as `subprocess` has it.
        lines: the last of its standard error.
        known: what is known besides; it says more than a line that may be anything.

    Returns:
        At most 500 characters; empty if nothing is known and it left with 0, or has said nothing.
    """
    if code == 0:
        return known
    plain = [_COLOUR.sub("", line) for line in lines]
    said = tracebacks.last_exception(plain, is_last=code < 0) or known
    if not said and code > 0:
        said = tracebacks.last_line(plain)
    return shown(" ".join(said.split())[:MAX_REASON], None)[:MAX_REASON]


def describe_exit(code: int) -> str:
    """Return how a process ended, in words: ``exit code 3``, ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"
