"""Rows 17: what it costs to show a thousand units to twenty browsers.

The fleet is on paper (`benchmarks.paper`): documents, events and roster as daemons write them,
without what a thousand daemons would cost. Server, fleet and viewers are processes of their own.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.broker import Wire, free_port
from benchmarks.contestants import clean_environment
from benchmarks.idle import BEAT_S
from benchmarks.processes import cpu_s, end, pss_mib, wait_until
from benchmarks.rounds import Bench, Figures
from benchmarks.table import Goal, Of, Row
from benchmarks.viewers import connect

UNITS, FEW = 1000, 100
PER_SECOND = 50.0
VIEWERS = 20
SETTLE_S = 5.0
WINDOW_S = 3 * BEAT_S
AGAIN = 1000
"""So often a viewer comes and goes."""
READING = ("get", "mget", "hget", "hgetall", "hkeys", "xread", "xrange", "xrevrange")
"""What the fleet itself never asks."""
START_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its process, its port and its token."""

    process: subprocess.Popen[bytes]
    port: int
    token: str

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid


def measure(bench: Bench) -> list[Row]:
    """Measure a server with many viewers and with one, and what is left of those that have gone."""
    found = bench.interleave("web", {"web": lambda: _round(bench)})["web"]
    units = FEW if bench.quick else UNITS
    what = f"{units:,} units, {PER_SECOND:.0f} transitions a second, {VIEWERS} viewers"
    again = bench.size(AGAIN)
    one, before = "1 viewer", "before they came"
    return [
        Row(f"statusd web, {what}: of a processor", "%", found["cpu"], goal=Goal(25, Of.VALUE)),
        Row(f"statusd web, {what}: PSS", "MiB", found["pss"], goal=Goal(120, Of.VALUE)),
        Row(f"statusd web, {units:,} units, 1 viewer: of a processor", "%", found["cpu of one"]),
        Row(
            f"commands a second to the broker, {VIEWERS} viewers",
            "",
            found["asked"],
            found["asked by one"],
            one,
            Goal(1.1),
        ),
        Row("transition -> viewer, p50", "ms", found["p50"]),
        Row("transition -> viewer, p95", "ms", found["p95"], goal=Goal(200, Of.VALUE)),
        Row("bytes a second to each viewer", "kB", found["kB"]),
        Row(f"SIGTERM -> gone, {VIEWERS} viewers", "ms", found["gone"], goal=Goal(1000, Of.VALUE)),
        Row(
            f"descriptors after {again:,} viewers have come and gone",
            "",
            found["descriptors"],
            found["descriptors before"],
            before,
            Goal(1.0),
        ),
        Row(
            f"PSS after {again:,} viewers have come and gone",
            "MiB",
            found["pss after"],
            found["pss before"],
            before,
            Goal(2, Of.EXCESS),
        ),
    ]


def _round(bench: Bench) -> Figures:
    with _fleet(bench), _server(bench) as server:
        many, of_many = _watched(bench, server, VIEWERS)
        one, _ = _watched(bench, server, 1)
        return {
            **many,
            **of_many,
            "cpu of one": one["cpu"],
            "asked by one": one["asked"],
            **_come_and_gone(bench, server),
            "gone": _gone(server),
        }


@contextmanager
def _fleet(bench: Bench) -> Iterator[None]:
    """Let there be a fleet on paper that goes on."""
    port = bench.broker.port
    count = FEW if bench.quick else UNITS
    words = [bench.python, "-m", "benchmarks.paper", str(port), str(count), str(PER_SECOND)]
    writer = bench.guard.start(words, stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        yield
    finally:
        end(writer)
        with Wire(port) as wire:
            wire.call("FLUSHALL")


@contextmanager
def _server(bench: Bench) -> Iterator[Server]:
    """Let a server run that knows the whole fleet."""
    count = FEW if bench.quick else UNITS
    with tempfile.TemporaryDirectory(prefix="statusd-bench-web-") as folder:
        port, token = free_port(), secrets.token_urlsafe(32)
        file = Path(folder, "token")
        file.write_text(token, encoding="ascii")
        words = [bench.python, "-m", "statusd", "web", "--url", bench.broker.url]
        words += ["--listen", str(port), "--token-file", str(file)]
        process = bench.guard.start(words, clean_environment())
        server = Server(process, port, token)
        try:
            wait_until(lambda: _units(server) == count, "the fleet", START_S, 0.1)
            yield server
        finally:
            end(process)


def _units(server: Server) -> int:
    """Return how many units the server knows; none while it doesn't answer."""
    asking = HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        asking.request("GET", "/api/units", headers={"Authorization": f"Bearer {server.token}"})
        return len(json.loads(asking.getresponse().read())["units"])
    except OSError:
        return 0
    finally:
        asking.close()


def _watched(bench: Bench, server: Server, count: int) -> tuple[Figures, Figures]:
    """Return what the server needs while so many look, and what they get."""
    words = [bench.python, "-m", "benchmarks.viewers", str(server.port), server.token, str(count)]
    viewers = bench.guard.start(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        assert viewers.stdout is not None
        assert viewers.stdin is not None
        assert viewers.stdout.readline() == b"ready\n"
        time.sleep(SETTLE_S)
        window_s = BEAT_S if bench.quick else WINDOW_S
        began, cpu_before_s, asked = time.monotonic(), cpu_s(server.pid), _asked(bench)
        time.sleep(window_s)
        took_s = time.monotonic() - began
        figures = {
            "cpu": (cpu_s(server.pid) - cpu_before_s) / took_s * 100,
            "asked": (_asked(bench) - asked) / took_s,
            "pss": pss_mib(server.pid),
        }
        viewers.stdin.close()
        told = json.loads(viewers.stdout.readline())
    finally:
        end(viewers)
    ms = sorted(told["ms"])
    kb = told["bytes"] / (window_s + SETTLE_S) / 1000
    return figures, {"p50": ms[len(ms) // 2], "p95": ms[len(ms) * 95 // 100], "kB": kb}


def _asked(bench: Bench) -> int:
    """Return how often the broker was asked what only the server asks."""
    with Wire(bench.broker.port) as wire:
        lines = wire.call("INFO", "commandstats").decode().splitlines()
    told = (line.removeprefix("cmdstat_").partition(":calls=") for line in lines)
    return sum(int(rest.partition(",")[0]) for name, _, rest in told if name in READING)


def _come_and_gone(bench: Bench, server: Server) -> Figures:
    """Return what the server holds before and after viewers have come and gone."""
    again = bench.size(AGAIN)
    _come_and_go(server, again // 5)  # whatever is made once is there now
    before = _held(server)
    _come_and_go(server, again)
    after = _held(server)
    return {
        "descriptors before": before["descriptors"],
        "descriptors": after["descriptors"],
        "pss before": before["pss"],
        "pss after": after["pss"],
    }


def _come_and_go(server: Server, times: int) -> None:
    for _ in range(times):
        connect(server.port, server.token).close()
    time.sleep(1.0)  # the last one's end is heard


def _held(server: Server) -> Figures:
    descriptors = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
    return {"descriptors": float(descriptors), "pss": pss_mib(server.pid)}


def _gone(server: Server) -> float:
    """Return how long it takes to end while it is looked at, in ms."""
    looking = [connect(server.port, server.token) for _ in range(VIEWERS)]
    began = time.monotonic()
    server.process.terminate()
    server.process.wait(START_S)
    took_s = time.monotonic() - began
    for one in looking:
        one.close()
    return took_s * 1000
