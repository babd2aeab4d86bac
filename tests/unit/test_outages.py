"""Tests of `statusd.unit.outages`: one gap for each outage."""

from __future__ import annotations

from statusd.core.events import Gapped
from statusd.unit.outages import Deaf, Outages

NOTHING = ("", 0, 0)


def test_a_first_connection_that_succeeds_at_once_is_no_outage() -> None:
    """There was nothing to miss."""
    outages = Outages(0.0)

    assert outages.ended(0.1, *NOTHING) is None
    assert outages.count == 0


def test_an_outage_lasts_from_the_last_proof_to_listening_again() -> None:
    """It begins before it is noticed."""
    outages = Outages(0.0)
    outages.ended(0.1, *NOTHING)
    outages.heard(10.0)
    outages.began("no reply for 4 s")
    outages.began("no connection within 2 s")

    assert outages.ended(20.0, "", 3, 0) == Gapped(
        "1970-01-01T00:00:10.000Z",
        "1970-01-01T00:00:20.000Z",
        "deaf for 10.0 s: no reply for 4 s",
        3,
        0,
    )
    assert outages.count == 1
    assert outages.ended(21.0, *NOTHING) is None


def test_what_is_heard_while_catching_up_does_not_shorten_the_outage() -> None:
    """An old probe comes with the first messages of the new link."""
    outages = Outages(0.0)
    outages.ended(0.1, *NOTHING)
    outages.heard(10.0)
    outages.began("no reply for 4 s")
    outages.heard(19.9)

    told = outages.ended(20.0, *NOTHING)

    assert told is not None
    assert told.start == "1970-01-01T00:00:10.000Z"


def test_a_broker_that_was_away_at_the_start_is_an_outage_from_the_start() -> None:
    """Words to a unit that couldn't hear yet are lost like any others."""
    outages = Outages(5.0)
    outages.began("Connection refused")

    told = outages.ended(65.0, *NOTHING)

    assert told is not None
    assert told.start == "1970-01-01T00:00:05.000Z"


def test_what_the_stream_has_lost_is_told_without_an_outage() -> None:
    """The unit was away, or somebody cut the stream while it listened."""
    outages = Outages(0.0)

    told = outages.ended(1.0, "the stream of commands is gone", 0, None)

    assert told is not None
    assert (told.reason, told.lost) == ("the stream of commands is gone", None)
    assert outages.count == 0


def test_an_outage_is_untold_until_the_history_has_it() -> None:
    """Not when it is over: the broker may be away for those who speak."""
    outages = Outages(0.0)
    outages.ended(0.1, *NOTHING)
    outages.heard(10.0)

    assert outages.began("closed")
    assert not outages.began("refused")
    assert outages.untold == Deaf(10.0, "closed")
    outages.ended(20.0, *NOTHING)
    assert outages.untold == Deaf(10.0, "closed")
    outages.reported("line")
    assert not outages.kept("another")
    assert outages.untold == Deaf(10.0, "closed")
    assert outages.kept("line")
    assert outages.untold is None


def test_of_two_untold_outages_the_first_beginning_counts() -> None:
    """And when the first is told, the second, which lasts, is not forgotten."""
    outages = Outages(0.0)
    outages.heard(10.0)
    outages.began("closed")
    outages.ended(20.0, *NOTHING)

    assert not outages.began("closed again")
    assert outages.untold == Deaf(10.0, "closed")
    outages.reported("line")
    assert outages.kept("line")
    assert outages.untold == Deaf(20.0, "closed again")


def test_what_the_last_daemon_did_not_live_to_tell_is_told_by_this_one() -> None:
    """From when that one was deaf until this one hears; it is one outage."""
    outages = Outages(60.0, Deaf(10.0, "closed"))
    outages.began("refused")

    told = outages.ended(70.0, *NOTHING)

    assert told is not None
    assert told.start == "1970-01-01T00:00:10.000Z"
    assert told.reason == "deaf for 60.0 s: closed; the daemon was restarted meanwhile"
    assert outages.count == 1
