"""``python -m benchmarks.soak``: millions of messages and a thousand restarts through one daemon.

A mix of words that change nothing, real transitions, junk and JSON commands with ids, in blocks;
after each block the worker is killed and started again. Memory must not grow with messages nor
with time beyond its noise; descriptors and threads must be what they were. The exit code judges.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.broker import Broker, Wire, pack
from benchmarks.contestants import CHANNEL, Unit
from benchmarks.judgement import Sample, judge
from benchmarks.machine import header
from benchmarks.processes import Guard, wait_until
from benchmarks.rounds import say
from benchmarks.verdicts import REPLIES, answer_to
from tests.tools.usage import Usage

MIX = {"noop": 0.6, "junk": 0.15, "json": 0.15, "transition": 0.1}
"""What the messages are, as shares of all."""
INSIDE = Path(__file__).parent / "inside"
RESTARTING = 'restart = "always"\nbackoff_s = [0.001, 0.001]\nbudget = 1_000_000'


class Mix:
    """Messages to one unit, in an order that chance decides.

    Args:
        chance: makes the same messages from the same seed.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._number = 0
        self.state = "RUNNING"
        """Where the unit must be when it has dealt with all of them."""

    def block(self, count: int) -> list[bytes]:
        """Return the next ``count`` messages."""
        kinds = self._chance.choices(list(MIX), list(MIX.values()), k=count)
        return [getattr(self, f"_{kind}")() for kind in kinds]

    def _noop(self) -> bytes:
        return b"resume" if self.state == "RUNNING" else b"pause"

    def _transition(self) -> bytes:
        word, self.state = (
            (b"pause", "PAUSED") if self.state == "RUNNING" else (b"resume", "RUNNING")
        )
        return word

    def _json(self) -> bytes:
        self._number += 1
        word = self._chance.choice(["ping", self._noop().decode(), "nonsense"])
        return json.dumps({"command": word, "id": f"soak-{self._number}", "by": "soak"}).encode()

    def _junk(self) -> bytes:
        length = self._chance.randrange(1, 200)
        return self._chance.choice(
            [
                self._chance.randbytes(length),
                b"{" * self._chance.randrange(1, 50),
                b'{"command": "pause", "id": ' + b"9" * length,
                b"word " * length,
                b"nonsense%d" % length,
            ]
        )


class Observed(Unit):
    """A unit whose daemon tells from inside how many allocations live."""

    def _environment(self) -> Mapping[str, str]:
        file = self.folder / "blocks"
        file.touch()
        return {**super()._environment(), "BENCHMARK_BLOCKS": str(file), "PYTHONPATH": str(INSIDE)}

    def blocks(self) -> int:
        """Return how many lived a moment ago; 0 before the first word of it."""
        return int((self.folder / "blocks").read_text("ascii") or 0)


# ---- the run -----------------------------------------------------------------------------------


def run(
    unit: Observed, broker: Broker, messages: int, restarts: int, seed: int
) -> Iterator[Sample]:
    """Send ``messages`` to ``unit``, kill its worker ``restarts`` times, and yield what it uses."""
    mix, size, began_s = Mix(random.Random(seed)), messages // restarts, time.monotonic()
    with Wire(broker.port) as wire, Wire(broker.port, REPLIES) as subscriber:
        for number in range(1, restarts + 1):
            wire.send(b"".join(pack("PUBLISH", CHANNEL, text) for text in mix.block(size)))
            for _ in range(size):
                if wire.take() != 1:
                    raise ConnectionError("the daemon doesn't listen any more")
            _dealt_with(wire, subscriber, number, mix.state)
            _restart(unit, wire, mix.state)
            if not number % 50:
                os.truncate(unit.folder / "log", 0)
            usage = Usage.of(unit.pid)
            yield Sample(
                number * size,
                usage.at - began_s,
                usage.pss_kib,
                usage.anonymous_kib,
                unit.blocks(),
                usage.descriptors,
                usage.threads,
            )


def _dealt_with(wire: Wire, subscriber: Wire, number: int, state: str) -> None:
    """Return when the unit has answered a question that came after all else, from ``state``."""
    ping = {"command": "ping", "id": f"after-{number}", "reply_to": REPLIES}
    wire.call("PUBLISH", CHANNEL, json.dumps(ping))
    answer = answer_to(subscriber, f"after-{number}")
    if answer["state"] != state:
        raise ValueError(f"after block {number}: {answer['state']} instead of {state}")


def _restart(unit: Unit, wire: Wire, state: str) -> None:
    """Kill the worker, and return when another one was seen in ``state``."""
    old = unit.page.helper
    os.kill(old, signal.SIGKILL)  # it is a child of our daemon, and seen to live a moment ago

    def is_back() -> bool:
        document = unit.document(wire)
        return (
            unit.page.helper != old
            and document["state"] == state
            and document["observed"]
            and document["worker"]["pid"] == unit.page.helper
        )

    wait_until(is_back, "the worker to be started again")


def main() -> int:
    """Flood, restart, judge."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        head, samples = _measure(arguments)
    except KeyboardInterrupt:
        return 130
    said, wrong = judge(samples)
    print("\n".join(f"- {name}: {text}" for name, text in head.items()))
    print("\n".join(f"- {text}" for text in said))
    print(f"- judgement: {'; '.join(wrong) or 'nothing grows'}")
    if arguments.json:
        rounds = [asdict(sample) for sample in samples]
        content = {"header": head, "said": said, "wrong": wrong, "samples": rounds}
        arguments.json.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return bool(wrong)


def _measure(arguments: argparse.Namespace) -> tuple[dict[str, str], list[Sample]]:
    samples = []
    with (
        tempfile.TemporaryDirectory(prefix="statusd-soak-") as folder,
        Guard() as guard,
        Broker(guard, Path(folder)) as broker,
        Observed(guard, broker, "bare", level="warning", settings=RESTARTING) as unit,
    ):
        messages, restarts = arguments.messages, arguments.restarts
        for sample in run(unit, broker, messages, restarts, arguments.seed):
            samples.append(sample)
            say(f"soak: {sample.messages:,} of {messages:,} messages, {sample.pss_kib} KiB")
        head = header(broker)
    say("")
    last = samples[-1]
    head["soak"] = (
        f"{last.messages:,} messages ({', '.join(f'{v:.0%} {k}' for k, v in MIX.items())}), "
        f"{restarts:,} restarts of the worker, {last.at_s / 60:.1f} min, seed {arguments.seed}"
    )
    return head, samples


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000_000, metavar="N")
    parser.add_argument("--restarts", type=int, default=1000, metavar="N", help="of the worker")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample as well")
    arguments = parser.parse_args()
    if not 10 <= arguments.restarts <= arguments.messages:
        parser.error("--restarts must be at least 10, and at most as many as messages")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
