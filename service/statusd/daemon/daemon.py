"""The daemon: one process with its units, from the first to the last moment.

Length: the life of the process is read here on one page, from above to below.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn

from statusd import logs
from statusd.core import events as ev
from statusd.core.errors import Unavailable
from statusd.daemon.canary import PROBE_S, Canary
from statusd.daemon.desk import OTHERS_GO_ON, Desk, stays
from statusd.daemon.endpoint import answers
from statusd.daemon.health import Health
from statusd.daemon.http import HttpServer
from statusd.daemon.living import Living
from statusd.daemon.outputs import Outputs
from statusd.daemon.plan import Plan
from statusd.daemon.reloader import Reloader
from statusd.daemon.router import Router
from statusd.daemon.senders import Told
from statusd.daemon.session import Session
from statusd.daemon.signals import is_hangup
from statusd.daemon.stream_reader import StreamReader
from statusd.scheduler import Attributed
from statusd.supervision import reaper
from statusd.supervision.guard import Guard
from statusd.supervision.hang_detector import look_every_s
from statusd.unit import life
from statusd.unit.cursor import Cursor
from statusd.unit.parts import Parts
from statusd.unit.ports import Ports
from statusd.unit.publisher import BEAT_S
from statusd.unit.unit import EXIT_BUG, Unit

FLUSH_S = 1.0
"""Redis' share of a stop: so long a broker may say nothing while it is told the last words."""
OUTPUT_S = 0.5
"""So long what the workers have printed last may take to be read."""
LATER_S = 0.005
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
        self._wall = wall
        self._names = plan.names
        self._manager = plan.service_manager
        self._untidy: dict[Unit, None] = {}
        self._beat_at = 0.0
        self.left: asyncio.Future[int] = self._loop.create_future()
        canary = Canary(plan.names.canary, plan.boot)
        self.router = Router(plan.names, self._probed)
        self.hear = self.router.hear
        channels = self._channels(*(parts.channels for parts in plan.units))
        self.session = Session(plan.make_link, channels, canary, self, wall, log)
        self._guard = Guard()
        sinks = (sink for parts in plan.units for sink in parts.means.sinks or ())
        self._outputs = Outputs(sinks, self.session.complaints, log)
        are_many = len(plan.units) > 1 or plan.folder is not None
        units = (self._make_unit(parts, are_many=are_many) for parts in plan.units)
        self.units = {unit.name: unit for unit in units}
        self._living = Living(self.units.values(), stays=stays(plan.folder))
        self._retiring: set[asyncio.Task[None]] = set()
        canary.measured = self._measured
        self._reader = self._make_reader()
        self.session.subscriber_link.follower = self._reader
        self._health = Health(self._manager, self._living, self.session, self._complain_of_stuck)
        self._desk = Desk(plan, self._health, log)
        self._reloader = Reloader(
            plan.reload,
            lambda: self._living.by_name,
            self.session,
            self.router,
            lambda: self._channels(*(unit.document.channels for unit in self._living.units)),
            self._manager,
            log,
        )
        self._http = None
        if plan.listen is not None:
            self._http = HttpServer(plan.listen, answers(self.units, self.session, wall))

    def _channels(self, *heard: Sequence[str]) -> tuple[str, ...]:
        """Return all that is to be heard, each once."""
        ours = (self._names.control, self._names.canary)
        return tuple(dict.fromkeys((*ours, *(channel for some in heard for channel in some))))

    def _make_unit(self, parts: Parts, *, are_many: bool) -> Unit:
        name = parts.names.name
        loop = Attributed(self._loop, partial(self._failed, name))
        ports = Ports(
            loop=loop,
            wall=self._wall,
            broker=self.session,
            heard=partial(self.router.touched.append, name),
            later=lambda: self._tidy_later(self.units[name]),
            changed=partial(self._changed, parts),
            ended=partial(self._ended, name),
            health=lambda: self._health.health(self.units[name]),
            stream_trouble=lambda: self._reader.trouble,
            log=logs.get(unit=name) if are_many else log,
        )
        unit = Unit(parts, ports, self._guard)
        unit.publisher.outbox.failed = unit.fail
        self.router.hears(unit, parts.channels)
        return unit

    def _make_reader(self) -> StreamReader:
        session, units = self.session, {unit.cursor: unit for unit in self.units.values()}

        def noticed(cursor: Cursor) -> None:
            self._living.guarded(units[cursor], Unit.hears)

        return StreamReader(
            self._names,
            tuple(units),
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
        await self._desk.open(self._living.noted)
        for unit in self._living.units:
            await self._living.step(life.start, [unit])
        gc.freeze()  # what stands now stays: the collector need not look at it again and again
        self.session.subscriber_link.start()
        self._look()
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
        unit.log.error("unit.not_started", reason=str(error), then=OTHERS_GO_ON)
        self._living.failed(unit)
        self._forget(unit)
        await unit.store.close()
        self.session.close_outbox(unit.publisher.outbox)

    async def _close(self, code: int) -> None:
        units = self._living.units
        self._health.stop(code)
        await self.session.subscriber_link.close()
        self._stop_hearing(units)
        self._desk.close()
        if self._http is not None:
            self._http.close()
        output = self._loop.create_task(self._outputs.finish(OUTPUT_S))
        await self._say_last_words(units)
        await self.session.publisher_link.close()
        await asyncio.gather(output, *self._retiring)
        await self._living.step(life.close, units)
        self._guard.close()
        await self._manager.close()
        logs.flush()

    async def _retire(self, unit: Unit) -> None:
        """End one unit's life while others go on; whatever lives of its worker goes first."""
        unit.supervisor.kill()
        self._stop_hearing([unit])
        await self._say_last_words([unit])
        await self._living.step(life.close, [unit])
        self.session.close_outbox(unit.publisher.outbox)

    def _stop_hearing(self, units: Iterable[Unit]) -> None:
        for unit in units:
            self._living.guarded(unit, life.stop_hearing)

    async def _say_last_words(self, units: Sequence[Unit]) -> None:
        """Say what is left, and keep what the broker doesn't take."""
        await self._living.step(life.say_last_words, units)
        await self.session.drain(FLUSH_S)
        for unit in units:
            self._living.guarded(unit, life.keep_unsent)

    # ---- shared ticks ------------------------------------------------------------------------

    def sang(self) -> None:
        """Let every unit show that it lives, with every third probe."""
        now = self._loop.time()
        if now < self._beat_at or self.left.done():
            return
        self._beat_at = now + BEAT_S - PROBE_S / 2
        self._outputs.complain()
        self._living.each(Unit.beat)

    def _look(self) -> None:
        """Let every unit look after its worker, as often as the most impatient one needs it."""
        patience = [unit.status.policy.hang_timeout_s for unit in self._living.units]
        tick_s = min(BEAT_S, self._health.tick_s / 2)
        every_s = min([look_every_s(limit_s) for limit_s in patience if limit_s] or [tick_s])
        self._loop.call_later(every_s, self._look)
        self._living.each(Unit.look)

    def _tidy_later(self, unit: Unit) -> None:
        if not self._untidy:
            self._loop.call_later(LATER_S, self._tidy)
        self._untidy[unit] = None

    def _tidy(self) -> None:
        """Let those units write what nobody waits for, together for what came together."""
        untidy, self._untidy = self._untidy, {}
        for unit in untidy:
            self._living.guarded(unit, Unit.tidy)
        logs.flush()
        if self.session.drained is not None:
            self.session.check_drained()

    def _failed(self, name: str, error: Exception) -> None:
        """A unit's part has raised something where the loop has called it."""
        self.units[name].fail(error)

    def _changed(self, parts: Parts) -> None:
        """A unit has another state."""
        self._health.report()
        parts.look(self.units[parts.names.name].status)

    def _measured(self, seconds: float) -> None:
        """The canary has come back: that is as long for each unit."""
        self._living.each(lambda unit: unit.reporter.counts.canary.add(seconds))

    # ---- what the session tells --------------------------------------------------------------

    def _probed(self, payload: bytes) -> None:
        self.session.probed(payload)

    def read_complete(self) -> None:
        """All that had arrived together has been told."""
        touched = self.router.touched.copy()
        self.router.touched.clear()
        for name in touched:
            unit = self.units[name]
            unit.intake.is_quiet = True
            try:
                unit.flush()
            except Exception as error:  # the safety net, as in `Living.guarded`
                unit.fail(error)
        for unit in self.units.values():
            if unit.publisher.outbox.dropped != unit.reporter.told_drops:
                self._living.guarded(unit, Unit.flush)
        if self.session.drained is not None:
            self.session.check_drained()

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
        log.info("signal.received", signal=name, **({"sender": sender} if sender else {}))
        if name == "SIGHUP" and not is_hangup():
            self._outputs.reopen()
            self._reloader.reload()
            return
        if self._living.asked_to_end() > 2:
            self._get_out(name)
        self._living.signalled(ev.Signalled(name, sender))
        if not self._living.units:
            self._leave(self._living.code)

    def _get_out(self, name: str) -> NoReturn:
        """Leave at once: the third time it was asked for."""
        self._living.each(lambda unit: unit.supervisor.kill())
        self._living.each(Unit.note)
        log.warning("left.at_once", signal=name)
        os._exit(128 + signal.Signals[name])

    def _ended(self, name: str, code: int) -> None:
        """A unit has come to its end; the last one takes the daemon with it."""
        unit = self.units[name]
        if self._living.ended(unit, code):
            self._forget(unit)
            task = self._loop.create_task(self._retire(unit))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        elif self._living.are_over:
            self._leave(self._living.code)

    def _forget(self, unit: Unit) -> None:
        """Let it hear nothing any more."""
        self.router.forget(unit)
        self._reader.forget(unit.cursor)

    def _leave(self, code: int) -> None:
        if not self.left.done():
            self.left.set_result(code)

    def _loop_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something has failed, and nobody knows whose it was."""
        log.critical("bug.caught", message=context["message"], exc_info=context.get("exception"))
        self._leave(EXIT_BUG)

    # ---- complaints --------------------------------------------------------------------------

    def _complain_of_stream(self, event: str, reason: str) -> None:
        self.session.complaints.report(event, event, key=self._names.commands, reason=reason)

    def _complain_of_stuck(self, parts: list[str]) -> None:
        what, then = f"stuck {' '.join(parts)}", "the watchdog is not fed"
        self.session.complaints.report(what, "loop.stuck", parts=parts, then=then)
