"""A folder whose units come and go again and again costs its daemon no more in the end.

Some seconds in each ``make nightly``; for figures, ``make soak MINUTES=30``. What is judged is what
`test_soak` judges of one unit: here every sample is taken when the same forty units live.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statusd.wire.local import RELOAD
from tests.faults.outages import wait_for
from tests.faults.test_soak import LONG, PLATEAU_KIB, WARM, Sample, halves, observing
from tests.tools import Broker, Program, wait_until
from tests.tools.toml import to_toml
from tests.tools.unix import connect
from tests.tools.usage import slope

pytestmark = pytest.mark.timeout(36_000)  # of hours; each wait in it has its own limit

LIVING = ("READY", "RUNNING")
SLEEPERS, FUNCTIONS = 34, 4
PARTS = 2
"""Instances of one file; a reload makes them more, and as many again."""
EVERY_S = 10.0
"""How often a unit is launched, and the folder read again, in a soak that is one."""
LEAST = 6
"""So often at least."""
MOST_MORE = 8
"""By so many the objects of a kind may be more at the end than after the first turns."""
PER_TURN = 400
"""So many allocations may be more after a turn, for each new life has texts of its own, which the
caches of texts remember up to their limits; a unit that is kept has thousands."""
PLACE = "statusd.unit.stream_position.StreamPosition"
"""Not counted: a unit's place may be the very one that its state file had, or a later one."""


class House:
    """Forty units of one daemon, and what is done with them."""

    def __init__(self, program: Program, broker: Broker, chance: random.Random) -> None:
        self.program, self._chance = program, chance
        self._client = broker.client()
        self._numbers = itertools.count(1)
        self._folder = program.directory / "units"
        self.turns: list[Callable[[], None]] = [self.end, self.more, self.change, self.move]

    def documents(self) -> dict[str, Any]:
        """Return unit -> document."""
        keys = list(self._client.scan_iter("statusd:status:*", count=1000))
        found = [json.loads(one) for one in self._client.mget(keys) if one] if keys else []
        return {one["name"]: one for one in found}

    def are_all_there(self) -> bool:
        """Tell whether just the forty live."""
        states = [one["state"] for one in self.documents().values()]
        return sum(map(LIVING.__contains__, states)) == SLEEPERS + FUNCTIONS + PARTS

    def reload(self) -> dict[str, str]:
        """Have the folder read again; return what is done with each unit."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connect(connection, self.program.directory / "statusd" / "statusd:hall.daemon")
            connection.sendall(RELOAD + b"\n")
            told = json.loads(connection.makefile().readline())
        return {one["name"]: one["what"] for one in told["units"]}

    def write(self, name: str, /, **settings: Any) -> None:
        """Write a unit's file."""
        (self._folder / f"{name}.toml").write_text(to_toml(settings), encoding="utf-8")

    def wait_boot(self, name: str, since: int) -> None:
        """Wait until a unit lives that has begun after ``since``."""

        def lives() -> bool:
            one = self.documents().get(name, {})
            return one.get("boot", 0) > since and one["state"] in LIVING

        wait_until(lives, 30, f"{name} to live anew")

    def settle(self) -> None:
        """Let each unit begin anew, by a loading of its own; at first all share one loading's."""
        for name, boot in sorted(self._living().items()):
            self.reload()
            self._end(name, boot)

    def _living(self) -> dict[str, int]:
        return {n: d["boot"] for n, d in self.documents().items() if d["state"] in LIVING}

    def end(self) -> None:
        """End a unit by command, and launch it."""
        self._end(*self._chance.choice(sorted(self._living().items())))

    def _end(self, name: str, boot: int) -> None:
        self._say(command="end", target={"name": name})
        wait_until(lambda: self.documents()[name]["state"] == "END", 30, f"the end of {name}")
        self._say(control="launch", target={"name": name})
        self.wait_boot(name, boot)

    def _say(self, **message: Any) -> None:
        text = json.dumps({**message, "id": f"{next(self._numbers)}"})
        self._client.publish("statusd:control", text)

    def more(self) -> None:
        """Raise the instances, and lower them again; the new one is a new one each time."""
        since = int(time.time() * 1000) - 1
        self.write("part", **parts(PARTS + 1))
        assert self.reload()[f"part-{PARTS + 1}"] == "begins"
        self.wait_boot(f"part-{PARTS + 1}", since)
        self.write("part", **parts(PARTS))
        assert self.reload()[f"part-{PARTS + 1}"] == "ends"
        wait_until(self.are_all_there, 30, "the last part to end")

    def change(self) -> None:
        """Change what a unit can't change while it lives."""
        self._anew("s0", **sleeper("s0", f"{100_000 + next(self._numbers)}"))

    def move(self) -> None:
        """Let a unit print into another file than before."""
        settings = sleeper("s1", "100000")
        settings["worker"]["output"] = f"../out-{next(self._numbers)}.log"
        self._anew("s1", **settings)

    def _anew(self, name: str, /, **settings: Any) -> None:
        boot = self.documents()[name]["boot"]
        self.write(name, **settings)
        assert self.reload()[name] == "begins anew"
        self.wait_boot(name, boot)


def sleeper(name: str, seconds: str) -> dict[str, Any]:
    """Return the settings of a unit that does nothing."""
    return {"name": name, "worker": {"command": ["sleep", seconds]}}


def parts(instances: int) -> dict[str, Any]:
    """Return the settings of several units in one file."""
    return {"instances": instances, **sleeper("part", "100000")}


def units() -> dict[str, Any]:
    """Return the settings of forty units."""
    found = {f"s{n}": sleeper(f"s{n}", "100000") for n in range(SLEEPERS)}
    function = {"function": "tests.workers:obedient"}
    found |= {f"f{n}": {"name": f"f{n}", "worker": function} for n in range(FUNCTIONS)}
    return {**found, "part": parts(PARTS)}


@pytest.fixture
def house(broker: Broker, tmp_path: Path) -> Iterator[House]:
    """Forty units that live."""
    directory = tmp_path / "d"
    shared = {"redis": {"url": broker.url}, "daemon": {"name": "hall"}}
    env = observing(directory)
    with Program(shared, directory=directory, units=units(), env=env) as program:
        it = House(program, broker, random.Random())
        wait_until(it.are_all_there, 60, "all to live")
        yield it
        program.signal(signal.SIGTERM)
        assert program.wait_exit(30) == 0


@pytest.mark.nightly  # tests/unit and tests/system show what each turn does
@pytest.mark.fault("K20")
def test_units_that_come_and_go_leave_nothing(house: House, request: pytest.FixtureRequest) -> None:
    """Descriptors, threads and objects are what they were; in a long one, memory as well."""
    minutes = float(request.config.getoption("minutes"))
    is_long = minutes >= LONG
    every_s = EVERY_S if minutes >= 1 else 0.0
    for turn in house.turns:  # once each, before it counts: modules, tables, caches
        turn()
    house.settle()
    samples = [Sample.new(house.program)]
    began, turns = time.monotonic(), itertools.cycle(house.turns)
    done = 0
    while time.monotonic() - began < minutes * 60 or done < LEAST:
        due = time.monotonic() + every_s
        next(turns)()
        done += 1
        wait_for(due)
        samples.append(Sample.of(house.program))
    report(samples, done, is_long=is_long)
    wait_until(
        lambda: not kept(house.program, samples[0]), 15, f"{kept(house.program, samples[0])} to go"
    )
    assert not house.program.logged("bug.caught")


def kept(program: Program, before: Sample) -> dict[str, int]:
    """Return what is more than ``before``: descriptors, threads, objects by kind."""
    now = Sample.of(program)
    found = {kind: n for kind, n in now.more(before).items() if n > MOST_MORE and kind != PLACE}
    for what in ("descriptors", "threads"):
        more = getattr(now.usage, what) - getattr(before.usage, what)
        found |= {what: more} if more > 0 else {}
    return found


def report(samples: list[Sample], turns: int, *, is_long: bool) -> None:
    """Print the figures, and hold memory to what is promised in a soak that is one."""
    judged = samples[int(WARM * len(samples)) :]
    lasted_s = samples[-1].usage.at - samples[0].usage.at
    living = slope([(float(at), sample.blocks) for at, sample in enumerate(judged)])
    heap = halves([sample.heap_kib for sample in judged])
    own = halves([sample.usage.anonymous_kib for sample in judged])
    first, last = samples[0].usage, samples[-1].usage
    print(f"\nsoak of a folder: {lasted_s / 60:.1f} min, {turns} turns")
    print(f"descriptors: {first.descriptors} -> {last.descriptors}")
    print(f"threads: {first.threads} -> {last.threads}")
    print(f"CPU {(last.cpu_s - first.cpu_s) / lasted_s:.2%}")
    print(f"allocations: {judged[0].blocks} -> {judged[-1].blocks}, {living.per_x:+.1f} a turn")
    print(f"heap of C in use: {heap[0]:.0f} -> {heap[1]:.0f} KiB, half by half")
    print(f"memory of its own: {own[0]:.0f} -> {own[1]:.0f} KiB, half by half")
    print(f"objects that are more, by kind: {samples[-1].more(samples[0])}")
    if is_long:
        assert not (living.is_growth and living.per_x > PER_TURN), "each turn leaves something"
        assert heap[1] - heap[0] <= PLATEAU_KIB
        assert own[1] - own[0] <= PLATEAU_KIB
