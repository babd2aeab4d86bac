"""The catalogue of faults: which case is proved by which test, and what came of it.

A test says what it proves by ``@pytest.mark.fault("N01")``; the marks are read from the source, so
that the same ones are found whatever part of the suite runs.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
Marks = Mapping[str, list[str]]
"""Case -> the tests that prove it, each as ``system/test_junk.py::test_junk_changes_nothing``."""
Results = Mapping[str, Counter[str]]
"""Test -> outcome -> how often."""

OUTCOMES = ("passed", "skipped", "failed")
HEAD = """\
# Reliability

What breaks programs of this kind, what statusd does about it, and the tests that prove it: with a
real broker, real processes and real signals. Written by `make reliability`, which runs these tests.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault.

    Args:
        what: how it comes; behaviour: what statusd does about it.
        uncovered: why no test can show it here, if that is so.
        pending: a test is being written.
    """

    id: str
    what: str
    behaviour: str
    uncovered: str = ""
    pending: bool = False


def read_cases(file: Path = TESTS / "faults" / "cases.toml") -> tuple[dict[str, str], list[Case]]:
    """Return the groups, letter -> title, and all cases in order."""
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    groups, uncovered = content["groups"], content["uncovered"]
    cases = [
        Case(name, what, behaviour, uncovered.get(name, ""), name in content["pending"])
        for letter in groups
        for name, (what, behaviour) in content[letter].items()
    ]
    return groups, cases


def read_marks(tests: Path = TESTS) -> Marks:
    """Return the marks of all tests below ``tests``."""
    found: dict[str, list[str]] = {}
    for file in sorted(tests.rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                test = f"{file.relative_to(tests)}::{node.name}"
                for case in _marked(node):
                    found.setdefault(case, []).append(test)
    return found


def _marked(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the cases in the marks of one test, also those of single parameters."""
    seen: set[str] = set()
    for decorator in function.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                for argument in node.args:
                    case = str(ast.literal_eval(argument))
                    if case not in seen:
                        seen.add(case)
                        yield case


def mistakes(cases: list[Case], marks: Marks) -> list[str]:
    """Return what doesn't fit together, a sentence each."""
    known = {case.id for case in cases}
    wrong = [f"{case} is marked by {marks[case][0]}, and is no case" for case in {*marks} - known]
    for case in cases:
        said = [bool(marks.get(case.id)), bool(case.uncovered), case.pending]
        if not any(said):
            wrong.append(f"{case.id} has neither a test nor a reason")
        elif case.pending and sum(said) > 1:
            wrong.append(f"{case.id} has a test or a reason: it isn't pending any more")
    return sorted(wrong)


def render(groups: Mapping[str, str], cases: list[Case], marks: Marks, results: Results) -> str:
    """Return the page."""
    rows = {case.id: _result(case, marks.get(case.id, []), results) for case in cases}
    lines = [HEAD, *_summary(groups, cases, marks), "", _sum_of(results, marks)]
    for letter, title in groups.items():
        lines += ["", f"## {letter}: {title}", ""]
        lines += ["| case | what happens | what statusd does | tests | result |", "|" + "---|" * 5]
        for case in cases:
            if case.id.startswith(letter):
                tests = "<br>".join(f"`{test}`" for test in marks.get(case.id, []))
                cells = (case.id, case.what, case.behaviour, tests, rows[case.id])
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _summary(groups: Mapping[str, str], cases: list[Case], marks: Marks) -> Iterator[str]:
    yield "| group | cases | with tests | not covered | pending |"
    yield "|" + "---|" * 5
    for letter, title in {**groups, "": "all"}.items():
        own = [case for case in cases if case.id.startswith(letter)]
        tested = sum(case.id in marks for case in own)
        uncovered = sum(bool(case.uncovered) and case.id not in marks for case in own)
        pending = sum(case.pending for case in own)
        name = f"{letter}: {title}" if letter else "**all**"
        yield f"| {name} | {len(own)} | {tested} | {uncovered} | {pending} |"


def _result(case: Case, tests: list[str], results: Results) -> str:
    said = []
    if tests:
        said.append(_outcome(tests, results))
    if case.uncovered:
        said.append(f"not covered: {case.uncovered}")
    return "; ".join(said) or "pending"


def _outcome(tests: list[str], results: Results) -> str:
    total: Counter[str] = Counter()
    for test in tests:
        total += results.get(test, Counter({"not run": 1}))
    return ", ".join(f"{total[name]} {name}" for name in (*OUTCOMES, "not run") if total[name])


SUM = "Result: "


def _sum_of(results: Results, marks: Marks) -> str:
    tests = sorted({test for group in marks.values() for test in group})
    return f"{SUM}{len(tests)} tests with their variants: {_outcome(tests, results)}."


def without_results(page: str) -> list[str]:
    """Return the lines of a page without what came of the tests."""
    return [
        line.rsplit("|", 2)[0] if line.startswith("|") else line
        for line in page.splitlines()
        if not line.startswith(SUM)
    ]
