"""A master, a replica and three sentinels, as real processes on 127.0.0.1.

A master that is silent for a second is down for the sentinels; they make the replica the master.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import redis

from tests.tools.broker import Broker
from tests.tools.waiting import wait_until

NAME = "mymaster"
"""What the sentinels call the master."""
DOWN_AFTER_MS = 1000
FAILOVER_MS = 5000
READY_S = 20.0
"""So long the sentinels may take to know each other and the replica."""


class Sentinels:
    """Two servers and who watches them; as a context manager they are started.

    Args:
        binary: the server program, see `available_brokers`; it is a sentinel as well.
        conf: more lines of redis.conf for both servers.
    """

    def __init__(self, binary: Path, conf: dict[str, str] | None = None) -> None:
        self._stack = ExitStack()
        self._binary = binary
        more = {"repl-diskless-sync-delay": "0"} | (conf or {})
        self.first = Broker(binary, conf=more)
        """The master at first."""
        replica = {"replicaof": f"127.0.0.1 {self.first.port}", "replica-priority": "1"}
        self.second = Broker(binary, conf=more | replica)
        """Its replica at first."""
        self.watchers = [Broker(binary, conf=self._watching(), args=["--sentinel"]) for _ in "abc"]

    @property
    def url(self) -> str:
        """How a unit finds the master of the moment."""
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in self.watchers)
        return f"redis+sentinel://{hosts}/{NAME}"

    def master_port(self) -> int:
        """Return the port of the master, as the first sentinel has it."""
        return int(_ask(self.watchers[0], "GET-MASTER-ADDR-BY-NAME")[1])

    def wait_master(self, broker: Broker, timeout_s: float = 20.0) -> None:
        """Return when the sentinels have made ``broker`` the master, and it obeys.

        Raises:
            AssertionError: they have not, in time.
        """
        wait_until(lambda: self.master_port() == broker.port, timeout_s, "the failover")
        wait_until(lambda: _role(broker) == "master", timeout_s, "the new master")

    def wait_follower(self, broker: Broker, timeout_s: float = 20.0) -> None:
        """Return when ``broker``, which was the master, has been told to follow the new one.

        Raises:
            AssertionError: it has not, in time.
        """
        wait_until(lambda: _role(broker) == "slave", timeout_s, "the old master to follow")

    def close(self) -> None:
        """End them all; a second call does nothing."""
        self._stack.close()

    def __enter__(self) -> Self:
        with self._stack:
            for server in (self.first, self.second):
                self._stack.enter_context(server)
            wait_until(self._replicates, READY_S, "the replica")
            for watcher in self.watchers:
                self._stack.enter_context(watcher)
            wait_until(self._is_ready, READY_S, "the sentinels to know each other")
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watching(self) -> dict[str, str]:
        return {
            f"sentinel monitor {NAME}": f"127.0.0.1 {self.first.port} 2",
            f"sentinel down-after-milliseconds {NAME}": str(DOWN_AFTER_MS),
            f"sentinel failover-timeout {NAME}": str(FAILOVER_MS),
        }

    def _replicates(self) -> bool:
        found = self.second.client().info("replication")
        return bool(found["master_link_status"] == "up")

    def _is_ready(self) -> bool:
        """Tell whether each sentinel has found the two others and the replica."""
        for watcher in self.watchers:
            known: dict[str, str] = _ask(watcher, "MASTER")
            if (known["num-other-sentinels"], known["num-slaves"]) != ("2", "1"):
                return False
        return True


def _ask(watcher: Broker, what: str) -> Any:
    with watcher.client(decode_responses=True) as client:
        return client.execute_command("SENTINEL", what, NAME)


def _role(broker: Broker) -> str:
    try:
        return str(broker.client(decode_responses=True).info("replication")["role"])
    except (redis.ConnectionError, redis.TimeoutError):
        return ""
