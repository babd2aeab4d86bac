"""What must be on the disk before what is said: the one place that knows.

Rules of this file: what a durable command leads to waits for the place behind it to be kept; a
final verdict waits until no successor would find its command open; the cursor in Redis says what
our disk holds, and never more. Nothing of that waits for a disk in trouble longer than `STATE_S`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from statusd.core import events as ev
from statusd.core.answers import Verdict
from statusd.core.messages import Command
from statusd.core.status import Status
from statusd.scheduler import UnitLoop
from statusd.unit.cursor import Delivery
from statusd.unit.kept import Ended, Kept
from statusd.unit.outages import Outages
from statusd.unit.state_file import StateFile
from statusd.unit.stream_position import NOWHERE, StreamPosition
from statusd.wire.outbox import OnReply, RedisCommand

STATE_S = 0.5
"""So long a last verdict may wait for the state file."""
LASTING_S = 0.1
"""A command that has been open for so long is kept for the next daemon to answer."""
MOST_UNSENT = 500
"""So many lines that could not be sent are kept for the next start."""


class _Commit(NamedTuple):
    """A write that is waited for.

    Args:
        number: of the write; effects: what is done after it.
        durable: the commands whose effects they are.
        owed: the answers to older commands among them.
        patience: when it isn't waited for any more.
    """

    number: int
    effects: list[ev.Effect]
    durable: tuple[Command, ...]
    owed: tuple[Verdict, ...]
    patience: asyncio.TimerHandle


class Store:
    """Keeps what must survive this daemon, in the order that nothing is lost or done twice.

    Args:
        file: the unit's, loaded.
        kept: what the last daemon has left in it.
        status: of the unit; outages: what of them the history doesn't have yet.
        lines: returns the lines that would publish a verdict.
        go_on: performs what had to wait, and then what came after it.
        release: publishes a verdict that had to wait; returns its lines.
        say_place: says in Redis how far the stream is read, and what was obeyed beyond that.
        disk: called when the disk is looked at, for whoever tells of its trouble.
        changed: called when there is something to be kept or said.
        loop: whose time it is.
    """

    def __init__(
        self,
        file: StateFile,
        kept: Kept,
        status: Status,
        outages: Outages,
        *,
        lines: Callable[[Verdict], tuple[RedisCommand, ...]],
        go_on: Callable[[list[ev.Effect]], None],
        release: Callable[[Verdict, OnReply], tuple[RedisCommand, ...]],
        say_place: Callable[[StreamPosition, str], None],
        disk: Callable[[], None],
        changed: Callable[[], None],
        loop: UnitLoop,
    ) -> None:
        self.file = file
        self._unsent, self._place = kept.unsent, kept.place
        self._status = status
        self._outages = outages
        self._lines = lines
        self._continue = go_on
        self._publish = release
        self._tell_place = say_place
        self._mind = disk
        self._changed = changed
        self._loop = loop
        self.is_dirty = False
        """Something is to be kept that isn't on its way to the disk yet."""
        self.is_leaving = False
        """Nobody writes later: whatever is kept now is waited for."""
        self.held: list[Verdict] = []
        """Verdicts that wait for the disk."""
        self._commit: _Commit | None = None
        self._again: asyncio.TimerHandle | None = None
        self._obeyed: tuple[int, str] = (0, "")
        """The last entry of the stream that was obeyed without being kept, and the write that would
        have kept it."""
        self._said_place = (file.place, "")
        self._trouble = ""
        """What was told last of the disk."""
        file.written = lambda number: loop.run(self._written, number)

    # ---- before it is said ---------------------------------------------------------------------

    @property
    def is_patient(self) -> bool:
        """Tell whether effects wait for the disk, and may still do so."""
        commit = self._commit
        return commit is not None and self._loop.time() < commit.patience.when() + STATE_S

    @property
    def is_unsure(self) -> bool:
        """Tell whether what is done now would be unknown to a successor."""
        return bool(self._trouble or self._obeyed[1])

    def takes(self, read: Delivery, effects: list[ev.Effect]) -> bool:
        """Keep how far the stream was read, and tell whether what that led to waits for the disk.

        Then it is done when the file has its cause, or the disk is too slow.
        """
        self._place = read.place
        if all(isinstance(effect, ev.Save | ev.Note) for effect in effects):
            self.is_dirty = True  # it leads to nothing: only the place is another one
            return False
        self._wait_for_disk(read, effects)
        return True

    def _wait_for_disk(self, read: Delivery, effects: list[ev.Effect]) -> None:
        """Have ``effects`` performed when the file has their cause, or the disk is too slow.

        Also what is answered at once is open in the file, until it was: nobody reads it again. What
        it displaces is not open any more, so the file has the answer.
        """
        verdicts = [effect.verdict for effect in effects if isinstance(effect, ev.Say)]
        told = {verdict.id for verdict in verdicts}
        commands = (m.command for m in read.messages if isinstance(m, ev.Commanded))
        durable = tuple(command for command in commands if command.key in told)
        read_now = {command.key for command in durable}
        owed = tuple(v for v in verdicts if v.is_final and v.id not in read_now)
        patience = self._loop.call_later(STATE_S, self._go_on)
        self._commit = _Commit(0, effects, durable, owed, patience)
        self._commit = self._commit._replace(number=self._save())

    def _go_on(self) -> None:
        commit, self._commit = self._commit, None
        if commit is None:
            return
        commit.patience.cancel()
        if self.file.kept < commit.number:
            self._obeyed = commit.number, self._place.id
            self.mind_disk()
        self._continue(commit.effects)
        self._say_place()
        self._changed()

    def holds_back(self, verdict: Verdict) -> bool:
        """Keep a final verdict back if a successor could give another; tell whether it is.

        If we were killed now, the next daemon would answer what it finds open in the state file.
        """
        if not verdict.is_final or not self._is_open(verdict):
            return False
        self.is_dirty = True
        if self._trouble:  # a disk in trouble isn't waited for
            return False
        self.held.append(verdict)
        return True

    def _is_open(self, verdict: Verdict) -> bool:
        return self.file.is_open(verdict.id)

    def _release(self) -> None:
        """Give the verdicts that no successor could give any more; the file has them until sent."""
        held, self.held = self.held, []
        for verdict in held:
            if self._is_open(verdict) and not self._trouble:
                self.held.append(verdict)
            else:
                lines = self._publish(verdict, self.was_sent)
                self._unsent = (*self._unsent, *lines)[-MOST_UNSENT:]

    def was_sent(self, line: RedisCommand, _: object) -> None:
        """The broker has had ``line``: if it is the last that was left, nothing is any more."""
        if self._unsent and line is self._unsent[-1]:
            self._unsent = ()
            self.is_dirty = True
            self._changed()

    # ---- the place -----------------------------------------------------------------------------

    def _say_place(self) -> None:
        """Say in Redis how far the stream is read in what our disk holds, and never more.

        What was obeyed beyond is read again by the next daemon, for the disk doesn't have what it
        led to; so that it knows what it reads, the last such entry is named.
        """
        said = (self.file.place, self._obeyed[1])
        if self._commit is None and said != self._said_place:
            self._said_place = said
            self._tell_place(*said)

    def say_place_anew(self) -> None:
        """What stands in Redis as our place is none: say ours over it, as soon as we have one."""
        self._said_place = NOWHERE, ""
        self._say_place()

    # ---- the disk ------------------------------------------------------------------------------

    def mind_disk(self) -> None:
        """Take note of whether the disk takes what there is to keep."""
        trouble = self.file.trouble
        is_news = bool(trouble) is not bool(self._trouble)
        self._trouble = trouble
        self._mind()
        if is_news:
            self._release()
            self._changed()

    def _written(self, number: int) -> None:
        """Do what has waited for the state file, as far as it has come to ``number``."""
        if self.file.kept >= self._obeyed[0]:
            self._obeyed = 0, ""
        self.mind_disk()
        if self._commit is not None and number >= self._commit.number:
            self._go_on()
        if self.held or self.file.place != self._said_place[0] or self._said_place[1]:
            self._say_place()
            self._release()
            self._changed()

    def save(self) -> None:
        """Bring what is dirty on its way to the disk."""
        if self.is_dirty:
            self._save()

    def _save(self) -> int:
        """Bring what must survive on its way to the disk; return the number of that write.

        A command that was accepted just now is not in it yet: most are done in a moment, and then
        nobody has to wait for the disk to be told so. The durable ones are: the place in the
        stream is behind them, and nobody would read them again.
        """
        self.is_dirty = False
        durable, owed = self._commit[2:4] if self._commit is not None else ((), ())
        known = {command.key for command in durable}
        memory = self._status.memory()
        others = tuple(command for command in memory.open if command.key not in known)
        lasting = tuple(filter(self._lasts, others))
        if len(lasting) < len(others) and self._again is None:
            self._again = self._loop.call_later(LASTING_S, self._save_again)
        # Their commands aren't open in this file any more; so it has the answers.
        answers = chain.from_iterable(map(self._lines, (*self.held, *owed)))
        kept = Kept(
            replace(memory, open=(*durable, *lasting)),
            (*self._unsent, *answers),
            self._place,
            self._outages.untold,
            Ended.of(ended, time.time()) if (ended := self._status.ended) else None,
        )
        is_awaited = bool(durable or self.held) or self.is_leaving  # a stop waits for it, too
        return self.file.save(kept, self._status.identity.boot, now=is_awaited)

    def _lasts(self, command: Command) -> bool:
        is_old = self._loop.time() - command.received >= LASTING_S
        return is_old or self.file.is_open(command.key)

    def _save_again(self) -> None:
        self._again = None
        self.is_dirty = True
        self._changed()

    # ---- the end -------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Wait for a write that is under way, and do what has waited for it; it is short."""
        if self.held or self._commit is not None:
            await self.file.idle(STATE_S)
            self._go_on()
            self._release()

    def leave(self, unsent: tuple[RedisCommand, ...]) -> None:
        """Keep what could not be said; what the broker has, the next start must not send."""
        if self.is_dirty or unsent != self._unsent:
            self._unsent = unsent
            self._save()

    async def close(self) -> None:
        """Let the disk have the last of it, and others the name."""
        self.save()
        await self.file.close()
