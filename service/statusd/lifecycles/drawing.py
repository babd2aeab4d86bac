"""The drawing of a lifecycle: its states and arrows as plain values, and as Mermaid and DOT text.

- The same lifecycle gives the same text, to the last sign: a drawing can be kept under git.
- Every row is drawn; those with the same ends and the same kind of sender share an arrow.
- What a state is shows in its colour and its shape; who may fire shows in the line.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from statusd.core.lifecycle import Lifecycle, Part, Row, Who

Kind = Literal["waiting", "working", "acting", "fault", "end"]
"""What a state is: acting means that somebody works towards the next one."""
Sender = Literal["anyone", "worker", "daemon"]
"""Who may fire, the widest circle of them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A state; ``current`` if it is the one to be highlighted."""

    name: str
    kind: Kind
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
        Node(state.name, _kind(lifecycle, state), current=state.name == current)
        for state in lifecycle.members()
    )
    return Drawing(tuple(nodes), tuple(_arrows(lifecycle)))


def _kind(lifecycle: Lifecycle, state: enum.Enum) -> Kind:
    if lifecycle.parts[state] is Part.WORKS:
        return "working"
    if state not in lifecycle.steady:
        return "acting"
    if state in lifecycle.faults:
        return "fault"
    return "end" if state is lifecycle.end else "waiting"


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
    guards = [f"{'' if guard.wanted else 'unless '}{guard.name}" for guard in row.guards]
    return f"{label} [{', '.join(guards)}]" if guards else label


# ---- how it looks --------------------------------------------------------------------------------


class _Look(NamedTuple):
    """How a kind of state is drawn: the text is dark on light, whatever is behind the drawing."""

    fill: str
    line: str
    dashes: str
    mermaid: str
    dot: str


class _Line(NamedTuple):
    """How an arrow is drawn: its colour is told apart from white and from black.

    ``text`` is the colour of its label, where that is on white for sure.
    """

    color: str
    text: str
    width: int
    dashes: str
    mermaid: str
    dot: str


_TEXT = "#1b1f24"
_LOOKS: Mapping[Kind, _Look] = MappingProxyType(
    {
        "waiting": _Look("#d3e5fb", "#2f6fbf", "", '["{}"]', "box"),
        "working": _Look("#c4ecc9", "#2b8a3e", "", '(["{}"])', "box"),
        "acting": _Look("#fdebb8", "#b7791f", "5 3", '("{}")', "box"),
        "fault": _Look("#fbcfcb", "#c92a2a", "", '{{{{"{}"}}}}', "octagon"),
        "end": _Look("#dfe2e6", "#6b7280", "", '((("{}")))', "box"),
    }
)
_LINES: Mapping[Sender, _Line] = MappingProxyType(
    {
        "anyone": _Line("#3b7dd8", "#1d5fb8", 2, "", "-->", "solid"),
        "worker": _Line("#2f9e44", "#237a34", 2, "6 4", "-.->", "dashed"),
        "daemon": _Line("#8b949e", "#5f6873", 1, "2 3", "-.->", "dotted"),
    }
)
_CURRENT, _CURRENT_WIDTH = "#9c36b5", 5


# ---- Mermaid -------------------------------------------------------------------------------------

_SPECIAL = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|[^A-Za-z0-9_ ,.()\[\]-]")
"""What Mermaid, HTML or Markdown would take as theirs; an underscore within a word is safe."""
_MERMAID_LEGEND = """\
%% states: green works, blue waits, yellow and dashed is on its way, red is a fault, grey is the end
%% arrows: solid may be fired by anyone, dashed by the worker, thin and grey by the daemon"""


def mermaid(lifecycle: Lifecycle, current: str = "") -> str:
    """Return the drawing as a Mermaid flowchart, as GitHub shows it; for the arguments: `draw`."""
    drawing = draw(lifecycle, current)
    ids = {node.name: _mermaid_id(at, node.name) for at, node in enumerate(drawing.nodes)}
    lines = [
        "flowchart LR",
        *_MERMAID_LEGEND.splitlines(),
        *(f"{ids[node.name]}{_mermaid_shape(node)}" for node in drawing.nodes),
        *(_mermaid_arrow(arrow, ids) for arrow in drawing.arrows),
        *_mermaid_classes(drawing, ids),
        *_mermaid_links(drawing),
    ]
    return "\n    ".join(lines) + "\n"


def _mermaid_id(number: int, name: str) -> str:
    """Return an id that is no word of Mermaid (``end`` is one) and unlike every other state's."""
    safe = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"s_{name}" if safe == name else f"s{number}_{safe}"


def _mermaid_text(text: str) -> str:
    """Return ``text`` so that nothing in it is Mermaid's, HTML's or Markdown's."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)


def _mermaid_shape(node: Node) -> str:
    return _LOOKS[node.kind].mermaid.format(_mermaid_text(node.name))


def _mermaid_arrow(arrow: Arrow, ids: Mapping[str, str]) -> str:
    text = "<br>".join(map(_mermaid_text, arrow.labels))
    return f'{ids[arrow.source]} {_LINES[arrow.who].mermaid}|"{text}"| {ids[arrow.dest]}'


def _mermaid_classes(drawing: Drawing, ids: Mapping[str, str]) -> Iterator[str]:
    for kind, look in _LOOKS.items():
        members = [ids[node.name] for node in drawing.nodes if node.kind == kind]
        if members:
            dashes = f",stroke-dasharray:{look.dashes}" if look.dashes else ""
            style = f"fill:{look.fill},stroke:{look.line},color:{_TEXT}{dashes}"
            yield f"classDef is_{kind} {style}"
            yield f"class {','.join(members)} is_{kind}"
    for node in drawing.nodes:
        if node.current:
            style = f"stroke:{_CURRENT},stroke-width:{_CURRENT_WIDTH}px,stroke-dasharray:0"
            yield f"classDef is_current {style},font-weight:bold"
            yield f"class {ids[node.name]} is_current"


def _mermaid_links(drawing: Drawing) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for at, arrow in enumerate(drawing.arrows):
        line = _LINES[arrow.who]
        dashes = f",stroke-dasharray:{line.dashes}" if line.dashes else ""
        width = 1 if arrow.is_aside else line.width
        style = f"stroke:{line.color},stroke-width:{width}px{dashes}"
        alike.setdefault(style, []).append(str(at))
    for style, numbers in alike.items():
        yield f"linkStyle {','.join(numbers)} {style}"


# ---- DOT -----------------------------------------------------------------------------------------

_FONT = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
_DOT_HEAD = f"""\
  graph [rankdir=LR, nodesep=0.25, ranksep=0.5, pad=0.2, bgcolor="white"]
  graph [fontname="{_FONT}", fontsize=10, fontcolor="{_TEXT}", labelloc=b]
  node [fontname="{_FONT}", fontsize=13, fontcolor="{_TEXT}", margin="0.16,0.09"]
  edge [fontname="{_FONT}"]"""


def dot(lifecycle: Lifecycle, current: str = "") -> str:
    """Return the drawing in Graphviz' language, with a legend; for the arguments: `draw`."""
    drawing = draw(lifecycle, current)
    lines = [
        "digraph lifecycle {",
        _DOT_HEAD,
        f"  graph [label=<{_dot_legend()}>]",
        *(f"  {_dot_node(node)}" for node in drawing.nodes),
        *(f"  {_dot_arrow(arrow)}" for arrow in drawing.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(*texts: str) -> str:
    lines = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '"' + "\\n".join(lines) + '"'


def _attributes(**values: object) -> str:
    return ", ".join(f"{key}={_quoted(str(value))}" for key, value in values.items())


def _dot_node(node: Node) -> str:
    look = _LOOKS[node.kind]
    dashes = "dashed" if look.dashes and not node.current else "solid"
    attributes = {
        "class": f"{node.kind} current" if node.current else node.kind,
        "shape": look.dot,
        "style": f"filled,{dashes}{',rounded' if node.kind in ('working', 'acting') else ''}",
        "peripheries": 2 if node.kind == "end" else 1,
        "fillcolor": look.fill,
        "color": _CURRENT if node.current else look.line,
        "penwidth": _CURRENT_WIDTH if node.current else 1.5,
    }
    return f"{_quoted(node.name)} [label={_quoted(node.name)}, {_attributes(**attributes)}]"


def _dot_arrow(arrow: Arrow) -> str:
    line = _LINES[arrow.who]
    attributes = {
        "class": arrow.who,
        "style": line.dot,
        "color": line.color,
        "fontcolor": line.text,
        "fontsize": 9 if arrow.is_aside else 11,
        "penwidth": 1 if arrow.is_aside else line.width,
        "arrowsize": 0.6 if arrow.is_aside else 0.8,
        "weight": 1 if arrow.is_aside else 2,
    }
    ends = f"{_quoted(arrow.source)} -> {_quoted(arrow.dest)}"
    return f"{ends} [label={_quoted(*arrow.labels)}, {_attributes(**attributes)}]"


def _dot_legend() -> str:
    """Return a table of one row: a cell for each kind of state, a line for each kind of arrow."""
    cells = [
        f'<td border="1" color="{look.line}" bgcolor="{look.fill}" '
        f'style="rounded{",dashed" if look.dashes else ""}">{kind}</td>'
        for kind, look in _LOOKS.items()
    ]
    cells += [
        f'<td border="{line.width}" sides="b" color="{line.color}" style="{line.dot}">{who}</td>'
        for who, line in _LINES.items()
    ]
    return f'<table border="0" cellspacing="8" cellpadding="4"><tr>{"".join(cells)}</tr></table>'
