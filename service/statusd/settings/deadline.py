"""The time by which a job has to be over: as it is written, and what it comes to.

``2026-12-01T06:00:00Z``, or a date and time of TOML; ``2h``, from the start of the unit; or
``$SLURM_JOB_END_TIME``, a variable of the daemon that holds one of these, or Unix time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time

from statusd.core.times import LAST_S, rfc3339

WANTED = (
    'a deadline is "2026-12-01T06:00:00Z" (with its zone), "90min" or "2h" from the start, or '
    '"$SLURM_JOB_END_TIME", a variable'
)
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})", re.ASCII)
_UNIX = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h|d)\s*", re.ASCII)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def written(value: object) -> str:
    """Return a deadline as it is kept, in text.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, datetime):
        value = value.isoformat()
    elif isinstance(value, date | time):
        raise ValueError(WANTED)
    if not isinstance(value, str):
        raise ValueError(WANTED)
    text = value.strip()
    if text and not _VARIABLE.fullmatch(text):
        _moment(text, 0.0)
    return text


def moment(text: str, environ: Mapping[str, str], now: float) -> float:
    """Return when it is, in Unix time; 0 for never, if the text is empty.

    Args:
        environ: what variables are there; now: Unix time.

    Raises:
        ValueError: its variable isn't set, or holds no time, or the time has passed; and the cure.
    """
    if not text:
        return 0.0
    at = _of_variable(text, environ, now) if text.startswith("$") else _moment(text, now)
    if at <= now:
        raise ValueError(f"{text}: it has passed ({rfc3339(at)}): name another, or leave it out")
    return at


def _of_variable(text: str, environ: Mapping[str, str], now: float) -> float:
    name = text.strip("${}")
    value = environ.get(name, "").strip()
    if not value:
        cure = "STATUSD_WORKER__DEADLINE= (empty) runs it without a deadline"
        raise ValueError(f"{text} isn't set here: the batch system sets it in a job; {cure}")
    if _UNIX.fullmatch(value):
        return min(float(value), LAST_S)
    try:
        return _moment(value, now)
    except ValueError:
        shown = ascii(value[:40])
        raise ValueError(f"{text} is {shown}: neither Unix time nor a time with its zone") from None


def _moment(text: str, now: float) -> float:
    """Return when it is that a time, or a span from ``now``, says.

    Raises:
        ValueError: it says neither.
    """
    spans = _SPAN.findall(text)
    if spans and not _SPAN.sub("", text):
        return min(now + math.fsum(float(count) * _SECONDS[unit] for count, unit in spans), LAST_S)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError
        return at.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(WANTED) from None
