"""What a worker uses, read of real processes that allocate, fork and open descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from statusd.supervision import resources
from statusd.supervision.resources import AT_ONCE, Sampler, Usage, look, proportional
from tests.unit.worlds import Loop

MIB = 2**20
CHILD = """
import os, sys, threading, time
held = []
def spin():
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
def fork():
    if os.fork() == 0:
        time.sleep(600)
def wait():
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
os._exit(0)
"""


class Obedient:
    """A process that does what it is told, with all that it has started."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._heard()

    def do(self, line: str) -> None:
        """Have it run that line, and wait until it has."""
        assert self.popen.stdin is not None
        print(line, file=self.popen.stdin, flush=True)
        self._heard()

    def _heard(self) -> None:
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline()

    def close(self) -> None:
        """End it, and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, 9)
        self.popen.communicate()


@pytest.fixture
def process() -> Iterator[Obedient]:
    """A process to be looked at."""
    started = Obedient()
    try:
        yield started
    finally:
        started.close()


class Samples:
    """Samples of one process, three seconds apart."""

    def __init__(self, pid: int) -> None:
        self.loop = Loop()
        self.sampler = Sampler(self.loop)
        self.taken: list[Usage] = []
        self._pid = pid

    def __call__(self) -> Usage:
        """Take one."""
        before = len(self.taken)
        self.sampler.sample(self._pid, [], self.taken.append)
        self.loop.pass_by(3.0)
        assert len(self.taken) == before + 1
        return self.taken[-1]


def test_what_it_takes_is_seen(process: Obedient) -> None:
    """Memory, descriptors and threads, one after the other."""
    sample = Samples(process.popen.pid)
    first = sample()

    process.do(f"held.append(b'x' * {64 * MIB})")
    grown = sample()
    process.do("held += [open('/dev/null') for _ in range(20)]")
    opened = sample()
    process.do("wait(); wait()")
    threaded = sample()

    assert (first.cpu, first.processes, first.threads) == (None, 1, 1)
    assert 0 < first.memory < 64 * MIB <= grown.memory - first.memory < 72 * MIB
    assert first.descriptors is not None
    assert opened.descriptors == first.descriptors + 20
    assert threaded.threads == 3


def test_the_next_one_is_due_as_often_as_a_document_is_written(process: Obedient) -> None:
    """With the second beat after it, whether that comes a bit early or late."""
    sample = Samples(process.popen.pid)
    assert sample.sampler.due_at <= sample.loop.time()

    sample()  # and a beat passes

    assert sample.loop.time() + 1 < sample.sampler.due_at < sample.loop.time() + 3


def test_its_time_is_a_share_since_the_last_look(process: Obedient) -> None:
    """And the seconds of all of it."""
    sample = Samples(process.popen.pid)
    first = sample()

    process.do("spin()")
    busy, idle = sample(), sample()

    assert busy.cpu is not None
    assert busy.cpu == pytest.approx(0.1, abs=0.05)
    assert busy.cpu_s - first.cpu_s == pytest.approx(busy.cpu * 3.0)
    assert idle.cpu == pytest.approx(0.0, abs=0.02)
    assert idle.cpu_s >= busy.cpu_s


def test_all_that_it_has_started_counts(process: Obedient) -> None:
    """Children of any thread, in any group; what they share counts once in the proportional set."""
    process.do(f"held.append(b'x' * {64 * MIB})")
    sample = Samples(process.popen.pid)
    alone = sample()

    process.do("fork(); t = threading.Thread(target=fork); t.start(); t.join()")
    process.do("import subprocess; held.append(subprocess.Popen(['setsid', 'sleep', '600']))")
    several = sample()

    assert several.processes == 4
    assert several.memory > 3 * 64 * MIB
    assert proportional(sample.sampler.pids) < alone.memory + 32 * MIB
    process.do("held.pop().kill()")


def test_who_is_gone_is_no_error(process: Obedient) -> None:
    """Nor is he counted, dead or buried; what he has used stays."""
    sample = Samples(process.popen.pid)
    process.do("import subprocess; p = subprocess.Popen([sys.executable, '-c', ''])")
    process.do("p.wait(); p = subprocess.Popen(['true']); os.waitid(os.P_PID, p.pid, 4 | 1 << 24)")

    usage = sample()

    assert (usage.processes, usage.threads) == (1, 1)
    process.close()
    sample.sampler.sample(process.popen.pid, [], sample.taken.append)
    assert sample.taken == [usage]


def test_many_are_read_in_turns(process: Obedient) -> None:
    """Not in a row: the loop has others to serve; and a second look waits for the first one."""
    process.do("[fork() for _ in range(20)]")
    sample = Samples(process.popen.pid)

    sample.sampler.sample(process.popen.pid, [], sample.taken.append)
    sample.sampler.sample(process.popen.pid, [], sample.taken.append)
    at_once = list(sample.taken)
    sample.loop.pass_by(3.0)

    assert at_once == []
    assert [usage.processes for usage in sample.taken] == [21]
    assert AT_ONCE < 2 * 21


def test_an_orphan_counts_if_it_is_ours(process: Obedient) -> None:
    """Its number may have become somebody else's since it was seen."""
    loop, ours = Loop(), Obedient()
    try:
        taken: list[Usage] = []
        stranger = os.getppid()
        Sampler(loop).sample(process.popen.pid, [ours.popen.pid, stranger], taken.append)
    finally:
        ours.close()

    assert [usage.processes for usage in taken] == [2]


def test_who_takes_his_time_with_him_makes_no_less_of_it(process: Obedient) -> None:
    """We have buried an orphan: the share isn't negative, and the seconds don't go back."""
    loop, orphan = Loop(), Obedient()
    sampler = Sampler(loop)
    try:
        orphan.do("spin()")
        sampler.sample(process.popen.pid, [orphan.popen.pid], lambda _: None)
    finally:
        orphan.close()
    before = sampler.usage
    loop.pass_by(3.0)
    sampler.sample(process.popen.pid, [], lambda _: None)

    assert before is not None
    assert sampler.usage is not None
    assert before.cpu_s >= 0.3
    assert (sampler.usage.cpu, sampler.usage.cpu_s) == (0.0, before.cpu_s)


def test_a_child_that_ends_while_others_are_read_counts_once(
    process: Obedient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent was read before it has waited for it: the next sample isn't a busy one."""
    spinning = "t = time.process_time\nwhile t() < 0.5: pass\nprint(flush=True); time.sleep(600)"
    process.do(
        "import subprocess; p = subprocess.Popen([sys.executable, '-c', "
        f"{'import time; ' + spinning!r}], stdout=subprocess.PIPE); p.stdout.readline()"
    )
    sample, real = Samples(process.popen.pid), resources.look
    before = sample()

    def late(pid: int) -> Any:
        if pid != process.popen.pid:
            process.do("p.kill(), p.wait()")
        return real(pid)

    monkeypatch.setattr(resources, "look", late)
    between = sample()
    monkeypatch.undo()
    after = sample()

    assert (before.processes, between.processes) == (2, 1)
    assert before.cpu_s >= 0.5
    assert after.cpu_s < before.cpu_s + 0.2
    assert after.cpu == pytest.approx(0.0, abs=0.06)


def test_a_child_counts_if_it_still_is_one(
    process: Obedient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many a part is read at a time, and by its turn a number may be somebody else's."""
    process.do("fork()")
    real, stranger = resources._children, os.getppid()
    monkeypatch.setattr(resources, "_children", lambda *which: [stranger, *real(*which)])
    sample = Samples(process.popen.pid)

    assert sample().processes == 2
    assert stranger not in sample.sampler.pids


def test_we_are_no_part_of_the_program_that_we_are_attached_to() -> None:
    """Nor is what we have started."""
    child = Obedient()
    try:
        loop, taken = Loop(), list[Usage]()
        sampler = Sampler(loop)
        sampler.sample(os.getppid(), [], taken.append)
        loop.pass_by(60.0)
    finally:
        child.close()

    assert not {os.getpid(), child.popen.pid} & {*sampler.pids}
    assert os.getppid() in sampler.pids


def test_a_kernel_that_does_not_tell_children_has_groups(
    process: Obedient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that doesn't count descriptors lists them, as far as that is no work."""
    monkeypatch.setattr(resources, "_TELLS_CHILDREN", False)
    monkeypatch.setattr(resources, "_children", lambda pid, task: [])
    counted = look(process.popen.pid)
    real = os.stat

    def old(path: Any, **more: Any) -> Any:
        return os.stat_result([0] * 10) if str(path).endswith("/fd") else real(path, **more)

    monkeypatch.setattr(os, "stat", old)
    process.do("fork(); fork()")

    assert Samples(process.popen.pid)().processes == 3
    assert counted is not None
    listed = look(process.popen.pid)
    assert listed is not None
    assert listed.descriptors == counted.descriptors
    process.do("held += [open('/dev/null') for _ in range(1100)]")
    listed = look(process.popen.pid)
    assert listed is not None
    assert listed.descriptors is None
