"""How log lines look, and that writing them can't hurt.

A terminal gets colour and a short time, the journal ``<N>``-prefixed logfmt (sd-daemon(3)), any
other reader JSON lines. Texts from outside are escaped and cut; a log that can't be written is
counted.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of sd-daemon(3), which are those of syslog(3)."""
SHOWN = 300
"""How much of one text is logged, in characters."""

Fields = MutableMapping[str, Any]


class Output:
    """Writes lines to a descriptor, and never waits for its reader.

    A line that can't be written, or finds no room, is counted and dropped; nothing is raised.

    Args:
        fd: standard error, as a rule.
    """

    def __init__(self, fd: int = 2) -> None:
        self._write = _writer(fd)
        self.dropped = 0

    def msg(self, line: str) -> None:
        """Write one line."""
        try:
            self._write(line.encode("utf-8", "backslashreplace") + b"\n")
        except OSError:
            self.dropped += 1

    debug = info = warning = error = critical = exception = msg


_level = LEVELS["info"]


def set_level(level: str) -> None:
    """Show what is at least so important from now on."""
    global _level
    _level = LEVELS[level]


def shows(level: str) -> bool:
    """Tell whether what is so important is shown."""
    return LEVELS[level] >= _level


def warn(event: str, **fields: Any) -> None:
    """Log a warning, for those who have no other business with the log."""
    structlog.get_logger().warning(event, **fields)


def _drop_unimportant(_: Any, method: str, fields: Fields) -> Fields:
    if LEVELS.get(method, 50) < _level:
        raise structlog.DropEvent
    return fields


def _writer(fd: int) -> Callable[[bytes], int]:
    """Return what writes to ``fd`` without waiting.

    ``O_NONBLOCK`` belongs to the open file, which we share with whoever started us: a pipe or a
    terminal is opened once more, for us alone.
    """
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISSOCK(kind):
            sock = socket.socket(fileno=os.dup(fd))
            return lambda line: sock.send(line, socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(kind) or os.isatty(fd):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            ours = os.open(f"/proc/self/fd/{fd}", flags)
            return lambda line: os.write(ours, line)
    except OSError:
        pass  # closed, somebody else's, or no /proc: what we were given has to do
    return lambda line: os.write(fd, line)


def configure(form: str = "auto", level: str = "info") -> None:
    """Set up logging for this process.

    Args:
        form: ``console``, ``logfmt``, ``json``, or ``auto``: what fits the reader.
        level: the least important one that is shown.
    """
    form = _fitting() if form == "auto" else form
    output = Output()
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
        if isinstance(value, str) and key != "exception" and not _is_plain(value):
            text = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
            fields[key] = "".join(map(_printable, text))
    return fields


def _printable(sign: str) -> str:
    if sign.isascii() and sign.isprintable():
        return sign
    return sign.encode("unicode_escape").decode("ascii")


def _is_plain(text: str) -> bool:
    return len(text) <= SHOWN and text.isascii() and text.isprintable()


def _prefix(render: Callable[[Any, str, Fields], str]) -> Callable[[Any, str, Fields], str]:
    def renderer(logger: Any, method: str, fields: Fields) -> str:
        priority = _PRIORITIES.get(str(fields.pop("level", method)), 6)
        return f"<{priority}>{render(logger, method, fields)}"

    return renderer


_PROCESSORS: list[Any] = [
    structlog.processors.add_log_level,
    structlog.processors.format_exc_info,
    _escape,
]


def _renderers(form: str) -> list[Any]:
    if form == "json":
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")
        return [stamp, structlog.processors.JSONRenderer()]
    if form == "logfmt":
        logfmt = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)
        return [_one_line_exception, _prefix(logfmt)]
    colors = os.isatty(2) and not os.environ.get("NO_COLOR")
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    return [stamp, structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=18)]


def _one_line_exception(_: Any, __: str, fields: Fields) -> Fields:
    if "exception" in fields:
        fields["exception"] = str(fields["exception"]).replace("\n", " | ")
    return fields
