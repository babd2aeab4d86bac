"""A real Prometheus that scrapes real units: what a query or a rule comes to is asked of itself.

It listens on 127.0.0.1, keeps its data in the test's own folder, and doesn't outlive the test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.tools.ports import free_port
from tests.tools.processes import MARKER, SESSION
from tests.tools.waiting import wait_until

PROGRAM, TOOL = shutil.which("prometheus"), shutil.which("promtool")
START_S = 20.0

# Our end of the pipe closes with us, however we end.
_GUARD = '"$@" </dev/null >>"$0" 2>&1 & read -r line; kill -9 $!; wait $!'


class Prometheus:
    """One server; as a context manager it is started.

    Args:
        directory: for its files.
        ports: of 127.0.0.1, to be scraped twice a second as the job ``statusd``.
        rules: a file of rules; each ``for`` is shortened to a second.
    """

    def __init__(self, directory: Path, ports: Sequence[int], rules: Path) -> None:
        self.directory = directory
        self.port = free_port()
        directory.mkdir()
        text = re.sub(r"for: \w+", "for: 1s", rules.read_text(encoding="utf-8"))
        (directory / "rules.yml").write_text(text, encoding="utf-8")
        scrape = {
            "job_name": "statusd",
            "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
        }
        every = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
        config = {
            "global": {**every, "evaluation_interval": "500ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [scrape],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        program = [
            *(PROGRAM, f"--config.file={self.directory / 'prometheus.yml'}"),
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, str(self.directory / "log"), *program],
            stdin=subprocess.PIPE,
            env=os.environ | {MARKER: f"{SESSION}/prometheus"},
            start_new_session=True,
        )
        wait_until(self._is_ready, START_S, "Prometheus to be ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.communicate(b"end\n", timeout=5)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2):
                return True
        except OSError:
            assert self._guard.poll() is None, (self.directory / "log").read_text()
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that ``expression`` comes to now.

        Raises:
            AssertionError: it is none; says what Prometheus says.
        """
        try:
            return list(self._get("query", query=expression)["result"])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None

    def firing(self) -> set[tuple[str, str]]:
        """Return what fires: (alert, instance)."""
        alerts = self._get("alerts")["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"]["instance"])
            for alert in alerts
            if alert["state"] == "firing"
        }

    def _get(self, what: str, **asked: str) -> Any:
        words = urllib.parse.urlencode(asked)
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{words}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]
