"""Time and resources: clocks that are set, processors that are busy, and nothing that grows."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import Run, settings
from tests.tools import Broker, Journal, Program, environment, wait_until

MEBIBYTE = 1 << 20
CLOCK = """\
import os, pathlib, time
_real, _shift = time.time, pathlib.Path(os.environ["SHIFT"])
time.time = lambda: _real() + float(_shift.read_text())
"""
"""A ``sitecustomize`` by which a program's wall clock can be set while it runs."""
DAY_S = 86_400.0

pytestmark = pytest.mark.timeout(900)  # of many rounds; each wait has its own limit


def running(unit: Program) -> None:
    """Wait until the unit hears, speaks, and works."""
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("RUNNING")


def kibibytes(pid: int, field: str = "VmRSS") -> int:
    """Return a number from /proc/PID/status, in KiB."""
    rows = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(f"{field}:"))


def held(pid: int) -> tuple[int, int]:
    """Return how many descriptors and threads a process has."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def is_answered(journal: Journal, command_id: str) -> bool:
    """Tell whether there is a verdict to the command with that id."""
    return any(verdict.get("id") == command_id for verdict in journal.verdicts())


@pytest.mark.fault("R01")
def test_messages_cost_no_memory(broker: Broker, journal: Journal, run: Run, rounds: int) -> None:
    """A leak of a hundred bytes a message would be ten megabytes in a hundred thousand."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    client = broker.client()

    def hear(many: int, tag: str) -> int:
        for _ in range(many // 5_000):
            pipe = client.pipeline(transaction=False)
            for _ in range(5_000):
                pipe.publish("mychannel", "resume")
            pipe.execute()
        client.publish("mychannel", json.dumps({"command": "ping", "id": tag}))
        wait_until(lambda: is_answered(journal, tag), 30, "an answer")
        return kibibytes(unit.pid)

    before = hear(20_000, "warm")
    many = 100_000 * max(1, rounds // 50)
    grown = hear(many, "done") - before

    print(f"\n{many} messages heard: {grown} KiB more")
    assert grown < many * 40 / 1024


@pytest.mark.fault("R04", "N03")
def test_connections_leave_nothing_behind(
    broker: Broker, journal: Journal, run: Run, rounds: int
) -> None:
    """Both links are cut off again and again: descriptors and threads stay, memory hardly grows."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    running(unit)
    client = broker.client()

    def cut(many: int) -> None:
        for _ in range(many):
            wait_until(lambda: ours(client) == 2, 30, "both links")
            for row in client.client_list():
                if row["name"].startswith("statusd-"):
                    client.client_kill_filter(_id=row["id"])
        wait_until(lambda: ours(client) == 2, 30, "both links")

    cut(5)
    worker, (descriptors, threads), before = unit.worker_pid(), held(unit.pid), kibibytes(unit.pid)
    many = rounds * 2
    cut(many)
    wait_until(lambda: held(unit.pid)[0] <= descriptors, 15, "what it had before")

    grown = kibibytes(unit.pid) - before
    print(f"\n{2 * many} reconnects: descriptors +0, threads +0, {grown} KiB more")
    left = held(unit.pid)
    assert (left[0] <= descriptors, left[1]) == (True, threads)
    assert grown < 2048 + many
    assert unit.worker_pid() == worker
    client.publish("mychannel", '{"command": "pause", "id": "p"}')
    wait_until(lambda: is_answered(journal, "p"), 15, "an answer")


def ours(client: redis.Redis) -> int:
    """Return how many links the broker knows by name, with all their channels if they hear."""
    rows = client.client_list()
    names = {row["name"]: row for row in rows if row["name"].startswith("statusd-")}
    hears = next((row for name, row in names.items() if name.endswith("hears")), None)
    return len(names) if hears is not None and int(hears["sub"]) >= 2 else 0


@pytest.mark.fault("R05")
def test_a_history_is_bounded(broker: Broker, run: Run) -> None:
    """About the last ten thousand events are kept, however many there were."""
    unit = run("tests.workers:blocked", broker.url, goal="RUNNING")
    running(unit)
    client = broker.client()
    key = "statusd:history:{unit}"

    last = 0
    for _ in range(13):
        pipe = client.pipeline(transaction=False)
        for _ in range(500):
            pipe.publish("mychannel", "pause")
            pipe.publish("mychannel", "resume")
        pipe.execute()
        last += 1000
        wait_until(partial(has_told, client, key, last), 30, f"{last} events")

    assert 10_000 <= client.xlen(key) <= 11_000


def has_told(client: redis.Redis, key: str, seq: int) -> bool:
    """Tell whether the history has come to event ``seq``."""
    entries: Any = client.xrevrange(key, count=1)
    return bool(entries) and int(entries[0][0].split(b"-")[1]) >= seq


@pytest.fixture
def shifted(tmp_path: Path, broker: Broker) -> Iterator[tuple[Program, Path]]:
    """A unit that works, and the file that says how far its wall clock is off, in seconds."""
    shift, site = tmp_path / "shift", tmp_path / "site"
    shift.write_text("0")
    site.mkdir()
    (site / "sitecustomize.py").write_text(CLOCK)
    paths = os.pathsep.join([str(site), environment(tmp_path)["PYTHONPATH"]])
    worker = {"hang_timeout_s": 2}
    toml = settings("tests.workers:obedient", broker.url, goal="RUNNING", worker=worker)
    variables = {"PYTHONPATH": paths, "SHIFT": str(shift)}
    with Program(toml, directory=tmp_path / "unit", env=variables) as unit:
        running(unit)
        yield unit, shift


@pytest.mark.fault("R02")
@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S])
def test_a_clock_that_is_set_changes_nothing(
    step_s: float, shifted: tuple[Program, Path], broker: Broker, journal: Journal
) -> None:
    """By a day: no link is lost, nobody hangs, words are obeyed, events stay in order."""
    unit, shift = shifted
    client, worker = broker.client(), unit.worker_pid()

    shift.write_text(str(step_s))
    for number, word in enumerate(("pause", "resume", "stop", "start")):
        client.publish("mychannel", json.dumps({"command": word, "id": str(number)}))
        wait_until(partial(is_answered, journal, str(number)), 15, "an answer")
    until = time.monotonic() + 3
    wait_until(lambda: time.monotonic() > until, 15, "longer than a hang")
    wait_until(lambda: client.ttl("statusd:status:{unit}") > 5, 15, "a fresh document")

    seqs = [event["seq"] for event in journal.events()]
    day = {event["at"][:10] for event in journal.events()[-2:]}
    assert seqs == sorted(seqs)
    assert day == {time.strftime("%Y-%m-%d", time.gmtime(time.time() + step_s))}
    assert unit.worker_pid() == worker
    assert [line for line in unit.log() if line["event"] in ("link.lost", "bug.caught")] == []


@pytest.mark.fault("R02")
def test_a_clock_that_is_set_lets_nothing_expire(
    shifted: tuple[Program, Path], broker: Broker, journal: Journal
) -> None:
    """``expires`` is the broker's time: ours may be a day ahead since we asked for it."""
    _, shift = shifted
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))

    shift.write_text(str(DAY_S))
    command = {"command": "pause", "id": "p", "expires": soon}
    broker.client().publish("mychannel", json.dumps(command))

    wait_until(lambda: is_answered(journal, "p"), 15, "an answer")
    assert [v["verdict"] for v in journal.verdicts()][-1] in ("accepted", "done")


@pytest.mark.fault("R07")
def test_starved_of_cpu_it_is_deaf_to_nobody(
    broker: Broker, journal: Journal, run: Run, rounds: int
) -> None:
    """Twenty busy loops, and we come last: no link is given up, nobody is taken for hung."""
    worker = {"hang_timeout_s": 3}
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", worker=worker)
    running(unit)
    for pid in (unit.pid, unit.worker_pid()):
        os.setpriority(os.PRIO_PROCESS, pid, 10)
    client = broker.client()
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        for _ in range(20)
    ]
    try:
        until, took = time.monotonic() + (min(rounds / 2, 60) if rounds > 4 else 1), []
        for number in itertools.count():
            word = "pause" if number % 2 == 0 else "resume"
            began = time.monotonic()
            client.publish("mychannel", json.dumps({"command": word, "id": str(number)}))
            wait_until(partial(is_answered, journal, str(number)), 30, "an answer")
            took.append(time.monotonic() - began)
            if began > until:
                break
    finally:
        for loop in loops:
            loop.send_signal(signal.SIGKILL)
            loop.wait(5)

    print(f"\nstarved: {len(took)} words, the slowest was answered after {max(took):.2f} s")
    ill = [x for x in unit.log() if x["event"] == "link.lost" or x.get("trigger") == "crash"]
    assert ill == []
