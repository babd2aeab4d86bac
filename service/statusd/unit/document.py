"""The status document: what a unit tells the world about itself, put together from its parts."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hiredis

from statusd.core.lifecycle import BUILT_IN, Part
from statusd.core.policy import Policy
from statusd.core.status import Status
from statusd.core.times import rfc3339
from statusd.core.unit import Cause
from statusd.supervision.process import Process
from statusd.supervision.supervisor import Reached
from statusd.unit.outages import Outages
from statusd.unit.ports import Ports
from statusd.unit.publisher import BEAT_S, TOUCH_S
from statusd.unit.work import Work
from statusd.wire.outbox import RedisCommand

UNSEEN_S = 0.01
"""So long the document waits for the worker to be seen in a new state."""

_HOST = socket.gethostname()
_PARTS = {Part.WORKS: "works", Part.WAITS: "waits", Part.ENDS: "ends"}


class Proof(NamedTuple):
    """How well the unit hears.

    Args:
        outages: how many there were since its daemon started, the present one included.
        canary_ms: from its last probe to the hearing of it, in ms; None before the first.
    """

    outages: int
    canary_ms: float | None


def document(
    status: Status,
    process: Process | None,
    link: str,
    proof: Proof,
    channels: Sequence[str],
    since: float,
    now: float,
    reached: Reached | None = None,
    progress: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the status document (design section 4).

    Args:
        status: what is decided.
        process: the present worker, for what it says of its work.
        link: how far the hearing link is; proof: what is known of how well it hears.
        channels: the user's own channels and patterns that it hears.
        since: when the state changed last, by the wall clock in seconds.
        now: the time on the monotonic clock.
        reached: what a run that is over has said of its work last.
        progress: how far the work is, and how it goes on (see `Work`).
    """
    identity, worker = status.identity, status.worker
    record = process.record() if process is not None else None
    return {
        "name": identity.name,
        "tags": sorted(identity.tags),
        "boot": identity.boot,
        "seq": status.seq,
        "run": worker.run,
        "state": status.state.name,
        "part": _PARTS[status.lifecycle.parts[status.state]],
        "kind": status.lifecycle.kinds[status.state],
        "since": rfc3339(since),
        "goal": status.goal.name,
        "allowed": list(status.allowed),
        "waits_for": status.waits_for,
        "observed": status.is_observed,
        "unseen_since": rfc3339(since) if status.is_unseen else None,
        "text": _text(status, process, record.text if record else ""),
        "progress": progress,
        "args": status.args,
        "worker": _worker(status, process, reached),
        "stop": _stop(status, now),
        "last": _last(status),
        "ended": _ended(status),
        "host": _HOST,
        "pid": os.getpid(),
        "channels": list(channels),
        "link": link,
        "outages": proof.outages,
        "canary_ms": proof.canary_ms,
        "beat_s": TOUCH_S,
        "ends_within_s": _ends_within_s(status.policy),
        **({"deadline": rfc3339(status.policy.deadline)} if status.policy.deadline else {}),
        **({} if status.lifecycle is BUILT_IN else {"words": list(status.table.vocabulary)}),
    }


def _ends_within_s(policy: Policy) -> float:
    """Return the time from END by command to SIGKILL; an attached program is not signalled."""
    return policy.stop_timeout_s + (0.0 if policy.attached else policy.kill_timeout_s)


def _stop(status: Status, now: float) -> dict[str, Any] | None:
    """Return how far the worker's end has come, and what comes next in how many seconds."""
    stop = status.supervision.stopping.stop
    if stop is None:
        return None
    if not stop.next:
        return {"stage": stop.stage}
    return {"stage": stop.stage, "next": stop.next, "in_s": round(max(0.0, stop.at - now), 1)}


def _worker(status: Status, process: Process | None, reached: Reached | None) -> dict[str, Any]:
    """Return what is known of the process, and of the death of the last one."""
    worker: dict[str, Any] = {
        "pid": process.pid if process is not None and status.worker.alive else None,
        "beats": process.pulse().beats if process is not None else 0,
        "restarts": status.supervision.restarts,
    }
    usage = process.sampler.usage if process is not None and status.worker.counts else None
    if usage is not None:
        worker["resources"] = usage.fields
    death = status.supervision.death
    if death is not None:
        worker["death"] = {"run": death.run, "reason": death.reason, "stderr": list(death.stderr)}
    if reached is not None:
        run, record = reached
        worker["reached"] = {
            **{"run": run, "step": record.step, "total": record.total, "text": record.text}
        }
    return worker


def _text(status: Status, process: Process | None, said: str) -> str:
    """Return the worker's own text, or what is being waited for."""
    worker, lifecycle, last = status.worker, status.lifecycle, status.transitions.last
    if worker.alive and worker.awaited:
        return worker.awaited
    if process is not None and worker.alive and (worker.exited or worker.doomed):
        return f"waiting for the processes of pid {process.pid} to die"
    if status.state in (lifecycle.backoff, lifecycle.failed) and last is not None:
        return last.reason
    return worker.hung or said


def _last(status: Status) -> dict[str, Any] | None:
    cause = status.transitions.last
    if cause is None:
        return None
    return {"event": status.transitions.last_change, **_fields_of(cause)}


def _ended(status: Status) -> dict[str, Any] | None:
    """Return why the unit is ending or has, also after `last` tells how its worker left."""
    cause = status.ended
    return _fields_of(cause) if cause is not None else None


def _fields_of(cause: Cause) -> dict[str, Any]:
    fields = {"source": cause.source, "reason": cause.reason}
    if cause.command is not None:
        command = cause.command
        fields |= {"command": command.word, "by": command.by, "id": command.id}
    return {key: value for key, value in fields.items() if value}


class DocumentWriter:
    """Writes the document of one unit: soon after a change, and once for what came together.

    Args:
        status: what is decided.
        ports: the world.
        process: returns the present worker; reached: what a run that is over said last.
        outages: how often the unit was deaf.
        channels: the user's own channels and patterns that it hears.
        troubles: returns what somebody ought to put right, in words.
        publish: writes it, as the last one or not.
    """

    def __init__(
        self,
        status: Status,
        ports: Ports,
        *,
        process: Callable[[], Process | None],
        reached: Callable[[], Reached | None],
        outages: Outages,
        channels: Sequence[str],
        troubles: Callable[[], list[str]],
        publish: Callable[..., None],
    ) -> None:
        self.channels = channels
        self.since = ports.wall()
        """When the state changed last, by the wall clock."""
        self.is_stale = True
        self.is_ours = False
        """The name is ours: else the document is somebody else's."""
        self.is_urgent = False
        """It must not say for a moment longer what it says."""
        lifecycle = status.lifecycle
        dead = (lifecycle.backoff, lifecycle.failed, lifecycle.end)
        self.urgent_in = frozenset(state.name for state in dead)
        """The states whose worker is dead: nobody is to be told that it works after that."""
        self._status = status
        self._ports = ports
        self._process = process
        self.work = Work(status, process, ports.loop.time)
        self._reached = reached
        self._outages = outages
        self._others = troubles
        self._publish = publish
        self._show_at = self._touch_at = 0.0
        self._said: tuple[object, ...] = ()
        self._said_unseen = False
        """It tells that the worker is still to see the state."""
        self._waiting: asyncio.TimerHandle | None = None

    def changed(self, at: float) -> None:
        """The state has changed, ``at`` that time of the wall clock."""
        self.is_stale = True
        self.since = at
        self.work.changed()
        self._show_at = self._ports.loop.time() + UNSEEN_S

    def write(self, *, at_once: bool = False) -> None:
        """Write it if it is stale, once for a transition: with the worker seen, or a bit later."""
        self.is_urgent = False
        status, loop = self._status, self._ports.loop
        self.is_stale |= self._said_unseen and not status.is_unseen
        if not self.is_stale or not self.is_ours:
            return
        is_unseen = status.worker.counts and not status.is_observed
        if is_unseen and not at_once and loop.time() < self._show_at:
            if self._waiting is None:
                self._waiting = loop.call_at(self._show_at, self._look_again)
            return
        self.is_stale, self._said_unseen = False, status.is_unseen
        self._touch_at, self._said = loop.time() + TOUCH_S - BEAT_S / 2, self._unannounced()
        left = status.state is status.lifecycle.end
        self._publish(self.fields(), self._replied, left=left)

    def beat(self, now: float) -> None:
        """See whether it has to be written anew (loop's time): for what is new, or it grows old."""
        self.is_stale |= (
            now >= self._touch_at
            or self._status.supervision.stopping.stop is not None  # it tells the time that is left
            or self._said != self._unannounced()
        )

    def _troubles(self) -> list[str]:
        """Return what somebody ought to put right, in words."""
        worker = self._status.worker
        return [*self._others(), *([worker.grown] if worker.counts and worker.grown else [])]

    def _unannounced(self) -> tuple[object, ...]:
        """Return what may have changed without any input of the unit's having said so."""
        process, status, record = self._process(), self._status, self.work.look()
        text = _text(status, process, record.text if record else "")
        return record, text, status.is_observed, tuple(self._troubles())

    def _replied(self, _: RedisCommand, reply: object) -> bool:
        """Write it again with the next beat if it was refused: the older one runs out."""
        if isinstance(reply, hiredis.ReplyError):
            self._touch_at = 0.0
        return False

    def _look_again(self) -> None:
        self._waiting = None
        if self.is_stale:
            self._ports.later()

    def fields(self) -> dict[str, Any]:
        """Return it as it is now."""
        broker = self._ports.broker
        round_trip_s = broker.canary_s
        proof = Proof(
            self._outages.count, None if round_trip_s is None else round(round_trip_s * 1000, 3)
        )
        now = self._ports.loop.time()
        told = document(
            self._status,
            self._process(),
            broker.link_state,
            proof,
            self.channels,
            self.since,
            now,
            self._reached(),
            self.work.fields(),
        )
        daemon = {"daemon": self._ports.daemon} if self._ports.daemon else {}
        at = rfc3339(self._ports.wall())
        return {**told, **daemon, "trouble": "; ".join(self._troubles()), "at": at}
