"""What is counted of a unit, and told to the log: its events, its answers, its troubles.

Rule of this file: neither a trouble that goes on nor a flood of commands becomes a flood of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from statusd import logs
from statusd.complaints import Complaints
from statusd.core import events as ev
from statusd.core.answers import Verdict
from statusd.core.text import shown
from statusd.scheduler import Scheduler
from statusd.unit.counts import Counts
from statusd.unit.state_file import StateFile
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox, RedisCommand

LOGGED_ANSWERS = 20
"""So many answers a second are logged; the rest is counted."""
_REMARKS = {
    "gap": "gap.ended",
    "drop": "drop.told",
    "hang": "worker.hung",
    "recover": "worker.recovered",
    "grow": "worker.grown",
    "shrink": "worker.shrunk",
    "unreached": "worker.unreached",
}
_ANSWER_LOGGED = (
    *("verdict", "command", "source", "reason", "did_you_mean", "count", "id", "state"),
    *("seq", "repeat"),
)
_UNREMARKABLE = ("accepted", "done")


class InOrder:
    """A log whose lines come after what was said before them.

    Args:
        log: where to.
        before: called before each line.
    """

    def __init__(self, log: Any, before: Callable[[], None]) -> None:
        self._log = log
        self._before = before

    def info(self, event: str, **fields: Any) -> None:
        """Log what is as it should be."""
        self._before()
        self._log.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what somebody might want to look at."""
        self._before()
        self._log.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what has failed."""
        self._before()
        self._log.error(event, **fields)


class Reporter:
    """Counts what one unit does, and tells the log about it.

    Args:
        log: where to; in_order: the same, after what was said before.
        loop: whose time it is.
        names: of the unit.
    """

    def __init__(self, log: Any, in_order: InOrder, loop: Scheduler, names: Names) -> None:
        self.complaints = Complaints(loop.time, in_order)
        self.counts = Counts()
        self.unnoted: list[tuple[ev.Event | Verdict, str, float]] = []
        """What was said, with its time (RFC 3339, and of the wall clock), and isn't noted yet."""
        self._log = log
        self._loop = loop
        self._names = names
        self._disk = ""
        self._dropped = self._lost_lines = 0
        self.told_drops = 0
        """So many lines are known to readers to have been dropped."""
        self._told_losses = 0
        self._second = self._logged = self._unlogged = 0

    # ---- events and answers --------------------------------------------------------------------

    def remark(self, fields: dict[str, Any]) -> None:
        """Log an event that is no transition."""
        told = {k: fields[k] for k in ("reason", "run", "seq") if k in fields}
        self._log.warning(_REMARKS[fields["trigger"]], **told, **fields.get("gap", {}))

    def event(self, event: ev.Event, at: str) -> None:
        """Count and log a transition, told at the time ``at`` (RFC 3339)."""
        self.counts.changed(event.change)
        logs.changed(self._log, event.change, event.more, event.seq, at)

    def answer(self, verdict: Verdict) -> None:
        """Count an answer; log one that somebody may wonder about, and only so many a second."""
        self.counts.answered(verdict)
        if logs.is_enabled("debug"):
            self._log.debug("command.answered", **_shown(verdict))
            return
        if verdict.kind in _UNREMARKABLE:
            return
        second = int(self._loop.time())
        if second != self._second:
            if self._unlogged:
                reason = "too many to be shown"
                self._log.info("command.answered", count=self._unlogged, reason=reason)
            self._second, self._logged, self._unlogged = second, 0, 0
        if self._logged >= LOGGED_ANSWERS:
            self._unlogged += 1
            return
        self._logged += 1
        self._log.info("command.answered", **_shown(verdict))

    # ---- troubles ------------------------------------------------------------------------------

    def refused(self, line: RedisCommand, reason: str) -> None:
        """The broker has refused a line that nobody else takes care of."""
        command: object = line[0]
        self.complaints.report(
            f"reply {command!s}", "reply.failed", command=command, reason=shown(reason)
        )

    def history_refused(self, event: str, reason: str) -> None:
        """The history can't be kept, or was put aside."""
        self.complaints.report(event, event, reason=reason)

    def history_mended(self) -> None:
        """Nothing of the history waits any more."""
        for what in ("history.refused", "history.put_aside"):
            self.complaints.forget(what)
        self._log.info("history.kept", then="nothing of it waits any more")

    def cursor(self, event: str, reason: str) -> None:
        """Something is wrong with our place in the stream, or an entry of it."""
        key = self._names.cursor if event.startswith("cursor") else self._names.commands
        self.complaints.report(event, event, key=key, reason=reason)

    def disk(self, file: StateFile) -> bool:
        """Tell that the disk doesn't take what there is to keep, and that it does again.

        Returns:
            Whether that is news.
        """
        trouble = file.trouble
        if trouble:
            then = "what was obeyed since is lost, or obeyed again, if this daemon is killed"
            self.complaints.report("state file", "state_file.failed", reason=trouble, then=then)
        elif self._disk:
            self.complaints.forget("state file")
            self._log.info("state_file.kept_again", file=str(file.path))
        is_news = bool(trouble) is not bool(self._disk)
        self._disk = trouble
        return is_news

    def troubles(
        self,
        disk: str,
        history: str,
        stream: str,
        channels: Sequence[str],
        refused: Mapping[str, str],
    ) -> list[str]:
        """Return what somebody ought to put right, in words.

        Args:
            disk, history, stream: what is wrong with them; empty for nothing.
            channels: the user's own.
            refused: channels that the broker doesn't let us hear, and why.
        """
        found = {self._names.history: history, self._names.commands: stream}
        for channel in (self._names.control, self._names.logs, *channels) if refused else ():
            if channel in refused:
                found[channel] = f"it isn't heard: {refused[channel]}"
        unkept = [f"nothing is kept: {disk}"] if disk else []
        return [*unkept, *(f"{key}: {why}" for key, why in found.items() if why)]

    def lost_lines(self, count: int) -> None:
        """So many lines of the worker's output were lost until now."""
        if count != self._lost_lines:
            self.complaints.report("output", "output.dropped", lines=count)
            self._lost_lines = count

    def drops(self, outbox: Outbox) -> ev.Dropped | None:
        """Tell what was dropped unsent.

        Returns:
            What a reader of events is to be told, when there is room for it again.
        """
        if outbox.dropped != self._dropped:
            self.complaints.report(
                "drops", "outbox.dropped", lines=outbox.dropped, kept=outbox.lost
            )
            self._dropped = outbox.dropped
        if outbox.dropped == self.told_drops or outbox.waiting >= outbox.limit // 2:
            return None
        dropped, lost = outbox.dropped - self.told_drops, outbox.lost - self._told_losses
        self.told_drops, self._told_losses = outbox.dropped, outbox.lost
        kept = f", {lost} events of the history among them" if lost else ""
        return ev.Dropped(f"{dropped} messages were dropped unsent{kept}: the broker took fewer")


def _shown(verdict: Verdict) -> dict[str, Any]:
    return {key: verdict.fields[key] for key in _ANSWER_LOGGED if key in verdict.fields}
