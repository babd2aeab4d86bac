"""Tests of `statusd.supervision.labels`: lines that are known as a run's, in two ways."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.supervision.labels import JsonLabel, Tag
from statusd.supervision.output import MAX_WAITING


def objects(labelled: bytes) -> list[dict[str, Any]]:
    """Return the objects of whole lines."""
    assert labelled.endswith(b"\n")
    return [json.loads(line) for line in labelled[:-1].split(b"\n")]


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"")), min_size=1))
def test_a_line_stays_one_line_whatever_is_in_it(lines: list[bytes]) -> None:
    """As many as there were; the text of each can be had again; nothing but printable ASCII."""
    whole = b"".join(line + b"\n" for line in lines)

    labelled = JsonLabel(7, "stdout").put_on(whole)

    assert labelled.replace(b"\n", b"").decode("ascii").isprintable()
    assert [found["line"] for found in objects(labelled)] == [
        line.decode("utf-8", "backslashreplace") for line in lines
    ]
    assert Tag(7).put_on(whole) == b"".join(b"run 7 | " + line + b"\n" for line in lines)


def test_json_says_whose_line_it_is() -> None:
    """Run, stream and time, in the words of the log around it."""
    (found,) = objects(JsonLabel(3, "stderr").put_on("exposing: 10 \u00b5s\n".encode()))
    at = found.pop("at")

    assert datetime.fromisoformat(at).tzinfo is not None
    assert found == {
        **{"event": "worker.output", "level": "info"},
        **{"run": 3, "stream": "stderr", "line": "exposing: 10 \u00b5s"},
    }


@pytest.mark.parametrize("label", [Tag(3), JsonLabel(3, "stdout")], ids=["tag", "json"])
def test_what_was_dropped_is_told_in_a_line(label: Tag | JsonLabel) -> None:
    """In the form of the others."""
    told = label.regret(12)

    assert told.count(b"\n") == 1
    assert b"12" in told
    if isinstance(label, JsonLabel):
        (found,) = objects(told)
        assert (found["event"], found["lines"]) == ("worker.output_dropped", 12)


@pytest.mark.parametrize("label", [Tag(9999), JsonLabel(9999, "stdout")], ids=["tag", "json"])
def test_whatever_is_read_at_a_time_may_wait_for_a_reader(label: Tag | JsonLabel) -> None:
    """Also if it is nothing but newlines, each of which becomes a line."""
    assert len(label.put_on(b"\n" * label.read_bytes)) <= MAX_WAITING
