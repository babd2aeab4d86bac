"""How a process ended, in words: by its exit code or signal, and by what it said last."""

from __future__ import annotations

import re
import signal


def last_of_traceback(lines: tuple[str, ...]) -> str:
    """Return what a Python program died of, if its last words are a traceback; else nothing."""
    said = [line for line in lines if line.strip()]
    in_traceback = any(line.startswith('  File "') for line in said)
    if in_traceback and re.match(r"[A-Za-z_][\w.]*(: |$)", said[-1]):
        return said[-1]
    return ""


def describe_exit(code: int) -> str:
    """Return how a process ended, in words: ``exit code 3``, ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"
