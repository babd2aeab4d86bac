"""How log lines look, and which are shown; where they go is `log_output`'s matter.

A terminal gets colour and a short time, the journal ``<N>``-prefixed logfmt (sd-daemon(3)), any
other reader JSON lines. Texts from outside are escaped and cut. Each module gets its logger here
(`get`); structlog renders what a human or the journal reads, and is imported for them alone: it
takes 60 ms, a third of a start, and rich with it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from statusd.core.text import SHOWN, shown
from statusd.log_output import Output

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of sd-daemon(3), which are those of syslog(3)."""
MOST_FRAMES = 50
"""So many calls of a traceback are logged, the last ones."""
MOST_ROW = 2000
"""How much of a line of a traceback is logged, in characters."""

if TYPE_CHECKING:
    from statusd.core.events import EventHead

Fields = MutableMapping[str, Any]

Render = Callable[[str, Fields], str]
"""Makes a line of a level and what is to be said."""

_level = LEVELS["info"]
_output: Output | None = None
_is_json = False
_render: Render = lambda level, fields: ""  # noqa: E731  # until `configure`


def set_level(level: str) -> None:
    """Show what is at least so important from now on."""
    global _level
    _level = LEVELS[level]


def is_enabled(level: str) -> bool:
    """Tell whether what is so important is shown."""
    return LEVELS[level] >= _level


class Logger:
    """Tells the log what has happened: a dotted name in the past tense, and fields.

    Args:
        fields: what each of its lines says too.
    """

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def debug(self, event: str, **fields: Any) -> None:
        """Tell what is of interest to who looks for a fault."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Tell what is as it should be."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Tell what somebody might want to look at."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Tell what has failed."""
        self._write("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        """Tell what ends us."""
        self._write("critical", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Tell what has failed, with the error that is being handled."""
        self._write("error", event, {**fields, "exc_info": True})

    def _write(self, level: str, event: str, fields: Fields) -> None:
        if LEVELS.get(level, 50) < _level:
            return
        said: Fields = {**self.fields, **fields, "event": event, "level": level}
        _format_error(said)
        _escape(said)
        _written_to().msg(_render(level, said))


def _written_to() -> Output:
    """Return where lines go; whoever has chosen nothing has chosen what fits."""
    if _output is None:
        configure()
    assert _output is not None
    return _output


def get(**fields: Any) -> Logger:
    """Return a logger, each line of which says ``fields`` too."""
    return Logger(**fields)


def of(unit: str) -> Logger:
    """Return a logger, each line of which names ``unit``; empty: there is no other."""
    return Logger(unit=unit) if unit else Logger()


def warn(event: str, **fields: Any) -> None:
    """Log a warning, for those who have no other business with the log."""
    get().warning(event, **fields)


def changed(log: Logger, change: EventHead, more: Mapping[str, Any], seq: int, at: str) -> None:
    """Log ``state.changed``, to be written by `flush`: many lines of a burst in one write.

    Args:
        log: whose line it is.
        change: what was changed, by whom; more: what else the event says.
        seq: its number; at: its time, RFC 3339.
    """
    said = {key: more[key] for key in ("by", "reason", "id") if key in more} if more else {}
    said |= log.fields
    if _output is None or not _is_json:
        fields = _shown(change) | said | {"run": change.run, "seq": seq}
        log.info("state.changed", **fields)
    elif is_enabled("info"):
        shown = _escape(said).items()
        text = "".join([f'"{key}": {json.dumps(value)}, ' for key, value in shown])
        _output.hold(_template(change) % (text, seq, at))


def _shown(change: EventHead) -> dict[str, Any]:
    old, new, trigger, source = change[-4:]
    return {"old": old, "new": new, "trigger": trigger, "source": source}


@lru_cache(maxsize=2048)
def _template(change: EventHead) -> str:
    """Return the line of JSON for what more is said, number and time, as `_as_json` writes it."""
    told = json.dumps(_escape(_shown(change))).replace("%", "%%")
    event = '"event": "state.changed", "level": "info", "at": "%s"'
    return f'{told[:-1]}, %s"run": {change.run}, "seq": %d, {event}}}'


def flush() -> None:
    """Write what was kept to be written at once."""
    if _output is not None:
        _output.flush()


def configure(form: str = "auto", level: str = "info") -> None:
    """Set up logging for this process.

    Args:
        form: ``console``, ``logfmt``, ``json``, or ``auto``: what fits the reader.
        level: the least important one that is shown.
    """
    global _output, _is_json, _render
    form = _fitting() if form == "auto" else form
    _output, _is_json = Output(), form == "json"
    _render = _as_json if _is_json else _renderer(form)
    set_level(level)


def is_json() -> bool:
    """Tell whether the lines of the log are JSON."""
    return _is_json


def _fitting() -> str:
    if os.isatty(2):
        return "console"
    return "logfmt" if _is_journal() else "json"


def _is_journal() -> bool:
    """Tell whether standard error is the journal's socket (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        there = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def _escape(fields: Fields) -> Fields:
    """Make every text one line of printable ASCII: the log is no place for foreign escapes."""
    for key, value in fields.items():
        if not isinstance(value, _NUMBERS):
            fields[key] = value if key == "exception" else _harmless(value)
    return fields


_NUMBERS = (int, float, type(None))


def _harmless(value: Any) -> Any:
    """Return ``value`` with every text in it made harmless; what is no plain value as its text."""
    if isinstance(value, _NUMBERS):
        return value
    if isinstance(value, Mapping):
        return {shown(key, SHOWN, ascii_only=True): _harmless(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(one) for one in value]
    return shown(value, SHOWN, ascii_only=True)


def _format_error(fields: Fields) -> None:
    """Take ``exc_info`` as `logging` does, and put the lines of its traceback in its place."""
    info = fields.pop("exc_info", None)
    if info:
        given = info[1] if isinstance(info, tuple) else info
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        fields["exception"] = "\n".join(trace(error)) if error is not None else ""


def trace(error: BaseException) -> list[str]:
    """Return the lines of a traceback: ours, but what the error says may be foreign and is one.

    Python's own formatting would make lines of it, which look like whatever somebody wants.
    """
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    rows = [*trace(before), "and then:"] if before is not None else []
    for frame in traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]:
        rows.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        rows.extend([f"    {frame.line}"] if frame.line else [])
    rows.append(f"{type(error).__qualname__}: {shown(error, MOST_ROW)}")
    return [shown(row, MOST_ROW, ascii_only=True) for row in rows]


def _as_json(_: str, fields: Fields) -> str:
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({**fields, "at": at})


def _renderer(form: str) -> Render:
    """Return what makes a line for a human, or for the journal."""
    import structlog

    if form == "logfmt":
        logfmt = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)
        return lambda level, fields: _for_journal(level, fields, logfmt)
    wanted = os.isatty(2) or bool(os.environ.get("FORCE_COLOR"))
    colors = wanted and not os.environ.get("NO_COLOR")
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    console = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=18)
    return lambda level, fields: str(console(None, level, stamp(None, level, fields)))


def _for_journal(level: str, fields: Fields, logfmt: Callable[..., Any]) -> str:
    """Return one line with its priority, which says the level."""
    del fields["level"]
    if "exception" in fields:
        fields["exception"] = str(fields["exception"]).replace("\n", " | ")
    return f"<{_PRIORITIES.get(level, 6)}>{logfmt(None, level, fields)}"
