"""What is measured of every peer: replies, and what a daemon costs by being there."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks import verdicts
from benchmarks.contestants import Contestant, clean_environment
from benchmarks.idle import BEAT_S, WINDOW_S, WINDOWS
from benchmarks.peers.daemons import DAEMONS, Daemon
from benchmarks.processes import Watch, cpu_s, end, family, pss_mib
from benchmarks.rounds import Bench, Figures, Latencies, Samples, say

COMMANDS = 300
WARM_UP = 50
SETTLE_S = 1.0
GONE_S = 10.0

Makers = Mapping[str, Callable[[], Contestant]]


def makers(bench: Bench, peers: list[str]) -> Makers:
    """Return what makes each contestant, by its name."""
    return {
        "statusd": lambda: bench.unit("bare", goal="READY"),
        "the seed (S)": lambda: bench.seed("poll"),
        **{name: partial(DAEMONS[name], bench) for name in peers},
    }


# ---- replies -----------------------------------------------------------------------------------


def replies(bench: Bench, peers: list[str]) -> Samples:
    """Measure a command of each through its own client, one at a time."""
    with ExitStack() as stack:
        contestants: dict[str, Callable[[], Figures]] = {
            "statusd": lambda: verdicts.round_of(bench),
            "statusd, ping": lambda: verdicts.round_of(bench, ("ping", "ping")),
            "statusd's own client": lambda: _by_fleet(bench),
            "the seed (S)": lambda: verdicts.by_redis_py(bench),
        }
        for name in peers:
            daemon = stack.enter_context(DAEMONS[name](bench))
            client = stack.enter_context(_client(bench, daemon, name))
            contestants[name] = partial(_commands, bench, daemon, client)
            _ask(client, WARM_UP)
        return bench.interleave("replies", contestants)


def _by_fleet(bench: Bench) -> Figures:
    with bench.unit("bare") as unit:
        process = bench.guard.start(
            _command(bench.python, "fleet", bench.broker.url),
            clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with _ended(process) as client:
            _ask(client, WARM_UP)
            return _commands(bench, unit, client)


@contextmanager
def _client(bench: Bench, daemon: Daemon, name: str) -> Iterator[subprocess.Popen[bytes]]:
    log: IO[bytes]
    with open(daemon.folder / "client.log", "wb") as log:
        process = bench.guard.start(
            _command(str(daemon.bin / "python"), name, daemon.address),
            daemon.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    with _ended(process):
        try:
            yield process
        except ChildProcessError as error:
            error.add_note(Path(log.name).read_text("utf-8", "replace")[-2000:])
            raise


def _command(python: str, name: str, address: str) -> list[str]:
    return [python, "-m", "benchmarks.peers.client", name, address]


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        end(process)
        process.stdout.close()


def _commands(bench: Bench, daemon: Contestant, client: subprocess.Popen[bytes]) -> Figures:
    """Let the client give its commands; the daemon's CPU time is counted meanwhile."""
    count = bench.size(COMMANDS)
    pids = family(daemon.pid)
    before_s = sum(map(cpu_s, pids))
    figures = Latencies(_ask(client, count))
    figures["cpu"] = (sum(map(cpu_s, pids)) - before_s) * 100_000 / count
    return figures


def _ask(client: subprocess.Popen[bytes], count: int) -> list[float]:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(b"%d\n" % count)
    client.stdin.flush()
    line = client.stdout.readline()
    if not line:
        raise ChildProcessError("the client ended by itself")
    taken_us: list[float] = json.loads(line)
    return taken_us


# ---- life --------------------------------------------------------------------------------------


def life(bench: Bench, peers: list[str]) -> Samples:
    """Measure start, memory and end of each."""
    made = makers(bench, peers)
    return bench.interleave("life", {name: partial(_life, make) for name, make in made.items()})


def _life(make: Callable[[], Contestant]) -> Figures:
    one = make()
    try:
        began = time.monotonic()
        one.start()
        one.wait()
        start_ms = (time.monotonic() - began) * 1000
        time.sleep(SETTLE_S)
        pids = family(one.pid)
        pss = sum(map(pss_mib, pids))
        watches = [Watch(pid) for pid in pids]
        end_ms, left = _end(watches)
    finally:
        one.close()
    return {"start": start_ms, "pss": pss, "end": end_ms, "left": left, "processes": len(pids)}


def _end(watches: list[Watch]) -> tuple[float, float]:
    """Send SIGTERM to the first; return how long all took to be gone, and how many stayed."""
    sent = time.monotonic()
    signal.pidfd_send_signal(watches[0].fd, signal.SIGTERM)
    watches[0].wait(GONE_S)
    taken_ms = (time.monotonic() - sent) * 1000
    left = 0.0
    for watch in watches[1:]:
        if watch.wait(0.5):
            taken_ms = max(taken_ms, (time.monotonic() - sent) * 1000) if not left else taken_ms
        else:
            left += 1
            watch.kill()
    for watch in watches:
        watch.close()
    return taken_ms, left


def idle(bench: Bench, peers: list[str]) -> Samples:
    """Measure what each uses while nobody asks for anything: all in the same windows."""
    window_s = BEAT_S if bench.quick else WINDOW_S
    samples: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        made = {n: stack.enter_context(m()) for n, m in makers(bench, peers).items()}
        time.sleep(BEAT_S)
        pids = {name: family(one.pid) for name, one in made.items()}
        for number in range(min(bench.rounds, WINDOWS)):
            say(f"idle: window {number + 1}")
            before_s = {name: sum(map(cpu_s, pids[name])) for name in made}
            time.sleep(window_s)
            for name in made:
                used_s = sum(map(cpu_s, pids[name])) - before_s[name]
                samples.setdefault(name, {}).setdefault("idle", []).append(used_s * 60 / window_s)
    return samples


TOPICS = {"life": life, "idle": idle, "replies": replies}
