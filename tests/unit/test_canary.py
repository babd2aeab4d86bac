"""Tests of `statusd.daemon.canary`: what was sent, and what was heard of it."""

from __future__ import annotations

from statusd.daemon.canary import Canary
from statusd.wire.outbox import RedisCommand


def payload(line: RedisCommand) -> bytes:
    """Return what is sung."""
    assert isinstance(line[2], bytes)
    return line[2]


def test_a_song_that_comes_back_proves_the_link() -> None:
    """And tells how long it took."""
    canary = Canary("c", 7)
    probe = canary.probe(10.0)
    canary.accepted(probe, 10.1)
    assert canary.silent_s(12.0) == 12.0 - 10.1

    assert canary.received(payload(probe), 12.5)

    assert canary.silent_s(13.0) == 0
    assert canary.round_trip_s == 2.5


def test_a_song_that_the_broker_never_took_accuses_nobody() -> None:
    """Then it is the sending link that is to blame, and that one notices by itself."""
    canary = Canary("c", 7)
    canary.probe(10.0)

    assert canary.silent_s(99.0) == 0


def test_the_oldest_missing_echo_counts() -> None:
    """However many are missing after it."""
    canary = Canary("c", 7)
    for now in (10.0, 11.0, 12.0):
        canary.accepted(canary.probe(now), now)

    assert canary.silent_s(14.0) == 4.0


def test_an_echo_answers_for_all_songs_before_it() -> None:
    """They come in order."""
    canary = Canary("c", 7)
    probes = [canary.probe(now) for now in (10.0, 11.0)]
    canary.accepted(probes[1], 11.0)

    canary.received(payload(probes[1]), 11.5)

    assert canary.silent_s(20.0) == 0


def test_an_echo_may_be_faster_than_the_brokers_reply() -> None:
    """They come over two connections."""
    canary = Canary("c", 7)
    probe = canary.probe(10.0)

    canary.received(payload(probe), 10.1)
    canary.accepted(probe, 10.2)

    assert canary.silent_s(20.0) == 0


def test_the_songs_of_others_are_no_proof() -> None:
    """Another daemon of this name, junk, a probe that we haven't sent yet."""
    canary = Canary("c", 7)
    canary.accepted(canary.probe(10.0), 10.0)

    assert not any(canary.received(said, 11.0) for said in (b"8-1", b"junk", b"7-2", b"7-", b""))
    assert canary.silent_s(11.0) == 1.0


def test_what_was_reset_is_not_held_against_the_next_link() -> None:
    """Nor against one that couldn't be looked at meanwhile."""
    canary = Canary("c", 7)
    probe = canary.probe(10.0)
    canary.accepted(probe, 10.0)

    canary.reset()
    canary.accepted(probe, 10.5)

    assert canary.silent_s(99.0) == 0


def test_each_way_is_measured_once() -> None:
    """An echo of an older probe says nothing of how long the newest takes."""
    canary, measured = Canary("c", 7), list[float]()
    canary.measured = measured.append

    probes = [canary.probe(float(second)) for second in (1, 2)]
    for probe, now in zip(probes, (2.25, 2.5), strict=True):
        assert canary.received(payload(probe), now)

    assert measured == [0.5]
