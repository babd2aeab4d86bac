"""Results: what was measured, beside what, against which goal, as Markdown and as JSON."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
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
        limit: the figures of the least program that can do it; None where none was measured.
    """

    metric: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] | None = None
    baseline: str = ""
    goal: Goal | None = None
    limit: Sequence[float] | None = None

    @property
    def ratio(self) -> float | None:
        """How statusd's median compares to the baseline's."""
        if self.theirs is None or not median(self.theirs):
            return None
        return median(self.ours) / median(self.theirs)

    @property
    def of_limit(self) -> float | None:
        """How statusd's median compares to the limit's."""
        return median(self.ours) / median(self.limit) if self.limit else None

    @property
    def found(self) -> float | None:
        """What the goal limits; None where none is set."""
        if self.goal is None:
            return None
        ours, theirs = median(self.ours), median(self.theirs or [0.0])
        found = {Of.RATIO: self.ratio or 0.0, Of.VALUE: ours, Of.EXCESS: ours - theirs}
        return found[self.goal.of]

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where none is set."""
        return None if self.goal is None or self.found is None else self.found <= self.goal.most

    @property
    def verdict(self) -> str:
        """Whether the goal is met, and how far from it we are."""
        if self.goal is None or self.found is None:
            return "-"
        share = self.found / self.goal.most - 1
        return f"met, {abs(share):.0%} to spare" if self.met else f"MISSED by {share:.0%}"

    def as_json(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        goal = self.goal and {"most": self.goal.most, "of": self.goal.of.name.lower()}
        return {
            "metric": self.metric,
            "unit": self.unit,
            "baseline": self.baseline,
            "baseline_rounds": self.theirs,
            "statusd_rounds": self.ours,
            "limit_rounds": self.limit,
            "ratio": self.ratio,
            "goal": goal,
            "met": self.met,
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Row:
        """Return the row that `as_json` gave."""
        goal = found["goal"] and Goal(found["goal"]["most"], Of[found["goal"]["of"].upper()])
        return cls(
            found["metric"],
            found["unit"],
            found["statusd_rounds"],
            found["baseline_rounds"],
            found["baseline"],
            goal,
            found["limit_rounds"],
        )


_HEAD = (
    *("metric", "unit", "baseline", "its median (min-max)", "statusd median (min-max)", "ratio"),
    *("of the limit", "goal", "verdict"),
)


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as an aligned Markdown table."""
    return aligned([_HEAD, *map(_cells, rows)])


def summary(rows: Sequence[Row]) -> str:
    """Return how many goals are met."""
    met = [row.met for row in rows if row.met is not None]
    return f"{sum(met)} of {len(met)} goals are met."


def aligned(cells: list[tuple[str, ...]]) -> str:
    """Return a Markdown table; the first line is its head."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells = [*cells]
    cells.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.metric,
        row.unit,
        row.baseline or "-",
        sample(row.theirs) if row.theirs else "-",
        sample(row.ours),
        "-" if row.ratio is None else f"{row.ratio:.3g}",
        "-" if row.of_limit is None else f"{row.of_limit:.2f} x",
        _goal(row),
        row.verdict,
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


def sample(values: Sequence[float]) -> str:
    """Return the median of ``values`` with the least and the greatest."""
    return f"{_number(median(values))} ({_number(min(values))}-{_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
