"""The daemon: one process with its units, from the first to the last moment.

Length: the life of the process is read here on one page, from above to below.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from statusd import logs
from statusd.core import events as ev
from statusd.core.answers import remembered_by_each
from statusd.core.errors import Unavailable
from statusd.core.prompts import of_signal
from statusd.daemon.canary import Canary
from statusd.daemon.channels import Channels
from statusd.daemon.desk import Desk
from statusd.daemon.endpoint import server
from statusd.daemon.farewell import Farewell
from statusd.daemon.health import Health
from statusd.daemon.launcher import Hearing, Launcher
from statusd.daemon.living import Living
from statusd.daemon.outputs import Outputs
from statusd.daemon.plan import Plan, all_parts, launches, stays, without_units
from statusd.daemon.reconciler import Reconciler
from statusd.daemon.reloader import Reloader
from statusd.daemon.router import Router
from statusd.daemon.senders import Told
from statusd.daemon.session import Session
from statusd.daemon.signals import is_hangup
from statusd.daemon.stream_reader import StreamReader
from statusd.daemon.ticks import Ticks
from statusd.scheduler import Attributed
from statusd.supervision import reaper
from statusd.supervision.guard import Guard
from statusd.unit import life
from statusd.unit.cursor import Cursor
from statusd.unit.parts import Parts
from statusd.unit.ports import Ports
from statusd.unit.unit import EXIT_BUG, Unit

OUTPUT_S = 0.5
"""So long what the workers have printed last may take to be read."""
TOGETHER = 16
"""The answers of so many units go out in one piece: more would keep the first ones waiting."""
LATER_S = 0.02
"""So soon after it is new what nobody waits for is written."""

log = logs.get()


class Daemon:
    """Runs its units over one broker session.

    Args:
        plan: what it is made of.
        wall: the wall clock in seconds; only a label, never a measure.
    """

    def __init__(self, plan: Plan, wall: Callable[[], float] = time.time) -> None:
        self._loop = asyncio.get_running_loop()
        self._plan, self._wall = without_units(plan), wall
        self._untidy: dict[Unit, None] = {}
        self.left: asyncio.Future[int] = self._loop.create_future()
        canary = Canary(plan.names.canary, plan.boot)
        self.router = Router(plan.names, self._probed)
        self.hear = self.router.hear
        begin_with = self._channels(*(parts.heard for parts in all_parts(plan)))
        self.session = Session(plan.make_link, begin_with, canary, self, wall, log)
        self._guard = Guard()
        self._outputs = Outputs(plan.outlets, self.session.complaints, log)
        make_unit = partial(self._make_unit, remembered_by_each(len(all_parts(plan))))
        self.units = {parts.names.name: make_unit(parts) for parts in plan.units}
        self._living = Living(self.units.values(), stays=stays(plan.folder))
        self._farewell = Farewell(self.session, self._living)
        canary.measured = self._measured
        self._reader = self._make_reader()
        self.session.subscriber_link.follower = self._reader
        manager, stuck = plan.service_manager, self._complain_of_stuck
        self._health = Health(manager, self._living, self.session, stuck)
        channels = Channels(self.session, self._heard)
        self._launcher = Launcher(
            plan,
            self.session,
            self.units,
            self._living,
            self._farewell,
            Hearing(self.router, self._reader, channels),
            make_unit,
            self._outputs,
            log,
        )
        self._ticks = Ticks(self._living, self._loop, self._health.tick_s, self._outputs.complain)
        self._reloader = Reloader(
            plan.reload,
            lambda: self._living.by_name,
            self.session,
            self.router,
            channels,
            self._launcher.comings,
            manager,
            log,
        )
        reconciler = Reconciler.of(plan.folder, self._launcher, self._reloader, log)
        self._desk = Desk(plan, self._living, self._launcher, reconciler, self._health, log)
        self._http = server(plan.listen, self.units, self._living, self.session, wall)

    def _channels(self, *heard: Sequence[str]) -> tuple[str, ...]:
        """Return all that is to be heard, each once."""
        ours = (self._plan.names.control, self._plan.names.canary)
        return tuple(dict.fromkeys((*ours, *(channel for some in heard for channel in some))))

    def _heard(self) -> tuple[str, ...]:
        """Return all that units hear, also those that rest."""
        living = ((*u.document.channels, u.logs.channel) for u in self._living.units)
        return self._channels(*living, *(one.channels for one in self._launcher.rests.values()))

    def _make_unit(self, remembers: int, parts: Parts) -> Unit:
        """Return a unit that hears, and does nothing yet."""

        def failed(error: Exception) -> None:
            unit.fail(error)

        loop = Attributed(self._loop, failed)
        ports = Ports(
            loop=loop,
            wall=self._wall,
            broker=self.session,
            heard=partial(self.router.touched.append, parts.names.name),
            later=lambda: self._tidy_later(unit),
            changed=lambda: self._changed(parts, unit),
            ended=lambda code: self._ended(unit, code),
            health=lambda: self._health.health(unit),
            stream_trouble=lambda: self._reader.trouble,
            log=logs.of(parts.means.spec.unit),
            daemon=launches(self._plan),
        )
        unit = Unit(parts, ports, self._guard)
        unit.publisher.outbox.failed = unit.fail
        unit.status.remember(remembers)
        self.router.hears(unit, parts.channels)
        return unit

    def _make_reader(self) -> StreamReader:
        session = self.session

        def noticed(cursor: Cursor) -> None:
            for unit in self._living.units:
                if unit.cursor is cursor:
                    self._living.guarded(unit, Unit.hears)

        return StreamReader(
            self._plan.names,
            [unit.cursor for unit in self.units.values()],
            ask=session.subscriber_link.ask,
            caught_up=session.subscriber_link.caught_up,
            noticed=noticed,
            complain=self._complain_of_stream,
            told_time=session.subscriber_link.server.take_time,
        )

    # ---- the life ----------------------------------------------------------------------------

    async def live(self, early: Callable[[Told], None], *, replace: bool = False) -> int:
        """Live until the last unit has ended and return the exit code.

        Args:
            early: hands over the signals; called with whom to tell.
            replace: an older daemon that holds a name is asked to end first.

        Raises:
            Unavailable: another daemon holds a name, or the port; nothing was started.
        """
        self._loop.set_exception_handler(self._loop_failed)
        early(self._signalled)
        self.session.publisher_link.start()
        if not await self._take_names(replace=replace):
            return 0
        self._living.begin()
        await self._desk.open()
        self._launcher.open()
        await self._living.in_turn(life.start)
        gc.freeze()  # what stands now stays: the collector need not look at it again and again
        self.session.subscriber_link.start()
        self._ticks.look()
        self.session.prove()
        self._health.tick()
        if self._living.are_over:
            self._leave(self._living.code)
        code = await self.left
        await self._close(code)
        return code

    async def _take_names(self, *, replace: bool) -> bool:
        """Take the name of each unit; of a folder, one that can't have its own stays out alone.

        False: we were asked to end meanwhile, and nothing was started or said.
        """
        units = self._living.units
        held = await self._living.unless_signalled(partial(life.take_name, replace=replace))
        if held is None:
            return await self._leave_unbegun(units)
        may_lack = self._desk.is_worth_it(len(units) - len(held))
        try:
            for error in held.values():
                if not may_lack or not isinstance(error, Unavailable):
                    raise error
            if self._http is not None:  # only now: an older daemon may have had the port
                await self._http.start()
        except Unavailable:  # leave before anything was started or said
            await self._leave_unbegun(units)
            raise
        for unit, error in held.items():
            await self._stay_out(unit, error)
        return True

    async def _leave_unbegun(self, units: Sequence[Unit]) -> bool:
        await self.session.publisher_link.close()
        for unit in units:
            await unit.store.close()
        return False

    async def _stay_out(self, unit: Unit, error: BaseException) -> None:
        """Go on without a unit that could not begin, and that has said nothing."""
        self._desk.stays_out(unit, error)
        self._launcher.forget(unit)
        await unit.store.close()
        self.session.close_outbox(unit.publisher.outbox)

    async def _close(self, code: int) -> None:
        units = self._living.units
        self._health.stop(code)
        await self.session.subscriber_link.close()
        self._farewell.stop_hearing(units)
        self._desk.close()
        self._launcher.close()
        if self._http is not None:
            self._http.close()
        output = self._loop.create_task(self._outputs.finish(OUTPUT_S))
        await self._farewell.say_last_words(units)
        await self.session.publisher_link.close()
        await asyncio.gather(output, *self._launcher.tasks)
        await self._farewell.close(units)
        self._guard.close()
        await self._plan.service_manager.close()
        logs.flush()

    # ---- shared ticks ------------------------------------------------------------------------

    def sang(self) -> None:
        """A probe goes out: what units show of themselves goes with it."""
        if not self.left.done():
            self._ticks.sang()

    def _tidy_later(self, unit: Unit) -> None:
        if not self._untidy:
            self._loop.call_later(LATER_S, self._tidy)
        self._untidy[unit] = None

    def _tidy(self) -> None:
        """Let those units write what nobody waits for, together for what came together."""
        untidy, self._untidy = self._untidy, {}
        for unit in untidy:
            try:
                unit.tidy()
            except Exception as error:  # the safety net, as in `Living.guarded`
                unit.fail(error)
        self.session.flush()
        logs.flush()
        if self.session.drained is not None:
            self.session.check_drained()

    def _changed(self, parts: Parts, unit: Unit) -> None:
        """A unit has another state."""
        self._health.report()
        parts.look(unit.status)

    def _measured(self, seconds: float) -> None:
        """The canary has come back: that is as long for each unit."""
        self._living.each(lambda unit: unit.reporter.counts.canary.add(seconds))

    # ---- what the session tells --------------------------------------------------------------

    def _probed(self, payload: bytes) -> None:
        self.session.probed(payload)

    def read_complete(self) -> None:
        """All that had arrived together has been told; many units send their answers together."""
        touched = self.router.touched.copy()
        self.router.touched.clear()
        if len(touched) == 1:
            self._flush(touched)
        for at in range(0, len(touched) if len(touched) > 1 else 0, TOGETHER):
            with self.session.sending.together():
                self._flush(touched[at : at + TOGETHER])
        if self.session.drained is not None:
            self.session.check_drained()

    def _flush(self, names: Sequence[str]) -> None:
        """Let units say what they have left to say to all that had arrived together."""
        for name in names:
            if (unit := self.units.get(name)) is None:  # it has gone meanwhile
                continue
            unit.intake.is_quiet = True
            try:
                unit.flush()
            except Exception as error:  # the safety net, as in `Living.guarded`
                unit.fail(error)

    def hears(self) -> None:
        """The hearing link listens again, and has read what it missed."""
        self._living.each(Unit.hears)

    def is_deaf(self, reason: str) -> None:
        """The hearing link is lost, or could not be made."""
        self._living.each(lambda unit: unit.is_deaf(reason))

    def proved(self) -> None:
        """The hearing link was just proved to hear."""
        now = self._wall()
        self._living.each(lambda unit: unit.outages.heard(now))

    def is_unreachable(self) -> None:
        """An attempt to make the sending link has failed."""
        self._living.each(lambda unit: unit.lease.unreachable())

    def link_changed(self) -> None:
        """A link is up, or lost."""
        self._reloader.maybe_done()
        self._launcher.say_unsaid()
        self._living.each(Unit.link_changed)
        self._health.report()

    def link_failed(self) -> None:
        """Another attempt to make a link has failed."""
        self._reloader.maybe_done()
        self._health.report()

    # ---- the end -----------------------------------------------------------------------------

    def _signalled(self, name: str, sender: str) -> None:
        if name == "SIGCHLD":
            reaper.reap_orphans()
            return
        word = self._plan.prompts.get(name, "")
        told = {"command": word, "sender": sender}
        log.info("signal.received", signal=name, **{key: v for key, v in told.items() if v})
        if word:
            self._living.prompted(of_signal(word, name, sender, self._loop.time()))
            return
        if name == "SIGHUP" and not is_hangup():
            self._outputs.reopen()
            self._reloader.reload()
            return
        if self._living.asked_to_end() > 2:
            self._get_out(name)
        self._launcher.close()
        self._living.signalled(ev.Signalled(name, sender))
        if not self._living.units:
            self._leave(self._living.code)

    def _get_out(self, name: str) -> NoReturn:
        """Leave at once: the third time it was asked for."""
        self._living.each(lambda unit: unit.supervisor.kill())
        self._living.each(Unit.note)
        log.warning("left.at_once", signal=name)
        os._exit(128 + signal.Signals[name])

    def _ended(self, unit: Unit, code: int) -> None:
        """A unit has come to its end; the last one takes the daemon with it."""
        if self.units.get(unit.name) is unit and self._living.ended(unit, code):
            self._launcher.retire(unit)
        elif self._living.are_over:
            self._leave(self._living.code)

    def _leave(self, code: int) -> None:
        if not self.left.done():
            self.left.set_result(code)

    def _loop_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something has failed, and nobody knows whose it was."""
        log.critical("bug.caught", message=context["message"], exc_info=context.get("exception"))
        self._leave(EXIT_BUG)

    # ---- complaints --------------------------------------------------------------------------

    def _complain_of_stream(self, event: str, reason: str) -> None:
        self.session.complaints.report(event, event, key=self._plan.names.commands, reason=reason)

    def _complain_of_stuck(self, parts: list[str]) -> None:
        then = "the watchdog is not fed"
        self.session.complaints.report("stuck", "loop.stuck", parts=parts, then=then)
