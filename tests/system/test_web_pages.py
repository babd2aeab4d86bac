"""What docs/web.md says is typed, as it stands but for the port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from tests.tools import Broker, environment, free_port, wait_until
from tests.tools.pages import block
from tests.tools.processes import dying_with_us

BEGIN_S = 20.0


@contextmanager
def typing(script: str, folder: Path, broker: Broker) -> Iterator[subprocess.Popen[str]]:
    """Have a block typed in a folder; at its end comes Ctrl-C, and whoever has run leaves well."""
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    running = subprocess.Popen(
        dying_with_us(["bash", "-euc", script]),
        cwd=folder,
        env=environment(folder) | {"PATH": paths, "STATUSD_REDIS__URL": broker.url},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with running:
        yield running
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(BEGIN_S) == 0


def namespace_of(url: str, token: str) -> str:
    """Return what a server says of itself to whoever has that token."""
    asking = Request(f"{url}api/me", headers={"Authorization": f"Bearer {token}"})
    with urlopen(asking, timeout=5) as answer:
        return str(json.load(answer)["namespace"])


def test_the_first_line_prints_an_address_that_lets_in(broker: Broker, tmp_path: Path) -> None:
    """Once, with a new token."""
    script = block("docs/web.md", "statusd web")
    with typing(f"STATUSD_WEB__LISTEN={free_port()} {script}", tmp_path, broker) as running:
        assert running.stdout is not None
        url, token = running.stdout.readline().strip().split("?token=")

        assert namespace_of(url, token) == "statusd"


def test_a_token_of_ones_own_is_not_printed_and_lets_in(broker: Broker, tmp_path: Path) -> None:
    """It is made as the page says, for this user alone."""
    script = block("docs/web.md", "openssl rand -hex 32 | install -m 0600 /dev/stdin web.token")
    script = script.replace("9460", str(free_port()))
    with typing(script, tmp_path, broker) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        token = tmp_path / "web.token"
        wait_until(token.exists, BEGIN_S, "the token")

        assert (token.stat().st_mode & 0o777, len(token.read_text().strip())) == (0o600, 64)
        assert "token" not in url
        assert namespace_of(url, token.read_text().strip()) == "statusd"
