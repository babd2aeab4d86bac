"""The broker session: what a daemon's units share towards Redis.

Two links, one that hears and one that sends; the canary, which proves once a second that what is
sent is heard; the broker's clock. Rule of this file: it tells its daemon what has changed, and
knows none of its units.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from statusd.complaints import Complaints
from statusd.core.text import shown
from statusd.daemon.canary import DEAF_S, LATE_S, PROBE_S, Canary
from statusd.daemon.sending import Sending
from statusd.wire.cures import cure
from statusd.wire.greeting import NEEDS
from statusd.wire.link import Link, LinkState
from statusd.wire.names import is_pattern
from statusd.wire.outbox import Outbox, RedisCommand
from statusd.wire.patterns import MOST_BYTES
from statusd.wire.rights import granting
from statusd.wire.roster import Roster
from statusd.wire.subscriptions import ASKING

LINK_S = 30.0
"""A broker that is away is logged again after this time: there are two links."""

DRAIN_S = 2.0
"""So long the last words may take in all, however much the broker says meanwhile, in seconds: who
waits for our end (attach, compose) has little more."""

MakeLink = Callable[[Any, tuple[str, ...]], Link]


class Sharers(Protocol):
    """The daemon, as far as its session has to do with it; all calls come from the loop."""

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take one message."""

    def read_complete(self) -> None:
        """All that had arrived together has been told."""

    def hears(self) -> None:
        """The hearing link listens again, and has read what it missed."""

    def is_deaf(self, reason: str) -> None:
        """The hearing link is lost, or could not be made."""

    def proved(self) -> None:
        """The hearing link was just proved to hear."""

    def sang(self) -> None:
        """A second has passed, and something goes out: whatever goes with it costs little."""

    def is_unreachable(self) -> None:
        """An attempt to make the sending link has failed."""

    def link_changed(self) -> None:
        """A link is up, or lost, or doesn't hear the same channels as before."""

    def link_failed(self) -> None:
        """Another attempt to make a link has failed."""


class Session:
    """Keeps the links.

    Args:
        make_link: makes one, for a listener and the channels that it is to hear; none to send.
        channels: what is to be heard, the canary's own channel beside them.
        canary: proves that it is.
        sharers: the daemon.
        wall: the wall clock in seconds.
        log: where it tells of the links.
    """

    def __init__(
        self,
        make_link: MakeLink,
        channels: Sequence[str],
        canary: Canary,
        sharers: Sharers,
        wall: Callable[[], float],
        log: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sharers = sharers
        self._wall = wall
        self._log = log
        self.canary = canary
        self.hear, self.read_complete = sharers.hear, sharers.read_complete
        self.subscriber_link = make_link(self, tuple(channels))
        self.subscriber_link.subscriptions.vital = canary.channel
        self.refused = self.subscriber_link.subscriptions.refused
        self.publisher_link = make_link(self, ())
        self.publisher_link.proved = self._sends
        sending = self.sending = Sending(self._loop, self.publisher_link.flush)
        self.flush, self.flush_soon = sending.flush, sending.flush_soon
        self.heard_at = self.subscriber_link.heard_at
        self.complaints = Complaints(self._loop.time, log)
        self.outbox = self.open_outbox(self._refused)
        self.roster = Roster(self.outbox, log)
        self._prove_at = 0.0
        self._ignored = 0
        self.drained: asyncio.Future[None] | None = None
        """Done when the broker has everything; None as long as nobody waits for that."""

    # ---- what units ask ------------------------------------------------------------------------

    def open_outbox(self, refused: Callable[[RedisCommand, str], None]) -> Outbox:
        """Return an outbox on the sending link; ``refused`` gets what the broker refuses of it."""
        return self.publisher_link.outbox.open(refused)

    def close_outbox(self, outbox: Outbox) -> None:
        """Send nothing of it any more."""
        self.publisher_link.outbox.close(outbox)

    def time(self) -> float:
        """Return the broker's wall clock in seconds; ours, before it has told us."""
        for link in (self.subscriber_link, self.publisher_link):
            if (told := link.server.time()) is not None:
                return told
        return self._wall()

    @property
    def link_state(self) -> str:
        """How far the hearing link is, as the document says it."""
        return self.subscriber_link.state.value

    @property
    def canary_s(self) -> float | None:
        """How long the last proof that the link hears took, in seconds; None before the first."""
        return self.canary.round_trip_s

    # ---- the life ------------------------------------------------------------------------------

    def prove(self) -> None:
        """Send a probe once a second, and doubt a hearing link that doesn't bring it back."""
        now = self._loop.time()
        is_late = self._prove_at and now - self._prove_at > LATE_S
        self._prove_at = now + PROBE_S
        self._loop.call_at(self._prove_at, self.prove)
        if is_late:  # we were stopped or starved: what has arrived meanwhile is yet to be read
            self.canary.reset()
        elif (
            min(self.canary.silent_s(now), self.subscriber_link.unheard_s(now))
            >= DEAF_S - PROBE_S / 2
        ):
            self.subscriber_link.doubt(f"it doesn't hear its own canary any more, for {DEAF_S:g} s")
        if LinkState.LISTENING is self.subscriber_link.state is self.publisher_link.state:
            self.outbox.put_latest("canary", self.canary.probe(now), self._probe_accepted)
        if self.subscriber_link.subscriptions.ignored != self._ignored:
            self._ignored = self.subscriber_link.subscriptions.ignored
            reason = f"the name of their channel is longer than {MOST_BYTES} bytes"
            self.complaints.report("names", "message.ignored", count=self._ignored, reason=reason)
        self._sharers.sang()
        if self.publisher_link.state is LinkState.LISTENING:
            self.roster.beat(now)
        self.flush()

    def _probe_accepted(self, probe: RedisCommand, _: object) -> None:
        self.canary.accepted(probe, self._loop.time())

    def probed(self, payload: bytes) -> None:
        """Take what was heard on the canary's channel."""
        if self.canary.received(payload, self._loop.time()):
            self._sharers.proved()

    async def drain(self, patience_s: float) -> None:
        """Wait until the broker has everything, or one try at it has failed.

        Only from here on can that be told: before, more last words may come, however empty the
        outboxes are. A broker that is far away or busy, but there, is waited for: it is given up
        when it says nothing for ``patience_s`` longer than its answers take.
        """
        if not self.publisher_link.outbox:
            return
        if self.publisher_link.state is not LinkState.LISTENING:
            self.publisher_link.hurry()
        if self.drained is None or self.drained.done():
            self.drained = self._loop.create_future()
        patience_s += self.publisher_link.answer_s
        until, said = self._loop.time() + DRAIN_S, None
        while (left_s := until - self._loop.time()) > 0 and said != self.publisher_link.progress:
            said = self.publisher_link.progress
            await asyncio.wait([self.drained], timeout=min(patience_s, left_s))
            if self.drained.done():
                return

    def check_drained(self) -> None:
        """Take note of whether the broker has everything by now."""
        if not self.publisher_link.outbox:
            self._stop_draining()

    def _stop_draining(self) -> None:
        if self.drained is not None and not self.drained.done():
            self.drained.set_result(None)

    # ---- what the links tell -------------------------------------------------------------------

    def link_changed(self, link: Link) -> None:
        """Log that a link is up or down, and tell who is to know."""
        which = self._which(link)
        if link.state is LinkState.LISTENING:
            if not link.refused:  # else it is up when it has written something
                self._log_up(link, which)
        else:
            fields = _told(link, which)
            if link.refused:
                self.complaints.report(f"{which}: refused", "link.lost", LINK_S, **fields)
            else:
                self._log.warning("link.lost", **fields)
        if link is self.publisher_link and link.state is not LinkState.LISTENING:
            self.roster.lost()
        if link is self.subscriber_link:
            self.canary.reset()
            if link.state is LinkState.LISTENING:
                self._sharers.hears()
            else:
                self._sharers.is_deaf(link.trouble)
        self._sharers.link_changed()

    def _which(self, link: Link) -> str:
        return "hears" if link is self.subscriber_link else "sends"

    def _log_up(self, link: Link, which: str) -> None:
        server = f"{link.server.software} {link.server.version}".strip()
        self._log.info("link.up", link=which, broker=str(link.address), server=server)
        self.complaints.forget(which)

    def _sends(self) -> None:
        """The sending link has written something: whatever refused that before is over."""
        if self.complaints.forget("sends: refused"):
            self._log_up(self.publisher_link, "sends")

    def link_failed(self, link: Link) -> None:
        """Log that another attempt has failed, unless that is no news."""
        if link is self.subscriber_link:
            self._sharers.is_deaf(link.trouble)
        else:
            self._sharers.is_unreachable()
            self._stop_draining()  # one try for the last words was granted
        which = self._which(link)
        self.complaints.report(which, "link.failed", LINK_S, **_told(link, which))
        self._sharers.link_failed()

    def channel_refused(self, channel: str, reason: str) -> None:
        """Log which right is missing; the units tell it as their trouble."""
        line: RedisCommand = (ASKING[is_pattern(channel)], channel)
        user = self.subscriber_link.address.username or "default"
        cure = f'ACL SETUSER {user} "{granting([line])[line]}"'
        if not reason.startswith("NOPERM"):  # no right would help: whoever answers can't do it
            cure = NEEDS
        self.complaints.report(
            f"channel {channel}", "channel.refused", channel=channel, reason=reason, cure=cure
        )
        self._sharers.link_changed()

    def channel_heard(self, channel: str) -> None:
        """Log that a right is there that was missing."""
        self.complaints.forget(f"channel {channel}")
        self._log.info("channel.heard", channel=channel)
        self._sharers.link_changed()

    def _refused(self, line: RedisCommand, reason: str) -> None:
        command: object = line[0]
        self.complaints.report(
            f"reply {command!s}", "reply.failed", command=command, reason=shown(reason)
        )


def _told(link: Link, which: str) -> dict[str, str]:
    """Return what the log is told of a link that is down: why, and what to do, if that is known."""
    what = cure(link.trouble)
    fields = {"link": which, "broker": str(link.address), "reason": link.trouble}
    return fields | ({"cure": what} if what else {})
