"""The life of a daemon: one way in (`Daemon.take`), one way out (its effects), one thread.

Rules of this file: the status is touched by `take` alone; nothing here waits for anything slow;
what is to be waited for comes back as an input.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import hiredis

from statusd import logs
from statusd.complaints import EVERY_S, Complaints
from statusd.core import events as ev
from statusd.core.errors import BadMessage, StatusdError, Unavailable
from statusd.core.messages import Command, Verdict, parse
from statusd.core.outbox import Line
from statusd.core.place import NOWHERE
from statusd.core.policy import Policy
from statusd.core.status import Status
from statusd.core.text import shown
from statusd.core.times import rfc3339
from statusd.core.unit import Deaf
from statusd.daemon.canary import DEAF_S, LATE_S, SING_S, Canary
from statusd.daemon.commands import CommandStream
from statusd.daemon.endpoint import answers
from statusd.daemon.heartbeat import Turn
from statusd.daemon.http import HttpServer
from statusd.daemon.metrics import Sources
from statusd.daemon.service_manager import ServiceManager
from statusd.daemon.signals import is_hangup
from statusd.daemon.steward import Steward
from statusd.supervision import children
from statusd.supervision.guard import Guard
from statusd.supervision.output import Sink
from statusd.supervision.process import Process
from statusd.supervision.sides import Spec
from statusd.supervision.survivor import Survivor
from statusd.supervision.watchdog import Watchdog, look_every_s
from statusd.supervision.worker_file import WorkerFile
from statusd.unit.counts import Counts
from statusd.unit.document import Proof, document
from statusd.unit.hearing import Hearing
from statusd.unit.history import History
from statusd.unit.local_socket import Client, LocalSocket
from statusd.unit.outages import Outages
from statusd.unit.presence import Holder, Presence
from statusd.unit.state_file import StateFile
from statusd.unit.voice import BEAT_S, Voice
from statusd.wire.address import Address
from statusd.wire.link import Link, LinkState
from statusd.wire.listen import Listen
from statusd.wire.local import HEALTH
from statusd.wire.names import Names
from statusd.wire.patterns import MOST_BYTES

EXIT_OUSTED = 78
"""The name is held by another daemon: starting again won't mend that."""
EXIT_BUG = 70
"""An error in statusd itself (EX_SOFTWARE of sysexits.h)."""
FLUSH_S = 1.0
"""Redis' share of a stop: so long the last words may take."""
MOST_UNSENT = 500
"""So many lines that could not be sent are kept for the next start."""
STATE_S = 0.5
"""So long a last verdict may wait for the state file."""
OUTPUT_S = 0.5
"""So long what the worker has printed last may take to be read."""
LASTING_S = 0.1
"""A command that has been open for so long is kept for the next daemon to answer."""
UNSEEN_S = 0.02
"""So long the document waits for the worker to be seen in a new state."""
LOGGED_ANSWERS = 20
"""So many answers a second are logged; the rest is counted."""
LINK_S = 30.0
"""A broker that is away is logged again after this time: there are two links."""
UNBLOCK_S = 0.05
"""So soon the broker is asked again to end a read that it hadn't come to."""

log = logs.get()


class Change(NamedTuple):
    """New settings for a running unit, and the keys that have changed."""

    policy: Policy
    tags: frozenset[str]
    channels: tuple[str, ...]
    address: Address
    level: str
    lasting_s: float
    changed: list[str]
    needs_restart: list[str]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon is made of; see `wiring`."""

    status: Status
    names: Names
    spec: Spec
    sinks: tuple[Sink, Sink] | None
    state_file: StateFile
    unsent: tuple[Line, ...]
    deaf: Deaf | None
    last_boot: int
    socket: Path
    reload: Callable[[], Change]
    service_manager: ServiceManager
    make_link: Callable[[Any, tuple[str, ...]], Link]
    channels: tuple[str, ...]
    lasting_s: float
    fresh: bool
    listen: Listen | None = None
    worker_file: WorkerFile | None = None
    make_process: Callable[..., Process] = Process


class Daemon:
    """Feeds what happens into the status and does what it decides.

    Args:
        parts: what it is made of.
        wall: the wall clock in seconds; only a label, never a measure.
    """

    _busy = _is_named = False
    _trouble = ""
    """What was told last of the disk."""
    _dropped = _lost = _ignored = _handled = _looked = 0
    _told_drops = (0, 0)
    """How many lines, and how many of the history, are known to readers to have been dropped."""
    _reloads: tuple[Change, ...] = ()
    """Those that are done when each channel is confirmed."""
    _gap: Line = ()
    """The last outage, on its way to the history."""
    _durable: tuple[Command, ...] = ()
    """The commands whose effects wait for the state file."""
    _unblocking: Line = ()
    """The question that lets the broker take new channels at once."""
    _owed: tuple[Verdict, ...] = ()
    """The answers to older commands among those effects."""
    _obeyed: tuple[int, str] = (0, "")
    """The last entry of the stream that was obeyed without being kept, and the `save` that would
    have kept it."""

    def __init__(self, parts: Parts, wall: Callable[[], float] = time.time) -> None:
        self._loop = asyncio.get_running_loop()
        self._status = parts.status
        self._parts = parts
        self._wall = wall
        self._channels = parts.channels
        self._ear = parts.make_link(self, self._heard_channels())
        self._mouth = parts.make_link(self, ())
        self._inherited = parts.unsent
        self._mouth.outbox.inherit(parts.unsent)
        self._complaints = Complaints(self._loop.time)
        self._history = self._make_history()
        self._voice = Voice(self._mouth.outbox, parts.names, self._history.put)
        self._hearing = Hearing(
            parts.status,
            parts.names,
            take=self.take,
            broker_time=self._broker_time,
            look_again=self.settle,
            is_behind=lambda: self._busy,
            echoed=self._echoed,
            heard_at=self._ear.heard_at,
        )
        self.hear = self._hearing.hear
        self._commands = self._make_commands()
        self._ear.follower = self._commands
        self._ear.heard_all, self._mouth.proved = self._maybe_reloaded, self._proved
        self._outages = Outages(wall(), parts.deaf)
        self._counts = Counts()
        self._canary = Canary(parts.names.canary, parts.status.identity.boot)
        self._canary.measured = self._counts.canary.add
        self._prove_at = self._beat_at = 0.0
        self._inbox: deque[ev.Input] = deque()
        self._unkept: tuple[int, list[ev.Effect]] | None = None
        self._said_place = (parts.state_file.place, "")
        self._impatience: asyncio.TimerHandle | None = None
        self._process: Process | None = None
        self._guard = Guard()
        self._timers: dict[ev.Timer, asyncio.TimerHandle] = {}
        self._due: dict[ev.Timer, float] = {}
        self._perform = self._performers()
        parts.status.show_now, parts.status.objection = self._show, self._objection
        self._stale = True
        self._show_at = 0.0
        self._showing: asyncio.TimerHandle | None = None
        self._save = False
        self._since = wall()
        self._http = None if parts.listen is None else self._make_http(parts.listen)
        self._logged_in = self._logged = self._unlogged = 0
        self._asked_to_end = 0
        self._watchdog = Watchdog()
        self._steward = Steward(
            parts.service_manager,
            parts.status,
            self._ear,
            self._mouth,
            record=lambda: None if self._process is None else self._process.record(),
            turns=self._turns,
            trouble=lambda: self._parts.state_file.trouble,
            complain=self._complain_of_stuck,
        )
        self.left: asyncio.Future[int] = self._loop.create_future()
        self._drained: asyncio.Future[None] | None = None
        self._local = LocalSocket(parts.socket, self._hear_local)
        self._holder: Holder | None = None
        self._held: list[Verdict] = []
        self._looking_again: asyncio.TimerHandle | None = None
        parts.state_file.written = self._state_written
        self._presence = Presence(
            self._mouth.outbox,
            parts.names,
            lambda: parts.status.identity,
            last_boot=parts.last_boot,
            wall=wall,
            ousted=self._ousted,
            confirmed=self._history.confirmed,
        )

    def _make_history(self) -> History:
        return History(
            self._mouth.outbox,
            self._parts.names,
            complain=lambda event, reason: self._complain(event, event, reason=reason),
            mended=self._history_mended,
        )

    def _make_commands(self) -> CommandStream:
        parts = self._parts
        return CommandStream(
            parts.names,
            parts.status.place,
            fresh=parts.fresh,
            lasting_s=parts.lasting_s,
            ask=self._ear.ask,
            has_expired=self._hearing.has_expired,
            deliver=self.take,
            caught_up=self._ear.caught_up,
            noticed=self._tell_gap,
            complain=self._complain_of_stream,
            broker_time=self._broker_time,
            told_time=self._ear.take_time,
            write_anew=self._write_cursor_anew,
        )

    def _make_http(self, where: Listen) -> HttpServer:
        sources = Sources(
            self._status,
            self._ear,
            self._mouth,
            self._outages,
            self._hearing,
            self._counts,
            process=lambda: self._process,
            since=lambda: self._since,
            wall=self._wall,
            state_file=self._parts.state_file,
        )
        return HttpServer(where, answers(sources))

    # ---- the life ----------------------------------------------------------------------------

    async def live(
        self, early: Callable[[Callable[[str], None]], None], *, replace: bool = False
    ) -> int:
        """Live until END and return the exit code.

        Args:
            early: hands over the signals; called with whom to tell.
            replace: an older daemon that holds the name is asked to end first.

        Raises:
            Unavailable: another daemon holds the name, or the port; nothing was started.
        """
        self._loop.set_exception_handler(self._loop_failed)
        early(self._signalled)
        self._mouth.start()
        await self._take_name(replace=replace)
        await self._local.start()
        self.take(ev.Booted(self._find_survivor()))
        gc.freeze()  # what stands now stays: the collector need not look at it again and again
        self._ear.start()
        self._beat()
        self._watch()
        self._prove()
        self._steward.turn()
        code = await self.left
        await self._close(code)
        return EXIT_OUSTED if self._holder is not None else code

    async def _take_name(self, *, replace: bool) -> None:
        found = await self._presence.take_name(self._mouth.flush, replace=replace)
        if isinstance(found, Holder):
            await self._turn_back()
            name = self._status.identity.name
            cure = "end it first, start with --replace, or give this one another name"
            raise Unavailable(f"a unit named {name!r} is alive {found.text()}: {cure}")
        if self._http is not None:
            try:  # only now: an older daemon of this name may have had the port
                await self._http.start()
            except Unavailable:
                await self._turn_back()
                raise
        self._status.rise_above(found)
        self._presence.take()
        self._is_named = True

    def _find_survivor(self) -> int:
        """Put what lives of an earlier daemon's worker in the place of ours.

        Returns:
            Its run; 0 for none.
        """
        file, status = self._parts.worker_file, self._status
        left = file.load() if file is not None else None
        if left is None or not left.members():
            return 0
        run = max(left.run, status.worker.run)
        spec = self._parts.spec
        self._process = Survivor(left, spec, run, self.take, self.settle, self._guard)
        return run

    async def _turn_back(self) -> None:
        """Leave before anything was started or said."""
        await self._mouth.close()
        await self._parts.state_file.close()

    async def _close(self, code: int) -> None:
        self._steward.stop(code)
        for timer in self._timers.values():
            timer.cancel()
        await self._ear.close()
        for verdict in self._hearing.last_answers():
            self._answer(verdict)
        if self._http is not None:
            self._http.close()
        self._local.close()
        output = [sink.finish(OUTPUT_S) for sink in set(self._parts.sinks or ())]
        closing = asyncio.gather(*output)
        await self._say_last_words()
        await self._mouth.close()
        await closing
        if self._process is not None:
            self._process.stop(ev.Force.KILL)
            self._process.close()
        self._guard.close()
        if self._parts.worker_file is not None and not self._status.worker.alive:
            await self._parts.worker_file.forget(STATE_S)
        await self._parts.state_file.close()
        await self._parts.service_manager.close()

    async def _say_last_words(self) -> None:
        if self._held or self._unkept is not None:  # a write is under way, and it is short
            await self._parts.state_file.idle(STATE_S)
            self._go_on()
            self._say_held()
        if self._holder is None:
            self._presence.leave()
            self._mouth.flush()
        if self._mouth.outbox:
            await self._drain()
        unsent = self._mouth.outbox.unsent(MOST_UNSENT)
        if unsent:
            log.warning("outbox.unsent", lines=len(unsent), then="the next start sends them")
        if unsent != self._inherited:  # what the broker has, the next start must not send
            self._inherited = unsent
            self._keep(unsent)

    async def _drain(self) -> None:
        """Wait until the broker has everything, or one try at it has failed; `FLUSH_S` at most.

        Only from here on can that be told: before, more last words may come, however empty the
        outbox is.
        """
        if self._mouth.state is not LinkState.LISTENING:
            self._mouth.hurry()
        self._drained = self._loop.create_future()
        await asyncio.wait([self._drained], timeout=FLUSH_S)

    # ---- one way in --------------------------------------------------------------------------

    def take(self, happened: ev.Input) -> None:
        """Feed one input into the status and perform its effects, in order.

        What an effect causes waits its turn. Nothing raised in here is anybody's fault but ours.
        """
        self._inbox.append(happened)
        if not self._busy:
            self._work_off(())

    def _work_off(self, effects: Iterable[ev.Effect]) -> None:
        """Perform ``effects``, then what waits in the inbox leads to.

        What a durable command leads to waits for the state file; so does everything after it.
        """
        self._busy = True
        try:
            perform = self._perform
            for effect in effects:
                perform[type(effect)](effect)
            while self._inbox:
                happened = self._inbox.popleft()
                self._handled += 1
                self._hearing.forget()
                effects = self._status.handle(happened, self._loop.time())
                if type(happened) is ev.Delivered and _does_something(effects):
                    self._keep_first(happened, effects)
                    return
                for effect in effects:
                    perform[type(effect)](effect)
        except Exception:  # the safety net: a bug must not leave a worker without its daemon
            log.exception("bug.caught")
            self._leave(EXIT_BUG)
        self._busy = False

    def _say_place(self) -> None:
        """Say in Redis how far the stream is read in what our disk holds, and never more.

        What was obeyed beyond is read again by the next daemon, for the disk doesn't have what it
        led to; so that it knows what it reads, the last such entry is named.
        """
        said = (self._parts.state_file.place, self._obeyed[1])
        if not self._busy and said != self._said_place:
            self._said_place = said
            self._mouth.outbox.put_latest("cursor", self._commands.kept(*said))
            self._mouth.flush()

    def _write_cursor_anew(self) -> None:
        """What stands in Redis as our place is none: write ours over it, as soon as we have one."""
        self._said_place = NOWHERE, ""
        self._say_place()

    def _keep_first(self, read: ev.Delivered, effects: list[ev.Effect]) -> None:
        """Perform ``effects`` when the state file has their cause, or the disk is too slow.

        Also what is answered at once is open in the file, until it was: nobody reads it again. What
        it displaces is not open any more, so the file has the answer.
        """
        verdicts = [effect.verdict for effect in effects if isinstance(effect, ev.Say)]
        told = {verdict.id for verdict in verdicts}
        commands = (m.command for m in read.messages if isinstance(m, ev.Commanded))
        self._durable = tuple(command for command in commands if command.key in told)
        read_now = {command.key for command in self._durable}
        self._owed = tuple(v for v in verdicts if v.is_final and v.id not in read_now)
        self._unkept = self._keep(self._inherited), effects
        self._impatience = self._loop.call_later(STATE_S, self._go_on)

    def _go_on(self) -> None:
        if self._unkept is None:
            return
        number, effects = self._unkept
        self._unkept, self._durable, self._owed = None, (), ()
        if self._impatience is not None:
            self._impatience.cancel()
        if self._parts.state_file.kept < number:
            self._obeyed = number, self._status.place.id
            self._mind_disk()
        self._work_off(effects)
        self._say_place()
        self.settle()

    def settle(self) -> None:
        """Send what the inputs that came together have left to say, at once."""
        if self._process is not None:
            self._process.settle()
        for verdict in self._hearing.answers():
            self._answer(verdict)
        self._mouth.flush()  # before the document: whoever asked waits for his verdict
        if self._stale and self._is_named:  # until then the document is somebody else's
            self._maybe_show_document()
            self._mouth.flush()
        if self._save:
            self._save = False
            self._keep(self._inherited)
        logs.flush()
        self._complain_of_drops()
        if not self._mouth.outbox:
            self._stop_flushing()

    def _keep(self, unsent: tuple[Line, ...]) -> int:
        """Bring what must survive into the state file; return the number of that write.

        A command that was accepted just now is not in it yet: most are done in a moment, and then
        nobody has to wait for the disk to be told so. The durable ones are: the place in the
        stream is behind them, and nobody would read them again.
        """
        status, durable = self._status, self._durable
        known = {command.key for command in durable}
        memory = status.memory()
        others = tuple(command for command in memory.open if command.key not in known)
        lasting = tuple(filter(self._lasts, others))
        if len(lasting) < len(others) and self._looking_again is None:
            self._looking_again = self._loop.call_later(LASTING_S, self._keep_again)
        answered = [*self._held, *self._owed]
        memory = replace(
            memory,
            open=(*durable, *lasting),
            # Their commands aren't open in this file any more; so it has the answers.
            unsent=(*unsent, *chain.from_iterable(map(self._voice.answer_lines, answered))),
            deaf=self._outages.untold,
        )
        is_awaited = bool(durable or self._held) or self.left.done()  # a stop waits for it, too
        return self._parts.state_file.save(memory, status.identity.boot, now=is_awaited)

    def _lasts(self, command: Command) -> bool:
        is_old = self._loop.time() - command.received >= LASTING_S
        return is_old or self._parts.state_file.is_open(command.key)

    def _keep_again(self) -> None:
        self._looking_again = None
        self._save = True
        self.settle()

    def _hear_local(self, line: bytes, client: Client) -> None:
        """Take a message from somebody on this host; he is answered on his own connection too."""
        if line == HEALTH:
            client.tell(self._steward.health())
            return
        try:
            command = parse(line, "socket", self._loop.time())
        except BadMessage as error:
            client.tell(self._status.invalid(error, "socket", self._loop.time()).fields)
            return
        if command is None:
            return
        if not command.id:
            command = replace(command, id=os.urandom(16).hex())
        self._local.expect(command.id, client)
        self.take(ev.Commanded(command, self._hearing.has_expired(command)))
        self.settle()

    def _signalled(self, name: str) -> None:
        if name == "SIGCHLD":
            children.bury_strangers()
            return
        log.info("signal.received", signal=name)
        if name == "SIGHUP" and not is_hangup():
            self._reload()
            return
        self._asked_to_end += 1
        if self._asked_to_end > 2:
            self._get_out(name)
        self.take(ev.Signalled(name))
        self.settle()

    def _get_out(self, name: str) -> NoReturn:
        """Leave at once: the third time it was asked for."""
        if self._process is not None:
            self._process.stop(ev.Force.KILL)
        log.warning("left.at_once", signal=name)
        os._exit(128 + signal.Signals[name])

    def _ousted(self, holder: Holder) -> None:
        """Somebody else holds our name: we slept, or were away, and are no longer who we were."""
        if self._holder is None and not self.left.done():
            self._holder = holder
            log.error("name.taken", holder=holder.text(), then="this unit ends")
            self.take(ev.Ousted(f"the name is held {holder.text()}"))
            self.settle()

    def _reload(self) -> None:
        """Take over new settings, all that can be or none."""
        manager = self._parts.service_manager
        manager.reloading()
        try:
            change = self._parts.reload()
        except StatusdError as error:
            log.error("reload.refused", reason=str(error))
            manager.reloaded()
        else:
            self._take_over(change)

    def _take_over(self, change: Change) -> None:
        """Take over what is new; it is done when each new channel is heard."""
        self._status.take_over(change.policy, change.tags)
        self._channels = change.channels
        self._ear.listen_to(self._heard_channels())
        self._commands.lasting_s = change.lasting_s
        self._ear.address = self._mouth.address = change.address
        logs.set_level(change.level)
        self._reloads = (*self._reloads, change)
        self._stale = True
        self._maybe_reloaded()
        self._unblock()
        self.settle()

    def _maybe_reloaded(self) -> None:
        """Tell that a reload is done if nothing that is said on its channels can be missed now."""
        more: dict[str, str] = {}
        if self._ear.state in (LinkState.DOWN, LinkState.CONNECTING):
            more["then"] = "its channels are heard when the broker is there"
        elif not self._ear.hears_all:
            return
        reloads, self._reloads = self._reloads, ()
        for change in reloads:
            log.info(
                "reload.done", changed=change.changed, needs_restart=change.needs_restart, **more
            )
        if reloads:
            self._parts.service_manager.reloaded()

    def _unblock(self) -> None:
        """End our own reading of the stream: until it ends, the broker takes no new channel.

        Without the right to do so it ends by itself, within two seconds.
        """
        ear = self._ear
        if self._reloads and ear.client_id and ear.state is LinkState.LISTENING:
            self._unblocking = ("CLIENT", "UNBLOCK", ear.client_id)
            self._mouth.outbox.put_latest("unblock", self._unblocking)
            self._mouth.flush()

    def _passed(self, timer: ev.Timer) -> None:
        del self._timers[timer]
        due = self._due.get(timer)
        if due is None:
            return
        if due > self._loop.time():  # it was set anew meanwhile
            self._set_timer(timer, due)
            return
        del self._due[timer]
        self.take(ev.Passed(timer))
        self.settle()

    def _loop_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.critical("bug.caught", message=context["message"], exc_info=context.get("exception"))
        self._leave(EXIT_BUG)

    # ---- what the links tell -----------------------------------------------------------------

    def link_changed(self, link: Link) -> None:
        """Log that a link is up or down, and tell the world when it can be told again."""
        which = "hears" if link is self._ear else "sends"
        if link.state is LinkState.LISTENING:
            if not link.refused:  # else it is up when it has written something
                self._log_up(link, which)
        else:
            fields = {"link": which, "broker": str(link.address), "reason": link.trouble}
            if link.refused:
                self._complain(f"{which}: refused", "link.lost", LINK_S, **fields)
            else:
                log.warning("link.lost", **fields)
        if link is self._ear:
            self._hearing_changed()
            self._maybe_reloaded()
        self._stale = True
        self._steward.tell()
        self.settle()

    def _log_up(self, link: Link, which: str) -> None:
        server = f"{link.server.software} {link.server.version}".strip()
        log.info("link.up", link=which, broker=str(link.address), server=server)
        self._complaints.forget(which)

    def _proved(self) -> None:
        """The sending link has written something: whatever refused that before is over."""
        if self._complaints.forget("sends: refused"):
            self._log_up(self._mouth, "sends")

    def link_failed(self, link: Link) -> None:
        """Log that another attempt has failed, unless that is no news."""
        if link is self._mouth:
            self._presence.unreachable()
        if link is self._mouth:
            self._stop_flushing()  # one try for the last words was granted
        if link is self._ear and self._outages.began(link.trouble):
            self._save = True
            self.settle()
        if link is self._ear:
            self._maybe_reloaded()
        which = "hears" if link is self._ear else "sends"
        fields = {"link": which, "broker": str(link.address), "reason": link.trouble}
        self._complain(which, "link.failed", LINK_S, **fields)
        self._steward.tell()

    def replied(self, line: Line, reply: object) -> None:
        """Look at a reply that somebody waits for, or that is an error."""
        self._presence.replied(line, reply)
        self._canary.taken(line, self._loop.time())
        is_settled = self._history.replied(line, reply)
        if self._inherited and line is self._inherited[-1]:
            self._inherited = ()
            self._save = True
        if line is self._unblocking:
            self._unblocked(reply)
        elif isinstance(reply, hiredis.ReplyError) and not is_settled:
            self._failed_reply(line[0], str(reply))
        elif line is self._gap and not self._history.trouble:
            self._outages.told()
            self._save = True

    def _unblocked(self, reply: object) -> None:
        if reply == 0:  # the broker hadn't come to the read yet that it is to end
            self._loop.call_later(UNBLOCK_S, self._unblock)

    def _stop_flushing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _failed_reply(self, command: object, reason: str) -> None:
        self._complain(f"reply {command}", "reply.failed", command=command, reason=shown(reason))

    def _history_mended(self) -> None:
        for what in ("history.refused", "history.put_aside"):
            self._complaints.forget(what)
        log.info("history.kept", then="nothing of it waits any more")
        self._stale = True

    def _hearing_changed(self) -> None:
        """Keep book of the outage that begins or ends."""
        self._canary.forgive()
        if self._ear.state is LinkState.LISTENING:
            self._tell_gap()
        elif self._outages.began(self._ear.trouble):
            self._save = True

    def _tell_gap(self) -> None:
        gapped = self._outages.ended(self._wall(), *self._commands.report())
        if gapped is not None:
            self.take(gapped)

    def _prove(self) -> None:
        """Sing once a second, and doubt a hearing link that doesn't bring the song back."""
        now = self._loop.time()
        is_late = self._prove_at and now - self._prove_at > LATE_S
        self._prove_at = now + SING_S
        self._loop.call_at(self._prove_at, self._prove)
        if is_late:  # we were stopped or starved: what has arrived meanwhile is yet to be read
            self._canary.forgive()
        elif min(self._canary.silent_s(now), self._ear.unheard_s(now)) >= DEAF_S - SING_S / 2:
            self._ear.doubt(f"it doesn't hear its own canary any more, for {DEAF_S:g} s")
        if LinkState.LISTENING is self._ear.state is self._mouth.state:
            self._mouth.outbox.put_latest("canary", self._canary.sing(now))
        if now >= self._beat_at and not self.left.done():
            self._beat()
        self._mouth.flush()

    def _echoed(self, payload: bytes) -> None:
        if self._canary.echoed(payload, self._loop.time()):
            self._outages.heard(self._wall())

    def _broker_time(self) -> float:
        """Return the broker's wall clock in seconds; ours, before it has told us."""
        for link in (self._ear, self._mouth):
            if (told := link.broker_time()) is not None:
                return told
        return self._wall()

    def _heard_channels(self) -> tuple[str, ...]:
        names = self._parts.names
        return (names.control, names.canary, *self._channels)

    # ---- one way out -------------------------------------------------------------------------

    def _performers(self) -> dict[type[Any], Callable[[Any], object]]:
        """Return how each effect is performed: a look-up instead of ten questions of what it is."""
        return {
            ev.Show: self._show,
            ev.Event: self._tell,
            ev.Say: self._say,
            ev.Save: self._save_soon,
            ev.Arm: self._arm,
            ev.Disarm: self._disarm,
            ev.StartWorker: self._start_worker,
            ev.StopWorker: self._stop_worker,
            ev.Note: lambda note: log.info(note.name, **note.fields),
            ev.Leave: lambda leave: self._leave(leave.code),
        }

    def _show(self, show: ev.Show) -> str | None:
        if self._process is None:
            return None
        return self._process.show(show.number, show.seq, show.args)

    def _objection(self, number: int) -> str:
        return self._process.objection(number) if self._process is not None else ""

    def _say(self, say: ev.Say) -> None:
        verdict = say.verdict
        if verdict.id or say.document:
            self._answer(verdict, document=say.document)
        else:  # to a plain word: nobody waits for it by name
            self._counts.answered(verdict)
            self._voice.answer(verdict)
            self._log_answer(verdict)

    def _save_soon(self, _: ev.Save) -> None:
        self._save = True

    def _stop_worker(self, effect: ev.StopWorker) -> None:
        if self._process is not None and self._process.stop(effect.force):
            log.info("worker.signalled", run=effect.run, signal=effect.force.value)

    def _arm(self, arm: ev.Arm) -> None:
        """Set a deadline; a timer that runs already, and will look in time, is left alone.

        A timer of the loop that is made and cancelled for each command costs as much as a decision.
        """
        timer, due = arm.timer, self._loop.time() + arm.after_s
        self._due[timer] = due
        armed = self._timers.get(timer)
        if armed is None or armed.when() > due:
            self._set_timer(timer, due)

    def _set_timer(self, timer: ev.Timer, due: float) -> None:
        armed = self._timers.get(timer)
        if armed is not None:
            armed.cancel()
        self._timers[timer] = self._loop.call_at(due, self._passed, timer)

    def _disarm(self, disarm: ev.Disarm) -> None:
        self._due.pop(disarm.timer, None)

    def _start_worker(self, effect: ev.StartWorker) -> None:
        spec, sinks = self._parts.spec, self._parts.sinks
        make = self._parts.make_process
        process = make(spec, effect.run, self.take, self.settle, self._guard, sinks)
        try:
            process.start(effect.number, effect.seq, effect.args)
        except (OSError, StatusdError) as error:
            self.take(ev.WorkerNotStarted(effect.run, f"can't be started: {_words(error)}"))
            return
        self._process = process
        log.info("worker.started", run=effect.run, pid=process.pid, what=spec.what)

    def _tell(self, event: ev.Event) -> None:
        now = self._wall()
        at = rfc3339(now)
        line = self._voice.tell(event, at)
        self._stale = True
        if event.is_remark:
            self._gap = line if "gap" in event.more else self._gap
            self._log_remark(event.fields)
            return
        self._since = now
        self._counts.changed(event.change)
        if event.change.new == self._status.lifecycle.start.name:
            self._counts.restarted(self._status.death)
        self._show_at = self._loop.time() + UNSEEN_S
        logs.changed(event.change, event.more, event.seq, at)
        self._steward.tell()

    def _log_remark(self, fields: dict[str, Any]) -> None:
        told = {k: fields[k] for k in ("reason", "run", "seq") if k in fields}
        log.warning(_REMARKS[fields["trigger"]], **told, **fields.get("gap", {}))

    def _answer(self, verdict: Verdict, *, document: bool = False) -> None:
        """Give a verdict; a final one only when no successor could give another.

        If we were killed now, the next daemon would answer what it finds open in the state file.
        """
        if verdict.is_final and self._is_open(verdict):
            self._save = True
            if not self._trouble:  # a disk in trouble isn't waited for
                self._held.append(verdict)
                return
        self._tell_verdict(verdict, {"status": self._document()} if document else None)

    def _state_written(self, number: int) -> None:
        """Do what has waited for the state file, as far as it has come to ``number``."""
        if self._parts.state_file.kept >= self._obeyed[0]:
            self._obeyed = 0, ""
        self._mind_disk()
        if self._unkept is not None and number >= self._unkept[0]:
            self._go_on()
        self._say_place()
        self._say_held()

    def _say_held(self) -> None:
        """Give the verdicts that no successor could give any more; the file has them until sent."""
        held, self._held = self._held, []
        for verdict in held:
            if self._is_open(verdict) and not self._trouble:
                self._held.append(verdict)
            else:
                lines = self._tell_verdict(verdict, None, awaited=True)
                self._inherited = (*self._inherited, *lines)[-MOST_UNSENT:]
        if held:
            self.settle()

    def _is_open(self, verdict: Verdict) -> bool:
        return self._parts.state_file.is_open(verdict.id)

    def _tell_verdict(
        self, verdict: Verdict, more: dict[str, Any] | None, *, awaited: bool = False
    ) -> tuple[Line, ...]:
        if (self._trouble or self._obeyed[1]) and not verdict.is_repeat:
            more = {**(more or {}), "kept": False}  # if we are killed now, nobody knows of it
        self._counts.answered(verdict)
        lines = self._voice.answer(verdict, more, awaited=awaited)
        if self._local.is_asked:
            self._local.answer({**verdict.fields, **more} if more else verdict.fields)
        self._log_answer(verdict)
        return lines

    def _log_answer(self, verdict: Verdict) -> None:
        """Log an answer that somebody may wonder about; in a flood, only so many a second."""
        if logs.shows("debug"):
            log.debug("command.answered", **_shown_answer(verdict))
            return
        if verdict.kind in _UNREMARKABLE:
            return
        second = int(self._loop.time())
        if second != self._logged_in:
            if self._unlogged:
                log.info("command.answered", count=self._unlogged, reason="too many to be shown")
            self._logged_in, self._logged, self._unlogged = second, 0, 0
        if self._logged >= LOGGED_ANSWERS:
            self._unlogged += 1
            return
        self._logged += 1
        log.info("command.answered", **_shown_answer(verdict))

    def _leave(self, code: int) -> None:
        if not self.left.done():
            self.left.set_result(code)

    def _watch(self) -> None:
        """Look whether the worker gets on with its work."""
        status = self._status
        limit_s = status.policy.hang_timeout_s
        self._looked += 1
        turn_s = min(BEAT_S, self._steward.turn_s / 2)
        every_s = look_every_s(limit_s) if limit_s else turn_s
        self._loop.call_later(every_s, self._watch)
        is_starting = status.state is status.lifecycle.start
        if self._parts.worker_file is not None and status.worker.counts and not is_starting:
            self._parts.worker_file.look_for(status.worker.run)
        if not limit_s or self._process is None or not status.worker.counts:
            self._watchdog = Watchdog()
            return
        silent_s = self._watchdog.silent_s(
            self._process.pulse(),
            self._loop.time(),
            is_waiting=status.is_waiting,
            interval_s=every_s,
        )
        if silent_s > limit_s or status.worker.hung:
            self.take(ev.WorkerHung(self._process.run, silent_s))
            self.settle()

    def _turns(self, now: float) -> dict[str, Turn]:
        """Return how far inbox and supervisor have come; an empty inbox has nothing to do.

        While the state file is awaited nothing is handled, but only until patience ends.
        """
        is_patient = self._impatience is not None and now < self._impatience.when() + STATE_S
        may_wait = is_patient if self._busy else not self._inbox
        return {"inbox": Turn(self._handled, may_wait), "supervisor": Turn(self._looked)}

    # ---- what the world is told --------------------------------------------------------------

    def _beat(self) -> None:
        self._stale = True
        if self._holder is None:
            self._presence.beat()
        self._complain_of_output()
        self._mind_disk()
        self._beat_at = self._loop.time() + BEAT_S - SING_S / 2  # with the song that is next then
        self.settle()

    def _maybe_show_document(self) -> None:
        """Write the document, once for a transition: with the worker seen, or a little later."""
        status, now = self._status, self._loop.time()
        if status.worker.counts and not status.is_observed and now < self._show_at:
            if self._showing is None:
                self._showing = self._loop.call_at(self._show_at, self._show_late)
            return
        self._show_document()

    def _show_late(self) -> None:
        self._showing = None
        self.settle()

    def _show_document(self) -> None:
        self._stale = False
        if self._showing is not None:
            self._showing.cancel()
            self._showing = None
        status = self._status
        if self._holder is None:  # else it is somebody else's
            self._voice.show(self._document(), left=status.state is status.lifecycle.end)

    def _document(self) -> dict[str, Any]:
        now = self._loop.time()
        round_trip_s = self._canary.round_trip_s
        proof = Proof(
            self._outages.count, None if round_trip_s is None else round(round_trip_s * 1000, 3)
        )
        told = document(
            self._status, self._process, self._ear, proof, self._channels, self._since, now
        )
        return {**told, "trouble": "; ".join(self._what_is_wrong())}

    def _what_is_wrong(self) -> list[str]:
        """Return what somebody ought to put right, in words."""
        history, commands, names = self._history.trouble, self._commands.trouble, self._parts.names
        found = {names.history: history, names.commands: commands}
        disk = self._parts.state_file.trouble
        unkept = [f"nothing is kept: {disk}"] if disk else []
        return [*unkept, *(f"{key}: {why}" for key, why in found.items() if why)]

    # ---- complaints --------------------------------------------------------------------------

    def _complain(self, what: str, event: str, every_s: float = EVERY_S, **fields: Any) -> None:
        self._complaints.tell(what, event, every_s, **fields)

    def _complain_of_stream(self, event: str, reason: str) -> None:
        names = self._parts.names
        key = names.cursor if event.startswith("cursor") else names.commands
        self._complain(event, event, key=key, reason=reason)

    def _complain_of_drops(self) -> None:
        outbox = self._mouth.outbox
        if outbox.dropped != self._dropped:
            self._complain("drops", "outbox.dropped", lines=outbox.dropped, kept=outbox.lost)
            self._dropped = outbox.dropped
        if self._told_drops[0] != outbox.dropped and outbox.waiting < outbox.limit // 2:
            self._tell_drops()

    def _mind_disk(self) -> None:
        """Tell that the disk doesn't take what there is to keep, and that it does again."""
        trouble = self._parts.state_file.trouble
        if trouble:
            then = "what was obeyed since is lost, or obeyed again, if this daemon is killed"
            self._complain("state file", "state_file.failed", reason=trouble, then=then)
        elif self._trouble:
            self._complaints.forget("state file")
            log.info("state_file.kept_again", file=str(self._parts.state_file.path))
        is_news = bool(trouble) is not bool(self._trouble)
        self._trouble = trouble
        if is_news:
            self._stale = True
            self._say_held()
            self.settle()

    def _tell_drops(self) -> None:
        """Tell what was dropped where a reader of events looks, now that there is room again."""
        outbox, (dropped, lost) = self._mouth.outbox, self._told_drops
        self._told_drops = outbox.dropped, outbox.lost
        lost, dropped = outbox.lost - lost, outbox.dropped - dropped
        kept = f", {lost} events of the history among them" if lost else ""
        self.take(
            ev.Dropped(f"{dropped} messages were dropped unsent{kept}: the broker took fewer")
        )
        self._mouth.flush()

    def _complain_of_stuck(self, parts: list[str]) -> None:
        what = f"stuck {' '.join(parts)}"
        self._complain(what, "loop.stuck", parts=parts, then="the watchdog is not fed")

    def _complain_of_output(self) -> None:
        for sink in set(self._parts.sinks or ()):
            if sink.trouble:
                self._complain(sink.name, "output.failed", where=sink.name, reason=sink.trouble)
        if self._ear.ignored != self._ignored:
            reason = f"the name of their channel is longer than {MOST_BYTES} bytes"
            self._complain("names", "message.ignored", count=self._ear.ignored, reason=reason)
            self._ignored = self._ear.ignored
        lost = self._process.lost_lines() if self._process is not None else 0
        if lost != self._lost:
            self._complain("output", "output.dropped", lines=lost)
            self._lost = lost


def _shown_answer(verdict: Verdict) -> dict[str, Any]:
    return {key: verdict.fields[key] for key in _ANSWER_LOGGED if key in verdict.fields}


def _does_something(effects: list[ev.Effect]) -> bool:
    return any(not isinstance(effect, ev.Save | ev.Note) for effect in effects)


def _words(error: Exception) -> str:
    """Return the system's reason without its number: ``./acquire: No such file or directory``."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


_REMARKS = {
    "gap": "gap.ended",
    "drop": "drop.told",
    "hang": "worker.hung",
    "recover": "worker.recovered",
    "unreached": "worker.unreached",
}
_ANSWER_LOGGED = (
    *("verdict", "command", "source", "reason", "did_you_mean", "count", "id", "state"),
    *("seq", "repeat"),
)
_UNREMARKABLE = ("accepted", "done")
