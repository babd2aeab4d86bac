"""Row 15: how long a command to one unit takes while another unit of its daemon makes trouble."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.broker import Broker, Wire, pack
from benchmarks.contestants import NAME, Contestant
from benchmarks.latency import GAP_S, TRIGGERS, WARM_UP
from benchmarks.processes import Guard, wait_until
from benchmarks.rounds import Bench, Figures, Latencies
from benchmarks.table import Goal, Row
from benchmarks.verdicts import REPLIES, answer_to

COMMANDS = 500
BURST_S = 0.005
"""Between two bursts on a channel: 20,000 messages a second, or 20 MB."""
TROUBLES: dict[str, dict[str, Any]] = {
    "prints as fast as it can": {"command": ["sh", "-c", "exec yes"]},
    "starts processes that leave it": {
        "command": ["sh", "-c", "while :; do (setsid sleep 1 &); done"]
    },
    "triggers as fast as it can": {"function": "benchmarks.workers:triggering"},
}
FLOODS: dict[str, list[bytes]] = {
    "hears 20,000 pieces of junk a second": [b"\xff" * 60] * 100,
    "hears 20 MB of junk a second": [b"\xff" * 50_000] * 2,
    "hears 20,000 commands a second": [b"ping"] * 100,
}
FLOODED = "flooded"
_SHARED = """\
state_directory = "{folder}/state"
[daemon]
name = "hall"
[redis]
url = "{url}"
[log]
format = "json"
"""


def measure(bench: Bench) -> list[Row]:
    """Measure the neighbour of each trouble, and the same one when all is quiet."""
    contestants: dict[str, Callable[[], Figures]] = {"quiet": lambda: _round_of(bench, "")}
    for trouble in (*TROUBLES, *FLOODS):
        contestants[trouble] = partial(_round_of, bench, trouble)
    samples = bench.interleave("isolation", contestants)
    return [
        Row(
            f"command -> final verdict, one of its daemon {trouble}, {quantile}",
            "us",
            samples[trouble][quantile],
            samples["quiet"][quantile],
            "all other units of the daemon are quiet",
            Goal(3.0) if quantile == "p99" else None,
        )
        for trouble in (*TROUBLES, *FLOODS)
        for quantile in ("p50", "p99")
    ]


class House(Contestant):
    """One daemon: a unit that is measured, and one that makes trouble.

    Args:
        trouble: which; the other one waits like a quiet one if there is none.
    """

    def __init__(self, guard: Guard, broker: Broker, trouble: str, python: str) -> None:
        super().__init__(guard, broker)
        self._python = python
        bare = {"function": "benchmarks.workers:bare"}
        self._write("statusd", _SHARED.format(folder=self.folder, url=broker.url))
        for name, worker in {NAME: bare, FLOODED: TROUBLES.get(trouble, bare)}.items():
            lines = [f"{key} = {json.dumps(value)}" for key, value in worker.items()]
            head = f'name = "{name}"\ngoal = "RUNNING"\n[control]\nchannels = ["{name}"]\n[worker]'
            self._write(name, "\n".join((head, *lines)))

    def _write(self, name: str, text: str) -> None:
        folder = self.folder / "units"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")

    def _command(self) -> list[str]:
        return [self._python, "-m", "statusd", "run", str(self.folder / "units")]

    def wait(self) -> None:
        """Return when both are at work."""
        with Wire(self._broker.port) as wire:
            wait_until(lambda: all(self._works(wire, n) for n in (NAME, FLOODED)), "both to work")

    def _works(self, wire: Wire, name: str) -> bool:
        self.has_ended()
        document = json.loads(wire.call("GET", f"statusd:status:{{{name}}}") or b"{}")
        return bool(document.get("pid") == self.pid and document["state"] == "RUNNING")


def _round_of(bench: Bench, trouble: str) -> Figures:
    port = bench.broker.port
    with (
        House(bench.guard, bench.broker, trouble, bench.python),
        Wire(port) as sender,
        Wire(port, REPLIES) as subscriber,
        _flooded(port, FLOODS.get(trouble, [])),
    ):
        taken = []
        for number in range(WARM_UP + bench.size(COMMANDS)):
            fields = {"command": TRIGGERS[number & 1], "id": str(number), "reply_to": REPLIES}
            message = pack("PUBLISH", NAME, json.dumps(fields))
            time.sleep(random.uniform(*GAP_S))
            sent = time.monotonic_ns()
            sender.send(message)
            answer_to(subscriber, str(number))
            taken.append((time.monotonic_ns() - sent) / 1000)
            sender.take()
    return Latencies(taken[WARM_UP:])


@contextmanager
def _flooded(port: int, messages: list[bytes]) -> Iterator[None]:
    """Publish ``messages`` on the other's channel again and again."""
    halt = threading.Event()

    def flood() -> None:
        burst = b"".join(pack("PUBLISH", FLOODED, message) for message in messages)
        with Wire(port) as wire:
            while not halt.wait(BURST_S):
                wire.send(burst)
                for _ in messages:
                    wire.take()

    thread = threading.Thread(target=flood, daemon=True)
    if messages:
        thread.start()
    try:
        yield
    finally:
        halt.set()
        if messages:
            thread.join()
