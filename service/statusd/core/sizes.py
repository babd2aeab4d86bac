"""Sizes of memory, as people write them and read them: ``2GiB``, ``500MB``, ``2.1 GiB``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_DECIMAL = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
UNITS: Mapping[str, int] = _DECIMAL | _BINARY
"""What may stand behind a number, in whatever case."""
_BYTES = {unit.lower(): size for unit, size in UNITS.items()}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Return how many bytes a size is; without a unit they are bytes.

    Raises:
        ValueError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'a size is written "2GiB" or "500MB", and not {text!r:.80}')
    number, unit = found.groups()
    if unit and unit.lower() not in _BYTES:
        like = [name for name in ("KiB", "MiB", "GiB", "TiB") if name[0] == unit[0].upper()]
        known = f", did you mean {number}{like[0]}?" if like else f": {', '.join(UNITS)}"
        raise ValueError(f"{unit} is no unit of memory{known}")
    return int(float(number) * _BYTES[unit.lower()]) if unit else int(float(number))


def size_text(size: int, *, over: bool = False) -> str:
    """Return a size for a human, in the largest unit that fits: ``2.1 GiB``.

    Args:
        over: rounded up, so that what is over a limit isn't shown as that limit.
    """
    unit, scale = "B", 1
    for name, bytes_ in _BINARY.items():
        if size >= bytes_:
            unit, scale = name, bytes_
    number = size / scale
    places = 2 if over else 1
    shown = math.ceil(number * 10**places) / 10**places if over else round(number, places)
    return f"{shown:.{places}f}".rstrip("0").rstrip(".") + f" {unit}"
