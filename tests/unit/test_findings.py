"""Tests of `statusd.doctor.findings`: what a finding means for the exit code."""

from __future__ import annotations

from statusd.doctor.findings import error, exit_code, ok, unknown, warning


def test_only_an_error_is_one_unless_it_is_strict() -> None:
    """What could not be looked at is neither good nor bad."""
    fine = [ok("a", "it is"), unknown("b", "not seen", "ask")]

    assert exit_code([]) == exit_code(fine, strict=True) == 0
    assert exit_code([*fine, warning("c", "it may", "do")]) == 0
    assert exit_code([*fine, warning("c", "it may", "do")], strict=True) == 1
    assert exit_code([*fine, error("d", "it is not", "do")]) == 1
