"""Which signals may stand for a word, and whose word it is that nobody has said.

Rule of this file: it imports nothing of ours, for signals are caught before all else is there.
"""

from __future__ import annotations

PROMPTS = ("SIGUSR1", "SIGUSR2", "SIGURG", "SIGXCPU", "SIGALRM")
"""Those that mean nothing to a daemon by themselves: what batch systems can be told to send."""

SIGNAL, DEADLINE = "signal:", "deadline"
"""How the source begins of what a signal has asked for, and what that of the deadline is."""


def is_prompt(source: str) -> bool:
    """Tell whether a signal or the deadline has asked for something, and no sender."""
    return source.startswith(SIGNAL) or source == DEADLINE
