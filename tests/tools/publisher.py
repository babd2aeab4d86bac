"""Sending numbered commands, and keeping book of them: the first third of testing by history."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from tests.tools.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Sent:
    """One command.

    Args:
        at: when it was about to be sent, on the monotonic clock, in seconds.
        receivers: what PUBLISH returned; None if it failed, and then it may have arrived or not.
            Of a durable one: 1 if the stream has it, 0 if the broker refused it.
        entry: the id that the stream gave to a durable one.
        wall: when it was about to be sent, on the wall clock, in seconds.
        refusal: the broker's reason, if it refused.
    """

    number: int
    id: str
    word: str
    at: float
    receivers: int | None
    entry: str = ""
    wall: float = 0.0
    refusal: str = ""


class Publisher:
    """Sends numbered commands to a channel and keeps book of them.

    Args:
        client: one that never retries (`Broker.client`), or a resend would look like a doubling.
        channel: or the stream, if ``durable``.
        prefix: what the ids begin with; two publishers need two.
        durable: XADD to a stream instead of PUBLISH to a channel.
    """

    def __init__(
        self, client: redis.Redis, channel: str, prefix: str = "p", *, durable: bool = False
    ) -> None:
        self._client = client
        self._channel = channel
        self._prefix = prefix
        self._durable = durable
        self._numbers = itertools.count(1)
        self._sent: list[Sent] = []
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def sent(self) -> list[Sent]:
        """What has been sent so far, in order."""
        return list(self._sent)

    def send(self, word: str, **fields: Any) -> Sent:
        """Send one command, with more ``fields`` of the JSON object if given."""
        return self._publish([word], fields)[0]

    def send_all(
        self, words: Iterable[str], rate_hz: float | None = None, batch: int = 1
    ) -> list[Sent]:
        """Send every word, and return when that is done or `stop` is called.

        A failure of the connection is written down, not raised: sending goes on.

        Args:
            rate_hz: batches per second; None for as fast as it can.
            batch: so many commands go out in one write.
        """
        sent: list[Sent] = []
        rest, began = iter(words), time.monotonic()
        for turn in itertools.count():
            due = began + turn / rate_hz if rate_hz else 0.0
            if self._halt.wait(max(0.0, due - time.monotonic())):
                break
            some = list(itertools.islice(rest, batch))
            if not some:
                break
            sent += self._publish(some, {})
        return sent

    def start(self, words: Iterable[str], rate_hz: float | None = None, batch: int = 1) -> None:
        """Do `send_all` in a thread; ``words`` may be endless."""
        self._thread = threading.Thread(
            target=self.send_all, args=(words, rate_hz, batch), name="publisher", daemon=True
        )
        self._thread.start()

    def join(self, timeout_s: float) -> list[Sent]:
        """Wait until the thread has sent every word; return all that was sent.

        Raises:
            AssertionError: it is still sending.
        """
        if self._thread is not None:
            thread = self._thread
            wait_until(lambda: not thread.is_alive(), timeout_s, "the publisher to finish")
            self._thread = None
        return self.sent

    def stop(self, timeout_s: float = 5.0) -> list[Sent]:
        """Let the thread send no more; return all that was sent."""
        self._halt.set()
        try:
            return self.join(timeout_s)
        finally:
            self._halt.clear()

    def _publish(self, words: Sequence[str], fields: dict[str, Any]) -> list[Sent]:
        numbered = [(next(self._numbers), word) for word in words]
        pipeline = self._client.pipeline(transaction=False)
        for number, word in numbered:
            command = {"command": word, "id": self._id(number), "by": "publisher"} | fields
            if self._durable:
                pipeline.xadd(self._channel, {"command": json.dumps(command)})
            else:
                pipeline.publish(self._channel, json.dumps(command))
        at, wall = time.monotonic(), time.time()
        try:
            replies = pipeline.execute(raise_on_error=False)
        except (redis.ConnectionError, redis.TimeoutError):
            replies = [None] * len(words)
        sent = [
            Sent(number, self._id(number), word, at, *_read(reply, wall))
            for (number, word), reply in zip(numbered, replies, strict=True)
        ]
        self._sent += sent
        return sent

    def _id(self, number: int) -> str:
        return f"{self._prefix}-{number}"


def _read(reply: object, wall: float) -> tuple[int | None, str, float, str]:
    """Return receivers, entry, wall and refusal of a `Sent`."""
    match reply:
        case int():
            return reply, "", wall, ""
        case bytes():
            return 1, reply.decode(), wall, ""
        case redis.ResponseError():
            return 0, "", wall, str(reply)
    return None, "", wall, ""
