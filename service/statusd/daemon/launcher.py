"""The units that have ended, and their way back: a folder's daemon begins one again by command.

Rules of this file: one at a time begins of each name; nothing of an ended unit is opened before
somebody wants it, and then no disk is waited for on the loop; a launch that fails is refused, with
its reason, and the unit rests on.

Length: whoever goes may come again before he has gone; both ways are read together.
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
from statusd.daemon import unsaid
from statusd.daemon.channels import Channels
from statusd.daemon.comings import Comings
from statusd.daemon.farewell import Farewell
from statusd.daemon.living import Living
from statusd.daemon.outputs import Outputs
from statusd.daemon.plan import Plan, without_units
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
from statusd.wire.outbox import RedisCommand

KEEP_S = 600.0
"""So often the documents of those that rest are written, if they have run out."""
HEARS_S = 5.0
"""So long a unit waits at most until the broker has taken its channels."""
OUTPUT_S = 5.0
"""So long a disk may take what was printed last into a file that nobody prints to any more."""
IS_ENDING = "its daemon is ending"
WAS_ENDED = "it was ended before it had begun"


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
        outputs: where workers print to; log: where it is told.
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
        outputs: Outputs,
        log: Any,
    ) -> None:
        self._plan, self._session = without_units(plan), session
        self._units, self._living = units, living
        self._farewell, self._hearing, self._make_unit = farewell, hearing, make_unit
        self._outputs, self._log = outputs, log
        self._parts = {parts.names.name: parts for parts in plan.units}
        self._rests: dict[str, Resting] = {}
        self._unsaid: set[str] = set()
        """Those that have left something to say in their state files."""
        self._coming: set[Resting] = set()
        """Those in whose place a unit lives that hasn't begun yet."""
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[tuple[str, str], Client] = {}
        self._dismissed: dict[str, Then] = {}
        """Those that are to end by themselves, and what is to be then."""
        self.comings = Comings()
        self.tasks: set[asyncio.Task[None]] = set()
        """Those in which units come and go."""
        self._closing: set[asyncio.Task[None]] = set()
        """Those in which files are closed that nobody prints to any more."""
        self.is_open = plan.folder is not None

    @property
    def rests(self) -> Mapping[str, Resting]:
        """Those that rest, by name."""
        return self._rests

    def open(self) -> None:
        """Let those rest that a command had ended before this daemon began."""
        if self._plan.folder is None:
            return
        descriptors.allow_for(len(self._parts) + len(self._plan.folder.ended))
        for name, parts in self._plan.folder.ended.items():
            document = ended_before(parts, self._plan.names.name)
            self._rest(parts, parts.kept.place, document, asks=True)
            by = parts.kept.ended.by if parts.kept.ended is not None else ""
            then = f"statusd launch {name}"
            self._log.info("unit.rests", unit=name, **({"by": by} if by else {}), then=then)
            if unsaid.is_left(parts):
                self._unsaid.add(name)
        self._keep()

    # ---- they go -------------------------------------------------------------------------------

    def forget(self, unit: Unit) -> None:
        """Let it hear nothing any more."""
        self._hearing.forget(unit)

    def retire(self, unit: Unit) -> None:
        """End the life of a unit while others go on; it rests, if it may be launched again."""
        self._hearing.forget(unit)
        task = self._start(self._retire(unit))
        what = self._dismissed.pop(unit.name, Then.REST)
        if not self.is_open or what is Then.GO:
            return
        self._leaving[unit.name] = task
        place, asks = unit.cursor.place, unit.cursor.asks
        self._rest(self._parts[unit.name], place, unit.document.fields(), asks=asks)
        cause = unit.status.ended
        is_by_command = cause is not None and cause.is_asked
        if what is Then.BEGIN_ANEW and not is_by_command:  # whom somebody has ended stays so
            self._start(self._begin(self._rests[unit.name]))

    async def _retire(self, unit: Unit) -> None:
        await self._farewell.retire(unit)
        if unit.publisher.outbox.unsent(1):
            self._unsaid.add(unit.name)
            self.say_unsaid()

    def say_unsaid(self) -> None:
        """Say what those that rest had left to say, if the broker is there."""
        if self.is_open and self._session.publisher_link.state is LinkState.LISTENING:
            for name in [name for name in self._unsaid if name in self._rests]:
                self._unsaid.remove(name)
                self._leaving[name] = self._start(self._say_for(name, self._leaving.get(name)))

    async def _say_for(self, name: str, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        resting = self._rests.get(name)
        if resting is None or resting.commands:  # its next life says it
            return
        try:
            parts = await self._made(name)
        except (StatusdError, OSError) as error:
            self._log.warning("unit.not_told", unit=name, reason=str(error))
            return
        left = resting.left(parts.kept.memory.open)
        lines = [line for one in left for line in verdict_lines(resting.names.verdicts, one)]
        if await unsaid.say(parts, lines, self._session, self._log):
            self._keep_document(resting)  # nor has the broker the last one of its life
            self._session.flush()
        else:
            self._unsaid.add(name)

    def dismiss(self, name: str, reason: str, then: Then) -> None:
        """Let a unit end, if it lives; one that rests goes at once, if it is to go."""
        unit = self._living.by_name.get(name)
        if unit is not None:
            self._dismissed[name] = then
            self._living.guarded(unit, lambda unit: unit.happened(ev.Dismissed(reason)))
        elif then is Then.GO and (resting := self._rests.pop(name, None)) is not None:
            self._hearing.forget(resting)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not self.tasks and self.is_open:
            self._forget_gone()

    def _forget_gone(self) -> None:
        """Nobody comes or goes just now: keep nothing of those that are gone."""
        self._leaving.clear()
        self._waiting.clear()
        living = self._living.by_name
        for name in [name for name in self._parts if name not in {*living, *self._rests}]:
            del self._parts[name]
            self._units.pop(name, None)
        used = {sink for name in living for sink in self._parts[name].means.sinks}
        task = asyncio.get_running_loop().create_task(self._outputs.keep(used, OUTPUT_S))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _rest(
        self, parts: Parts, place: StreamPosition, document: Mapping[str, Any], *, asks: bool
    ) -> None:
        resting = Resting(parts, place, document, self._session, self._launch, self._say, asks=asks)
        self._rests[resting.name] = resting
        self._hearing.let(resting, resting.channels)

    def close(self) -> None:
        """Nobody begins any more."""
        self.is_open = False
        for resting in (*self._rests.values(), *self._coming):
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
            async with self.comings.one():
                parts = await self._made(name)
                if parts.kept.ended is None:
                    await self._join(parts, None)
                    return
                parts.state_file.give_up()
                document = ended_before(parts, self._plan.names.name)
                self._rest(parts, parts.kept.place, document, asks=True)
                self._hearing.channels.refresh()
                if unsaid.is_left(parts):
                    self._unsaid.add(name)
                    self.say_unsaid()
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
        again = partial(self._plan.folder.again, name, asyncio.get_running_loop())
        return await threads.apart(again, f"launch {name}")

    async def _begin(self, resting: Resting) -> None:
        name, by = resting.name, resting.commands[0].by if resting.commands else ""
        if name in self._leaving:
            await asyncio.wait([self._leaving.pop(name)])
        try:
            async with self.comings.one():
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
        waiting = {resting} if resting is not None else set()
        self._coming |= waiting  # whoever closes us refuses those who wait for it
        await self._hearing.channels.heard(HEARS_S)
        self._coming -= waiting
        if self.is_open and self._living.by_name.get(unit.name) is unit:
            await self._take_up(unit, resting.commands if resting is not None else [])
        elif resting is not None:
            resting.refuse(WAS_ENDED)

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
        asyncio.get_running_loop().call_later(KEEP_S, self._keep)
        for resting in self._rests.values():
            self._keep_document(resting, "NX")  # what its last daemon said is more
        self._session.flush()

    def _keep_document(self, resting: Resting, *how: str) -> None:
        names, said = resting.names, to_json(resting.document)
        for what, key, text in (
            ("rests", names.status, said),
            ("drawn", names.lifecycle, resting.drawn()),
        ):
            line: RedisCommand = ("SET", key, text, *how, "EX", LEFT_TTL_S)
            self._session.outbox.put_latest(f"{what} {resting.name}", line)
