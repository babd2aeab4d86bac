"""Writing down what the units say: the second third of testing by history.

The journal is a listener like any other: what is said while its own connection is lost, it misses;
but it knows when that was, so that its gaps aren't taken for the units'.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

import redis

from tests.tools.waiting import wait_until

FINAL = frozenset({"done", "noop", "refused", "invalid", "expired", "failed", "denied"})
"""The verdicts after which none may follow."""

Said = dict[str, Any]
"""A verdict or an event, as it stood on the wire."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a unit said.

    Args:
        at: when it arrived, on the monotonic clock, in seconds.
        kind: ``verdict`` or ``event``.
    """

    at: float
    kind: str
    said: Said


class Journal:
    """Writes down, in order of arrival, every verdict and event of a namespace.

    Args:
        client: where a connection of its own is taken from.
    """

    def __init__(self, client: redis.Redis, namespace: str = "statusd") -> None:
        self.losses: list[float] = []
        """When the journal's own connection was lost, on the monotonic clock, in seconds."""
        self.garbled: list[bytes] = []
        """What was no JSON object."""
        self._client = client
        self._kinds = {f"{namespace}:verdicts": "verdict", f"{namespace}:events": "event"}
        self._heard: list[Heard] = []
        self._subscribed: set[str] = set()
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self, timeout_s: float = 5.0) -> None:
        """Subscribe, and return when both subscriptions are confirmed.

        Raises:
            AssertionError: they are not, in time; the journal is closed.
        """
        self._thread.start()
        try:
            wait_until(self.is_listening, timeout_s, "the journal's subscriptions")
        except AssertionError:
            self.close()
            raise

    def is_listening(self) -> bool:
        """Tell whether every subscription is confirmed, as far as is known."""
        return self._subscribed == self._kinds.keys()

    def heard(self) -> list[Heard]:
        """Return everything heard so far."""
        return list(self._heard)

    def verdicts(self) -> list[Said]:
        """Return the verdicts heard so far."""
        return [heard.said for heard in self.heard() if heard.kind == "verdict"]

    def events(self) -> list[Said]:
        """Return the events heard so far."""
        return [heard.said for heard in self.heard() if heard.kind == "event"]

    def finals(self) -> list[Said]:
        """Return the final verdicts heard so far, without the repeated ones."""
        return [said for said in self.verdicts() if is_final(said) and not said.get("repeat")]

    def close(self) -> None:
        """Stop listening; what was heard stays. A second call does nothing."""
        self._halt.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- on the journal's own thread -----------------------------------------------------------

    def _run(self) -> None:
        while not self._halt.is_set():
            try:
                self._listen()
            except (redis.ConnectionError, redis.TimeoutError):
                self._note_loss()
                self._halt.wait(0.01)

    def _listen(self) -> None:
        """Listen on a new connection until it is lost or `close` is called."""
        with self._client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(*self._kinds)
            while not self._halt.is_set():
                message = pubsub.get_message(timeout=0.05)
                if message is not None:
                    self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        channel, data = _text(message["channel"]), message["data"]
        if message["type"] == "message":
            self._write_down(self._kinds[channel], data)
            return
        if channel in self._subscribed:  # again? redis-py has connected anew behind our back
            self._note_loss()
        self._subscribed.add(channel)

    def _write_down(self, kind: str, data: bytes | str) -> None:
        try:
            said = json.loads(data)
        except ValueError:
            said = None
        if isinstance(said, dict):
            self._heard.append(Heard(time.monotonic(), kind, said))
        else:
            self.garbled.append(data if isinstance(data, bytes) else data.encode())

    def _note_loss(self) -> None:
        if self._subscribed:
            self.losses.append(time.monotonic())
            self._subscribed.clear()


def is_final(verdict: Said) -> bool:
    """Tell whether no other verdict may follow."""
    return verdict.get("verdict") in FINAL


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
