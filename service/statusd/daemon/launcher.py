"""The units that have ended, and their way back: a folder's daemon begins one again by command.

Rules of this file: one at a time begins of each name; nothing of an ended unit is opened before
somebody wants it, and then no disk is waited for on the loop; a launch that fails is refused, with
its reason, and the unit rests on.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from statusd import threads
from statusd.core import events as ev
from statusd.core.answers import Verdict
from statusd.core.errors import StatusdError, Unavailable
from statusd.core.messages import Command, to_json
from statusd.daemon.channels import Channels
from statusd.daemon.farewell import Farewell
from statusd.daemon.living import Living
from statusd.daemon.plan import Plan, all_parts
from statusd.daemon.resting import Resting, ended_before
from statusd.daemon.router import Router
from statusd.daemon.session import Session
from statusd.daemon.stream_reader import StreamReader
from statusd.supervision import descriptors
from statusd.unit import life
from statusd.unit.local_socket import Client
from statusd.unit.parts import Parts
from statusd.unit.publisher import LEFT_TTL_S, verdict_lines
from statusd.unit.stream_position import StreamPosition
from statusd.unit.unit import Unit
from statusd.wire.link import LinkState

KEEP_S = 600.0
"""So often the documents of those that rest are written, if they have run out."""
HEARS_S = 5.0
"""So long a unit waits at most until the broker has taken its channels."""
IS_ENDING = "its daemon is ending"


class Hearing(NamedTuple):
    """What lets units hear: the router, the reader of durable commands, and all their channels."""

    router: Router
    reader: StreamReader
    channels: Channels

    def let(self, one: Unit | Resting, channels: tuple[str, ...]) -> None:
        """Let it hear, in the place of the other one of its name."""
        self.router.hears(one, channels)
        self.reader.add(one.cursor)

    def forget(self, one: Unit | Resting) -> None:
        """Let it hear nothing any more."""
        self.router.forget(one)
        self.reader.forget(one.cursor)


class Then(enum.Enum):
    """What becomes of a unit that has ended by itself."""

    REST = "rest"
    GO = "go"
    BEGIN_ANEW = "begin anew"


class Launcher:
    """Keeps those that rest.

    Args:
        plan: of the daemon; one of a file leaves with its unit, and launches none.
        session: where they are answered.
        units, living: of the daemon.
        farewell: how they leave; hearing: what lets them hear; make_unit: how they come.
        log: where it is told.
    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        units: dict[str, Unit],
        living: Living,
        farewell: Farewell,
        hearing: Hearing,
        make_unit: Callable[[Parts], Unit],
        log: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._plan, self._session = plan, session
        self._units, self._living = units, living
        self._farewell, self._hearing, self._make_unit = farewell, hearing, make_unit
        self._log = log
        self._parts = {parts.names.name: parts for parts in plan.units}
        self._rests: dict[str, Resting] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[tuple[str, str], Client] = {}
        self._dismissed: dict[str, Then] = {}
        """Those that are to end by themselves, and what is to be then."""
        self.tasks: set[asyncio.Task[None]] = set()
        """Those in which units come and go."""
        self.is_open = plan.folder is not None

    @property
    def rests(self) -> Mapping[str, Resting]:
        """Those that rest, by name."""
        return self._rests

    def open(self) -> None:
        """Let those rest that a command had ended before this daemon began."""
        if self._plan.folder is None:
            return
        descriptors.allow_for(len(all_parts(self._plan)))
        for name, parts in self._plan.folder.ended.items():
            document = ended_before(parts, self._plan.names.name)
            self._rest(parts, parts.kept.place, document, asks=True)
            by = parts.kept.ended.by if parts.kept.ended is not None else ""
            then = f"statusd launch {name}"
            self._log.info("unit.rests", unit=name, **({"by": by} if by else {}), then=then)
        self._keep()

    # ---- they go -------------------------------------------------------------------------------

    def forget(self, unit: Unit) -> None:
        """Let it hear nothing any more."""
        self._hearing.forget(unit)

    def retire(self, unit: Unit) -> None:
        """End the life of a unit while others go on; it rests, if it may be launched again."""
        self._hearing.forget(unit)
        task = self._start(self._farewell.retire(unit))
        what = self._dismissed.pop(unit.name, Then.REST)
        if not self.is_open or what is Then.GO:
            return
        self._leaving[unit.name] = task
        place, asks = unit.cursor.place, unit.cursor.asks
        self._rest(self._parts[unit.name], place, unit.document.fields(), asks=asks)
        if what is Then.BEGIN_ANEW:
            self._start(self._begin(self._rests[unit.name]))

    def dismiss(self, name: str, reason: str, then: Then) -> None:
        """Let a unit end, if it lives; one that rests goes at once, if it is to go."""
        unit = self._living.by_name.get(name)
        if unit is not None:
            self._dismissed[name] = then
            self._living.guarded(unit, lambda unit: unit.happened(ev.Dismissed(reason)))
        elif then is Then.GO and (resting := self._rests.pop(name, None)) is not None:
            self._hearing.forget(resting)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _rest(
        self, parts: Parts, place: StreamPosition, document: Mapping[str, Any], *, asks: bool
    ) -> None:
        resting = Resting(parts, place, document, self._session, self._launch, self._say, asks=asks)
        self._rests[resting.name] = resting
        self._hearing.let(resting, resting.channels)

    def close(self) -> None:
        """Nobody begins any more."""
        self.is_open = False
        for resting in self._rests.values():
            resting.refuse(IS_ENDING)

    # ---- they come ----------------------------------------------------------------------------

    def _launch(self, resting: Resting) -> None:
        """Let it begin, unless it is about to."""
        if not self.is_open:
            resting.refuse(IS_ENDING)
        elif len(resting.commands) == 1:
            self._start(self._begin(resting))

    def add(self, name: str) -> None:
        """Let a unit begin that is new in the folder; one that a command had ended rests."""
        self._start(self._add(name))

    async def _add(self, name: str) -> None:
        try:
            parts = await self._made(name)
            if parts.kept.ended is None:
                await self._join(parts, None)
            else:
                parts.state_file.give_up()
                document = ended_before(parts, self._plan.names.name)
                self._rest(parts, parts.kept.place, document, asks=True)
                self._hearing.channels.refresh()
        except (StatusdError, OSError) as error:
            self._log.error("unit.not_started", unit=name, reason=str(error))
        except Exception as error:  # the safety net: the others go on
            self._log.error("bug.caught", unit=name, exc_info=error)

    async def _made(self, name: str) -> Parts:
        """Return what a unit is made of now; no disk is waited for on the loop.

        Raises:
            StatusdError, OSError: it can't be had.
        """
        assert self._plan.folder is not None
        again = partial(self._plan.folder.again, name, self._loop)
        return await threads.apart(again, f"launch {name}")

    async def _begin(self, resting: Resting) -> None:
        name, by = resting.name, resting.commands[0].by if resting.commands else ""
        if name in self._leaving:
            await asyncio.wait([self._leaving.pop(name)])
        try:
            parts = await self._made(name)
            kept = parts.kept._replace(place=resting.cursor.place, ended=None)
            await self._join(replace(parts, kept=kept, fresh=True), resting)
        except (StatusdError, OSError) as error:
            self._log.error("unit.not_launched", unit=name, reason=str(error))
            resting.refuse(str(error))
        except Exception as error:  # the safety net: the others go on
            self._log.error("bug.caught", unit=name, exc_info=error)
            resting.fail(error)
        else:
            self._log.info("unit.launched", unit=name, **({"by": by} if by else {}))

    async def _join(self, parts: Parts, resting: Resting | None) -> None:
        """Let a unit begin while others live, in the place of one that rests, if it did.

        Raises:
            Unavailable: its name is held by another daemon; nothing was started or said.
        """
        unit = self._make_unit(parts)
        if resting is not None:
            self._hearing.router.hears(resting, resting.channels)  # until the name is the unit's
        try:
            await life.take_name(unit, replace=False)
            if not self.is_open:
                raise Unavailable(IS_ENDING)
        except Unavailable:
            if resting is None:
                self._hearing.router.forget(unit)
            await unit.store.close()
            self._session.close_outbox(unit.publisher.outbox)
            raise
        self._rests.pop(unit.name, None)
        self._parts[unit.name], self._units[unit.name] = parts, unit
        self._living.add(unit)
        self._hearing.let(unit, parts.channels)
        self._hearing.channels.refresh()
        await self._hearing.channels.heard(HEARS_S)
        if self._living.by_name.get(unit.name) is unit:  # nobody has ended it meanwhile
            await self._take_up(unit, resting.commands if resting is not None else [])

    async def _take_up(self, unit: Unit, commands: list[Command]) -> None:
        """Start it; the first command is done when its worker is ready, others find it alive."""
        for command in commands:
            if (client := self._waiting.pop((command.id, unit.name), None)) is not None:
                unit.socket.expect(command.id, client)
        for command in commands[:1]:
            unit.submit(ev.Launched(command))
        await self._living.step(life.start, [unit])
        if self._session.subscriber_link.state is LinkState.LISTENING:
            self._living.guarded(unit, Unit.hears)
        for command in commands[1:]:
            unit.submit(ev.Commanded(command))
        self._living.guarded(unit, Unit.flush)

    # ---- answers -------------------------------------------------------------------------------

    def take_local(self, command: Command, client: Client) -> bool:
        """Take a command that came by the daemon's socket; tell whether it was for any of us."""
        meant = [one for one in self._rests.values() if one.is_meant(command)]
        for one in meant:
            self._waiting[command.id, one.name] = client
            one.take(command, expired=False)
        return bool(meant)

    def _say(self, resting: Resting, verdict: Verdict) -> None:
        for line in verdict_lines(resting.names.verdicts, verdict):
            self._session.outbox.put(line)
        client = self._waiting.pop((str(verdict.fields.get("id", "")), resting.name), None)
        if client is not None:
            client.send(verdict.fields)
        self._session.flush()

    # ---- their documents -----------------------------------------------------------------------

    def _keep(self) -> None:
        """See that the documents of those that rest are there."""
        self._loop.call_later(KEEP_S, self._keep)
        for name, resting in self._rests.items():
            key, text = resting.names.status, to_json(resting.document)
            line = ("SET", key, text, "NX", "EX", LEFT_TTL_S)  # what its last daemon said is more
            self._session.outbox.put_latest(f"rests {name}", line)
        self._session.flush()
