"""How a drawing looks in any language: a colour and shape for each state, a line for who fires."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from statusd.core.lifecycle import StateKind
from statusd.lifecycles.drawing import Sender


class Look(NamedTuple):
    """How a kind of state is drawn: the text is dark on light, whatever is behind the drawing."""

    fill: str
    line: str
    dashes: str
    mermaid: str
    dot: str


class Stroke(NamedTuple):
    """How an arrow is drawn: its colour is told apart from white and from black.

    ``text`` is the colour of its label, where that is on white for sure.
    """

    color: str
    text: str
    width: int
    dashes: str
    mermaid: str
    dot: str


TEXT = "#1b1f24"
LOOKS: Mapping[StateKind, Look] = MappingProxyType(
    {
        "waiting": Look("#d3e5fb", "#2f6fbf", "", '["{}"]', "box"),
        "working": Look("#c4ecc9", "#2b8a3e", "", '(["{}"])', "box"),
        "acting": Look("#fdebb8", "#b7791f", "5 3", '("{}")', "box"),
        "fault": Look("#fbcfcb", "#c92a2a", "", '{{{{"{}"}}}}', "octagon"),
        "end": Look("#dfe2e6", "#6b7280", "", '((("{}")))', "box"),
    }
)
LINES: Mapping[Sender, Stroke] = MappingProxyType(
    {
        "anyone": Stroke("#3b7dd8", "#1d5fb8", 2, "", "-->", "solid"),
        "worker": Stroke("#2f9e44", "#237a34", 2, "6 4", "-.->", "dashed"),
        "daemon": Stroke("#8b949e", "#5f6873", 1, "2 3", "-.->", "dotted"),
    }
)
CURRENT, CURRENT_WIDTH = "#9c36b5", 5
