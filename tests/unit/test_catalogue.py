"""Tests of the catalogue of faults: whole, marked, and written down in docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.tools.catalogue import (
    PAGE,
    Case,
    mistakes,
    read_cases,
    read_marks,
    render,
    without_results,
)

SIZES = {"N": 31, "M": 15, "S": 16, "W": 24, "G": 15, "C": 6, "X": 36, "R": 8, "J": 28, "K": 24}
A, B = Case("A01", "It rains.", "An umbrella."), Case("A02", "It snows.", "Snow shoes.")


def test_the_catalogue_is_whole() -> None:
    """203 cases, numbered without a gap, each with its cause and its cure."""
    groups, cases = read_cases()

    assert list(groups) == list(SIZES)
    assert [case.id for case in cases] == [
        f"{letter}{number:02}" for letter, size in SIZES.items() for number in range(1, size + 1)
    ]
    assert [case.id for case in cases if not (case.what and case.behaviour)] == []
    assert len(cases) == 203


def test_every_case_has_a_test_or_a_reason() -> None:
    """And no mark names a case that there isn't."""
    assert mistakes(read_cases()[1], read_marks()) == []


def test_the_page_says_what_the_marks_say() -> None:
    """After a change of the marks: ``make reliability``."""
    groups, cases = read_cases()

    fresh = render(groups, cases, read_marks(), {})

    assert without_results(PAGE.read_text(encoding="utf-8")) == without_results(fresh)


@pytest.mark.parametrize(
    ("cases", "marks", "wrong"),
    [
        ([A], {}, ["A01 has neither a test nor a reason"]),
        ([A], {"A01": ["t"], "A1": ["u"]}, ["A1 is marked by u, and is no case"]),
        ([Case("A01", "", "", "far away")], {}, []),
        ([Case("A01", "", "", pending=True)], {}, []),
        (
            [Case("A01", "", "", pending=True)],
            {"A01": ["t"]},
            ["A01 has a test or a reason: it isn't pending any more"],
        ),
    ],
)
def test_what_does_not_fit_is_found(
    cases: list[Case], marks: dict[str, list[str]], wrong: list[str]
) -> None:
    """A case without a test, a mark without a case, a pending one that has a test."""
    assert mistakes(cases, marks) == wrong


def test_marks_are_found_in_the_source(tmp_path: Path) -> None:
    """Of a test, of single parameters, and of nothing else."""
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_x.py").write_text(
        '@pytest.mark.fault("A01", "A02")\n'
        "def test_one(): pass\n"
        '@pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.fault("A02"))])\n'
        "def test_two(): pass\n"
        'def test_three(): print("pytest.mark.fault(1)")\n'
    )

    assert read_marks(tmp_path) == {
        "A01": ["unit/test_x.py::test_one"],
        "A02": ["unit/test_x.py::test_one", "unit/test_x.py::test_two"],
    }


def test_a_result_is_the_sum_of_its_tests() -> None:
    """With what failed and what did not run; the rest of the page is the same without it."""
    marks = {"A01": ["t", "u", "v"]}
    cases = [A, Case("A02", "It snows.", "Snow shoes.", "no winter here")]
    results = {"t": Counter(passed=3, failed=1), "u": Counter(skipped=2)}

    page = render({"A": "Weather"}, cases, marks, results)

    assert "| A01 | It rains. | An umbrella. | `t`<br>`u`<br>`v` | " in page
    assert "| 3 passed, 2 skipped, 1 failed, 1 not run |" in page
    assert "| A02 | It snows. | Snow shoes. |  | not covered: no winter here |" in page
    assert "| A: Weather | 2 | 1 | 1 | 0 |" in page
    assert without_results(page) == without_results(render({"A": "Weather"}, cases, marks, {}))
