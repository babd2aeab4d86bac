"""What the pages of the documentation show: blocks, and what is typed in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def text(page: str) -> str:
    """Return a page by its name from the root of the checkout."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(content: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", content, re.DOTALL | re.MULTILINE)


def block(page: str, first_line: str) -> str:
    """Return the shell block of ``page`` that begins with ``first_line``.

    Whoever calls it in a test types it: by these calls tests/unit/test_pages.py knows which are.

    Raises:
        AssertionError: there is none, or there are several.
    """
    (found,) = [one for one in blocks(text(page), "sh") if shell_lines(one)[0] == first_line]
    return found


def shell_lines(block: str) -> list[str]:
    """Return what is typed, without the remarks."""
    typed = (re.sub(r"(^|\s)#.*", "", line).strip() for line in block.splitlines())
    return [line for line in typed if line]
