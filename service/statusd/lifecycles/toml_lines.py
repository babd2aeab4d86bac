"""Where things stand in a TOML document: tomllib tells what is in it, and no lines.

For text that tomllib has accepted: the scanner looks for keys, brackets and commas, and steps over
strings and comments; it finds no errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]

_PLACE = re.compile(r" \((at line \d+, column \d+|at end of document)\)$")

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]*")


_SAID = {
    "Cannot declare": "a table stands there twice",
    "Cannot mutate": "what stands there was complete above",
    "Cannot overwrite": "a key stands there twice",
    "Cannot redefine": "what stands there was complete above",
    "Duplicate": "a key stands there twice",
    "Expected '='": "a key and a value are joined by =",
    "Expected newline": "nothing more may stand in that line",
    "Illegal character": "a character that has to be escaped",
    "Found invalid character": "a character that can't stand there",
    "Invalid value": 'no value: a text stands in quotes, "..."',
    "Unescaped": "a \\ is written \\\\, or the text in '...'",
    "Unterminated": "a quote is missing",
    "Unclosed": "a bracket is missing",
}
"""How tomllib's complaints begin -> what they mean; they go on with what stands in the document."""


def mistake(error: ValueError) -> str:
    """Return where and why a document is no TOML; nothing of it is repeated, it may be a secret."""
    text = str(error)
    where = _PLACE.search(text)
    why = next((meaning for begin, meaning in _SAID.items() if text.startswith(begin)), "")
    return f"not valid TOML{f' ({where[1]})' if where else ''}{f': {why}' if why else ''}"


def lines(text: str) -> dict[Path, int]:
    """Return path -> number of the line where it stands, counted from 1.

    A path is made of keys and of indices: ``("lifecycle", "transitions", 3, "source")``.

    Args:
        text: a document that tomllib has accepted.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def line_of(known: Mapping[Path, int], path: Sequence[str | int]) -> int:
    """Return the line of ``path``, or of what it stands in as far as that is known, or 0."""
    for length in range(len(path), 0, -1):
        if tuple(path[:length]) in known:
            return known[tuple(path[:length])]
    return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._counts: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Path:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path of the table that it opens."""
        is_element = self._text.startswith("[[", self._at)
        line = self._line
        self._move(2 if is_element else 1)
        path: Path = ()
        keys = self._keys()
        for key in keys[:-1]:
            path = self._last_element((*path, key), line)
        path = (*path, keys[-1])
        self._note(path, line)
        if is_element:
            number = self._counts[path] = self._counts.get(path, -1) + 1
            path = (*path, number)
            self._note(path, line)
        self._move(2 if is_element else 1)
        return path

    def _last_element(self, path: Path, line: int) -> Path:
        """Return ``path``, or its last element if it is an array of tables."""
        self._note(path, line)
        return (*path, self._counts[path]) if path in self._counts else path

    def _pair(self, table: Path) -> None:
        """Read ``key = value``."""
        line, path = self._line, table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._move(1)  # the sign =
        self._skip(_BLANK)
        self._value(path)

    def _keys(self) -> list[str]:
        """Read a dotted key, with the blanks after it."""
        keys = []
        while True:
            self._skip(_BLANK)
            keys.append(_unquote(self._take(_KEY)))
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return keys
            self._move(1)

    def _value(self, path: Path) -> None:
        sign = self._text[self._at]
        if sign == "[":
            self._elements(path)
        elif sign == "{":
            self._inline_table(path)
        elif sign in "\"'":
            self._take(_STRING)
        else:
            self._take(_PLAIN)

    def _elements(self, path: Path) -> None:
        number = 0
        while self._goes_on("]"):
            self._note((*path, number), self._line)
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: Path) -> None:
        while self._goes_on("}"):
            self._pair(path)

    def _goes_on(self, closing: str) -> bool:
        """Step over an opening bracket or a comma; False after stepping over ``closing``."""
        self._skip(_BLANK)
        if self._text[self._at] != closing:
            self._move(1)
            self._skip(_BLANK)
        if self._text[self._at] != closing:
            return True
        self._move(1)
        return False

    def _note(self, path: Path, line: int) -> None:
        self.found.setdefault(path, line)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        taken = found[0] if found is not None else ""
        self._move(len(taken))
        return taken

    def _move(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count


def _unquote(key: str) -> str:
    if key[:1] not in ("'", '"'):
        return key
    return str(tomllib.loads(f"key = {key}")["key"])
