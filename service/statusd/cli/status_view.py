"""How a unit looks: its cells in tables, and all of it in full.

What stands in a document is known to be of the right kind (`core.records`), and no more than that.

Length: each line of one unit, in the order in which it is shown; a table would say it twice.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from statusd.cli import out
from statusd.cli.out import Cell, Row, cell
from statusd.cli.zones import InZone, local
from statusd.core.sizes import size_text
from statusd.core.text import shown

if TYPE_CHECKING:
    from statusd.fleet.response_collector import UnitInfo

MOST = 5000
"""How much of arguments and of lists is shown in full, in characters."""
FACTS = ("", "")
"""The heads of one unit in full: none."""
_STYLES = {
    "working": "green",
    "waiting": "blue",
    "acting": "yellow",
    "fault": "bold red",
    "end": "dim",
}
_KINDS = {
    **{"LOST": "fault", "UNREADABLE": "fault", "FAILED": "fault", "END": "end"},
    **dict.fromkeys(("INIT", "BACKOFF", "ENDING"), "acting"),
}
"""Of what kind the states are that every lifecycle has: an older daemon doesn't say it."""


def state_text(unit: UnitInfo) -> str:
    """Return what stands in the cell of its state.

    Also what the state would hide: that the worker is still in a step, or how its end goes on:
    ``PAUSED (not seen yet, 11 s)``, ``ENDING (SIGTERM in 52 s)``.
    """
    document, now = unit.document if unit.is_alive else {}, time.time()
    more = []
    if document.get("unseen_since"):
        since = ago(document["unseen_since"], now)
        more.append("not seen yet" if since in ("", "now") else f"not seen yet, {since}")
    stop = document.get("stop")
    if isinstance(stop, dict) and stop.get("next"):
        left_s = float(stop.get("in_s") or 0) - max(0.0, now - _seconds(unit.seen, now))
        more.append(f"{stop['next']} in {max(0.0, left_s):.0f} s")
    return f"{unit.state} ({', '.join(more)})" if more else unit.state


def _seconds(at: object, otherwise: float) -> float:
    """Return a time (RFC 3339) in Unix time; ``otherwise`` if it is none."""
    try:
        return datetime.fromisoformat(str(at)).timestamp()
    except (ValueError, OverflowError, OSError):  # a year that no clock here has
        return otherwise


def style_of(unit: UnitInfo) -> str:
    """Return how the state is coloured: by its kind, as far as the document tells."""
    return _STYLES[kind_of(unit)]


def is_down(unit: UnitInfo) -> bool:
    """Tell whether its work is not done, because something has gone wrong."""
    return unit.state == "BACKOFF" or kind_of(unit) == "fault"


def kind_of(unit: UnitInfo) -> str:
    """Return of what kind its state is, as `StateKind` names them; a lost unit is a fault."""
    known = _KINDS.get(unit.state) or unit.document.get("kind")
    if known in _STYLES:
        return str(known)
    return "working" if unit.document.get("part") == "works" else "waiting"


def progress_bar(progress: Any) -> str:
    """Return ``[######----] 60 %``, or the bare number if nobody knows the end."""
    if not isinstance(progress, dict) or progress.get("step") is None:
        return ""
    step, total = progress["step"], progress.get("total")
    if not total:
        return _number(step)
    share = max(0.0, min(1.0, step / total))
    full = round(share * 10)
    return f"{'#' * full}{'-' * (10 - full)} {share:4.0%}"


def progress_text(progress: Any, room: int = 0) -> str:
    """Return ``##--------  25%, 5 min left, 12.3 images/s, 1,240/5,000``, or as much as is known.

    Args:
        room: what doesn't fit into so many columns is left out, the last first; 0: all fits.
    """
    bar = progress_bar(progress)
    if not bar:
        return ""
    total, rate, left_s = (progress.get(key) for key in ("total", "rate", "left_s"))
    parts = [bar]
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    if rate is not None:
        parts.append(_rate(rate, str(progress.get("unit") or "")))
    if total:
        parts.append(f"{_number(progress['step'])}/{_number(total)}")
    while room and len(parts) > 1 and out.width(", ".join(parts)) > room:
        parts.pop()
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a time in its largest unit, with the next one from hours on: ``1 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours} h"


def _rate(rate: float, unit: str) -> str:
    """Return ``12.3 images/s``; of what takes longer, how many come in a minute, an hour, a day."""
    if not rate:
        return "stands still"
    of = f" {unit}" if unit else ""
    for seconds, per in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * seconds >= 1:
            return f"{_number(rate * seconds)}{of}/{per}"
    return f"{_number(rate * 86400)}{of}/d"


def _number(value: float) -> str:
    """Return ``12.3``, ``1,240``: whole numbers as they are, of others three digits at least."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


_KILLED = ("killed by SIGKILL", "killed by the kernel")
"""How the reason of a run's end begins that was cut off; a program's usual end is a SIGTERM."""


def how_it_ended(document: Mapping[str, Any]) -> str:
    """Return ``finished``, ``end by ops@desk``, ``SIGTERM of pid 7, uid 0, killed``.

    Returns:
        An empty text for a unit that isn't ending, or whose daemon is of an older version.
    """
    ended = document.get("ended")
    if not isinstance(ended, dict):
        return ""
    source, reason = str(ended.get("source", "")), str(ended.get("reason", ""))
    if "command" in ended:
        told = f"{ended['command']} by {ended.get('by') or source}"
    elif source == "worker":
        told = "finished" if reason.startswith("the worker finished") else f"{reason or 'finished'}"
    elif source.startswith("signal:"):
        told = source.removeprefix("signal:") + (f" {reason}" if reason else "")
    else:
        told = reason or source
    has_ended = document.get("state") == "END"
    left = str((document.get("last") or {}).get("reason", "")) if has_ended else ""
    return f"{told}, killed" if left.startswith(_KILLED) else told


def ago(at: object, now: float) -> str:
    """Return how long ago a time (RFC 3339) was, in the largest unit that fits."""
    then = _seconds(at, math.inf)
    if then == math.inf:
        return ""
    seconds = max(0.0, now - then)
    for size, letter in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.0f} {letter}"
    return "now"


def facts(unit: UnitInfo, in_zone: InZone = local) -> list[Row]:
    """Return all that is known of one unit: a row a fact, what it is and what it says.

    Args:
        in_zone: writes a time in the reader's zone.
    """
    return [
        (cell(key, "bold"), Cell(shown(value, MOST), style_of(unit) if key == "state" else ""))
        for key, value in _facts(unit, in_zone)
    ]


def _facts(unit: UnitInfo, in_zone: InZone) -> Iterable[tuple[str, str]]:
    document = unit.document
    yield "name", unit.name
    yield "state", state_text(unit)
    if unit.seen:
        yield "seen", f"{ago(unit.seen, time.time())} ({in_zone(unit.seen)})"
    if unit.unreadable:
        yield "unreadable", unit.unreadable
    if document:
        yield from _of_the_state(unit, in_zone)
        yield from _of_the_work(unit)
        yield from _of_the_processes(unit)


def _of_the_state(unit: UnitInfo, in_zone: InZone) -> Iterable[tuple[str, str]]:
    document = unit.document
    since = document.get("since")
    yield "since", f"{ago(since, time.time())} ({in_zone(str(since))})"
    if unit.is_alive and document.get("waits_for"):
        yield "waits for", _waits_for(unit.name, str(document["waits_for"]))
    if unit.is_alive and document.get("deadline"):
        yield "ends in", _ends_in(str(document["deadline"]), in_zone)
    how = how_it_ended(document)
    if how:
        past = ago(since, time.time()).replace("now", "a moment")
        again = f", {past} ago" if unit.left else ""
        cure = f": statusd launch {shown(unit.name)}" if unit.rests else ""
        yield "ended", f"{how}{again}{cure}"
    for key in ("goal", "text", "trouble"):
        if document.get(key):
            yield key, str(document[key])


def _ends_in(deadline: str, in_zone: InZone) -> str:
    """Return how long a job has until its deadline: ``1 h 20 min (2026-12-01 06:00:00)``."""
    left_s = _seconds(deadline, math.inf) - time.time()
    told = f"{duration(left_s)}" if 0 < left_s < math.inf else "its deadline has passed"
    return f"{told} ({in_zone(deadline)})"


def _of_the_work(unit: UnitInfo) -> Iterable[tuple[str, str]]:
    document = unit.document
    reached = (document.get("worker") or {}).get("reached") or {}
    is_over = unit.is_alive and reached.get("run") == document.get("run")
    if document.get("progress") and not is_over:
        yield "progress", progress_text(document["progress"])
    if reached and unit.state != "END":
        yield "reached", _reached(reached)
    for key in ("allowed", "tags", "channels"):
        if document.get(key):
            yield key, " ".join(document[key])
    if document.get("args"):
        yield "args", json.dumps(document["args"])


def _of_the_processes(unit: UnitInfo) -> Iterable[tuple[str, str]]:
    document = unit.document
    worker = document.get("worker") or {}
    pid, restarts = worker.get("pid") or "none", worker.get("restarts", 0)
    yield "worker", f"pid {pid}, run {document.get('run')}, {_restarted(restarts)}"
    if unit.is_alive and worker.get("resources"):
        yield "uses", _used(worker["resources"])
    for key in ("stop", "last"):
        if document.get(key):
            yield key, ", ".join(f"{name} {value}" for name, value in document[key].items())
    yield "daemon", f"pid {document.get('pid')} on {document.get('host')}, boot {unit.boot}"
    yield "link", _link(document)
    death = worker.get("death")
    if death:
        yield "died", f"run {death.get('run')}: {death.get('reason')}"
        for row in death.get("stderr", ()):
            yield "", row


def cpu_text(resources: Mapping[str, Any]) -> str:
    """Return how busy a worker is, in percent of one core: ``98 %``; empty if nobody knows."""
    return "" if resources.get("cpu") is None else f"{resources['cpu']:.0%}".replace("%", " %")


def memory_text(resources: Mapping[str, Any]) -> str:
    """Return how much memory it has: ``2.1 GiB``; empty if nobody knows."""
    return size_text(resources["memory"]) if resources.get("memory") is not None else ""


def _used(resources: Mapping[str, Any]) -> str:
    """Return all of it: ``98 % CPU (123 s), 2.1 GiB, 3 processes, 9 threads, 40 descriptors``."""
    busy, spent_s = cpu_text(resources), resources.get("cpu_s")
    told = [f"{busy or '?'} CPU" + (f" ({spent_s:.0f} s)" if spent_s is not None else "")]
    told.append(memory_text(resources))
    if resources.get("pss") is not None:
        told.append(f"of its own {size_text(resources['pss'])}")
    for one, many in (
        ("process", "processes"),
        ("thread", "threads"),
        ("descriptor", "descriptors"),
    ):
        count = resources.get(many)
        if count is not None:
            told.append(f"{count:g} {one if count == 1 else many}")
    return ", ".join(filter(None, told))


def _waits_for(name: str, word: str) -> str:
    """Return what is waited for, and what to type."""
    import shlex

    return f"`{word}`: statusd send {shlex.quote(word)} --name {shlex.quote(name)}"


def _reached(reached: Mapping[str, Any]) -> str:
    """Return how far a run had come that is over, so that nobody takes it for the present one."""
    told = [progress_bar(reached), str(reached.get("text") or "")]
    said = ", ".join(filter(None, told))
    return f"{said} (the last that was heard of run {reached.get('run')}, which is over)"


def _restarted(times: int) -> str:
    """Return ``not restarted``, ``restarted once``, ``twice``, ``3 times``."""
    often = {0: "never restarted", 1: "restarted once", 2: "restarted twice"}
    return often.get(times, f"restarted {times} times")


def _link(document: Mapping[str, Any]) -> str:
    """Return how well the unit hears: ``LISTENING, canary 0.4 ms, 2 outages since its start``."""
    told = [str(document.get("link"))]
    if document.get("canary_ms") is not None:
        told.append(f"canary {document['canary_ms']:.1f} ms")
    outages = document.get("outages", 0)
    told.append(f"{outages} outage{'' if outages == 1 else 's'} since its start")
    return ", ".join(told)
