"""A folder of units in one daemon, of which some make trouble while the others are commanded."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.tools import Broker, Journal, Program, wait_until
from tests.tools.publisher import Publisher

COMMANDS = 25
RATE_HZ = 50.0
"""So often each of the quiet ones is commanded."""
PAUSE_S = 0.01
"""Between two bursts of a flood."""
QUIET = ("q1", "q2")


def program(*command: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a unit that runs a program; ``worker`` has more of that table."""
    worker = {"command": list(command), **more.pop("worker", {})}
    return {**more, "worker": worker}


def function(path: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a unit that runs a function of the tests' own."""
    worker = {"function": path, **more.pop("worker", {})}
    return {**more, "worker": worker}


def quiet_units() -> dict[str, Any]:
    """Return the units that are commanded."""
    return {name: function("tests.workers:blocked", name=name) for name in QUIET}


class House:
    """One daemon, its broker, and what its units say.

    Args:
        daemon: of a folder in which the `QUIET` ones are.
    """

    def __init__(self, daemon: Program, broker: Broker, journal: Journal) -> None:
        self.daemon = daemon
        self.client = broker.client()
        self._broker = broker
        self._journal = journal
        self._numbers = itertools.count(1)

    def document(self, name: str) -> dict[str, Any]:
        """Return a unit's status document; empty if there is none."""
        found = self.client.get(f"statusd:status:{{{name}}}")
        return dict(json.loads(found)) if found else {}

    def state(self, name: str) -> str:
        """Return a unit's state, by its document."""
        return str(self.document(name).get("state", ""))

    def wait_states(self, **states: str) -> None:
        """Wait until these units are in these states."""
        wait_until(
            lambda: all(self.state(name) == state for name, state in states.items()),
            20,
            f"{states}",
        )

    def ask(self, name: str, word: str) -> dict[str, Any]:
        """Send a command to one unit and return its final verdict."""
        ident = f"ask-{next(self._numbers)}"
        self.client.publish(name, json.dumps({"command": word, "id": ident}))
        return wait_until(lambda: self._finals().get(ident), 20, f"{name} {word}")

    def _finals(self) -> dict[str, dict[str, Any]]:
        return {said["id"]: said for said in self._journal.finals() if "id" in said}

    def command_all(self) -> None:
        """Command each of the quiet ones steadily: each command gets one final verdict.

        They are at work before that and after it. A command that is superseded by the next one has
        failed: the worker is another process, and may have no processor just now.
        """
        prefix = f"round-{next(self._numbers)}"
        words = ["pause", "resume"] * (COMMANDS // 2)
        some = [Publisher(self._broker.client(), name, f"{prefix}-{name}") for name in QUIET]
        for publisher in some:
            publisher.start(words, RATE_HZ)
        sent = [one for publisher in some for one in publisher.join(60)]
        ids = {one.id for one in sent}
        assert {one.receivers for one in sent} == {1}
        wait_until(lambda: ids <= self._finals().keys(), 20, f"the verdicts of {prefix}")
        finals = [said for said in self._journal.finals() if said.get("id") in ids]
        assert len(finals) == len(ids)
        for said in finals:
            is_superseded = said.get("reason", "").startswith("superseded by ")
            assert said["verdict"] == "done" or is_superseded, said

    def assert_unharmed(self) -> None:
        """Assert that it has found no bug of its own, and never lost its broker."""
        told = {line["event"] for line in self.daemon.log()}
        assert not told & {"bug.caught", "link.lost"}


@contextmanager
def repeated(send: Callable[[], object]) -> Iterator[None]:
    """Do ``send`` again and again in a thread, until the context ends.

    With pauses: a broker hangs up on whoever leaves more unread than its limit (32 MiB).
    """
    halt = threading.Event()

    def go_on() -> None:
        while not halt.wait(PAUSE_S):
            send()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        halt.set()
        thread.join(20)
