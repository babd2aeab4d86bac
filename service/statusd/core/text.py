"""Foreign text for human eyes: the one function that makes it harmless.

Whatever comes from a publisher, a broker, a worker, a disk or the environment may hold a terminal's
commands, a line that looks like one of ours, or signs that turn a line's direction round.
"""

from __future__ import annotations

import unicodedata

SHOWN = 300
"""How much of one text is shown, in characters."""
MOST_MARKS = 4
"""So many accents may stand on one letter; more of them reach into the lines around it."""


def shown(value: object, most: int | None = SHOWN, *, ascii_only: bool = False) -> str:
    r"""Return ``value`` as one line of printable text, of at most ``most`` signs before a ``...``.

    What isn't printable (control characters of both sets, DEL, line ends, what changes a line's
    direction, half characters) stands there as Python writes it: ``\x1b``, ``\n``, ``\u202e``.

    Args:
        value: a text; bytes are read as UTF-8; of anything else, what ``str`` makes of it.
        most: None for all of it.
        ascii_only: other letters are written so as well.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = value if isinstance(value, str) else _as_text(value)
    if most is not None and len(text) > most:
        text = f"{text[:most]}..."
    if text.isprintable() and text.isascii():
        return text
    if ascii_only:
        return "".join(s if s.isascii() and s.isprintable() else _escaped(s) for s in text)
    return _without_control(text)


def _as_text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # a stranger's __str__, or an int of more than 4300 digits
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _without_control(text: str) -> str:
    signs, marks = [], 0
    for sign in text:
        marks = marks + 1 if unicodedata.category(sign).startswith("M") else 0
        is_harmless = sign.isprintable() and marks <= MOST_MARKS
        signs.append(sign if is_harmless else _escaped(sign))
    return "".join(signs)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
