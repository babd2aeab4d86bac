"""The broker comes late, goes, comes back, freezes: the worker works on, the unit hears again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import BROKERS, Run
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Proxy, check, free_port, wait_until


def publish_heard(broker: Broker, word: str) -> None:
    """Publish until somebody hears it."""
    client = broker.client()
    wait_until(lambda: client.publish("mychannel", word) == 1, 10, "a listener")


@pytest.mark.fault("N17")
def test_the_daemon_may_start_before_its_broker(run: Run) -> None:
    """It works without a broker, hears as soon as there is one, and tells what happened before."""
    port = free_port()
    unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}/0", goal="RUNNING")
    unit.wait_state("RUNNING")
    unit.wait_logged("link.failed", link="hears")

    with Broker(BROKERS["valkey"], port=port) as broker:
        unit.wait_logged("link.up", link="hears")
        unit.wait_logged("link.up", link="sends")

        client = broker.client()
        wait_until(
            lambda: client.xlen("statusd:history:{unit}") == 3, 15, "the history, a gap last"
        )
        broker.client().publish("mychannel", "END")

        assert unit.wait_exit(15) == 0


@pytest.mark.fault("N01", "G11")
def test_a_broker_that_is_killed_and_comes_back_is_heard_again(broker: Broker, run: Run) -> None:
    """The outage is one log line, the worker works on, and the next word is obeyed."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")
    first_pid = unit.worker_pid()

    broker.kill()
    unit.wait_logged("link.lost", link="hears")
    broker.restart()

    wait_until(
        lambda: broker.client().publish("mychannel", "pause") == 1, 10, "the unit to listen again"
    )
    unit.wait_state("PAUSED")
    assert unit.worker_pid() == first_pid
    assert len([line for line in unit.log() if line["event"] == "link.lost"]) == 2


def test_what_was_said_during_an_outage_arrives_in_order(broker: Broker, run: Run) -> None:
    """The worker's own transitions while the broker is away are in the history afterwards."""
    unit = run("tests.workers:pausing_itself", broker.url, goal="RUNNING")
    for link in ("hears", "sends"):
        unit.wait_logged("link.up", link=link)
    unit.wait_state("PAUSED")
    broker.kill()
    unit.wait_logged("link.lost", link="sends")

    for seq in (5, 7):
        statusd("send", "resume", "--socket", env={"XDG_RUNTIME_DIR": str(unit.directory)})
        unit.wait_logged("state.changed", new="PAUSED", source="worker", seq=seq)
    broker.start()

    told = [(4, "RUNNING"), (5, "PAUSED"), (6, "RUNNING"), (7, "PAUSED"), (8, "PAUSED")]
    wait_until(lambda: told[-1] in history(broker), 15, "the event that tells of the outage")
    assert [event for event in history(broker) if event[0] > 3] == told


def history(broker: Broker) -> list[tuple[int, str]]:
    """Return number and new state of the unit's events in the history, in its order."""
    entries: Any = broker.client().xrange("statusd:history:{unit}")
    events = [json.loads(fields[b"event"]) for _, fields in entries]
    return [(event["seq"], event["new"]) for event in events]


def test_a_unit_ends_without_its_broker(broker: Broker, run: Run) -> None:
    """As it would have with it: END, and exit code 0."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("RUNNING")
    broker.kill()
    unit.wait_logged("link.lost", link="sends")

    unit.signal(15)

    unit.wait_state("END")
    assert unit.wait_exit(15) == 0


@pytest.mark.fault("G07")
def test_a_frozen_broker_does_not_hold_up_the_end(broker: Broker, run: Run) -> None:
    """SIGTERM ends the unit within its second for the last words, whatever the broker does."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("RUNNING")

    broker.freeze()
    unit.signal(15)

    assert unit.wait_exit(8) == 0
    assert unit.wait_logged("outbox.unsent")["lines"] > 0


@pytest.mark.fault("N03")
def test_a_cut_connection_is_made_anew(broker: Broker, run: Run) -> None:
    """Both links come back through a proxy that drops them, and every verdict is still right."""
    with Proxy(broker.port) as proxy, Journal(broker.client()) as journal:
        unit = run("tests.workers:blocked", f"redis://127.0.0.1:{proxy.port}/0")
        unit.wait_state("READY")
        for word, state in (("start", "RUNNING"), ("pause", "PAUSED"), ("resume", "RUNNING")):
            publish_heard(broker, word)
            unit.wait_state(state)
            proxy.cut()
            proxy.pass_()

        publish_heard(broker, "END")

        assert unit.wait_exit(15) == 0
        wait_until(lambda: journal.events()[-1]["new"] == "END", 15, "the last event")
        # A PUBLISH whose reply was cut off is sent again: exact copies are no lie.
        assert check([], journal, units=["unit"], allow_resent=True) == []


@pytest.mark.fault("N09")
def test_a_message_in_two_segments_is_one_message(broker: Broker, run: Run) -> None:
    """TCP may split anywhere (faults.md N09)."""
    with Proxy(broker.port) as proxy:
        unit = run("tests.workers:blocked", f"redis://127.0.0.1:{proxy.port}/0")
        unit.wait_logged("link.up", link="hears")
        unit.wait_state("READY")

        proxy.split(0.05)
        broker.client().publish("mychannel", "start")

        unit.wait_state("RUNNING")
        assert unit.logged("link.lost") is None


@pytest.mark.fault("N18", "N17")
def test_a_broker_that_never_confirms_is_not_believed(broker: Broker, run: Run) -> None:
    """Without the confirmation of each channel the link is never up, and is tried anew."""
    with Proxy(broker.port) as proxy:
        proxy.swallow()

        unit = run("tests.workers:blocked", f"redis://127.0.0.1:{proxy.port}/0")

        line = unit.wait_logged("link.failed", link="hears")
        assert "0 of 4 channels confirmed" in line["reason"]
        assert unit.logged("link.up") is None
        proxy.pass_()
        unit.wait_logged("link.up", link="hears")
