"""The drawing of a lifecycle as Mermaid text, as GitHub shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from statusd.core.lifecycle import Lifecycle
from statusd.lifecycles.drawing import Arrow, Drawing, Node, draw
from statusd.lifecycles.looks import CURRENT, CURRENT_WIDTH, LINES, LOOKS, TEXT

_SPECIAL = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|[^A-Za-z0-9_ ,.()\[\]-]")
"""What Mermaid, HTML or Markdown would take as theirs; an underscore within a word is safe."""
_LEGEND = """\
%% states: green works, blue waits, yellow and dashed is on its way, red is a fault, grey is the end
%% arrows: solid may be fired by anyone, dashed by the worker, thin and grey by the daemon"""


def mermaid(lifecycle: Lifecycle, current: str = "") -> str:
    """Return the drawing as a Mermaid flowchart, as GitHub shows it; for the arguments: `draw`."""
    drawing = draw(lifecycle, current)
    ids = {node.name: _id(at, node.name) for at, node in enumerate(drawing.nodes)}
    lines = [
        "flowchart LR",
        *_LEGEND.splitlines(),
        *(f"{ids[node.name]}{_shape(node)}" for node in drawing.nodes),
        *(_arrow(arrow, ids) for arrow in drawing.arrows),
        *_classes(drawing, ids),
        *_links(drawing),
    ]
    return "\n    ".join(lines) + "\n"


def _id(number: int, name: str) -> str:
    """Return an id that is no word of Mermaid (``end`` is one) and unlike every other state's."""
    safe = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"s_{name}" if safe == name else f"s{number}_{safe}"


def _text(text: str) -> str:
    """Return ``text`` so that nothing in it is Mermaid's, HTML's or Markdown's."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)


def _shape(node: Node) -> str:
    return LOOKS[node.kind].mermaid.format(_text(node.name))


def _arrow(arrow: Arrow, ids: Mapping[str, str]) -> str:
    text = "<br>".join(map(_text, arrow.labels))
    return f'{ids[arrow.source]} {LINES[arrow.who].mermaid}|"{text}"| {ids[arrow.dest]}'


def _classes(drawing: Drawing, ids: Mapping[str, str]) -> Iterator[str]:
    for kind, look in LOOKS.items():
        members = [ids[node.name] for node in drawing.nodes if node.kind == kind]
        if members:
            dashes = f",stroke-dasharray:{look.dashes}" if look.dashes else ""
            style = f"fill:{look.fill},stroke:{look.line},color:{TEXT}{dashes}"
            yield f"classDef is_{kind} {style}"
            yield f"class {','.join(members)} is_{kind}"
    for node in drawing.nodes:
        if node.current:
            style = f"stroke:{CURRENT},stroke-width:{CURRENT_WIDTH}px,stroke-dasharray:0"
            yield f"classDef is_current {style},font-weight:bold"
            yield f"class {ids[node.name]} is_current"


def _links(drawing: Drawing) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for at, arrow in enumerate(drawing.arrows):
        line = LINES[arrow.who]
        dashes = f",stroke-dasharray:{line.dashes}" if line.dashes else ""
        width = 1 if arrow.is_aside else line.width
        style = f"stroke:{line.color},stroke-width:{width}px{dashes}"
        alike.setdefault(style, []).append(str(at))
    for style, numbers in alike.items():
        yield f"linkStyle {','.join(numbers)} {style}"
