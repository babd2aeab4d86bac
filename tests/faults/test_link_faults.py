"""What makes a link deaf, dumb or half-open: noticed in time, told as a gap, and over in time.

A round or two of each in every run of the suite; for figures, 20 rounds of each,
``pytest tests/faults --rounds 240 -s``.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import pytest
import redis

from tests.conftest import BROKERS, Run
from tests.faults.outages import (
    assert_hears,
    at,
    gaps,
    history,
    judge,
    lines,
    suffer,
    wait_for,
    wait_gap,
    wait_listening,
)
from tests.tools import (
    Broker,
    Journal,
    Namespace,
    Program,
    Proxy,
    Publisher,
    Usage,
    free_port,
    wait_until,
)

pytestmark = pytest.mark.timeout(3600)  # of many rounds; each wait in them has its own limit

PROXIED = "redis://127.0.0.1:{port}/0"


class Cause(NamedTuple):
    """A way to make a unit deaf: its broker, how the unit finds it, what begins and ends it."""

    broker: Broker
    url: str
    begin: Callable[[], object]
    end: Callable[[], object]


@contextmanager
def freeze() -> Iterator[Cause]:
    """The broker stands still; its connections stay."""
    with Broker(BROKERS["valkey"]) as broker:
        yield Cause(broker, broker.url, broker.freeze, broker.thaw)


@contextmanager
def half_open() -> Iterator[Cause]:
    """Something on the way acknowledges everything and passes nothing on."""
    with Broker(BROKERS["valkey"]) as broker, Proxy(broker.port) as proxy:
        yield Cause(broker, PROXIED.format(port=proxy.port), proxy.swallow, proxy.pass_)


@contextmanager
def half_message() -> Iterator[Cause]:
    """Half of what the broker says next arrives, and then nothing."""
    with Broker(BROKERS["valkey"]) as broker, Proxy(broker.port) as proxy:
        url = PROXIED.format(port=proxy.port)
        yield Cause(broker, url, partial(proxy.half, 7), proxy.pass_)


@contextmanager
def partition() -> Iterator[Cause]:
    """Packets vanish: the cable is pulled."""
    why_not = Namespace.why_not()
    if why_not:
        pytest.skip(why_not)
    with (
        Namespace() as namespace,
        Broker(BROKERS["valkey"], inside=namespace.inside, host=namespace.far) as broker,
    ):
        yield Cause(broker, broker.url, namespace.pull, namespace.plug)


@contextmanager
def rights() -> Iterator[Cause]:
    """The right to the channels is withdrawn, and given back."""
    with Broker(BROKERS["valkey"]) as broker:
        client = broker.client()
        client.acl_setuser("unit", enabled=True, passwords=["+x"], categories=["+@all"], keys=["*"])

        def allow(*channels: str) -> None:
            words = ("ACL", "SETUSER", "unit", *channels)
            client.execute_command(*words)  # type: ignore[no-untyped-call]

        allow("allchannels")
        url = f"redis://unit:x@127.0.0.1:{broker.port}/0"
        withdraw = partial(allow, "resetchannels")
        yield Cause(broker, url, withdraw, partial(allow, "allchannels"))


@contextmanager
def killed() -> Iterator[Cause]:
    """The broker dies, and another takes its place, empty."""
    with Broker(BROKERS["valkey"]) as broker:
        yield Cause(broker, broker.url, broker.kill, broker.start)


CAUSES = {
    "freeze": pytest.param(freeze, marks=pytest.mark.fault("N04", "N16")),
    "half-open": pytest.param(half_open, marks=pytest.mark.fault("N05")),
    "half message": pytest.param(half_message, marks=pytest.mark.fault("N10")),
    "partition": pytest.param(partition, marks=pytest.mark.fault("N06", "N07")),
    "rights": pytest.param(rights, marks=pytest.mark.fault("X03")),
    "killed": pytest.param(killed, marks=pytest.mark.fault("N01")),
}


@pytest.mark.fault("N01")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_outage_in_which_its_daemon_ended_is_told_by_the_next(
    end: signal.Signals, broker: Broker, run: Run
) -> None:
    """From when the last one was deaf until this one hears; and by no daemon after that."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    wait_listening(unit)
    broker.kill()
    deaf = at(unit.wait_logged("link.lost", link="hears"))
    wait_until(lambda: unit.kept().get("deaf"), 5, "the outage in the state file")
    unit.signal(end)
    unit.wait_exit(10)

    broker.start()
    second = run("tests.workers:obedient", broker.url, goal="RUNNING")
    gap = wait_gap(broker.client())
    wait_until(lambda: not second.kept()["deaf"], 5, "the outage to be told")
    second.signal(signal.SIGKILL)
    second.wait_exit(10)
    third = run("tests.workers:obedient", broker.url, goal="RUNNING")
    wait_listening(third)
    third.wait_state("RUNNING")

    started, ended = (datetime.fromisoformat(gap["gap"][k]).timestamp() for k in ("start", "end"))
    assert started <= deaf < ended
    assert "the daemon was restarted meanwhile" in gap["reason"]
    assert len(gaps(broker.client())) == 1


@pytest.mark.fault("N04", "N05", "N06", "N07", "N16")
@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES.keys())
def test_a_deaf_link_is_noticed_and_hears_again(
    cause: Callable[[], AbstractContextManager[Cause]], rounds: int, run: Run
) -> None:
    """Within six seconds, and three after the end of the cause; each time is one gap, told."""
    chance = random.Random(random.random())
    with cause() as made:
        unit = run("tests.workers:obedient", made.url, goal="RUNNING")
        wait_listening(unit)
        unit.wait_state("RUNNING")
        client, worker = made.broker.client(), unit.worker_pid()
        outages = []
        for _ in range(max(1, rounds // 12)):
            known, began = len(gaps(client)), time.time()
            outages.append(suffer(unit, made.begin, made.end, deaf_s=chance.uniform(0, 2)))
            # An empty broker has forgotten the older ones.
            gap = wait_gap(client, 0 if cause is killed else known)
            assert began - 2 <= at({"at": gap["gap"]["start"]}) <= at({"at": gap["gap"]["end"]})
            assert at({"at": gap["gap"]["end"]}) <= time.time() + 1
            assert (gap["old"], gap["new"], gap["source"]) == ("RUNNING", "RUNNING", "daemon")
        with Journal(client) as journal:
            assert_hears(client, journal)

        judge(cause.__name__, outages)
        assert unit.worker_pid() == worker
        assert len(lines(unit, "worker.started")) == 1
        unit.close()


@pytest.mark.fault("N02")
def test_a_long_outage_costs_nothing(rounds: int, run: Run) -> None:
    """The worker works on, the log has a line in ten seconds, and the processor is left alone."""
    length_s = min(600.0, max(7.0, rounds * 0.6))
    with Broker(BROKERS["valkey"]) as broker, Proxy(broker.port) as proxy:
        unit = run("tests.workers:blocked", PROXIED.format(port=proxy.port), goal="RUNNING")
        wait_listening(unit)
        unit.wait_state("RUNNING")
        worker = unit.worker_pid()
        broker.kill()
        unit.wait_logged("link.lost", link="hears")
        unit.wait_logged("link.lost", link="sends")
        before, attempts, said = Usage.of(unit.pid), proxy.accepted, len(unit.log())

        wait_for(before.at + length_s)

        after = Usage.of(unit.pid)
        share = (after.cpu_s - before.cpu_s) / (after.at - before.at)
        per_s = (proxy.accepted - attempts) / (after.at - before.at)
        told = unit.log()[said:]
        print(
            f"\nbroker away {length_s:.0f} s: {share:.2%} CPU, {len(told)} log lines, "
            f"{per_s:.1f} connections/s by both links"
        )
        assert share < (0.01 if length_s >= 60 else 0.05)
        assert len(told) <= length_s / 10 + 2, told
        assert per_s < 2 * 3
        broker.start()
        wait_gap(broker.client())
        assert (unit.worker_pid(), len(lines(unit, "worker.started"))) == (worker, 1)
        assert unit.exit_code() is None
        unit.close()


@pytest.mark.fault("N08", "N16")
def test_a_quiet_link_is_left_alone(rounds: int, broker: Broker, run: Run) -> None:
    """Nobody says anything for longer than any deadline: the link stays as it is."""
    unit = run("tests.workers:blocked", broker.url)
    wait_listening(unit)

    wait_for(time.monotonic() + min(60, max(6, rounds / 4)))

    assert unit.logged("link.lost") is None
    assert gaps(broker.client()) == []
    with Journal(broker.client()) as journal:
        assert_hears(broker.client(), journal)
    unit.close()


@pytest.mark.fault("N09")
@pytest.mark.parametrize("gap_s", [0.05, 0.3])
def test_messages_in_two_segments_are_all_heard(gap_s: float, broker: Broker, run: Run) -> None:
    """Five of five, in order, and the link is not lost over it."""
    with Proxy(broker.port) as proxy, Journal(broker.client()) as journal:
        unit = run("tests.workers:blocked", PROXIED.format(port=proxy.port))
        wait_listening(unit)
        unit.wait_state("READY")
        proxy.split(gap_s)
        publisher = Publisher(broker.client(), "mychannel")

        for word in ("start", "pause", "resume", "stop", "start"):
            publisher.send(word)

        wait_until(lambda: len(journal.finals()) == 5, 15, "five final verdicts")
        assert [v["id"] for v in journal.finals()] == [one.id for one in publisher.sent]
        assert unit.logged("link.lost") is None
        unit.close()


@pytest.mark.fault("N17")
@pytest.mark.parametrize("url", ["redis://nobody.invalid:6379/0", PROXIED.format(port=1)])
def test_without_a_broker_the_work_begins(url: str, run: Run) -> None:
    """Its name can't be found, or nobody is there: the worker works, and SIGTERM ends it."""
    unit = run("tests.workers:obedient", url, goal="RUNNING")

    unit.wait_state("RUNNING")
    unit.wait_logged("link.failed")

    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(8) == 0
    unit.close()


@pytest.mark.fault("N17", "N18")
def test_a_broker_that_is_frozen_at_the_start_is_waited_for(broker: Broker, run: Run) -> None:
    """The kernel accepts, nobody confirms: not up until it is, and the time till then is a gap."""
    broker.freeze()
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    unit.wait_logged("link.failed")
    wait_for(time.monotonic() + 3)  # the other link has failed as well then, and isn't logged
    assert unit.logged("link.up") is None

    broker.thaw()

    wait_listening(unit)
    with Journal(broker.client()) as journal:
        assert_hears(broker.client(), journal)
    assert wait_gap(broker.client())["gap"]["recovered"] == 0
    unit.close()


@pytest.mark.fault("N19")
def test_half_of_the_channels_is_none(rounds: int, broker: Broker, run: Run) -> None:
    """The connection stalls at any byte of the confirmations: not up; the next one hears all."""
    channels = [f"channel-{number}" for number in range(20)]
    chance = random.Random(random.random())
    with Proxy(broker.port) as proxy:
        unit = run(
            "tests.workers:blocked",
            PROXIED.format(port=proxy.port),
            control={"channels": channels},
        )
        wait_listening(unit)
        client = broker.client()
        for number in range(max(2, rounds // 12)):
            proxy.half(chance.randrange(100, 900))
            client.client_kill_filter(_type="pubsub")
            wait_until(partial(has_lines, unit, "link.lost", number + 1), 10, "the link to be lost")
            wait_until(partial(is_confirming, unit), 10, "half of the channels")
            assert len(lines(unit, "link.up", link="hears")) == number + 1

            proxy.pass_()
            wait_until(partial(has_lines, unit, "link.up", number + 2), 10, "the link to be up")

            counts = client.pubsub_numsub(*channels)
            assert {count for _, count in counts} == {1}
        unit.close()


def has_lines(unit: Program, event: str, count: int) -> bool:
    """Tell whether the hearing link has told so many times of that ``event``."""
    return len(lines(unit, event, link="hears")) >= count


def is_confirming(unit: Program) -> bool:
    """Tell whether the unit has lost a link before every channel was confirmed."""
    return any("channels confirmed" in line["reason"] for line in lines(unit, "link.failed"))


@pytest.mark.fault("N22")
def test_a_herd_comes_back_in_disorder(
    request: pytest.FixtureRequest, broker: Broker, run: Run
) -> None:
    """Many units lose their broker at once; their connections come back spread over time."""
    count = int(request.config.getoption("units")) // 2
    units = [run("tests.workers:blocked", broker.url, name=f"unit-{n}") for n in range(count)]
    for unit in units:
        wait_listening(unit)
    broker.kill()
    wait_for(time.monotonic() + 3)  # long enough for the back-off to have grown

    broker.start()

    for unit in units:
        wait_until(partial(is_back, unit), 10, "all to be back")
    moments = sorted(
        at(lines(unit, "link.up", link=link)[1]) for unit in units for link in ("hears", "sends")
    )
    widest = max(later - earlier for earlier, later in pairwise(moments))
    spread = moments[-1] - moments[0]
    print(f"\n{len(moments)} links came back over {spread:.2f} s, at most {widest:.2f} s apart")
    assert spread > 0.2
    for unit in units:
        unit.close()


def is_back(unit: Program) -> bool:
    """Tell whether both links have come up again."""
    return all(len(lines(unit, "link.up", link=link)) == 2 for link in ("hears", "sends"))


@pytest.mark.fault("R03")
def test_a_unit_that_was_suspended_registers_again(broker: Broker, run: Run) -> None:
    """Stopped until name and document are gone: present again, and what came meanwhile is heard."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    wait_listening(unit)
    unit.wait_state("RUNNING")
    client, keys = broker.client(), ("statusd:owner:{unit}", "statusd:status:{unit}")
    wait_until(lambda: client.exists(*keys) == 2, 10, "the lease")

    unit.signal(signal.SIGSTOP)
    wait_until(lambda: client.exists(*keys) == 0, 15, "the lease to expire")
    assert client.publish("mychannel", "pause") == 1
    unit.signal(signal.SIGCONT)

    unit.wait_state("PAUSED")
    wait_until(lambda: client.exists(*keys) == 2, 10, "the lease again")
    wait_until(lambda: b"PAUSED" in (client.get(keys[1]) or b""), 10, "the new document")
    assert unit.logged("link.lost") is None
    assert len(lines(unit, "worker.started")) == 1
    unit.close()


@pytest.mark.nightly  # `test_connections_leave_nothing_behind` shows it by few
@pytest.mark.fault("N03", "R04")
def test_reconnects_leave_nothing_behind(rounds: int, broker: Broker, run: Run) -> None:
    """CLIENT KILL again and again: no descriptor, no thread, no memory more than before."""
    count = min(10_000, max(200, rounds * 10))
    unit = run("tests.workers:blocked", broker.url)
    wait_listening(unit)
    client = broker.client()
    done = reconnect(client, count // 5)  # what is made once, and kept, is made by then
    before = Usage.of(unit.pid)

    done += reconnect(client, count)

    after = Usage.of(unit.pid)
    per_reconnect = (after.pss_kib - before.pss_kib) * 1024 / count
    print(
        f"\n{done} reconnects: descriptors {after.descriptors - before.descriptors:+}, threads "
        f"{after.threads - before.threads:+}, memory {after.pss_kib - before.pss_kib:+} KiB "
        f"({per_reconnect:+.0f} bytes each)"
    )
    assert after.threads == before.threads
    wait_until(  # one may be open just now, for the state file
        lambda: Usage.of(unit.pid).descriptors <= before.descriptors, 5, "no more descriptors"
    )
    # A short run ends while caches still fill; a long one is held to what each reconnect costs.
    assert after.pss_kib - before.pss_kib < 4096 + count * 0.1
    with Journal(client) as journal:
        assert_hears(client, journal)
    told = [event for event in history(client) if event["trigger"] == "gap"]
    assert len(told) >= 1
    unit.close()


def reconnect(client: redis.Redis, count: int) -> int:
    """Hang up on both links of a unit until it has connected so often; return how often."""
    first = connections(client)
    while (done := connections(client) - first) < count:
        client.client_kill_filter(_type="pubsub")  # both links are new, and don't know it yet
        client.client_kill_filter(_type="normal")
        wait_until(lambda: client.info("clients")["connected_clients"] == 3, 10, "both links")
    return done


def connections(client: redis.Redis) -> int:
    """Return how many connections the broker has accepted since it was started."""
    return int(client.info("stats")["total_connections_received"])


@pytest.mark.fault("N15")
def test_a_command_that_got_no_reply_is_not_sent_again(broker: Broker, run: Run) -> None:
    """The broker freezes and thaws: the sender says that it failed, and there is one at most."""
    from tests.system.commands import statusd

    broker.freeze()
    sent = statusd("send", "ping", "--durable", "--url", broker.url)
    broker.thaw()

    assert sent.returncode == 69
    client = broker.client()
    wait_until(lambda: client.info("clients")["connected_clients"] == 1, 10, "it to be gone")
    assert int(client.xlen("statusd:commands")) <= 1


@pytest.mark.fault("N17")
def test_a_broker_that_comes_late_is_found(run: Run) -> None:
    """Nobody was there at the start; the time until somebody is there is told as a gap."""
    port = free_port()
    unit = run("tests.workers:obedient", f"redis://127.0.0.1:{port}/0", goal="RUNNING")
    unit.wait_state("RUNNING")
    unit.wait_logged("link.failed")

    with Broker(BROKERS["valkey"], port=port) as broker:
        gap = wait_gap(broker.client())
        with Journal(broker.client()) as journal:
            assert_hears(broker.client(), journal)
        assert gap["reason"]
        unit.close()
