"""Tests of `statusd.doctor.findings`: what a finding means for the exit code."""

from __future__ import annotations

import ast
from pathlib import Path

from statusd import doctor
from statusd.cli import doctor as verb
from statusd.doctor.findings import error, exit_code, ok, unknown, warning


def test_only_an_error_is_one_unless_it_is_strict() -> None:
    """What could not be looked at is neither good nor bad."""
    fine = [ok("a", "it is"), unknown("b", "not seen", "ask")]

    assert exit_code([]) == exit_code(fine, strict=True) == 0
    assert exit_code([*fine, warning("c", "it may", "do")]) == 0
    assert exit_code([*fine, warning("c", "it may", "do")], strict=True) == 1
    assert exit_code([*fine, error("d", "it is not", "do")]) == 1


SPEAKERS = {"ok", "unknown", "warning", "error", "folder"}


def test_the_page_names_whatever_the_doctor_speaks_of() -> None:
    """Its table has a row for each, and for nothing else."""
    spoken = set()
    for file in [*Path(doctor.__file__).parent.glob("*.py"), Path(verb.__file__)]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                first = node.args[0]
                named = ast.unparse(node.func) in SPEAKERS
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).lower() == "about":
                first, named = node.value, True
            else:
                continue
            if named and isinstance(first, ast.Constant):
                spoken.add(first.value)
    table = Path("docs/doctor.md").read_text(encoding="utf-8").partition("| about |")[2]
    rows = [row.split("|")[1] for row in table.splitlines()[2:] if row.startswith("|")]
    written = {name.strip(" `") for row in rows for name in row.split(",")}

    assert written == spoken
