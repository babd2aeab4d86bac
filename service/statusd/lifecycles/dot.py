"""The drawing of a lifecycle in Graphviz' language, with a legend."""

from __future__ import annotations

from statusd.core.lifecycle import Lifecycle
from statusd.lifecycles.drawing import Arrow, Node, draw
from statusd.lifecycles.looks import CURRENT, CURRENT_WIDTH, LINES, LOOKS, TEXT

_FONT = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
_HEAD = f"""\
  graph [rankdir=LR, nodesep=0.25, ranksep=0.5, pad=0.2, bgcolor="white"]
  graph [fontname="{_FONT}", fontsize=10, fontcolor="{TEXT}", labelloc=b]
  node [fontname="{_FONT}", fontsize=13, fontcolor="{TEXT}", margin="0.16,0.09"]
  edge [fontname="{_FONT}"]"""


def dot(lifecycle: Lifecycle, current: str = "") -> str:
    """Return the drawing in Graphviz' language, with a legend; for the arguments: `draw`."""
    drawing = draw(lifecycle, current)
    lines = [
        "digraph lifecycle {",
        _HEAD,
        f"  graph [label=<{_legend()}>]",
        *(f"  {_node(node)}" for node in drawing.nodes),
        *(f"  {_arrow(arrow)}" for arrow in drawing.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(*texts: str) -> str:
    lines = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '"' + "\\n".join(lines) + '"'


def _attributes(**values: object) -> str:
    return ", ".join(f"{key}={_quoted(str(value))}" for key, value in values.items())


def _node(node: Node) -> str:
    look = LOOKS[node.kind]
    dashes = "dashed" if look.dashes and not node.current else "solid"
    attributes = {
        "class": f"{node.kind} current" if node.current else node.kind,
        "shape": look.dot,
        "style": f"filled,{dashes}{',rounded' if node.kind in ('working', 'acting') else ''}",
        "peripheries": 2 if node.kind == "end" else 1,
        "fillcolor": look.fill,
        "color": CURRENT if node.current else look.line,
        "penwidth": CURRENT_WIDTH if node.current else 1.5,
    }
    return f"{_quoted(node.name)} [label={_quoted(node.name)}, {_attributes(**attributes)}]"


def _arrow(arrow: Arrow) -> str:
    line = LINES[arrow.who]
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


def _legend() -> str:
    """Return a table of one row: a cell for each kind of state, a line for each kind of arrow."""
    cells = [
        f'<td border="1" color="{look.line}" bgcolor="{look.fill}" '
        f'style="rounded{",dashed" if look.dashes else ""}">{kind}</td>'
        for kind, look in LOOKS.items()
    ]
    cells += [
        f'<td border="{line.width}" sides="b" color="{line.color}" style="{line.dot}">{who}</td>'
        for who, line in LINES.items()
    ]
    return f'<table border="0" cellspacing="8" cellpadding="4"><tr>{"".join(cells)}</tr></table>'
