"""Tests of `statusd.lifecycles.drawing`, `mermaid` and `dot`: what is drawn, what it says."""

from __future__ import annotations

import enum
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from statusd.core.conditions import Condition
from statusd.core.lifecycle import (
    BUILT_IN,
    Deadline,
    Lifecycle,
    Part,
    Row,
    Who,
    supervision,
)
from statusd.lifecycles.dot import dot
from statusd.lifecycles.drawing import Arrow, Drawing, Node, draw
from statusd.lifecycles.mermaid import mermaid

FIXED = ("BACKOFF", "FAILED", "ENDING", "END")
A, W, D = Who.ANYONE, Who.WORKER, Who.DAEMON


def lifecycle(
    rows: Iterable[tuple[str, str, str, Who, tuple[Condition, ...]]] = (),
    *,
    working: Sequence[str] = (),
    waiting: Sequence[str] = ("READY",),
    acting: Sequence[str] = (),
    faults: Sequence[str] = (),
    deadlines: Mapping[str, Deadline] | None = None,
) -> Lifecycle:
    """Return a lifecycle with those states and rows, and with what every lifecycle has."""
    living = ("INIT", *waiting, *working, *acting, *faults)
    states = enum.Enum("states", [*living, *FIXED])  # type: ignore[misc]
    own = [
        Row(name, states[old], states[new], who, conditions)
        for name, old, new, who, conditions in rows
    ]
    steady = {*waiting, *working, *faults, "FAILED", "END"}
    return Lifecycle(
        states=states,
        rows=(*own, *supervision(states, [states[name] for name in living])),
        parts={s: Part.WORKS if s.name in working else Part.WAITS for s in states},
        steady=frozenset(states[name] for name in steady),
        faults=frozenset(states[name] for name in (*faults, "FAILED")),
        home=states[waiting[0]],
        deadlines={states[name]: at for name, at in (deadlines or {}).items()},
    )


def kinds(drawing: Drawing) -> dict[str, str]:
    """Return name -> kind of the states."""
    return {node.name: node.kind for node in drawing.nodes}


def between(drawing: Drawing, source: str, dest: str) -> list[Arrow]:
    """Return the arrows from ``source`` to ``dest``."""
    return [arrow for arrow in drawing.arrows if (arrow.source, arrow.dest) == (source, dest)]


def cold(_: object) -> bool:
    """Tell nothing: conditions are drawn, not asked."""
    return True


IS_COLD, NOT_COLD = Condition("is_cold", cold), Condition("is_cold", cold, wanted=False)


# ---- what is drawn -------------------------------------------------------------------------------


def test_each_state_of_the_built_in_lifecycle_has_its_kind() -> None:
    """In the order of their numbers on the board."""
    assert list(kinds(draw(BUILT_IN)).items()) == [
        ("INIT", "acting"),
        ("READY", "waiting"),
        ("RUNNING", "working"),
        ("PAUSED", "waiting"),
        ("BACKOFF", "acting"),
        ("FAILED", "fault"),
        ("ENDING", "acting"),
        ("END", "end"),
    ]


def test_states_of_ones_own_have_their_kinds() -> None:
    """By what they ask of the worker, whether they last, and whether anybody wants them."""
    found = kinds(draw(lifecycle(working=["EXPOSING"], acting=["COOLING"], faults=["TOO_HOT"])))

    assert found["EXPOSING"] == "working"
    assert found["COOLING"] == "acting"
    assert found["TOO_HOT"] == "fault"
    assert found["READY"] == "waiting"


def test_where_the_worker_works_is_shown_first() -> None:
    """Of a state that doesn't last, and of a fault."""
    base = lifecycle(working=["COOLING", "VENTING"])
    both = replace(
        base,
        steady=base.steady - {base.states["COOLING"]},
        faults=base.faults | {base.states["VENTING"]},
    )

    found = kinds(draw(both))

    assert (found["COOLING"], found["VENTING"]) == ("working", "working")


def test_one_state_is_the_current_one() -> None:
    """The one of that name; none by default, and none if no state has it."""
    current = [node for node in draw(BUILT_IN, "PAUSED").nodes if node.current]

    assert current == [Node("PAUSED", "waiting", current=True)]
    assert not any(node.current for node in draw(BUILT_IN).nodes)
    assert not any(node.current for node in draw(BUILT_IN, "paused").nodes)


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        (A, "anyone"),
        (A | W | D, "anyone"),
        (W, "worker"),
        (W | D, "worker"),
        (D, "daemon"),
    ],
)
def test_an_arrow_shows_the_widest_circle_of_senders(who: Who, shown: str) -> None:
    """Anyone, or else the worker, or else the daemon alone."""
    drawing = draw(lifecycle([("go", "READY", "RUN", who, ())], working=["RUN"]))

    assert [arrow.who for arrow in between(drawing, "READY", "RUN")] == [shown]


def test_every_row_is_drawn() -> None:
    """None is lost in the merging: the labels of all arrows are the triggers of all rows."""
    drawn = sorted(
        (arrow.source, arrow.dest, label)
        for arrow in draw(BUILT_IN).arrows
        for label in arrow.labels
    )

    assert drawn == sorted((row.source.name, row.dest.name, row.trigger) for row in BUILT_IN.rows)


def test_rows_with_the_same_ends_and_senders_share_an_arrow() -> None:
    """A label each, in the order of the rows; another kind of sender has another arrow."""
    rows = [
        ("go", "READY", "RUN", A, ()),
        ("wake", "READY", "RUN", W, ()),
        ("hurry", "READY", "RUN", A | D, ()),
        ("rest", "RUN", "READY", A, ()),
    ]

    arrows = between(draw(lifecycle(rows, working=["RUN"])), "READY", "RUN")

    assert arrows == [
        Arrow("READY", "RUN", ("go", "hurry"), "anyone"),
        Arrow("READY", "RUN", ("wake",), "worker"),
    ]


def test_the_same_label_stands_once() -> None:
    """Two rows that read the same say no more than one."""
    rows = [("go", "READY", "RUN", A, ()), ("go", "READY", "RUN", A | W, ())]

    (arrow,) = between(draw(lifecycle(rows, working=["RUN"])), "READY", "RUN")

    assert arrow.labels == ("go",)


@pytest.mark.parametrize(
    ("conditions", "label"),
    [
        ((), "go"),
        ((IS_COLD,), "go [is_cold]"),
        ((NOT_COLD,), "go [unless is_cold]"),
        ((Condition("has_exposure", cold), NOT_COLD), "go [has_exposure, unless is_cold]"),
    ],
)
def test_guards_stand_in_brackets(conditions: tuple[Condition, ...], label: str) -> None:
    """In the order in which they are asked."""
    drawing = draw(lifecycle([("go", "READY", "RUN", A, conditions)], working=["RUN"]))

    assert between(drawing, "READY", "RUN")[0].labels == (label,)


@pytest.mark.parametrize(
    ("after_s", "text"), [(600.0, "600 s"), (0.25, "0.25 s"), (86400 * 30, "2592000 s")]
)
def test_a_deadline_stands_at_its_trigger(after_s: float, text: str) -> None:
    """At that trigger and that state alone."""
    rows = [
        ("stop", "PAUSED", "READY", A, (IS_COLD,)),
        ("stop", "RUN", "READY", A, ()),
        ("go", "PAUSED", "RUN", A, ()),
    ]
    deadlines = {"PAUSED": Deadline(after_s, "stop")}

    drawing = draw(
        lifecycle(rows, waiting=["READY", "PAUSED"], working=["RUN"], deadlines=deadlines)
    )

    assert between(drawing, "PAUSED", "READY")[0].labels == (f"stop (or after {text}) [is_cold]",)
    assert between(drawing, "RUN", "READY")[0].labels == ("stop",)
    assert between(drawing, "PAUSED", "RUN")[0].labels == ("go",)


def test_what_every_lifecycle_has_is_aside() -> None:
    """The arrows to and from BACKOFF, FAILED, ENDING and END; not those of the work."""
    aside = {label for arrow in draw(BUILT_IN).arrows if arrow.is_aside for label in arrow.labels}
    work = {
        label for arrow in draw(BUILT_IN).arrows if not arrow.is_aside for label in arrow.labels
    }

    assert aside == {"crash", "fail", "retry", "reset", "end", "exited"}
    assert work == {"ready", "start", "pause", "resume", "stop"}


# ---- Mermaid -------------------------------------------------------------------------------------

NODE = re.compile(r'^ +(s\w+)(\[|\(\[|\(|\{\{|\(\(\()"([^"]*)"', re.MULTILINE)
LINK = re.compile(r'^ +(s\w+) (-->|-\.->)\|"([^"]*)"\| (s\w+)$', re.MULTILINE)


def test_mermaid_has_every_state_and_every_arrow() -> None:
    """Solid for anyone, broken for the worker and the daemon."""
    text = mermaid(BUILT_IN)

    assert text.startswith("flowchart LR\n")
    assert [name for _, _, name in NODE.findall(text)] == list(BUILT_IN.states.__members__)
    assert LINK.findall(text) == [
        (
            f"s_{arrow.source}",
            "-->" if arrow.who == "anyone" else "-.->",
            "<br>".join(arrow.labels),
            f"s_{arrow.dest}",
        )
        for arrow in draw(BUILT_IN).arrows
    ]


def test_mermaid_colours_each_kind() -> None:
    """A class for each, with a fill of its own and dark text, so that any background will do."""
    text = mermaid(BUILT_IN)

    fills = re.findall(r"classDef is_(\w+) fill:(#\w{6}),stroke:#\w{6},color:#1b1f24", text)
    assert len(set(fills)) == len({fill for _, fill in fills}) == 5
    assert "class s_RUNNING is_working\n" in text
    assert "class s_INIT,s_BACKOFF,s_ENDING is_acting\n" in text
    assert "class s_END is_end\n" in text


def test_mermaid_highlights_the_current_state() -> None:
    """By a thick border, after the class of its kind; nothing is highlighted without one."""
    text = mermaid(BUILT_IN, "RUNNING")

    assert "stroke-width:5px" in text
    assert text.index("class s_RUNNING is_working") < text.index("class s_RUNNING is_current")
    assert "is_current" not in mermaid(BUILT_IN)


def test_mermaid_styles_every_link_once() -> None:
    """Those beside the work thin, the daemon's grey."""
    text = mermaid(BUILT_IN)

    styles = re.findall(r"linkStyle ([\d,]+) (.+)", text)
    numbers = [int(number) for found, _ in styles for number in found.split(",")]
    arrows = draw(BUILT_IN).arrows
    assert sorted(numbers) == list(range(len(arrows)))
    for found, style in styles:
        group = [arrows[int(number)] for number in found.split(",")]
        assert {arrow.who == "daemon" for arrow in group} == {"#8b949e" in style}
        assert {arrow.is_aside or arrow.who == "daemon" for arrow in group} == {"1px" in style}


def test_ids_are_safe_and_unlike_each_other() -> None:
    """Whatever a state is called: Mermaid's own words, hyphens, digits, names that look alike."""
    names = ["end", "graph", "default", "class", "o", "x", "1", "a-b", "a_b", "a--b", "-"]

    text = mermaid(lifecycle(waiting=names))

    nodes = NODE.findall(text)
    ids = [found for found, _, _ in nodes]
    assert [name for _, _, name in nodes] == ["INIT", *names, *FIXED]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"s\w+", found, re.ASCII) for found in ids)
    assert "s_end" in ids


def test_mermaid_labels_have_nothing_that_means_something() -> None:
    """Quotes, tags and Markdown come as character codes; plain names stay as they are."""
    conditions = (
        Condition("has_exposure", cold),
        Condition("_own_", cold),
        Condition('<b>"`*', cold),
    )

    text = mermaid(lifecycle([("go", "READY", "RUN", A, conditions)], working=["RUN"]))

    assert '"go [has_exposure, #95;own#95;, #60;b#62;#34;#96;#42;]"' in text


def test_merged_labels_stand_on_lines_of_their_own() -> None:
    """In both languages."""
    rows = [("go", "READY", "RUN", A, ()), ("hurry", "READY", "RUN", A, ())]
    merged = lifecycle(rows, working=["RUN"])

    assert 's_READY -->|"go<br>hurry"| s_RUN\n' in mermaid(merged)
    assert '"READY" -> "RUN" [label="go\\nhurry", ' in dot(merged)


# ---- DOT -----------------------------------------------------------------------------------------


def test_dot_has_every_state_and_every_arrow() -> None:
    """With the class of each, which SVG repeats."""
    text = dot(BUILT_IN)
    drawing = draw(BUILT_IN)

    nodes = re.findall(r'^  "(\w+)" \[label="(\w+)", class="(\w+)"', text, re.MULTILINE)
    assert nodes == [(node.name, node.name, node.kind) for node in drawing.nodes]
    arrows = re.findall(
        r'^  "(\w+)" -> "(\w+)" \[label="([^"]*)", class="(\w+)", style="(\w+)"', text, re.MULTILINE
    )
    styles = {"anyone": "solid", "worker": "dashed", "daemon": "dotted"}
    assert arrows == [
        (arrow.source, arrow.dest, "\\n".join(arrow.labels), arrow.who, styles[arrow.who])
        for arrow in drawing.arrows
    ]


def test_dot_highlights_the_current_state() -> None:
    """By its class and a thick border; a dashed one becomes whole."""
    (line,) = re.findall(r'^  "INIT" \[.*', dot(BUILT_IN, "INIT"), re.MULTILINE)

    assert 'class="acting current"' in line
    assert 'penwidth="5"' in line
    assert "dashed" not in line
    assert "current" not in dot(BUILT_IN)


def test_dot_explains_itself() -> None:
    """The legend has every kind of state and of arrow."""
    (legend,) = re.findall(r"<table.*</table>", dot(BUILT_IN))

    words = re.findall(r">(\w+)</td>", legend)
    assert words == ["waiting", "working", "acting", "fault", "end", "anyone", "worker", "daemon"]


def test_quotes_and_backslashes_are_escaped_in_dot() -> None:
    """They neither end the text nor mean something to Graphviz."""
    conditions = (Condition('a"b\\N', cold),)

    text = dot(lifecycle([("go", "READY", "RUN", A, conditions)], working=["RUN"]))

    assert r'label="go [a\"b\\N]"' in text


# ---- the same, always ----------------------------------------------------------------------------

_PROGRAM = """\
from statusd.lifecycles.dot import dot
from statusd.lifecycles.mermaid import mermaid
from statusd.core.lifecycle import BUILT_IN
print(mermaid(BUILT_IN, "READY"), dot(BUILT_IN, "READY"))
"""


def test_the_same_lifecycle_gives_the_same_text() -> None:
    """In processes whose sets and dictionaries are in another order, too."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert texts == {f"{mermaid(BUILT_IN, 'READY')} {dot(BUILT_IN, 'READY')}\n"}
