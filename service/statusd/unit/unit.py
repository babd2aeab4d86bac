"""One unit: takes what happens, performs what its status decides, says what is left to say.

`Unit.submit` is the one way in, effects are the one way out. Rules of this file: the status is
touched by `submit` alone; nothing here waits for anything slow; what is urgent is said at once
(`flush`), the rest a little later and together (`tidy`); nothing knows how many units there are.

Length: the way of what happens through a unit is read here, and nowhere else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from statusd.core import events as ev
from statusd.core.answers import Verdict
from statusd.core.policy import Policy
from statusd.core.times import rfc3339
from statusd.supervision.guard import Guard
from statusd.supervision.supervisor import Supervisor
from statusd.unit.cursor import Cursor, Delivery
from statusd.unit.document import DocumentWriter
from statusd.unit.history import History
from statusd.unit.intake import Intake
from statusd.unit.lease_holder import LeaseHolder
from statusd.unit.local_socket import Client, LocalSocket
from statusd.unit.log_readers import LogReaders
from statusd.unit.name_lease import NameLease
from statusd.unit.outages import Outages
from statusd.unit.parts import Parts
from statusd.unit.ports import Ports
from statusd.unit.publisher import Publisher
from statusd.unit.reporter import InOrder, Reporter
from statusd.unit.store import Store
from statusd.unit.timers import Timers
from statusd.wire.local import HEALTH
from statusd.wire.outbox import OnReply, RedisCommand

EXIT_BUG = 70
"""An error in statusd itself (EX_SOFTWARE of sysexits.h)."""
More = Mapping[str, Any] | None
"""What a verdict says besides."""


class Unit:
    """One status with its worker.

    Args:
        parts: what it is made of.
        ports: the world.
        guard: kills the worker if the daemon dies.
    """

    def __init__(self, parts: Parts, ports: Ports, guard: Guard) -> None:
        names, loop = parts.names, ports.loop
        self.name, self.ports = names.name, ports
        self._inbox: deque[ev.Input | Delivery] = deque()
        self._busy = False
        self.outages = Outages(ports.wall(), parts.kept.deaf)
        self.log = InOrder(ports.log, self.note)
        self.reporter = Reporter(ports.log, self.log, loop, names)
        self.supervisor = Supervisor(parts.means, self.submit, self.flush, guard, loop, self.log)
        status = self.status = parts.make_status(parts.kept.memory, self.supervisor.objection)
        self.publisher = self._make_publisher(parts)
        self.store = self._make_store(parts)
        self.cursor = self._make_cursor(parts)
        self.intake = Intake(
            status,
            submit=self.submit,
            began=ports.heard,
            broker=ports.broker,
            look_again=self.flush,
            loop=loop,
        )
        self.hear = self.intake.hear
        self.document = DocumentWriter(
            status,
            ports,
            process=lambda: self.supervisor.process,
            reached=lambda: self.supervisor.reached(is_over=not self.status.worker.counts),
            outages=self.outages,
            channels=parts.channels,
            troubles=self._troubles,
            publish=self.publisher.publish_status,
        )
        self.timers = Timers(loop, self.happened, ports.wall)
        self.logs = LogReaders(parts, ports, status, self.reporter.refused, self.fail)
        self.socket = LocalSocket(parts.socket, partial(loop.run, self._hear_local))
        self.lease = self._make_lease(parts)
        self._perform = self._performers()

    def _make_publisher(self, parts: Parts) -> Publisher:
        outbox = self.ports.broker.open_outbox(self.reporter.refused)
        history = History(
            outbox,
            parts.names,
            complain=self.reporter.history_refused,
            mended=self._history_mended,
            kept=self._kept_in_history,
        )

        def sent(line: RedisCommand, reply: object) -> bool:
            self.store.was_sent(line, reply)
            return history.replied(line, reply)

        outbox.inherit(parts.kept.unsent, history.replied, sent)
        return Publisher(outbox, parts.names, history, parts.drawn, self.ports.loop.time)

    def _make_store(self, parts: Parts) -> Store:
        return Store(
            parts.state_file,
            parts.kept,
            self.status,
            self.outages,
            lines=self.publisher.verdict_lines,
            go_on=self.go_on,
            release=self.release,
            say_place=lambda place, obeyed: self.publisher.outbox.put_latest(
                "cursor", self.cursor.kept(place, obeyed)
            ),
            disk=self._mind_disk,
            changed=self.flush,
            loop=self.ports.loop,
        )

    def _make_cursor(self, parts: Parts) -> Cursor:
        return Cursor(
            parts.names,
            parts.kept.place,
            fresh=parts.fresh,
            lasting_s=parts.lasting_s,
            deliver=partial(self.ports.loop.run, self.happened),
            broker_time=self.ports.broker.time,
            complain=self.reporter.cursor,
            write_anew=self.store.say_place_anew,
        )

    def _make_lease(self, parts: Parts) -> NameLease:
        return NameLease(
            self.publisher.outbox,
            self.ports.broker.roster,
            parts.names,
            lambda: self.status.identity,
            last_boot=parts.last_boot,
            wall=self.ports.wall,
            lost=self._lease_lost,
            confirmed=self.publisher.history.confirmed,
            log=self.log,
        )

    # ---- one way in --------------------------------------------------------------------------

    def submit(self, happened: ev.Input | Delivery) -> None:
        """Feed one input into the status and perform its effects, in order.

        What an effect causes waits its turn. Nothing raised in here is anybody's fault but ours.
        """
        self._inbox.append(happened)
        if not self._busy:
            self.go_on(())

    def happened(self, happened: ev.Input | Delivery) -> None:
        """Take one input that came alone, and say what is left to say."""
        self.submit(happened)
        self.flush()

    def go_on(self, effects: Iterable[ev.Effect]) -> None:
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
                read = None
                if isinstance(happened, Delivery):
                    read, happened = happened, ev.Delivered(happened.messages)
                self.reporter.counts.handled += 1
                effects = self.status.handle(happened, self.ports.loop.time())
                if read is not None and self.store.takes(read, effects):
                    self.intake.is_behind = True
                    return
                for effect in effects:
                    perform[type(effect)](effect)
        except Exception as error:  # the safety net: a bug must not leave a worker without a daemon
            self.fail(error)
        self._busy = self.intake.is_behind = False

    def fail(self, error: Exception) -> None:
        """End by a bug: the worker goes, and nobody else."""
        self.log.error("bug.caught", exc_info=error)
        self.ports.ended(EXIT_BUG)

    @property
    def is_waiting(self) -> bool:
        """Tell whether there is nothing to be decided, or the disk is waited for, with patience."""
        return self.store.is_patient if self._busy else not self._inbox

    # ---- one way out -------------------------------------------------------------------------

    def _performers(self) -> dict[type[Any], Callable[[Any], object]]:
        """Return how each effect is performed: a look-up instead of ten questions of what it is."""
        return {
            ev.Show: self._show,
            ev.Event: self._publish_event,
            ev.Say: self._say,
            ev.Save: self._save,
            ev.Arm: self.timers.arm,
            ev.Disarm: self.timers.disarm,
            ev.StartWorker: self.supervisor.start,
            ev.StopWorker: self.supervisor.stop,
            ev.Note: lambda note: self.log.info(note.name, **note.fields),
            ev.Leave: lambda leave: self.ports.ended(leave.code),
        }

    def _show(self, show: ev.Show) -> None:
        self.supervisor.show(show)  # it is another one for each process
        self.supervisor.has_told = True

    def _save(self, _: ev.Save) -> None:
        self.store.is_dirty = True

    def _publish_event(self, event: ev.Event) -> None:
        wall = self.ports.wall()
        at = rfc3339(wall)
        line = self.publisher.publish_event(event, at)
        if "gap" in event.more:
            self.outages.reported(line)
        self.reporter.unnoted.append((event, at, wall))
        self.document.is_stale = True
        if event.change.new in self.document.urgent_in:
            self.document.is_urgent = True
        if event.change.new == self.status.lifecycle.start.name and not event.is_remark:
            self.reporter.counts.restarted(self.status.supervision.death)

    def _say(self, say: ev.Say) -> None:
        if say.verdict.id or say.document:
            self.answer(say.verdict, document=say.document)
        else:  # to a plain word: nobody waits for it by name
            self._publish(say.verdict)

    def answer(self, verdict: Verdict, *, document: bool = False) -> None:
        """Give a verdict; a final one only when no successor could give another."""
        if not self.store.holds_back(verdict):
            if document:
                self.note()
            self.release(verdict, None, {"status": self.document.fields()} if document else None)

    def release(
        self, verdict: Verdict, on_reply: OnReply | None = None, more: More = None
    ) -> tuple[RedisCommand, ...]:
        """Publish a verdict that needn't wait for the disk; return its lines."""
        if self.store.is_unsure and not verdict.is_repeat:
            more = {**(more or {}), "kept": False}  # if we are killed now, nobody knows of it
        return self._publish(verdict, more, on_reply)

    def _publish(
        self, verdict: Verdict, more: More = None, on_reply: OnReply | None = None
    ) -> tuple[RedisCommand, ...]:
        lines = self.publisher.publish_verdict(verdict, more, on_reply)
        if self.socket.waiting:
            self.socket.answer({**verdict.fields, **(more or {})})
        self.reporter.unnoted.append((verdict, "", 0.0))
        return lines

    def flush(self) -> None:
        """Say what the inputs that came together have left to say, at once."""
        told, self.supervisor.has_told = self.supervisor.has_told, False
        if (seen := self.supervisor.flush()) is not None:
            self.submit(seen)
        for verdict in self.intake.answers():
            self.answer(verdict)
        store, outbox = self.store, self.publisher.outbox
        if self.document.is_urgent:
            self.note()
            self.document.write(at_once=True)
        broker = self.ports.broker  # a worker that was told just now mostly answers in a moment
        (broker.flush_soon if told and self.status.is_unseen else broker.flush)()
        if outbox.dropped != self.reporter.told_drops:
            self._report_drops()
        if store.is_dirty and (store.held or store.is_leaving):
            store.save()
        if self.document.is_stale or store.is_dirty or self.reporter.unnoted:
            self.ports.later()

    def _report_drops(self) -> None:
        if dropped := self.reporter.drops(self.publisher.outbox):
            self.submit(dropped)
            self.ports.broker.flush()

    def tidy(self) -> None:
        """Do what nobody waits for, but send it: count, log, write document and state file."""
        self.note()
        self.document.write()
        self.store.save()

    def note(self) -> None:
        """Count and log what was said since the last time, in its order."""
        reporter = self.reporter
        notes, reporter.unnoted = reporter.unnoted, []
        for said, at, wall in notes:
            if isinstance(said, Verdict):
                reporter.answer(said)
            elif said.is_remark:
                reporter.remark(said.fields)
            else:
                self.document.changed(wall)
                reporter.event(said, at)
        if notes:
            self.ports.changed()

    # ---- what the others tell ----------------------------------------------------------------

    def _mind_disk(self) -> None:
        self.document.is_stale |= self.reporter.disk(self.store.file)

    def _troubles(self) -> list[str]:
        ours = self.store.file.trouble, self.publisher.history.trouble, self.ports.stream_trouble()
        return self.reporter.troubles(*ours, self.document.channels, self.ports.broker.refused)

    def _history_mended(self) -> None:
        self.reporter.history_mended()
        self.document.is_stale = True
        self.ports.later()

    def _kept_in_history(self, line: RedisCommand) -> None:
        if self.outages.kept(line):
            self.store.is_dirty = True
            self.ports.later()

    def _lease_lost(self, holder: LeaseHolder) -> None:
        """Somebody else holds our name: we slept, or were away, and are no longer who we were."""
        if self.lease.holder is not None or self.store.is_leaving:
            return
        self.lease.holder, self.document.is_ours = holder, False
        self.log.error("name.taken", holder=holder.text(), then="this unit ends")
        self.happened(ev.LeaseLost(f"the name is held {holder.text()}"))

    def _hear_local(self, line: bytes, client: Client) -> None:
        """Take a message from somebody on this host; he is answered on his own connection too."""
        if line == HEALTH:
            client.send(self.ports.health())
        elif not self.logs.hear_local(line, client):
            heard = self.intake.hear_local(line)
            if isinstance(heard, Verdict):
                client.send(heard.fields)
            elif heard is not None:
                self.socket.expect(heard.command.id, client)
                self.happened(heard)

    # ---- what the daemon tells ---------------------------------------------------------------

    def hears(self) -> None:
        """The hearing link is up: tell what was missed, if anything was or may have been."""
        gapped = self.outages.ended(self.ports.wall(), *self.cursor.report())
        if gapped is not None:
            self.happened(gapped)

    def is_deaf(self, reason: str) -> None:
        """The hearing link is lost, or could not be made."""
        if self.outages.began(reason):
            self.store.is_dirty = True
            self.flush()

    def link_changed(self) -> None:
        """A link is another than it was: the document says so."""
        self.document.is_stale = True
        self.publisher.link_changed()
        self.lease.doubt()
        self.flush()

    def beat(self) -> None:
        """Show that we live, every three seconds, if that is due; sent as by `tidy`."""
        self.supervisor.sample(self.status)
        now = self.ports.loop.time()
        self.lease.beat(now, in_doubt=bool(self.publisher.history.trouble))
        self.document.beat(now)
        self.reporter.lost_lines(self.supervisor.lost_lines())
        self.store.mind_disk()
        self._report_drops()
        self.tidy()

    def look(self) -> None:
        """Look whether the worker gets on with its work."""
        if happened := self.supervisor.look(self.status):
            self.happened(happened)

    def take_over(
        self, policy: Policy, tags: frozenset[str], channels: tuple[str, ...], lasting_s: float
    ) -> None:
        """Live by new settings from now on."""
        self.status.take_over(policy, tags)
        self.document.channels, self.document.is_stale = channels, True
        self.cursor.lasting_s = lasting_s
