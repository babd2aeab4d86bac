"""Tests of `tests.tools.toml`."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools import to_toml

pytestmark = pytest.mark.nightly  # it tests what tests are made with

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_is_read_back(table: dict[str, Any]) -> None:
    """Whatever the texts and however deep the tables, `tomllib` reads the same."""
    assert tomllib.loads(to_toml(table)) == table


def test_it_reads_like_a_settings_file() -> None:
    """Plain keys come first, tables become sections, tables in lists stay in their line."""
    settings = {
        "worker": {"command": ["./acquire", "-v"], "signals": {"PAUSED": "SIGSTOP"}},
        "name": "counter",
        "transitions": [{"trigger": "go", "dest": "END"}],
        "log": {"path": Path("here/log")},
    }

    assert to_toml(settings) == (
        'name = "counter"\n'
        'transitions = [{trigger = "go", dest = "END"}]\n'
        '\n[worker]\ncommand = ["./acquire", "-v"]\n'
        '\n[worker.signals]\nPAUSED = "SIGSTOP"\n'
        '\n[log]\npath = "here/log"\n'
    )


def test_what_toml_lacks_is_refused() -> None:
    """None has no spelling in TOML."""
    with pytest.raises(TypeError, match="NoneType"):
        to_toml({"a": [None]})
