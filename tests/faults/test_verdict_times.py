"""What a verdict says of its time: from when the word was heard until it was answered.

The test takes the time too, around all of it, on the same clock: whatever a verdict says is within
that. Where the time must have passed, the verdict has to know of it.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statusd.core.coalescer import PER_SECOND
from tests.conftest import Run
from tests.tools import Broker, Journal, Program, wait_until
from tests.tools.journal import Heard
from tests.tools.unix import connect

pytestmark = pytest.mark.fault("J09")

ROUNDING_MS = 0.1
PAST = "2020-01-01T00:00:00Z"


class Clock:
    """Sends messages, and compares what the verdicts say with the time that went by.

    Args:
        broker: where to; journal: what is said there.
    """

    def __init__(self, broker: Broker, journal: Journal) -> None:
        self._client = broker.client()
        self._journal = journal
        self._began, self._seen = 0.0, 0

    def say(self, *messages: object, durable: bool = False, later: bool = False) -> None:
        """Send messages, and let the time begin with the first of them.

        Args:
            later: it began with what was said before.
        """
        texts = [m if isinstance(m, str) else json.dumps(m) for m in messages]
        if not later:
            self._seen = len(self._journal.heard())
            self._began = time.monotonic()
        for text in texts:
            if durable:
                self._client.xadd("statusd:commands", {"command": text})
            else:
                self._client.publish("mychannel", text)

    def fresh(self, **fields: Any) -> list[Heard]:
        """Return the verdicts with those fields that came since."""
        news = self._journal.heard()[self._seen :]
        return [h for h in news if h.kind == "verdict" and fields.items() <= h.said.items()]

    def check(self, least_s: float = 0.0, **fields: Any) -> dict[str, Any]:
        """Wait for a verdict with those ``fields``; it took ``least_s`` or more, and no more than
        it really took. Return it.
        """
        wait_until(lambda: self.fresh(**fields), 10, f"the verdict {fields}")
        first = self.fresh(**fields)[0]
        self.judge(first, least_s)
        return first.said

    def judge(self, heard: Heard, least_s: float = 0.0) -> None:
        """Assert that what a verdict says is possible."""
        most_ms = (heard.at - self._began) * 1000 + ROUNDING_MS
        assert least_s * 1000 - ROUNDING_MS <= heard.said["ms"] <= most_ms, heard.said


def let_pass(seconds: float) -> None:
    """Come back when so much time has gone by."""
    over = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= over, seconds + 5, f"{seconds:g} s to go by")


@pytest.fixture
def clock(broker: Broker, journal: Journal) -> Clock:
    """One for the unit of this test."""
    return Clock(broker, journal)


@pytest.fixture
def unit(broker: Broker, run: Run) -> Program:
    """One that works, in steps that last until the file ``release`` exists."""
    return up(run, "slow_to_pause", broker)


def up(run: Run, function: str, broker: Broker, **changes: Any) -> Program:
    """Return a unit that hears, and of which nothing has been asked for a while."""
    started = run(f"tests.workers:{function}", broker.url, **changes)
    started.wait_logged("link.up", link="hears")
    started.wait_logged("link.up", link="sends")
    started.wait_state(changes.get("goal", "READY"))
    let_pass(0.05)
    return started


def test_words_that_change_nothing_are_timed(unit: Program, clock: Clock) -> None:
    """The status has heard of no input for a while, and each spelling is judged only once."""
    for word, verdict in [("READY", "noop"), ("resume", "refused"), ("xyzzy", "invalid")] * 3:
        clock.say(word)
        clock.check(verdict=verdict, command=word)
        let_pass(1.0 if verdict == "invalid" else 0.05)  # junk is answered once a second
    for message in ('{"command":', '{"command": "stop", "by": 3}', "two words"):
        clock.say(message)
        clock.check(verdict="invalid")
        let_pass(1.0)


def test_floods_are_timed_from_their_first_word(unit: Program, clock: Clock) -> None:
    """Those that are held back for a while as well; the counts are told with the times."""
    clock.say(*["READY", "resume", "xyzzy"] * 200)

    def counted() -> int:
        return sum(heard.said.get("count", 1) for heard in clock.fresh())

    wait_until(lambda: counted() == 600, 15, "an answer to every word")
    for heard in clock.fresh():
        clock.judge(heard)


def test_what_is_held_back_is_told_how_long_it_was(unit: Program, clock: Clock) -> None:
    """More spellings at once than are answered in a second: the last of them had to wait."""
    clock.say(*(f"resume{' ' * n}" for n in range(3 * PER_SECOND)))
    wait_until(lambda: sum(h.said.get("count", 1) for h in clock.fresh()) == 60, 15, "all of them")

    for heard in clock.fresh():
        clock.judge(heard)
    assert max(heard.said["ms"] for heard in clock.fresh()) > 0.0


def test_what_is_held_back_at_the_end_is_timed(clock: Clock, broker: Broker, run: Run) -> None:
    """Junk is due a second after the last; the unit ends before."""
    unit = up(run, "obedient", broker)
    clock.say("xyzzy")
    clock.check(verdict="invalid")
    clock.say("xyzzy")
    let_pass(0.2)
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0

    clock.check(0.15, verdict="invalid")


def test_commands_with_an_id_are_timed(unit: Program, clock: Clock) -> None:
    """Every kind of verdict that is given at once; a repeated one is an exact copy."""
    cases = {
        "noop": {"command": "READY"},
        "refused": {"command": "resume"},
        "invalid": {"command": "xyzzy"},
        "expired": {"command": "start", "expires": PAST},
        "done": {"command": "ping"},
    }
    for verdict, message in cases.items():
        clock.say({**message, "id": verdict})
        first = clock.check(verdict=verdict, id=verdict)
        let_pass(0.05)
        clock.say({**message, "id": verdict})
        assert clock.check(verdict=verdict, id=verdict, repeat=True)["ms"] == first["ms"]
        clock.say({**message, "id": f"durable-{verdict}"}, durable=True)
        clock.check(verdict=verdict, id=f"durable-{verdict}")
        let_pass(0.05)
    clock.say({"command": "ping", "id": "junk", "by": 3})
    clock.check(verdict="invalid", id="junk")


def test_commands_that_take_their_time_are_timed_to_their_end(unit: Program, clock: Clock) -> None:
    """Accepted at once, and done when the worker was seen; the older of two fails meanwhile."""
    clock.say({"command": "start", "id": "s"})
    clock.check(verdict="accepted", id="s")
    clock.check(verdict="done", id="s")
    wait_until((unit.directory / "working").exists, 10, "a long step")
    clock.say({"command": "pause", "id": "p"}, "pause")
    clock.check(verdict="accepted", id="p")
    let_pass(0.3)
    (unit.directory / "release").touch()
    clock.check(0.3, verdict="done", id="p")
    clock.check(verdict="noop")


def test_commands_that_are_kept_until_it_is_ready_are_timed(
    clock: Clock, broker: Broker, run: Run
) -> None:
    """Postponed at once, done later; what takes its place fails it."""
    unit = run("tests.workers:ready_on_file", broker.url, worker={"ready": "notified"})
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    clock.say({"command": "start", "id": "first"})
    clock.check(verdict="postponed", id="first")
    let_pass(0.2)
    clock.say({"command": "start", "id": "second"}, later=True)
    clock.check(0.2, verdict="refused", id="first")
    clock.say({"command": "start", "id": "third"})
    clock.check(verdict="postponed", id="third")
    let_pass(0.2)
    (unit.directory / "release").touch()

    clock.check(0.2, verdict="done", id="third")


def test_what_a_former_daemon_has_left_is_timed_from_then_on(
    unit: Program, clock: Clock, broker: Broker, run: Run
) -> None:
    """Its clock goes on as long as the machine does."""
    clock.say({"command": "start", "id": "s"})
    clock.check(verdict="done", id="s")
    wait_until((unit.directory / "working").exists, 10, "a long step")
    clock.say({"command": "pause", "id": "p"})
    wait_until(lambda: [c["id"] for c in unit.kept().get("open", ())] == ["p"], 10, "it in a file")
    let_pass(0.2)
    unit.signal(signal.SIGKILL)
    unit.wait_exit(15)
    up(run, "obedient", broker, goal="PAUSED")

    clock.check(0.2, verdict="failed", id="p", reason="the daemon was restarted")


@pytest.fixture
def line(unit: Program) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Speak with the unit over its socket: a message, the next answer."""
    path = next(Path(unit.directory, "statusd").glob("*.sock"))
    with socket.socket(socket.AF_UNIX) as connected, connected.makefile("r") as answers:
        connect(connected, path)
        connected.settimeout(10)

        def ask(message: str) -> dict[str, Any]:
            connected.sendall(f"{message}\n".encode())
            said: dict[str, Any] = json.loads(answers.readline())
            return said

        yield ask


@pytest.mark.parametrize("message", ["READY", "resume", "xyzzy", "two words", "ping"])
def test_words_over_the_socket_are_timed(
    message: str, line: Callable[[str], dict[str, Any]]
) -> None:
    """Nobody on the channels hears of what is no command; whoever asked is told as exactly."""
    began = time.monotonic()
    answer = line(message)
    took_ms = (time.monotonic() - began) * 1000

    assert 0 <= answer["ms"] <= took_ms + ROUNDING_MS
