"""What somebody may write who wants to do something to whoever reads it."""

from __future__ import annotations

import re

FORGED = "2026-11-27T09:00:00.000Z  forged  RUNNING -> END"
"""A line that looks like one of ours."""
HOSTILE = (
    f"A\x1b]0;PWN\x07\x1b[2J\x1b[31mB\x9b2J\x9d0;PWN\x9c\x7f\x08\x00\r\n{FORGED}\n\x85\u2028"
    "\u202egnp\u2066\u200f\u200b\ufeff\ud800[red]C[/red][link=http://x]D[/link]\x0b\x0c"
    + "\u0301"
    * 50
)
"""Titles, colours, C0 and C1, DEL, line ends, bidirectional controls, half a character, markup."""
HARMLESS_CSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What a program that draws sends itself: colours, and where the cursor goes."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def arrived(shown: str, *, draws: bool = False) -> list[str]:
    """Return what of `HOSTILE` got through.

    Args:
        shown: all that came out.
        draws: it was drawn on a terminal, which takes commands of our own.
    """
    text = shown.replace("\r\n", "\n")
    if draws:
        text = HARMLESS_CSI.sub("", text).replace("\r", "\n")
    found = _CONTROL.findall(text)
    found += [row for row in text.split("\n") if row.strip().startswith(FORGED[:20])]
    found += re.findall("\u0301{9,}", text)
    if draws and "\x1b[31mB" in shown:
        found.append("a colour")
    return found
