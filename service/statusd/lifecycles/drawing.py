"""The drawing of a lifecycle: its states and arrows as plain values, however they are written.

- The same lifecycle gives the same drawing: its text can be kept under git, to the last sign.
- Every row is drawn; those with the same ends and the same kind of sender share an arrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from statusd.core.lifecycle import Lifecycle, Row, StateKind, Who
from statusd.core.messages import to_json

Sender = Literal["anyone", "worker", "daemon"]
"""Who may fire, the widest circle of them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A state; ``current`` if it is the one to be highlighted."""

    name: str
    kind: StateKind
    current: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """The rows from ``source`` to ``dest`` that ``who`` may fire, with a label each.

    ``is_aside``: it tells of the process' death and end, not of the work. These are many and alike
    in every lifecycle, so they are drawn thin.
    """

    source: str
    dest: str
    labels: tuple[str, ...]
    who: Sender
    is_aside: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that is to be seen of a lifecycle, in the order of its states and rows."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def draw(lifecycle: Lifecycle, current: str = "") -> Drawing:
    """Return the states of ``lifecycle`` and the arrows between them.

    Args:
        lifecycle: its every state and row is drawn.
        current: the name of the state to highlight; a name that no state has highlights none.
    """
    nodes = (
        Node(state.name, lifecycle.kinds[state], current=state.name == current)
        for state in lifecycle.members()
    )
    return Drawing(tuple(nodes), tuple(_arrows(lifecycle)))


def as_json(lifecycle: Lifecycle) -> str:
    """Return the drawing as JSON, without what changes: made once of each lifecycle.

    ``{"nodes": [{"name", "kind"}], "arrows": [{"source", "dest", "labels", "who", "is_aside"}]}``
    """
    known = lifecycle.compiled.get(as_json)
    if known is None:
        drawing = draw(lifecycle)
        nodes = [{"name": node.name, "kind": node.kind} for node in drawing.nodes]
        arrows = [asdict(arrow) for arrow in drawing.arrows]
        known = lifecycle.compiled[as_json] = to_json({"nodes": nodes, "arrows": arrows})
    return str(known)


def _arrows(lifecycle: Lifecycle) -> Iterator[Arrow]:
    labels: dict[tuple[str, str, Sender], list[str]] = {}
    for row in lifecycle.rows:
        ends = row.source.name, row.dest.name, _sender(row)
        lines, label = labels.setdefault(ends, []), _label(lifecycle, row)
        if label not in lines:
            lines.append(label)
    outside = (lifecycle.backoff, lifecycle.failed, lifecycle.ending, lifecycle.end)
    names = {state.name for state in outside}
    for (source, dest, who), lines in labels.items():
        yield Arrow(source, dest, tuple(lines), who, is_aside=bool({source, dest} & names))


def _sender(row: Row) -> Sender:
    if Who.ANYONE in row.who:
        return "anyone"
    return "worker" if Who.WORKER in row.who else "daemon"


def _label(lifecycle: Lifecycle, row: Row) -> str:
    label = row.trigger
    deadline = lifecycle.deadlines.get(row.source)
    if deadline is not None and deadline.trigger == row.trigger:
        label += f" (or after {deadline.after_s:.10g} s)"
    conditions = [
        f"{'' if condition.wanted else 'unless '}{condition.name}" for condition in row.conditions
    ]
    return f"{label} [{', '.join(conditions)}]" if conditions else label
