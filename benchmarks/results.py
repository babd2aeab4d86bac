"""What a run has found, as a file: every round's figures, every latency, where and with what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.table import Row, aligned

DIFFERING = (
    *("topics", "date", "commit", "scheduling", "load before", "other processes", "rounds"),
)
"""What may differ between the pieces of a run."""


@dataclass(frozen=True, slots=True)
class Results:
    """One run, or several that are read as one.

    Args:
        header: name -> text, see `benchmarks.machine`.
        rows: of the table.
        distributions: "topic: contestant" -> the latencies of each round, sorted, in microseconds.
    """

    header: dict[str, str]
    rows: list[Row]
    distributions: dict[str, list[list[float]]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        content = {
            "header": self.header,
            "rows": [row.as_json() for row in self.rows],
            "distributions": self.distributions,
        }
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Return what `write` wrote."""
        found = json.loads(path.read_text("utf-8"))
        rows = [Row.of_json(row) for row in found["rows"]]
        return cls(found["header"], rows, found["distributions"])


def merged(parts: Sequence[Results]) -> Results:
    """Return the parts of a run that was done in pieces as one."""
    rows = [row for part in parts for row in part.rows]
    curves = {name: runs for part in parts for name, runs in part.distributions.items()}
    return Results(joined([part.header for part in parts]), rows, curves)


def joined(headers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the headers of a run that was done in pieces as one.

    Raises:
        ValueError: they are not of one kind: another machine, another version.
    """
    header = {}
    for name in headers[0]:
        told = list(dict.fromkeys(one[name] for one in headers))
        if len(told) > 1 and name not in DIFFERING:
            raise ValueError(f"these runs are not of one kind: {name} is {' and '.join(told)}")
        header[name] = "; ".join(told)
    return header


def described(headers: Sequence[Mapping[str, str]]) -> str:
    """Return in Markdown what is the same in all pieces of a run, and a line for each of them."""
    same = {k: text for k, text in joined(headers).items() if k not in DIFFERING}
    names = [name for name in DIFFERING if name in headers[0]]
    pieces = [tuple(names), *(tuple(one[name] for name in names) for one in headers)]
    return "\n".join(f"- {k}: {text}" for k, text in same.items()) + f"\n\n{aligned(pieces)}"
