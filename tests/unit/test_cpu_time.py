"""Each tick of CPU time counts once: whoever ends, is waited for, or isn't seen for once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from statusd.supervision.cpu_time import REMEMBERED, CpuTime, Spent

US, LEADER, CHILD, ORPHAN = 1, 10, 11, 12


def leader(own: int, waited_for: int = 0) -> Spent:
    """Return what the worker's own process has used."""
    return Spent(LEADER, US, 0, own, waited_for)


def child(own: int, pid: int = CHILD, parent: int = LEADER, began: int = 0) -> Spent:
    """Return what another one has used."""
    return Spent(pid, parent, began, own, 0)


@pytest.mark.parametrize(
    ("samples", "used"),
    [
        pytest.param(
            [[leader(5), child(100)], [leader(6, 103)]], [105, 4], id="ended and waited for"
        ),
        pytest.param(
            [[leader(5), child(100)], [leader(6)], [leader(7, 103)]],
            [105, 1, 4],
            id="ended after its parent was read, before itself",
        ),
        pytest.param(
            [[leader(5), child(100)], [leader(6)], [leader(7), child(110)]],
            [105, 1, 11],
            id="not readable for once, or not known as ours yet",
        ),
        pytest.param(
            [[leader(5), child(100, ORPHAN, US)], [leader(9)], [leader(9, 50)]],
            [105, 4, 50],
            id="buried by us, while others work",
        ),
        pytest.param(
            [
                [leader(5), child(100), child(50, 20, CHILD)],
                [leader(5, 160)],
            ],
            [155, 10],
            id="ended with its child",
        ),
        pytest.param(
            [[leader(5), child(100)], [leader(5, 101), child(3, began=9)]],
            [105, 4],
            id="its number is another one's",
        ),
        pytest.param(
            [[leader(5)], [leader(5, 70)]], [5, 70], id="came and ended between two samples"
        ),
    ],
)
def test_each_tick_counts_once(samples: list[list[Spent]], used: list[int]) -> None:
    """In the sample in which it is told of first."""
    time = CpuTime()

    assert [time.count(sample) for sample in samples] == used
    assert time.ticks == sum(used)


def test_who_is_long_gone_is_forgotten() -> None:
    """So a run of many short children remembers few of them."""
    time = CpuTime()
    for turn in range(100):
        time.count([leader(0, turn), child(1, pid=100 + turn)])

    assert len(time._gone) < REMEMBERED


@dataclass
class Life:
    """A process of a world that is read while it changes."""

    pid: int
    parent: Life | None
    own: int = 0
    waited_for: int = 0
    children: list[Life] = field(default_factory=list)

    @property
    def spent(self) -> Spent:
        """What /proc tells now."""
        above = US if self.parent is None else self.parent.pid
        return Spent(self.pid, above, 0, self.own, self.waited_for)

    def end(self) -> None:
        """End, and be waited for; children first."""
        for one in [*self.children]:
            one.end()
        assert self.parent is not None
        self.parent.children.remove(self)
        self.parent.waited_for += self.own + self.waited_for


class World:
    """Processes that work, start others and end, also between two readings of one sample."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.top = Life(LEADER, None)
        self.used = self.pid = 0

    def _all(self) -> list[Life]:
        found = [self.top]
        for one in found:
            found += one.children
        return found

    def go_on(self) -> None:
        """Let something happen, or nothing."""
        one = self.chance.choice(self._all())
        what = self.chance.randrange(5)
        if what == 0 and one is not self.top:
            one.end()
        elif what == 1:
            self.pid += 1
            one.children.append(Life(100 + self.pid, one))
        elif what == 2:
            spent = self.chance.randrange(50)
            one.own += spent
            self.used += spent

    def sample(self) -> list[Spent]:
        """Read each process that is met on the way down, as `resources` does."""
        found, waiting = [], [self.top]
        while waiting:
            one = waiting.pop(0)
            if one is not self.top and (one.parent is None or one not in one.parent.children):
                continue  # it is gone meanwhile
            found.append(one.spent)
            waiting += one.children
            self.go_on()
        return found


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_meanwhile_each_tick_counts_once(seed: int) -> None:
    """All that was used is counted when all have been read, and never more than that before."""
    world, time = World(seed), CpuTime()
    for _ in range(200):
        for _ in range(world.chance.randrange(6)):
            world.go_on()
        time.count(world.sample())
        assert time.ticks <= world.used
    for _ in range(2):
        time.count([one.spent for one in world._all()])

    assert time.ticks == world.used
