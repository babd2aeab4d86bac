"""The words of the built-in lifecycle, for who can't wait until its table is compiled. Pure."""

from __future__ import annotations

BUILT_IN_WORDS = (
    *("status", "ping", "force"),
    *("start", "pause", "resume", "stop", "reset", "end"),
    *("INIT", "READY", "RUNNING", "PAUSED", "BACKOFF", "FAILED", "ENDING", "END"),
    "launch",
)
"""Its whole vocabulary, in the order of its table."""
EVERYBODYS = frozenset(word.lower() for word in BUILT_IN_WORDS)
"""The same, to be looked up."""
