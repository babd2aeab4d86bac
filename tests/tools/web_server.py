"""``statusd web`` as a process, with what it prints, and ways to ask it as a script does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.tools.output import Output
from tests.tools.processes import dying_with_us
from tests.tools.waiting import wait_until

READY_S = 15.0


class WebServer:
    """``statusd web`` with those words; started by the constructor, which returns when it serves.

    Args:
        url: of the broker; directory: where its output goes, made if missing.
        words: more than ``--url`` and ``--listen``; env: more of the environment.
        port: where it listens, on 127.0.0.1.
    """

    def __init__(
        self,
        url: str,
        directory: Path,
        *words: str,
        port: int,
        env: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port, self.directory = port, directory
        self._stdout, self._stderr = Output(directory, "stdout"), Output(directory, "stderr")
        clean = {key: value for key, value in os.environ.items() if not key.startswith("STATUSD_")}
        command = ["-m", "statusd", "web", "--url", url, "--listen", f"127.0.0.1:{port}", *words]
        with self._stdout.path.open("wb") as stdout, self._stderr.path.open("wb") as stderr:
            self.process = subprocess.Popen(
                dying_with_us([sys.executable, *command]),
                cwd=directory,
                env={**clean, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.address = wait_until(self._says_where, READY_S, "statusd web to serve")
        """Where the page is, as it was printed."""
        self.token = parse_qs(urlsplit(self.address).query).get("token", [""])[0]
        """Of operators; empty if it stands in a file."""

    def _says_where(self) -> str | None:
        found = re.search(r"^https?://\S+$", self._stdout.text(), re.M)
        assert found or self.process.poll() is None, f"it has ended: {self.log()}"
        return found[0] if found else None

    def log(self) -> str:
        """Return all that it has printed."""
        return self._stdout.text() + self._stderr.text()

    def client(self, token: str = "", **more: str) -> httpx.Client:
        """Return a client that asks with a token: by default the one that was printed."""
        headers = {"authorization": f"Bearer {token or self.token}", **more}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=10)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and return its exit code when it has gone."""
        self.process.send_signal(number)
        return self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
