"""Tests of `statusd.lifecycles.toml_lines`: the line of every key and element, against tomllib."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.lifecycles.toml_lines import Path, line_of, lines

DOCUMENTS: dict[str, tuple[str, dict[Path, int]]] = {
    "nothing": ("", {}),
    "a remark alone": ("# [a]\n# b = 1", {}),
    "keys and a table": ("a = 1\n\n[t]\nb = 2\n", {("a",): 1, ("t",): 3, ("t", "b"): 4}),
    "a dotted key": ("a . b.c = 1\n", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1}),
    "quoted keys": (
        '"a.b" = 1\n\'c]\' = 2\n"d\\u0041" = 3\n',
        {("a.b",): 1, ("c]",): 2, ("dA",): 3},
    ),
    "an array over lines": (
        "a = [ # ]\n  1,\n\n  [2,\n   3], ]\nb = 1\n",
        {("a",): 1, ("a", 0): 2, ("a", 1): 4, ("a", 1, 0): 4, ("a", 1, 1): 5, ("b",): 6},
    ),
    "inline tables": (
        "a = [\n  { b = 1, c = [\n  2] },\n  {}\n]\n",
        {
            ("a",): 1,
            ("a", 0): 2,
            ("a", 0, "b"): 2,
            ("a", 0, "c"): 2,
            ("a", 0, "c", 0): 3,
            ("a", 1): 4,
        },
    ),
    "arrays of tables": (
        "[[a]]\nb = 1\n[[a]]\n[[a.c]]\nd = 1\n[a.e]\n",
        {
            ("a",): 1,
            ("a", 0): 1,
            ("a", 0, "b"): 2,
            ("a", 1): 3,
            ("a", 1, "c"): 4,
            ("a", 1, "c", 0): 4,
            ("a", 1, "c", 0, "d"): 5,
            ("a", 1, "e"): 6,
        },
    ),
    "texts that look like structure": (
        'a = """\n]\nb = 1\n\\""" x""""\nc = \'\'\'\n[t]\n\'\'\'\nd = "#" # "\ne = \']\'\n',
        {("a",): 1, ("c",): 5, ("d",): 8, ("e",): 9},
    ),
    "numbers, dates, truth": (
        "a = [1979-05-27 07:32:00, -0.5e+3, true, inf]\r\nb = 0x_f # x\r\n".replace("0x_f", "0xf"),
        {("a",): 1, **{("a", n): 1 for n in range(4)}, ("b",): 2},
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_key_and_element_has_its_line(name: str) -> None:
    """Written by hand: keys, elements, and what only looks like one."""
    text, expected = DOCUMENTS[name]
    tomllib.loads(text)

    assert lines(text) == expected


def test_what_has_no_line_of_its_own_is_found_in_what_it_stands_in() -> None:
    """A key that is missing is looked for where it should be."""
    known = lines("a = 1\n[b]\nc = 2\n")

    assert line_of(known, ("b", "c")) == 3
    assert line_of(known, ("b", "missing", 0)) == 2
    assert line_of(known, ("missing",)) == 0


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
values = st.recursive(
    st.integers(-9, 9) | st.booleans() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, values, max_size=4), st.sampled_from(["", "\n", " # ]}\n", "\r\n"]))
def test_everything_that_tomllib_finds_has_a_line(content: dict[str, Any], gap: str) -> None:
    """Any document: the paths are tomllib's, each on the line where its text stands."""
    text = "".join(f"{quoted(key)} = {written(value, gap)}\n" for key, value in content.items())

    found = lines(text)

    assert tomllib.loads(text) == content
    assert set(found) == set(paths(content))
    rows = text.split("\n")
    for path, line in found.items():
        assert 1 <= line <= len(rows)
        if isinstance(path[-1], str):
            assert quoted(path[-1]) in rows[line - 1]


def paths(value: object, above: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a document."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        yield (*above, key)
        yield from paths(inner, (*above, key))


def written(value: object, gap: str) -> str:
    """Return ``value`` as TOML, with ``gap`` between the elements of arrays."""
    if isinstance(value, dict):
        inside = ", ".join(f"{quoted(key)} = {written(v, gap)}" for key, v in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{gap}" + "".join(f"{written(element, gap)},{gap}" for element in value) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def quoted(text: str) -> str:
    """Return ``text`` as a basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
