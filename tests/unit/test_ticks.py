"""Tests of `statusd.daemon.ticks`: how often units beat and are looked after, many together."""

from __future__ import annotations

from collections import Counter
from typing import Any

from statusd.daemon.living import Living
from statusd.daemon.ticks import TURNS, Ticks
from tests.unit.worlds import Broker, Loop, World

NAMES = "abcfgi"


class Ticking:
    """Some units, and a probe of the canary each second."""

    def __init__(self, tick_s: float = 5.0, **policy: Any) -> None:
        self.loop = Loop()
        self.broker = Broker(self.loop)
        worlds = [
            World("boot [ready] +1 disk", name=name, loop=self.loop, broker=self.broker, **policy)
            for name in NAMES
        ]
        self.workers = [world.workers[-1] for world in worlds]
        self.units = [world.unit for world in worlds]
        self.minded = 0
        self.ticks = Ticks(Living(self.units), self.loop, tick_s, self._mind)

    def _mind(self) -> None:
        self.minded += 1

    def second(self, seconds: float = 1.0) -> Counter[str]:
        """Let that time pass, and a probe go out; return which keys were written, how often."""
        self.loop.pass_by(seconds)
        self.broker.flush()
        before = len(self.broker.sent)
        self.ticks.sang()
        self.broker.flush()
        return Counter(str(line[1]) for line in self.broker.sent[before:] if line[0] == "SET")


def keys(*names: str) -> Counter[str]:
    """Return the keys that the beats of these write in six seconds, each once."""
    return Counter(f"statusd:{what}:{{{n}}}" for n in names for what in ("owner", "status"))


def test_who_has_nothing_to_say_says_two_things_in_six_seconds() -> None:
    """That it holds its name, and how it is; each unit with its own third of the probes."""
    ticking = Ticking()
    ticking.second()
    for _ in range(6):
        ticking.second()
    rounds = [ticking.second() for _ in range(6)]

    assert sum(rounds, Counter()) == keys(*NAMES)
    turns = {(key[-2], second % TURNS) for second, keys in enumerate(rounds) for key in keys}
    assert len(turns) == len(NAMES) == len({name for name, _ in turns})
    assert len({turn for _, turn in turns}) == TURNS
    assert ticking.minded == 1 + 4


def test_whoever_was_stopped_lets_all_of_them_beat_at_once() -> None:
    """What they had to renew may have run out."""
    ticking = Ticking()
    ticking.second()
    ticking.second()

    assert {*ticking.second(7.0)} == {*keys(*NAMES)}


def test_workers_are_looked_after_with_every_second_probe() -> None:
    """Nobody wakes up for it."""
    ticking = Ticking()
    ticking.ticks.look()
    for _ in range(10):
        ticking.second()

    assert {unit.supervisor.looks for unit in ticking.units} == {1 + 5}


def test_what_workers_use_is_read_with_each_beat() -> None:
    """In turns as well, and nobody writes a document for it."""
    ticking = Ticking()
    ticking.second()
    for _ in range(6):
        ticking.second()
    before = [worker.sampler.samples for worker in ticking.workers]
    for second in range(6):
        for worker in ticking.workers:
            worker.sampler.has(2**30 + second * 2**20)
        assert sum(ticking.second().values()) <= 2 * len(NAMES) // TURNS

    assert [worker.sampler.samples for worker in ticking.workers] == [2 + n for n in before]


def test_an_impatient_one_has_all_looked_after_as_often_as_it_needs() -> None:
    """A hang is noticed within a second of its time; so is what a short watchdog waits for."""
    for ticking in (Ticking(hang_timeout_s=8.0), Ticking(tick_s=1.0)):
        ticking.ticks.look()
        ticking.loop.pass_by(10.0)

        assert {unit.supervisor.looks for unit in ticking.units} == {1 + 20}
