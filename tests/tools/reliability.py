"""``pytest --reliability``: what came of the tests that prove a case, written down."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.tools import catalogue


class Reliability:
    """A plugin that counts outcomes, and writes the page when all is over."""

    def __init__(self, page: Path = catalogue.PAGE) -> None:
        self._page = page
        self._results: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one variant once: by its call, or by what kept it from being called."""
        if report.when == "call" or report.outcome != "passed":
            test = report.nodeid.partition("[")[0].removeprefix("tests/")
            self._results[test][report.outcome] += 1

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        groups, cases = catalogue.read_cases()
        text = catalogue.render(groups, cases, catalogue.read_marks(), self._results)
        self._page.write_text(text, encoding="utf-8")
