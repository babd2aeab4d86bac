"""`statusd web` below a service manager: it says that it serves, that it lives, that it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import Broker, free_port, wait_until
from tests.tools.notify import NotifySocket
from tests.tools.processes import dying_with_us
from tests.tools.variants import nightly
from tests.tools.web_server import WebServer


def signs_of_life(manager: NotifySocket) -> int:
    """Return how often the watchdog was fed so far."""
    return sum("WATCHDOG" in text for text in manager.texts())


@pytest.mark.parametrize("number", [signal.SIGTERM, *nightly(signal.SIGINT)])
def test_a_service_manager_is_told_of_start_life_and_end(
    number: int, broker: Broker, tmp_path: Path
) -> None:
    """READY when it listens, how the broker is, a sign of life in time; STOPPING at the signal."""
    place = str(tmp_path / "notify")
    told = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "1500000"}
    with (
        NotifySocket(place) as manager,
        WebServer(broker.url, tmp_path / "web", port=free_port(), env=told) as web,
    ):
        wait_until(lambda: manager.has_heard("READY=1"), 5, "READY")
        wait_until(lambda: manager.status() == "0 units; broker up", 5, "the broker in STATUS")
        alive = sum("WATCHDOG" in text for text in manager.texts())
        wait_until(
            lambda: sum("WATCHDOG" in text for text in manager.texts()) > alive,
            1.5,
            "a sign of life",
        )
        broker.kill()
        wait_until(lambda: manager.status() == "0 units; broker away", 10, "its loss in STATUS")

        assert web.end(number) == 0
        assert manager.has_heard("STOPPING=1")


@pytest.mark.parametrize("number", [signal.SIGTERM, *nightly(signal.SIGINT)])
def test_a_signal_at_once_after_the_address_ends_it_with_0(number: int, tmp_path: Path) -> None:
    """Who reads it may signal: from then on the end is in order. Nor is a broker needed for it."""
    port = free_port()
    words = ["web", "--url", "redis://127.0.0.1:1", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        dying_with_us([sys.executable, "-m", "statusd", *words]),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as web:
        assert web.stdout is not None
        assert f"http://127.0.0.1:{port}/?token=" in web.stdout.readline()
        web.send_signal(number)
        _, said = web.communicate(timeout=10)
        assert (web.returncode, said) == (0, "")
