"""`statusd send` without --wait: lean, and honest about what it knows."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.conftest import Run, settings
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Program, free_port, wait_until


def test_nobody_listening_is_told(broker: Broker) -> None:
    """Exit code 5, and where it was sent to."""
    done = statusd("send", "pause", "--url", broker.url)

    assert done.returncode == 5
    assert "nobody listens" in done.stderr


def test_no_broker_is_told_with_how_it_was_found() -> None:
    """Exit code 69, the address, and which setting named it; no traceback."""
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"

    done = statusd("send", "pause", env={"STATUSD_REDIS__URL": url})

    assert done.returncode == 69
    assert "no connection to redis://127.0.0.1:" in done.stderr
    assert "STATUSD_REDIS__URL" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_word_is_not_sent(broker: Broker) -> None:
    """Exit code 64, before anything leaves."""
    done = statusd("send", "end now", "--url", broker.url)

    assert done.returncode == 64
    assert "is not a word" in done.stderr


def test_a_slip_is_answered_with_what_was_meant(broker: Broker, run: Run) -> None:
    """And what isn't allowed now, with what is."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    slip = statusd("send", "pasue", "--wait", "--url", broker.url)
    early = statusd("send", "pause", "--wait", "--url", broker.url)

    assert (slip.returncode, early.returncode) == (3, 3)
    assert "pasue is no word: did you mean pause?" in slip.stdout
    told = (
        "pause is not allowed in READY: it is for RUNNING; here start leads to RUNNING, end to END"
    )
    assert f"{told}\n" in early.stdout


def test_an_argument_without_a_value_is_not_sent(broker: Broker) -> None:
    """Exit code 64, and how it is written."""
    done = statusd("send", "start", "--arg", "run", "--url", broker.url)

    assert done.returncode == 64
    assert "KEY=VALUE" in done.stderr


def test_the_settings_file_names_the_broker(broker: Broker, run: Run, tmp_path: Path) -> None:
    """[redis] of ./statusd.toml; -v says so, --json prints the message."""
    unit = run("tests.workers:obedient", broker.url, redis={"url": broker.url, "namespace": "lab"})
    unit.wait_logged("link.up", link="hears")

    done = statusd("send", "start", "--arg", "a=b", "-v", "--json", cwd=unit.directory)

    assert done.returncode == 0
    assert "(statusd.toml)" in done.stderr
    sent = json.loads(done.stdout)
    assert (sent["channel"], sent["heard"], sent["args"]) == ("lab:control", 1, {"a": "b"})
    unit.wait_state("RUNNING")


def test_a_broken_settings_file_is_told(tmp_path: Path) -> None:
    """Exit code 78 and the file's name."""
    (tmp_path / "statusd.toml").write_text("[redis\n")

    done = statusd("send", "start", cwd=tmp_path)

    assert done.returncode == 78
    assert "statusd.toml: not valid TOML" in done.stderr


def test_help_has_examples_and_an_unknown_verb_is_named() -> None:
    """What people type first."""
    assert "redis-cli PUBLISH mychannel PAUSE" in statusd("--help").stdout
    assert "exit codes" in statusd("send", "--help").stdout
    assert "there is no verb 'sent', did you mean send?" in statusd("sent").stderr
    assert statusd("--version").stdout.startswith("statusd ")


def test_a_durable_command_is_kept_for_who_is_away(broker: Broker, run: Run) -> None:
    """It says what was promised; a bare XADD is as good; a unit that comes later obeys both."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")

    here = statusd("send", "start", "--durable", "--wait", "--url", broker.url)
    unit.wait_state("RUNNING")
    unit.signal(signal.SIGKILL)
    unit.wait_exit(5)
    away = statusd("send", "pause", "--durable", "--expires", "10m", "--json", "--url", broker.url)

    toml = settings("tests.workers:obedient", broker.url)
    with Journal(broker.client()) as journal, Program(toml, directory=unit.directory) as again:
        again.wait_state("PAUSED")
        wait_until(journal.finals, 10, "the verdict")
        bare = broker.client().xadd("statusd:commands", {"command": "PAUSE"})
        assert isinstance(bare, bytes)
        # Not by number: what the killed daemon has answered may come again, as an exact copy.
        wait_until(
            lambda: any(v.get("id") == bare.decode() for v in journal.finals()), 10, "the other"
        )

        assert here.returncode == 0
        assert "start: 1 done" in here.stdout
        assert "kept as " in here.stdout
        sent = json.loads(away.stdout)
        assert (away.returncode, sent["heard"], sent["stream"]) == (0, 0, "statusd:commands")
        answers = {v["id"]: (v["verdict"], v["source"]) for v in journal.finals()}
        assert answers[sent["id"]] == ("done", f"stream:{sent['entry']}")
        assert answers[bare.decode()] == ("noop", f"stream:{bare.decode()}")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--durable", "-c", "mychannel"], "--durable is for the whole namespace"),
        (["--durable", "--socket"], "need the broker"),
        (["--expires", "soon"], "'soon' is no time span: 90s, 10m, 2h, 1d"),
    ],
)
def test_what_can_not_be_durable_is_told(more: list[str], complaint: str) -> None:
    """Before anything is sent."""
    done = statusd("send", "pause", *more)

    assert done.returncode == 64
    assert complaint in done.stderr


def test_a_broker_that_refuses_to_keep_it_is_an_error(broker: Broker, run: Run) -> None:
    """Out of memory: nothing is kept, the sender knows, and the live path still works."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    broker.client().config_set("maxmemory", "1")

    durable = statusd("send", "start", "--durable", "--url", broker.url)
    live = statusd("send", "end", "--url", broker.url)

    assert durable.returncode == 69
    assert "OOM" in durable.stderr
    assert live.returncode == 0
    assert unit.wait_exit(8) == 0
