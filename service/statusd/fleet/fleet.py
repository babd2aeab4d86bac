"""The fleet from Python: command it, look at it, follow it.

    with Fleet("redis://localhost") as fleet:
        report = fleet.send("pause", tag="gpu", timeout_s=3)
        print([outcome.name for outcome in report.silent])

Whoever has a `redis.Redis` already gives that instead of a url. A connection that is lost is made
anew by the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import redis

from statusd.core.errors import ConfigError, Unavailable
from statusd.core.messages import EVERYBODY, Scalar, Target
from statusd.fleet import operations
from statusd.fleet.follower import Follower
from statusd.fleet.history import MOST_EVENTS, Event
from statusd.fleet.log_follower import LogFollower, LogItem, wanted
from statusd.fleet.places import address_of
from statusd.fleet.response_collector import Outcome, Report, UnitInfo
from statusd.fleet.targets import Globs
from statusd.fleet.watcher import Watcher
from statusd.wire.address import Address
from statusd.wire.client import Client
from statusd.wire.endpoint import BLOCK_S


class Fleet:
    """All units of a namespace.

    Args:
        url: of the broker, by default ``STATUSD_REDIS__URL``, or 127.0.0.1:6379; or a `redis.Redis`
            (of a Sentinel's master, with TLS, with a credentials provider, whatever it decodes and
            speaks), which is taken as it is and never closed. With a url there is a connection of
            our own, by one thread at a time, and nothing is tried twice; with a client of yours,
            what it says of threads and retries holds.
        namespace: of the units.
        timeout_s: the longest wait for a connection, and for each part of the broker's replies; a
            client of yours has its own.
        password_file: wins over a password in the url.

    Raises:
        ConfigError: the url is not valid, or it is no blocking client of redis-py.
    """

    def __init__(
        self,
        url: str | Address | redis.Redis | None = None,
        *,
        namespace: str = "statusd",
        timeout_s: float = 2.0,
        password_file: str = "",
    ) -> None:
        if not isinstance(url, redis.Redis):
            url = address_of(url, password_file, "redis.Redis")
        elif password_file:
            raise ConfigError("password_file is for a url: a client has its own credentials")
        self._broker: Address | redis.Redis = url
        self._namespace = namespace
        self._client = Client(url, "statusd-fleet", timeout_s)

    # ---- looking -------------------------------------------------------------------------------

    def status(self) -> list[UnitInfo]:
        """Return every unit that there is or was, by name: two round trips, however many.

        A unit's document follows what it tells of by 20 ms, or 40 if the worker has yet to see its
        state: of a command that was just sent, its `Outcome` knows the state.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        return self._client.run(operations.status(self._namespace))

    def forget(self, name: str) -> bool:
        """Strike a unit that is lost or has left off the roster; tell whether it was there.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        return self._client.run(operations.forget(self._namespace, name))

    def history(
        self, name: str, since: str = "", most: int = MOST_EVENTS, before: str = ""
    ) -> list[Event]:
        """Return the newest events of a unit in order, at most ``most``.

        In place of one that can't be read there is what is known of it, see `Watcher`.

        Args:
            since: the id of an event: only what came after it is returned.
            before: the id of an event: only what came before it is returned.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        return self._client.run(operations.history(self._namespace, name, since, most, before))

    def lifecycle(self, name: str) -> dict[str, Any] | None:
        """Return the lifecycle of a unit: its states, and what leads from one to another.

        Returns:
            ``{"nodes": [{"name", "kind"}], "arrows": [{"source", "dest", "labels", "who",
            "is_aside"}]}``; None if its daemon hasn't told it (before 1.1), or it can't be read.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        return self._client.run(operations.lifecycle(self._namespace, name))

    def watch(self, name: Globs = None, since: Mapping[str, str] | None = None) -> Watcher:
        """Return an endless iterator over the events of the fleet, on a connection of its own.

        Args:
            name: only units whose names fit one of these globs.
            since: unit -> id of the last event that is known, as `Watcher.positions` gave it;
                units that are not in it begin with what comes now.

        Raises:
            ConfigError: what stands in ``since`` is no id.
        """
        client = Client(self._broker, "statusd-watch", BLOCK_S + 2)
        return Watcher(client, Follower(self._namespace, name, since))

    def logs(
        self,
        name: Globs = None,
        *,
        lines: int = 100,
        since: str = "",
        stream: str = "",
        follow: bool = False,
        timeout_s: float = 3.0,
    ) -> Iterator[LogItem]:
        """Return an iterator over what workers have printed, on a connection of its own.

        It gives out ``{"name", "at", "run", "stream", "line"}`` for each line, as it was printed:
        it may hold anything, a terminal's commands too. Beside the lines there is, with the name:
        ``left_out``: so many lines are missing here; ``standing``: what has no end yet (a progress
        bar), null for nothing any more; ``refused``, ``silent``, ``lost``, ``ended``, ``nobody``:
        why there is nothing, in words. Close it when you have seen enough.

        Args:
            name: of whom, globs; lines: so many of the last of each unit, 2000 at most.
            since: only from that time on, RFC 3339 with its zone.
            stream: ``stdout`` or ``stderr`` alone.
            follow: also what comes, at most 200 lines or 64 KiB a second of each unit; else the
                iterator ends with the last line that there is, and when all units have ended.
            timeout_s: so long an answer is waited for.

        Raises:
            ConfigError: an argument is none of these.
            Unavailable: while it iterates: the broker can't be reached, or refuses; one that goes
                away later is waited for by who follows.
        """
        follower = LogFollower(wanted(name, lines, since, stream, timeout_s, follow=follow))
        return self._logs(follower)

    def _logs(self, follower: LogFollower) -> Iterator[LogItem]:
        with Client(self._broker, "statusd-logs", BLOCK_S + 2) as client:
            while True:
                try:
                    yield from client.follow(follower.feed(self._namespace))
                    return
                except Unavailable as error:
                    client.run(follower.failed(error))
                yield from follower.given()

    # ---- commanding ----------------------------------------------------------------------------

    def send(
        self,
        word: str,
        *,
        name: Globs = None,
        tag: Globs = None,
        state: Globs = None,
        channel: str = "",
        args: Mapping[str, Scalar] | None = None,
        by: str = "",
        expires: str = "",
        expires_s: float | None = None,
        durable: bool = False,
        timeout_s: float | None = 5.0,
        heard: Callable[[Outcome], None] | None = None,
        waiting: Callable[[list[UnitInfo], float], None] | None = None,
    ) -> Report:
        """Send a command and wait until everybody who has to answer has given a final verdict.

        Args:
            word: a trigger or a state.
            name, tag, state: whom it is for; globs for the name. None for everybody.
            channel: where it is published; by default the namespace's own, which every unit hears.
            args: for the worker; by: who we are; expires: RFC 3339, after which it is not obeyed.
            expires_s: the same, in so many seconds by the broker's clock.
            durable: keep it for units that are away, too; for an hour, if it doesn't expire.
            timeout_s: the longest wait; who has taken it by then is ``pending``, and who has said
                nothing ``silent``. None for as long as it may take: 5 s, and a unit that ends as
                long as its document says (``ends_within_s``), and 3 s more.
            heard: called with each final verdict as it comes.
            waiting: called once a second with the units that are waited for, as their documents
                are then, and with how many seconds more they are.

        Returns:
            What became of it, by unit. Nobody is waited for who was lost already.

        Raises:
            ConfigError: it is no command, or a durable one for a channel; nothing was sent.
            Unavailable: the broker can't be reached, or refuses. After a lost connection nobody
                knows whether it was sent, nor, if it was lost while verdicts were waited for, who
                has answered; also if the client has made it anew by itself. A client that tries
                again by itself may send it twice: it has an id, and is obeyed once.
        """
        order = operations.Order(
            word,
            name=name,
            tag=tag,
            state=state,
            channel=channel,
            args=args,
            by=by,
            expires=expires,
            expires_s=expires_s,
            durable=durable,
            timeout_s=timeout_s,
            heard=heard,
            waiting=waiting,
        )
        return self._client.run(operations.send(self._namespace, order))

    def launch(
        self,
        name: Globs = None,
        *,
        tag: Globs = None,
        by: str = "",
        durable: bool = False,
        timeout_s: float | None = None,
        heard: Callable[[Outcome], None] | None = None,
    ) -> Report:
        """Let units begin again that have ended and whose daemon goes on: those of a folder.

        Args:
            name, tag, by, durable, heard: as for `send`.
            timeout_s: the longest wait; None for 35 s.

        Returns:
            What became of it: ``done`` when the worker is ready, ``noop`` for one that lives.

        Raises:
            ConfigError, Unavailable: as `send` does.
        """
        order = operations.launch(
            name, tag, by=by, durable=durable, timeout_s=timeout_s, heard=heard
        )
        return self._client.run(operations.send(self._namespace, order))

    def expected(
        self, target: Target = EVERYBODY, channel: str = "", *, launch: bool = False
    ) -> tuple[list[UnitInfo], list[UnitInfo]]:
        """Return whom a command would be for: the units that are alive, and those lost.

        Args:
            launch: of a `launch`: those that rest are among the first.

        Raises:
            Unavailable: the broker can't be reached, or refuses.
        """
        asking = operations.expected(self._namespace, target, channel, launch=launch)
        return self._client.run(asking)

    # ---- the connection ------------------------------------------------------------------------

    def close(self) -> None:
        """Hang up, unless the client is yours; the next call connects anew."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
