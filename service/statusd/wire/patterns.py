"""Redis' own glob patterns, matched in a time that grows with the name and not with its square."""

from __future__ import annotations

import re
from functools import lru_cache

MOST_BYTES = 1024
"""The longest name that any pattern fits: nobody gives a channel a longer one in good faith."""


class Glob:
    r"""A pattern as PSUBSCRIBE takes it, for whole names.

    Redis knows ``*``, ``?``, ``[ab]``, ``[a-z]``, ``[^a]`` and ``\`` before a sign that is meant
    as such, also in a class (`stringmatchlen` in its source). No pattern is an error there, so none
    is here; `fnmatch` differs in the last two, and in what is not closed.

    What stands between two stars is looked for once, from left to right: a star that has found the
    first place where its neighbour fits never needs another one. As one regular expression with
    ``.*`` in it, each star would try them all: with n stars, the n-th power of the length.

    Args:
        pattern: its bytes; a name is compared byte by byte, as the broker does.
    """

    __slots__ = ("_first", "_last", "_last_size", "_middle")

    def __init__(self, pattern: bytes) -> None:
        parts = _parts(pattern)
        compiled = [re.compile(b"".join(part), re.DOTALL) for part in parts]
        self._first, *self._middle = compiled
        self._last = self._middle.pop() if self._middle else None
        self._last_size = len(parts[-1])

    def fits(self, name: bytes) -> bool:
        """Tell whether ``name`` fits; one that is longer than `MOST_BYTES` never does."""
        if len(name) > MOST_BYTES:
            return False
        if self._last is None:
            return self._first.fullmatch(name) is not None
        found = self._first.match(name)
        for part in self._middle:
            if found is None:
                return False
            found = part.search(name, found.end())
        last_at = len(name) - self._last_size
        if found is None or last_at < found.end():
            return False
        return self._last.match(name, last_at) is not None


@lru_cache(maxsize=4096)
def glob(pattern: bytes) -> Glob:
    """Return `Glob` of ``pattern``, made once for all the units that have the same one."""
    return Glob(pattern)


def _parts(pattern: bytes) -> list[list[bytes]]:
    """Return what stands between the stars: an expression for each byte that a part fits."""
    parts: list[list[bytes]] = [[]]
    at = 0
    while at < len(pattern):
        sign = pattern[at : at + 1]
        at += 1
        if sign == b"*":
            if parts[-1] or len(parts) == 1:  # two stars are one
                parts.append([])
        elif sign == b"?":
            parts[-1].append(b".")
        elif sign == b"[":
            members, at = _class(pattern, at)
            parts[-1].append(members)
        else:
            if sign == b"\\" and at < len(pattern):
                sign = pattern[at : at + 1]
                at += 1
            parts[-1].append(re.escape(sign))
    return parts


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Return the class that begins at ``at``, behind its bracket, and where it ends."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members: list[bytes] = []
    while at < len(pattern):
        sign = pattern[at : at + 1]
        if sign == b"\\" and at + 1 < len(pattern):
            members.append(re.escape(pattern[at + 1 : at + 2]))
            at += 2
        elif sign == b"]":
            at += 1
            break
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            ends = sorted((sign, pattern[at + 2 : at + 3]))  # Redis turns them round as well
            members.append(b"-".join(map(re.escape, ends)))
            at += 3
        else:
            members.append(re.escape(sign))
            at += 1
    if not members:
        return (b"." if negated else b"(?!)"), at
    return b"[" + b"^" * negated + b"".join(members) + b"]", at
