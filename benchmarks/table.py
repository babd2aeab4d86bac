"""Results: what was measured, beside what, against which goal, as Markdown and as JSON."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


class Of(enum.Enum):
    """What a goal limits."""

    RATIO = "statusd's median over the baseline's"
    VALUE = "statusd's median"
    EXCESS = "statusd's median less the baseline's"


@dataclass(frozen=True, slots=True)
class Goal:
    """At most ``most``, in the row's unit unless it is a ratio."""

    most: float
    of: Of = Of.RATIO


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        metric: what was measured; lower is better.
        unit: of both samples.
        ours: statusd's figure of each round.
        theirs: the baseline's; None where there is nothing to compare with.
        baseline: what that is.
        goal: None where none is set.
    """

    metric: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] | None = None
    baseline: str = ""
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """How statusd's median compares to the baseline's."""
        if self.theirs is None or not median(self.theirs):
            return None
        return median(self.ours) / median(self.theirs)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where none is set."""
        if self.goal is None:
            return None
        ours, theirs = median(self.ours), median(self.theirs or [0.0])
        found = {Of.RATIO: self.ratio or 0.0, Of.VALUE: ours, Of.EXCESS: ours - theirs}
        return found[self.goal.of] <= self.goal.most

    def as_json(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        goal = self.goal and {"most": self.goal.most, "of": self.goal.of.name.lower()}
        return {
            "metric": self.metric,
            "unit": self.unit,
            "baseline": self.baseline,
            "baseline_rounds": self.theirs,
            "statusd_rounds": self.ours,
            "ratio": self.ratio,
            "goal": goal,
            "met": self.met,
        }


_HEAD = ("metric", "unit", "baseline", "its median (min-max)", "statusd median (min-max)", "ratio")


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as an aligned Markdown table."""
    cells = [(*_HEAD, "goal", "met?"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.metric,
        row.unit,
        row.baseline or "-",
        _sample(row.theirs) if row.theirs else "-",
        _sample(row.ours),
        "-" if row.ratio is None else f"{row.ratio:.3g}",
        _goal(row),
        {None: "-", True: "yes", False: "NO"}[row.met],
    )


def _goal(row: Row) -> str:
    if row.goal is None:
        return "-"
    most = f"{row.goal.most:g}"
    texts = {
        Of.RATIO: f"<= {most} x",
        Of.VALUE: f"<= {most} {row.unit}",
        Of.EXCESS: f"<= + {most} {row.unit}",
    }
    return texts[row.goal.of]


def _sample(values: Sequence[float]) -> str:
    return f"{_number(median(values))} ({_number(min(values))}-{_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
