"""What others have left in Redis, read one by one: a record either fits or says why it doesn't.

Anybody who may write there may have written it. Numbers have a range and nesting a depth, found
before anything is converted; one record that can't be read harms no other.

Length: the kinds of records are a table, and one that is read elsewhere would be judged otherwise.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from statusd.core.bounds import Unreadable, nesting

MOST_BYTES = 1024 * 1024
"""A longer one isn't read: no record of ours comes near."""
MOST_DEPTH = 32
"""How deep the objects and arrays of a record may be nested; ours go down to four."""
MOST_NUMBER = 2**63
"""Whole numbers of ours are below it, and above its negative."""
EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
"""Of an event, which is that of its entry: boot and number."""

Fits = Callable[[Any], bool]


def as_text(value: bytes | str) -> str:
    """Return a name, an id or a key as text, whatever bytes somebody has put into it."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def decode(text: object) -> dict[str, Any]:
    """Return the JSON object that ``text`` is.

    Raises:
        Unreadable: it is none, or longer, deeper, or with larger numbers than any of ours.
    """
    if not isinstance(text, bytes | str):
        raise Unreadable("it is no text")
    if len(text) > MOST_BYTES:
        raise Unreadable(f"it is longer than {MOST_BYTES} bytes")
    try:
        found = _parsed(text if isinstance(text, str) else text.decode("utf-8"))
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8") from None
    if not isinstance(found, dict):
        raise Unreadable("it is no JSON object")
    return found


def _parsed(text: str) -> Any:
    if text.count("{") + text.count("[") > MOST_DEPTH:
        depth = nesting(text.encode("utf-8", "surrogatepass"))
        if depth > MOST_DEPTH:
            raise Unreadable(f"it is nested deeper than {MOST_DEPTH} levels")
    try:
        return _DECODER.decode(text)
    except Unreadable:
        raise
    except ValueError:
        raise Unreadable("it is not valid JSON") from None


def _refuse_constant(name: str) -> Any:
    raise Unreadable(f"{name} is not a finite number")


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -MOST_NUMBER <= int(digits) < MOST_NUMBER:
        raise Unreadable("it has a number that is too large")
    return int(digits)


def _float(text: str) -> float:
    number = float(text) if len(text) < 400 else math.inf
    if not math.isfinite(number):
        raise Unreadable("it has a number that is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float)


# ---- what fits -----------------------------------------------------------------------------------


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scalars(value: Any) -> bool:
    return isinstance(value, dict) and not any(isinstance(v, dict | list) for v in value.values())


def _or_null(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def _object(**fields: Fits) -> Fits:
    return lambda value: isinstance(value, dict) and not _misfit(value, fields)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and EVENT_ID.fullmatch(value) is not None


_STOP = _object(stage=_text, next=_text, in_s=_number)
_DEATH = _object(run=_count, reason=_text, stderr=_texts)
_REACHED = _object(run=_count, step=_or_null(_number), total=_or_null(_number), text=_text)
_RESOURCES = _object(
    **dict.fromkeys(("cpu", "descriptors", "pss"), _or_null(_number)),
    cpu_s=_number,
    **dict.fromkeys(("memory", "threads", "processes"), _count),
)
_DOCUMENT: Mapping[str, Fits] = {
    **dict.fromkeys(("name", "state", "part", "kind", "since", "goal", "text"), _text),
    **dict.fromkeys(("host", "daemon", "link", "trouble"), _text),
    **dict.fromkeys(("waits_for", "at", "deadline"), _text),
    **dict.fromkeys(("tags", "allowed", "channels"), _texts),
    **dict.fromkeys(("boot", "seq", "run", "pid", "outages"), _count),
    **dict.fromkeys(("args", "last", "ended"), _or_null(_scalars)),
    "observed": _flag,
    "unseen_since": _or_null(_text),
    "progress": _or_null(
        _object(
            step=_or_null(_number),
            total=_or_null(_number),
            unit=_text,
            rate=_or_null(_number),
            left_s=_or_null(_number),
        )
    ),
    "worker": _or_null(
        _object(
            pid=_or_null(_count),
            beats=_count,
            restarts=_count,
            death=_or_null(_DEATH),
            reached=_or_null(_REACHED),
            resources=_or_null(_RESOURCES),
        )
    ),
    "stop": _or_null(_STOP),
    "canary_ms": _or_null(_number),
    "beat_s": _number,
    "ends_within_s": _number,
    "words": _texts,
}
_LIFECYCLE: Mapping[str, Fits] = {
    "nodes": lambda value: _all_fit(value, {"name": _text, "kind": _text}),
    "arrows": lambda value: _all_fit(
        value,
        {
            **dict.fromkeys(("source", "dest", "who"), _text),
            "labels": _texts,
            "is_aside": _flag,
        },
    ),
}
_ENTRY: Mapping[str, Fits] = {"boot": _count, "left": _flag, "seen": _text}
_EVENT: Mapping[str, Fits] = {
    **dict.fromkeys(("name", "old", "new", "trigger", "source", "by", "id", "reason", "at"), _text),
    **dict.fromkeys(("boot", "seq", "run"), _count),
    **dict.fromkeys(("event", "previous"), _is_id),
    "args": _scalars,
    "stderr": _texts,
    "gap": _object(start=_text, end=_text, recovered=_count, lost=_or_null(_count)),
}
_HEALTH: Mapping[str, Fits] = {
    **dict.fromkeys(("name", "state", "link", "link_trouble", "trouble"), _text),
    **dict.fromkeys(("boot", "pid"), _count),
    "stuck": _texts,
}
_DAEMON: Mapping[str, Fits] = {
    **dict.fromkeys(("daemon", "link", "link_trouble"), _text),
    "pid": _count,
    "stuck": _texts,
    "units": lambda value: (
        isinstance(value, list)
        and all(isinstance(one, dict) and not _misfit(one, _HEALTH) for one in value)
        and all({"name", "state", "link", "stuck"} <= one.keys() for one in value)
    ),
    "ended": _texts,
    "not_started": lambda value: isinstance(value, dict) and all(map(_text, value.values())),
}
_VERDICT: Mapping[str, Fits] = {
    **dict.fromkeys(
        ("verdict", "id", "name", "command", "source", "state", "reason", "did_you_mean"), _text
    ),
    **dict.fromkeys(("boot", "seq", "count"), _count),
    **dict.fromkeys(("observed", "repeat", "kept"), _flag),
    "allowed": _texts,
    "ms": _number,
    "status": _object(**_DOCUMENT),
}


_LOG_LINE: Mapping[str, Fits] = {
    **dict.fromkeys(("at", "stream", "line"), _text),
    **dict.fromkeys(("run", "cut"), _count),
}
_LOGS: Mapping[str, Fits] = {
    **dict.fromkeys(("logs", "refused", "ended"), _text),
    **dict.fromkeys(("boot", "seq", "left_out"), _count),
    **dict.fromkeys(("answer", "more"), _flag),
    "next": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_count, value)),
    "standing": _or_null(_object(**_LOG_LINE)),
    "lines": lambda value: (
        isinstance(value, list) and all(isinstance(one, dict) and _is_line(one) for one in value)
    ),
}


def _is_line(record: Mapping[str, Any]) -> bool:
    return record.keys() >= {"at", "run", "stream", "line"} and not _misfit(record, _LOG_LINE)


def _all_fit(value: Any, fields: Mapping[str, Fits]) -> bool:
    """Tell whether it is a list of objects that have all these fields."""
    return isinstance(value, list) and all(
        isinstance(one, dict) and fields.keys() <= one.keys() and not _misfit(one, fields)
        for one in value
    )


def _misfit(record: Mapping[str, Any], fields: Mapping[str, Fits]) -> str:
    """Return the first key whose value isn't what it has to be; empty if there is none."""
    return next(
        (key for key, fits in fields.items() if key in record and not fits(record[key])), ""
    )


def _read(text: object, fields: Mapping[str, Fits], *required: str) -> dict[str, Any]:
    """Return the record; keys that we don't know, of a newer daemon, are left alone."""
    record = decode(text)
    missing = next((key for key in required if key not in record), "")
    if missing:
        raise Unreadable(f'it has no "{missing}"')
    wrong = _misfit(record, fields)
    if wrong:
        raise Unreadable(f'its "{wrong}" is not what it has to be')
    return record


def document(text: object) -> dict[str, Any]:
    """Return a status document.

    Raises:
        Unreadable: it is none.
    """
    return _read(text, _DOCUMENT, "boot")


def lifecycle(text: object) -> dict[str, Any]:
    """Return a lifecycle: its states and arrows, see `lifecycles.drawing`.

    Raises:
        Unreadable: it is none.
    """
    return _read(text, _LIFECYCLE, "nodes", "arrows")


def roster_entry(text: object) -> dict[str, Any]:
    """Return an entry of the roster.

    Raises:
        Unreadable: it is none.
    """
    return _read(text, _ENTRY, "boot")


def event(text: object, entry_id: str = "") -> dict[str, Any]:
    """Return an event.

    Args:
        entry_id: of its entry in the history, which is its own; empty if it is from no history.

    Raises:
        Unreadable: it is none.
    """
    record = _read(text, _EVENT, "event")
    if entry_id and record["event"] != entry_id:
        raise Unreadable("its id is not that of its entry")
    return record


def verdict(text: object) -> dict[str, Any]:
    """Return a verdict.

    Raises:
        Unreadable: it is none.
    """
    return _read(text, _VERDICT, "verdict", "name")


def health(text: object) -> dict[str, Any]:
    """Return what a daemon says of its own health.

    Raises:
        Unreadable: it is nothing of the kind.
    """
    return _read(text, _HEALTH, "state", "link", "stuck")


def daemon_health(text: object) -> dict[str, Any]:
    """Return what the daemon of a folder says of its own health, and of its units'.

    Raises:
        Unreadable: it is nothing of the kind.
    """
    return _read(text, _DAEMON, "daemon", "link", "stuck", "units", "ended", "not_started")


def logs(text: object) -> dict[str, Any]:
    """Return what a unit tells of its worker's output.

    Raises:
        Unreadable: it is nothing of the kind.
    """
    return _read(text, _LOGS, "logs", "boot", "seq", "lines")
