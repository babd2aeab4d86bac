"""The broker comes late, goes, comes back, freezes: the worker works on, the unit hears again."""

from __future__ import annotations

import pytest

from tests.conftest import BROKERS, Run
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
    unit = run("tests.workers:pausing_itself", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    with Journal(broker.client()) as journal:
        broker.client().publish("mychannel", "start")
        unit.wait_state("PAUSED")
        wait_until(lambda: "PAUSED" in [e["new"] for e in journal.events()], 15, "the pause")
    broker.kill()
    unit.wait_logged("link.lost", link="sends")

    unit.signal(15)
    unit.wait_state("END")
    code = unit.wait_exit(15)

    assert code == 0  # without its broker, a unit ends all the same


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
        assert "0 of 3 channels confirmed" in line["reason"]
        assert unit.logged("link.up") is None
        proxy.pass_()
        unit.wait_logged("link.up", link="hears")
