"""How log lines look, and which are shown; where they go is `log_output`'s matter.

A terminal gets colour and a short time, the journal ``<N>``-prefixed logfmt (sd-daemon(3)), any
other reader JSON lines. Texts from outside are escaped and cut.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from statusd.core.text import SHOWN, shown
from statusd.log_output import Output

# structlog takes rich for its tracebacks wherever it is installed. We have tracebacks of our own,
# and it costs a start 40 ms, a fifth, and 3 MiB.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]  # what importlib takes for "not there"
import structlog  # noqa: E402

if _rich is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _rich

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of sd-daemon(3), which are those of syslog(3)."""
MOST_FRAMES = 50
"""So many calls of a traceback are logged, the last ones."""
MOST_ROW = 2000
"""How much of a line of a traceback is logged, in characters."""

if TYPE_CHECKING:
    from statusd.core.events import Change

Fields = MutableMapping[str, Any]

_level = LEVELS["info"]
_output: Output | None = None
_is_json = False


def set_level(level: str) -> None:
    """Show what is at least so important from now on."""
    global _level
    _level = LEVELS[level]


def shows(level: str) -> bool:
    """Tell whether what is so important is shown."""
    return LEVELS[level] >= _level


def get(**fields: Any) -> Any:
    """Return a logger, each line of which says ``fields`` too."""
    return structlog.get_logger(**fields)


def warn(event: str, **fields: Any) -> None:
    """Log a warning, for those who have no other business with the log."""
    get().warning(event, **fields)


def changed(change: Change, more: Mapping[str, Any], seq: int, at: str) -> None:
    """Log ``state.changed``, to be written by `flush`: many lines of a burst in one write.

    Args:
        change: what was changed, by whom; more: what else the event says.
        seq: its number; at: its time, RFC 3339.
    """
    said = {key: more[key] for key in ("by", "reason", "id") if key in more} if more else {}
    if _output is None or not _is_json:
        fields = _shown(change) | said | {"run": change.run, "seq": seq}
        get().info("state.changed", **fields)
    elif shows("info"):
        shown = _escape(None, "", said).items()
        text = "".join([f'"{key}": {json.dumps(value)}, ' for key, value in shown])
        _output.hold(_template(change) % (text, seq, at))


def _shown(change: Change) -> dict[str, Any]:
    old, new, trigger, source = change[-4:]
    return {"old": old, "new": new, "trigger": trigger, "source": source}


@lru_cache(maxsize=2048)
def _template(change: Change) -> str:
    """Return the line of JSON for what more is said, number and time, as structlog writes it."""
    told = json.dumps(_escape(None, "", _shown(change))).replace("%", "%%")
    event = '"event": "state.changed", "level": "info", "at": "%s"'
    return f'{told[:-1]}, %s"run": {change.run}, "seq": %d, {event}}}'


def flush() -> None:
    """Write what was kept to be written at once."""
    if _output is not None:
        _output.flush()


def _drop_unimportant(_: Any, method: str, fields: Fields) -> Fields:
    if LEVELS.get(method, 50) < _level:
        raise structlog.DropEvent
    return fields


def configure(form: str = "auto", level: str = "info") -> None:
    """Set up logging for this process.

    Args:
        form: ``console``, ``logfmt``, ``json``, or ``auto``: what fits the reader.
        level: the least important one that is shown.
    """
    global _output, _is_json
    form = _fitting() if form == "auto" else form
    output = _output = Output()
    _is_json = form == "json"
    set_level(level)
    structlog.configure(
        processors=[_drop_unimportant, *_PROCESSORS, *_renderers(form)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS["debug"]),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=True,
    )


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


def _escape(_: Any, __: str, fields: Fields) -> Fields:
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


def _format_error(_: Any, __: str, fields: Fields) -> Fields:
    """Take ``exc_info`` as structlog does, and put the lines of its traceback in its place."""
    info = fields.pop("exc_info", None)
    if info:
        given = info[1] if isinstance(info, tuple) else info
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        fields["exception"] = "\n".join(trace(error)) if error is not None else ""
    return fields


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


def _prefix(render: Callable[[Any, str, Fields], str]) -> Callable[[Any, str, Fields], str]:
    def renderer(logger: Any, method: str, fields: Fields) -> str:
        priority = _PRIORITIES.get(str(fields.pop("level", method)), 6)
        return f"<{priority}>{render(logger, method, fields)}"

    return renderer


_PROCESSORS: list[Any] = [
    structlog.processors.add_log_level,
    _format_error,
    _escape,
]


def _renderers(form: str) -> list[Any]:
    if form == "json":
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")
        return [stamp, structlog.processors.JSONRenderer()]
    if form == "logfmt":
        logfmt = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)
        return [_one_line_exception, _prefix(logfmt)]
    wanted = os.isatty(2) or bool(os.environ.get("FORCE_COLOR"))
    colors = wanted and not os.environ.get("NO_COLOR")
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    return [stamp, structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=18)]


def _one_line_exception(_: Any, __: str, fields: Fields) -> Fields:
    if "exception" in fields:
        fields["exception"] = str(fields["exception"]).replace("\n", " | ")
    return fields
