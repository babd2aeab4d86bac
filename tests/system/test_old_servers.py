"""A server or a proxy that has no HELLO: what is told of it, and that it may be replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.wire.greeting import NEEDS
from tests.conftest import BROKERS, Run
from tests.system.commands import statusd
from tests.tools import Broker, free_port

NO_HELLO = {"rename-command": 'HELLO ""'}
TOLD = "doesn't speak RESP3 (HELLO 3 was answered: "


@pytest.mark.fault("J17")
def test_a_daemon_says_what_it_needs_and_hears_the_next_server(run: Run, tmp_path: Path) -> None:
    """In the log of both links and in its health; a server that speaks it is heard at once."""
    port = free_port()
    with Broker(BROKERS["valkey"], port, NO_HELLO):
        unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}")
        logged = [unit.wait_logged("link.failed", link=link) for link in ("hears", "sends")]
        health = statusd("health", env={"XDG_RUNTIME_DIR": str(unit.directory)})

        for line in logged:
            assert line["broker"] == f"redis://127.0.0.1:{port}/0"
            assert line["reason"] == f"the server {TOLD}ERR unknown command 'HELLO'): {NEEDS}"
        assert health.returncode == 0
        assert TOLD in health.stdout
    with Broker(BROKERS["valkey"], port):
        unit.wait_logged("link.up", link="hears")
        health = statusd("health", env={"XDG_RUNTIME_DIR": str(unit.directory)})

        assert TOLD not in health.stdout


@pytest.mark.fault("J17")
def test_a_server_that_has_hello_and_no_subscriptions_is_told(run: Run) -> None:
    """As behind a proxy that shares its connections: no right would help, and none is named."""
    with Broker(BROKERS["valkey"], conf={"rename-command": 'SUBSCRIBE ""'}) as other:
        unit = run("tests.workers:obedient", other.url)
        told = unit.wait_logged("link.failed", link="hears")
        asked = statusd("send", "ping", "--wait", "--url", other.url)

        wanted = f"the server lets nobody subscribe (ERR unknown command 'SUBSCRIBE'): {NEEDS}"
        assert told["reason"] == wanted
        assert unit.logged("channel.refused") is None
        assert asked.stderr.rstrip().endswith(NEEDS)


@pytest.mark.fault("J17")
@pytest.mark.parametrize("kind", sorted(BROKERS))
def test_every_verb_says_what_it_needs(kind: str, tmp_path: Path) -> None:
    """In one line, with the server's address; `doctor` too, with a password nobody is shown."""
    with Broker(BROKERS[kind], conf=NO_HELLO) as old:
        url = f"redis://:very-secret@127.0.0.1:{old.port}"
        verbs = [("status",), ("send", "pause"), ("history", "counter"), ("doctor",)]
        for words in verbs:
            done = statusd(*words, "--url", url, cwd=tmp_path)
            text = done.stdout + done.stderr

            assert f"redis://127.0.0.1:{old.port}/0 {TOLD}unknown command 'HELLO'): {NEEDS}" in text
            assert done.returncode == (1 if words == ("doctor",) else 69)
            assert "very-secret" not in text
            assert "is it running" not in text
            assert "Traceback" not in text
