"""The peers' table, and what each of its figures means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.results import described
from benchmarks.table import aligned, sample

COLUMNS = {
    "p50": "command -> reply p50, us",
    "p99": "p99, us",
    "cpu": "CPU per 100,000, s",
    "start": "start, ms",
    "pss": "PSS, MiB",
    "idle": "idle CPU, s per minute",
    "end": "SIGTERM -> all gone, ms",
    "processes": "processes",
    "left": "left behind",
}
PLAIN = ("processes", "left")
NOTES = {
    "statusd": "a JSON command on a raw socket -> its final verdict, the worker has acted; up is "
    "READY, with its worker seen there",
    "statusd, ping": "the same for `ping`, which asks the daemon alone, as the peers' commands do",
    "statusd's own client": "`Fleet.send(..., name=)` -> the report: every verdict that can come",
    "the seed (S)": "a word by redis-py -> an ack by redis-py, no supervision; up is subscribed",
    "rq": "`send_kill_horse_command` -> its handler, with no horse to kill: RQ answers nothing",
    "celery": '`control.ping(destination=)` -> its reply; `-P prefork -c 1`; up is "ready."',
    "circus": "`status` of the one child, by ZeroMQ; up is when that child, a Python, runs",
    "supervisord": "`getState` by XML-RPC on the Unix socket; up is when the one child runs",
    "bluesky": "bluesky-queueserver: `ping` by ZeroMQ, no environment open; up is an open port",
}


def together(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was found of several topics as one."""
    samples: dict[str, dict[str, list[float]]] = {}
    for part in parts:
        for name, metrics in part["samples"].items():
            samples.setdefault(name, {}).update(metrics)
    headers = [header for part in parts for header in part["headers"]]
    return {"headers": headers, "samples": samples}


def page(found: Mapping[str, Any]) -> str:
    """Return all that is to be said of a run, in Markdown."""
    head = described(found["headers"])
    samples = found["samples"]
    return f"{head}\n\n{table(samples)}\n\n{notes(samples)}\n\n{ahead(samples)}"


def table(samples: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return a line for each contestant: medians, with the least and the greatest."""
    keys = [key for key in COLUMNS if any(key in metrics for metrics in samples.values())]
    lines = [("", *(COLUMNS[key] for key in keys))]
    for name, metrics in samples.items():
        lines.append((name, *(_cell(key, metrics.get(key)) for key in keys)))
    return aligned(lines)


def _cell(key: str, values: list[float] | None) -> str:
    if not values:
        return "-"
    return f"{median(values):g}" if key in PLAIN else sample(values)


def notes(samples: Mapping[str, object]) -> str:
    """Return what each contestant was asked."""
    return "\n".join(f"- {name}: {NOTES[name]}" for name in samples)


def ahead(samples: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return where statusd stands: its median over the best of the peers', S aside."""
    peers = {n: m for n, m in samples.items() if not n.startswith(("statusd", "the seed"))}
    lines = []
    for key in ("p50", "start", "pss", "idle", "end"):
        found = {name: median(m[key]) for name, m in peers.items() if m.get(key)}
        if key == "p50":
            found.pop("rq", None)  # it gives no reply
        best = min(found, key=lambda name: found[name], default="")
        for name in ("statusd", "statusd, ping"):
            ours = samples.get(name, {}).get(key)
            if ours and best:
                text = _compared(median(ours), found[best], best)
                lines.append(f"- {name}, {COLUMNS[key]}: {text}")
    return "\n".join(lines)


def _compared(ours: float, theirs: float, best: str) -> str:
    if not theirs:
        return f"{best} has {theirs:g}, statusd {ours:.3g}"
    place = "ahead of" if ours < theirs else "BEHIND"
    return f"{place} {best}, the best of the peers: {ours / theirs:.2f} x"
