"""The one way to a terminal: nothing else writes, and nothing foreign gets through."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import statusd
from statusd.cli import complain, history, out
from statusd.cli.demo_screen import View, draw
from statusd.cli.status_table import NUMBERS, table_of
from statusd.cli.status_view import FACTS, facts
from statusd.fleet.response_collector import UnitInfo
from tests.tools.hostile import HOSTILE, arrived

ROOT = Path(statusd.__file__).parent
WRITERS = {"print", "input", "write", "writelines", "print_exc", "print_exception", "print_help"}
DRAWERS = {"Text", "Table", "Console", "Live", "add_row", "from_markup", "Segment"}
ALLOWED = {
    ("cli/out.py", "*"): "it is the one way",
    ("cli/__init__.py", "print_help"): "argparse writes our own help",
    ("cli/graph.py", "write_bytes"): "a file, not a terminal",
    ("examples/counter.py", "print"): "a job of the user's",
    ("worker/attached.py", "print"): "in the user's program, our own words",
    ("worker/track.py", "print"): "in the user's program, where tqdm.write would print",
    ("worker/function.py", "print"): "there is no function to run, told where it would be",
}
"""Where something is written past `statusd.cli.out`, and why that is right."""


def calls(file: Path) -> Iterator[tuple[str, str]]:
    """Yield function and receiver of every call in ``file`` that might write to a terminal."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        whom = ast.unparse(node.func)
        name = whom.rpartition(".")[2]
        receiver = whom.rpartition(".")[0]
        to_stream = receiver in ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__")
        if name in WRITERS and (name not in ("write", "writelines") or to_stream):
            yield name, whom
        elif whom == "os.write" and ast.unparse(node.args[0]) in ("1", "2"):
            yield "os.write", whom
        elif file.parent.name == "cli" and name in DRAWERS and receiver != "out":
            yield name, whom


def test_nothing_writes_but_out() -> None:
    """No print, no write to a standard stream, nothing of rich's that takes text: rule 3."""
    found = [
        (str(file.relative_to(ROOT)), name)
        for file in sorted(ROOT.rglob("*.py"))
        for name, _ in calls(file)
    ]

    assert [pair for pair in found if pair not in ALLOWED and (pair[0], "*") not in ALLOWED] == []


@pytest.mark.parametrize(
    "line",
    ["print('x')", "sys.stderr.write(x)", "os.write(2, x)", "Text(x)", "input(x)"],
)
def test_the_rule_finds_what_breaks_it(line: str, tmp_path: Path) -> None:
    """A test that finds nothing would hold for everything."""
    file = tmp_path / "cli" / "verb.py"
    file.parent.mkdir()
    file.write_text(line)

    assert len(list(calls(file))) == 1


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was written since the last call, on both streams."""
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_lines_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One each, whatever stands in them; complaints are cut."""
    out.say(HOSTILE, "b")
    assert len(told(capsys).splitlines()) == 2
    out.say(HOSTILE)
    assert arrived(told(capsys)) == []
    complain(HOSTILE + "x" * 100_000)
    text = told(capsys)
    assert arrived(text) == []
    assert len(text) < 3000


JSON = st.recursive(
    st.text() | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_json_is_exactly_what_it_is(value: object) -> None:
    """And printable ASCII alone, DEL as well."""
    file = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", file)
        out.say_json([value, HOSTILE])

    text = file.getvalue()
    assert text.rstrip("\n").isascii()
    assert text.rstrip("\n").isprintable()
    assert json.loads(text) == [value, HOSTILE]


@pytest.mark.fault("J13")
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_stream_can_not_encode_is_written_out(encoding: str) -> None:
    """Instead of a traceback (J13)."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")

    out.lose_nothing(stream, None)
    out.say("进 ü", to=stream, flush=True)

    assert (
        raw.getvalue().decode(encoding)
        == {
            "ascii": "\\u8fdb \\xfc\n",
            "latin-1": "\\u8fdb ü\n",
            "utf-8": "进 ü\n",
        }[encoding]
    )


def hostile_unit() -> UnitInfo:
    """Return a unit whose every text is hostile, and of the right kind for a reader."""
    texts = dict.fromkeys(("state", "goal", "text", "link", "host", "since", "part"), HOSTILE)
    lists = {key: [HOSTILE, HOSTILE] for key in ("allowed", "tags", "channels")}
    death = {"run": 1, "reason": HOSTILE, "stderr": [HOSTILE]}
    document = {
        **{"boot": 5, "args": {HOSTILE: HOSTILE}, "worker": {"pid": 1, "death": death}},
        **{"stop": {"stage": HOSTILE}, "last": {"command": HOSTILE, "by": HOSTILE}},
        **texts,
        **lists,
    }
    return UnitInfo(HOSTILE, 5, False, HOSTILE, document, HOSTILE, speaks=True)


def test_tables_for_pipes_show_a_unit_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Two rows for two units, though their texts have line ends."""
    heads, rows = table_of([hostile_unit(), hostile_unit()])

    out.say(*out.lines(rows, heads, NUMBERS))
    out.say(*out.lines(facts(hostile_unit())))

    text = told(capsys)
    assert arrived(text) == []
    assert "[red]C[/red]" in text  # no markup was made of it
    assert len(text.splitlines()) == 3 + len(facts(hostile_unit()))


def test_what_is_drawn_is_harmless(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, facts, the demo; for what somebody forgets `Harmless` has the last word."""
    from rich.text import Text

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    heads, rows = table_of([hostile_unit()], 200)
    view = View(("a",), HOSTILE, typed=HOSTILE)
    view.units["a"], view.answers["a"] = hostile_unit(), HOSTILE
    view.events.append(HOSTILE)

    out.draw(out.table(rows, heads, NUMBERS))
    out.draw(out.table(facts(hostile_unit()), FACTS, folds=True))
    out.draw(draw(view, 200, 40))
    assert arrived(told(capsys), draws=True) == []
    out.draw(Text(HOSTILE.replace("\n", "").replace("\r", "")))
    assert arrived(told(capsys), draws=True) == []


def test_events_are_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Also a gap, and what can't be read."""
    keys = ("event", "name", "old", "new", "trigger", "source", "by", "reason", "at")
    events: list[dict[str, object]] = [
        dict.fromkeys(keys, HOSTILE),
        dict.fromkeys(("gap", "after", "before"), HOSTILE),
        dict.fromkeys(("unreadable", "key", "id", "reason"), HOSTILE),
        {"event": "5-1"},
    ]

    for event in events:
        history.print_event(event, as_json=False)

    text = told(capsys)
    assert arrived(text) == []
    assert len(text.splitlines()) == len(events)


def test_a_traceback_is_told_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug of ours, with foreign words in its error."""
    error = ValueError(HOSTILE)

    out.excepthook(ValueError, error, None)

    text = told(capsys)
    assert "ValueError: A" in text
    assert arrived(text) == []
