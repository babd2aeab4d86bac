"""A broker, a daemon with three units, and the server whose page is looked at: all real."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from statusd.core.times import rfc3339
from statusd.wire.names import NAMESPACE, Names
from tests.tools import Broker, Program, wait_until
from tests.tools.ports import free_port, give_back
from tests.tools.processes import dying_with_us
from tests.tools.program import environment

OPERATOR, VIEWER = "operators-token-of-a-test", "viewers-token-of-a-test"
CLOSE_TIMEOUT_S = 10.0
LOST_FOR_S = 7200.0
UNITS: dict[str, dict[str, Any]] = {
    "camera": {"worker": {"function": "tests.browser.jobs:exposing"}, "goal": "RUNNING"},
    "laser": {"worker": {"function": "tests.workers:obedient"}, "goal": "RUNNING"},
    "stage": {"worker": {"function": "tests.workers:blocked"}},
}
"""Two that work, one that waits for a word."""

SEEN = """is_hidden => {
  Object.defineProperty(document, "hidden", { get: () => is_hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""A browser without a window hides no tab by itself."""


class Web:
    """``statusd web`` of a broker; it is started by the constructor.

    Args:
        url: of the broker; folder: for the files of the tokens; args: more arguments.
        port: of an earlier one, which has given it up; 0 for one of its own.
    """

    def __init__(self, url: str, folder: Path, args: Sequence[str] = (), port: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        self.token_file = folder / "token"
        viewers = folder / "viewers"
        for file, token in ((self.token_file, OPERATOR), (viewers, VIEWER)):
            file.write_text(token)
        words = [sys.executable, "-m", "statusd", "web", "--url", url]
        words += ["--listen", f"127.0.0.1:{self.port}", "--token-file", str(self.token_file)]
        words += ["--viewer-token-file", str(viewers)]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                dying_with_us([*words, *args]),
                cwd=folder,
                env=environment(folder),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url.startswith("http://"):
            self.close()
            raise AssertionError((folder / "log").read_text())

    def freeze(self) -> None:
        """Let it hang: its connections stay, and it says nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, if it hasn't ended."""
        self.thaw()
        self._process.terminate()
        with self._process:
            self._process.wait(CLOSE_TIMEOUT_S)
        give_back(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class World:
    """A daemon with `UNITS` below a broker.

    Args:
        broker: that runs; folder: for all files.
    """

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        self.client: Any = broker.client()
        shared = {
            "redis": {"url": broker.url},
            "control": {"channels": ["mychannel"]},
            "tags": ["lab"],
            "daemon": {"name": "lab"},
        }
        units = {name: {"name": name, **unit} for name, unit in UNITS.items()}
        self.daemon = Program(shared, directory=folder / "lab", units=units)

    def document(self, name: str) -> dict[str, Any]:
        """Return the status document of a unit; empty if there is none."""
        return dict(json.loads(self.client.get(Names(NAMESPACE, name).status) or "{}"))

    def wait_for(self, name: str, state: str) -> None:
        """Wait until a unit is in that state, and its worker was seen there."""

        def is_there() -> bool:
            document = self.document(name)
            return document.get("state") == state and not document.get("unseen_since")

        wait_until(is_there, 15, f"{name} to be {state}")

    def say(self, word: str, name: str) -> None:
        """Command a unit as anybody may, not by the page."""
        told = {"command": word, "target": {"name": name}, "by": "ops@desk"}
        self.client.publish("mychannel", json.dumps(told))

    def lose(self, name: str) -> None:
        """Let there be a unit whose daemon is gone without a word."""
        entry = {"boot": 1, "left": False, "seen": rfc3339(time.time() - LOST_FOR_S)}
        self.client.hset(Names(NAMESPACE).roster, name, json.dumps(entry))

    def __enter__(self) -> Self:
        self.daemon.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.daemon.__exit__(*_)
