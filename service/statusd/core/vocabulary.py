"""The words of the built-in lifecycle, for who can't wait until its table is compiled. Pure."""

from __future__ import annotations

RESERVED_WORDS = ("status", "ping", "force")
"""What every unit knows, whatever its lifecycle."""
BUILT_IN_WORDS = (
    *RESERVED_WORDS,
    *("start", "pause", "resume", "stop", "reset", "end"),
    *("INIT", "READY", "RUNNING", "PAUSED", "BACKOFF", "FAILED", "ENDING", "END"),
)
"""Its whole vocabulary, in the order of its table."""
EVERYBODYS = frozenset(word.lower() for word in BUILT_IN_WORDS)
"""The same, to be looked up."""
