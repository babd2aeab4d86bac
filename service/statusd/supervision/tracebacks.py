"""What a Python program died of, read from its standard error.

What can't be told apart: a traceback that was caught and logged from the one that ended the program
(the last one counts), and the further lines of a message from notes (PEP 678) and from what is
printed at exit. So a message goes on in lines that are indented, and in the one after a colon, and
no further.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_HEAD = re.compile(r"(.*?)(\+ Exception Group )?Traceback \(most recent call last\):")
_FRAME = re.compile(r'  File ".*", line \d+, in ')
_SYNTAX = re.compile(r'  File ".*", line \d+')
"""How the report of a script that can't be compiled begins: nothing was called before it."""
_EXCEPTION = re.compile(r"[^\W\d][\w.<>]*(: |:?$)")
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_HARMLESS = re.compile(
    r"Exception ignored |Exception in (thread|callback|Tkinter callback)\b|Error in atexit"
    r"|--- Logging error ---|Process [\w-]+:$|(future|handle|task|transport|protocol): <"
)
"""Before a traceback that ends no program: of a thread or a child, in ``__del__``, of asyncio."""
_IGNORED = "Exception ignored "
_WARNING = re.compile(r"\S.*:\d+: \w*Warning: ")
"""The first line of a warning of Python's; the line of code that comes behind is indented."""


class _Head(NamedTuple):
    """Where the frames of a traceback begin, and what stands before each of its lines."""

    frames: int
    prefix: str = ""
    is_group: bool = False


class _Block(NamedTuple):
    """A traceback with those it is chained to: in which lines, and what it says last."""

    begin: int
    end: int
    exception: str
    why: str
    """The line before it."""


def last_exception(lines: Sequence[str], *, is_last: bool = False) -> str:
    """Return the last exception that can have ended a program; empty if there is none.

    Args:
        lines: the last of standard error, without line ends; the first may be in a traceback.
        is_last: only if nothing was said after it.
    """
    fatal = [block for block in _blocks(lines) if not _HARMLESS.match(block.why)]
    if not fatal or (is_last and any(line.strip() for line in lines[fatal[-1].end :])):
        return ""
    return fatal[-1].exception


def last_line(lines: Sequence[str]) -> str:
    """Return the last line that isn't empty; if there is another one, none that ends no program.

    That is one of an exception that was ignored, or of a warning: at exit these come last.
    """
    rest = list(lines)
    for block in reversed(_blocks(lines)):
        if block.why.startswith(_IGNORED):
            del rest[block.begin - 1 : block.end]
    for at in reversed(range(len(rest))):
        if _WARNING.match(rest[at]):
            has_code = rest[at + 1 : at + 2] and rest[at + 1].startswith("  ")
            del rest[at : at + (2 if has_code else 1)]
    said = [line for line in rest if line.strip()] or [line for line in lines if line.strip()]
    return said[-1] if said else ""


def _blocks(lines: Sequence[str]) -> list[_Block]:
    blocks: list[_Block] = []
    at = 0
    while at < len(lines):
        head = _head(lines, at)
        if head is None:
            at += 1
            continue
        block = _block(lines, at, head)
        if isinstance(block, int):
            at = max(block, at + 1)
            continue
        if blocks and any(line in _CHAINED for line in lines[max(blocks[-1].end, at - 2) : at]):
            first = blocks.pop()
            block = block._replace(begin=first.begin, why=first.why)
        blocks.append(block)
        at = block.end
    return blocks


def _head(lines: Sequence[str], at: int) -> _Head | None:
    """Return what begins in the line ``at``; None if no traceback does."""
    line = lines[at]
    if line.startswith("  File "):
        is_torn = _FRAME.match(line) and all(above.startswith("  ") for above in lines[:at])
        return _Head(at) if is_torn or _SYNTAX.fullmatch(line) else None
    head = _HEAD.fullmatch(line) if "Traceback" in line else None
    if head is None:
        return None
    is_group = bool(head[2])
    prefix = f"{head[1]}| " if is_group else head[1]
    # A logger has put something before the first line alone, a launcher of many before each.
    is_each = lines[at + 1 : at + 2] and lines[at + 1].startswith(prefix)
    return _Head(at + 1, prefix if is_each else "", is_group)


def _block(lines: Sequence[str], begin: int, head: _Head) -> _Block | int:
    """Return the traceback of ``head``; if no exception follows its frames, where they end."""
    at, prefix, is_group = head
    while at < len(lines) and lines[at].startswith(f"{prefix}  "):
        at += 1
    if at == len(lines) or not _EXCEPTION.match(lines[at].removeprefix(prefix)):
        return at
    end = at + 1
    while end < len(lines) and _goes_on(lines[end - 1], lines[end], prefix):
        end += 1
    said = " ".join(line.removeprefix(prefix) for line in lines[at:end])
    while is_group and end < len(lines) and _is_inside(lines[end], prefix.removesuffix("| ")):
        end += 1
    return _Block(begin, end, said, lines[begin - 1] if begin else "")


def _is_inside(line: str, margin: str) -> bool:
    """Tell whether a line shows what is in a group: the group says more than the last of these."""
    return line.removeprefix(margin).lstrip()[:1] in ("|", "+")


def _goes_on(line: str, after: str, prefix: str) -> bool:
    """Tell whether the message of an exception goes on: indented, or after a colon."""
    if not after.startswith(prefix):
        return False
    after = after.removeprefix(prefix)
    is_announced = line.rstrip().endswith(":") and _HEAD.fullmatch(after) is None
    return bool(after.strip()) and (after[0] in " \t" or is_announced)
