"""The nemesis: faults at random, while publishers work and units write down what they make of it.

The journal of a unit is its log at level debug, which has every answer, however the broker fares;
but for the last milliseconds of a daemon that is killed, whose answers the broker or the state file
has. Everything that chance decides comes from one `random.Random`, so that a seed plays a
run again, as far as clocks allow.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.conftest import settings
from tests.faults.outages import NOTICED_S, at
from tests.tools import Broker, Program, Proxy, wait_until

WORDS = ("start", "pause", "resume", "stop")
AGAIN = {"restart": "on-failure", "budget": 1_000_000, "backoff_s": [0.02, 0.1]}
DURABLE_FROM = {"appendonly": "yes", "appendfsync": "always"}
"""A broker that loses nothing of what it has confirmed, when it is killed."""


def words(chance: random.Random) -> Iterator[str]:
    """Yield words for ever."""
    while True:
        yield chance.choice(WORDS)


@dataclass
class Victim:
    """One unit behind a network of its own, or one of several units of a daemon behind one.

    Args:
        dead: when its daemon was not there, on the wall clock: up to its first hearing, and from
            when it may have been deaf. What it didn't live to notice, or to tell, isn't in a gap.
    """

    name: str
    directory: Path
    proxy: Proxy
    program: Program
    dead: list[tuple[float, float]] = field(default_factory=list)
    inherited: list[dict[str, Any]] = field(default_factory=list)
    """The verdicts that its dead daemons left to their successors to tell."""
    mates: list[Victim] = field(default_factory=list)
    """All units of its daemon, if there are others."""

    def housemates(self) -> list[Victim]:
        """Return all whose daemon dies with its own."""
        return self.mates or [self]

    def own(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of the lines of a log that aren't another unit's."""
        return [line for line in lines if line.get("unit", self.name) == self.name]

    def close(self) -> None:
        """End its program and its network."""
        self.program.close()
        self.proxy.close()

    def journal(self) -> list[dict[str, Any]]:
        """Return every line of it that any of its daemons has logged, in order."""
        files = sorted(self.directory.glob("stderr-*.log"), key=lambda file: file.stat().st_mtime)
        found = []
        for file in files:
            for row in file.read_text().splitlines():
                with suppress(ValueError):  # cut by SIGKILL in the middle of a line
                    found.append(json.loads(row))
        return self.own(found)

    def state_left(self) -> dict[str, Any]:
        """Return what its dead daemon has kept for the next one."""
        file = self.directory / "state" / f"{self.name}.json"
        kept = json.loads(file.read_bytes()) if file.exists() else {}
        return {"open": [], "unsent": []} | kept

    def kill_worker(self) -> None:
        """SIGKILL to its worker, if there is one."""
        with suppress(AssertionError, OSError):
            os.kill(self.program.worker_pid(self.name if self.mates else ""), signal.SIGKILL)

    def hears(self) -> bool:
        """Tell whether its present daemon has both links up, by what it said last of them."""
        last = self._last_of_links()
        return [last[link]["event"] for link in sorted(last)] == ["link.up", "link.up"]

    def maybe_deaf_since(self) -> float:
        """Return when it may have been deaf first, if it dies now without having told."""
        hears = self._last_of_links().get("hears")
        lost = hears is not None and hears["event"] == "link.lost"
        return (at(hears) if hears is not None and lost else time.time()) - NOTICED_S

    def _last_of_links(self) -> dict[str, dict[str, Any]]:
        lines = self.program.log()
        return {o["link"]: o for o in lines if o["event"] in ("link.up", "link.lost")}


class Nemesis:
    """Does harm, one fault after the other, and makes good what it has broken at the end.

    Args:
        chance: decides.
        broker: of all; victims: whom else it may harm.
        start: starts a victim's program anew, in its folder.
        spare_daemon: no daemon is killed.
        more: what else it does, each as often as a fault.
    """

    def __init__(
        self,
        chance: random.Random,
        broker: Broker,
        victims: list[Victim],
        start: Callable[[Victim], Program],
        *,
        spare_daemon: bool = False,
        more: Sequence[Callable[[Victim], None]] = (),
    ) -> None:
        self._chance = chance
        self._broker = broker
        self._victims = victims
        self._start = start
        self._client = broker.client()
        self._faults: list[Callable[[Victim], None]] = [
            *(self.cut, self.swallow, self.half, self.delay, self.client_kill, self.freeze),
            *(self.restart, self.kill_worker),
            *(() if spare_daemon else (self.kill_daemon,)),
            *more,
        ]
        self.done: dict[str, int] = {}
        """Fault -> how often."""

    def strike(self) -> None:
        """Do one fault, for as long as chance has it."""
        fault = self._chance.choice(self._faults)
        self.done[fault.__name__] = self.done.get(fault.__name__, 0) + 1
        fault(self._chance.choice(self._victims))

    def cut(self, victim: Victim) -> None:
        """Reset every connection of the unit."""
        victim.proxy.cut()
        self._last(0.2)
        victim.proxy.pass_()

    def swallow(self, victim: Victim) -> None:
        """Half-open: nothing arrives, nobody is told."""
        victim.proxy.swallow()
        self._last(0.5)
        victim.proxy.pass_()

    def half(self, victim: Victim) -> None:
        """Half a message, and the rest later."""
        victim.proxy.half(self._chance.randrange(40))
        self._last(0.3)
        victim.proxy.pass_()

    def delay(self, victim: Victim) -> None:
        """A slow network."""
        victim.proxy.delay(self._chance.random() * 0.3)
        self._last(0.5)
        victim.proxy.pass_()

    def client_kill(self, _: Victim) -> None:
        """The broker hangs up on every subscriber."""
        with suppress(redis.RedisError):
            self._client.client_kill_filter(_type="pubsub")

    def freeze(self, _: Victim) -> None:
        """The broker stands still, seldom for so long that it is noticed."""
        self._broker.freeze()
        self._last(self._chance.choice([0.2, 0.2, 0.2, 5.0]))
        self._broker.thaw()

    def restart(self, _: Victim) -> None:
        """The broker is killed and comes back with what it had confirmed."""
        self._broker.kill()
        self._last(0.3)
        self._broker.start()

    def kill_worker(self, victim: Victim) -> None:
        """SIGKILL to the worker, if there is one."""
        victim.kill_worker()

    def kill_daemon(self, victim: Victim) -> None:
        """SIGKILL to the daemon; it is started again at once, as a service manager would."""
        began = victim.maybe_deaf_since()
        victim.program.signal(signal.SIGKILL)
        victim.program.wait_exit(15)
        mates = victim.housemates()
        for one in mates:
            one.inherited += verdicts(one.state_left())
        victim.program.close()
        program = self._start(victim)
        for one in mates:
            one.program = program
        self._until_it_hears(victim)
        for one in mates:
            one.dead.append((began, time.time()))

    def rest(self) -> None:
        """Wait until nothing is left of any fault."""
        for victim in self._victims:
            victim.proxy.pass_()
        for victim in self._victims:
            self._until_it_hears(victim)

    def _until_it_hears(self, victim: Victim) -> None:
        wait_until(victim.hears, 30, f"{victim.name} to hear again")

    def _last(self, mean_s: float) -> None:
        """Let a fault last for about ``mean_s`` seconds."""
        over = time.monotonic() + mean_s * 2 * self._chance.random()
        wait_until(lambda: time.monotonic() >= over, 20, "the fault's time")


def verdicts(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the verdicts that a dead daemon has left to the next one to tell."""
    lines = state["unsent"]
    return [json.loads(line[2]) for line in lines if line[1] == "statusd:verdicts"]


def victim(
    name: str, broker: Broker, directory: Path, start: Callable[[dict[str, Any], Path], Program]
) -> Victim:
    """Return a new victim; its proxy and its program have to be closed."""
    proxy = Proxy(broker.port)
    proxy.start()
    folder = directory / name
    return Victim(name, folder, proxy, start(toml(name, proxy.port), folder))


def toml(name: str, port: int) -> dict[str, Any]:
    """Return the settings of a victim."""
    return settings(
        "tests.workers:obedient",
        f"redis://127.0.0.1:{port}/0",
        name=name,
        worker=AGAIN,
        log={"level": "debug", "format": "json"},
    )
