"""Tests of `statusd.fleet.response_collector`: who has answered, who is silent or lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statusd.core.messages import EVERYBODY, Target
from statusd.fleet.response_collector import (
    LOST,
    PENDING,
    SILENT,
    UNREADABLE,
    Outcome,
    Report,
    ResponseCollector,
    UnitInfo,
    asked,
    read_fleet,
    renewed,
)


def entry(boot: int = 5, *, left: bool = False) -> str:
    """Return an entry of the roster."""
    return json.dumps({"boot": boot, "left": left, "seen": "2026-11-23T12:00:00.000Z"})


def document(boot: int = 5, **more: Any) -> bytes:
    """Return a status document."""
    return json.dumps({"boot": boot, "state": "RUNNING", "tags": ["gpu"], **more}).encode()


def unit(name: str, state: str = "RUNNING", boot: int = 5) -> UnitInfo:
    """Return a unit that is alive."""
    return UnitInfo(name, boot, False, "", {"state": state, "boot": boot, "tags": ["gpu"]})


def gone(name: str) -> UnitInfo:
    """Return a unit that is lost."""
    return UnitInfo(name, 5, False, "2026-11-23T12:00:00.000Z")


def verdict(name: str, kind: str = "done", **more: Any) -> str:
    """Return a verdict as it stands on the wire."""
    fields = {"verdict": kind, "id": "x", "name": name, "boot": 5, "state": "PAUSED"}
    return json.dumps(fields | more)


# ---- the fleet ----------------------------------------------------------------------------------


def test_the_roster_and_the_documents_tell_who_is_there() -> None:
    """Alive, ended, lost: by name."""
    roster = {"b": entry(), "a": entry(left=True), "c": entry(), "d": entry(left=True)}
    documents = {"b": document(), "a": document(state="END"), "c": None}

    units = read_fleet(roster, documents)

    assert [(u.name, u.state, u.is_alive, u.is_lost) for u in units] == [
        ("a", "END", False, False),
        ("b", "RUNNING", True, False),
        ("c", LOST, False, True),
        ("d", "END", False, False),
    ]


def test_a_document_says_when_its_unit_was_seen() -> None:
    """The roster is written less often; it is for those without one, or with one of old."""
    later = "2026-11-23T12:00:07.000Z"
    documents = {"a": document(at=later), "b": document(), "c": None, "d": document(4, at=later)}

    units = read_fleet(dict.fromkeys("abcd", entry()), documents)

    assert [unit.seen == later for unit in units] == [True, False, False, False]
    assert renewed(units[1], document(at=later)).seen == later


@pytest.mark.parametrize("boot", [4, 6])
def test_a_document_of_another_boot_is_ignored(boot: int) -> None:
    """A daemon that slept may write after its successor has."""
    units = read_fleet({"a": entry(5)}, {"a": document(boot)})

    assert units[0].is_lost


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"boot": "x"}', None, 3, b"\xff"])
def test_junk_in_the_broker_hurts_nobody(junk: Any) -> None:
    """Anybody may write there: it is shown by its name, and the others as they are."""
    roster = {"a": junk, "b": entry(), "c": entry()}

    a, b, c = read_fleet(roster, {"b": junk, "c": document()})

    assert (a.state, a.is_alive) == (UNREADABLE, False)
    assert (b.state, b.is_alive) == ((LOST, False) if junk is None else (UNREADABLE, True))
    assert (c.state, c.is_alive) == ("RUNNING", True)


# ---- who is asked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "alive", "lost"),
    [
        (EVERYBODY, ["gpu-1", "gpu-2"], ["gpu-3"]),
        (Target(name=("*-1",)), ["gpu-1"], []),
        (Target(name=("gpu-*",)), ["gpu-1", "gpu-2"], ["gpu-3"]),
        (Target(tag=("gpu",)), ["gpu-1", "gpu-2"], []),
        (Target(tag=("cpu",)), [], []),
        (Target(state=("PAUSED",)), ["gpu-2"], []),
    ],
)
def test_who_may_be_meant_is_asked(target: Target, alive: list[str], lost: list[str]) -> None:
    """Of the lost nobody knows tags or state."""
    units = [unit("gpu-1"), unit("gpu-2", "PAUSED"), gone("gpu-3"), UnitInfo("x", 5, True, "")]

    found = asked(units, target, lambda _: True)

    assert [[one.name for one in units] for units in found] == [alive, lost]


def test_who_does_not_hear_the_channel_is_not_asked() -> None:
    """It can't answer."""
    assert asked([unit("a"), unit("b")], EVERYBODY, lambda one: one.name == "a")[0] == [unit("a")]


# ---- the verdicts -------------------------------------------------------------------------------


def collector(*names: str, lost: tuple[str, ...] = ()) -> ResponseCollector:
    """Return a collector over those units, sent at 100 s."""
    return ResponseCollector("x", map(unit, names), map(gone, lost), 100.0)


def test_it_is_complete_with_the_last_final_verdict() -> None:
    """`accepted` isn't one."""
    votes = collector("a", "b")

    assert votes.take(verdict("a"), 100.001) == Outcome(
        "a", "done", "RUNNING", "PAUSED", 1.0, "", json.loads(verdict("a"))
    )
    assert votes.take(verdict("b", "accepted"), 100.002) is None
    before = votes.is_complete
    assert votes.take(verdict("b", "refused", reason="no"), 100.003) is not None
    assert (before, votes.is_complete) == (False, True)
    assert [o.verdict for o in votes.report().outcomes] == ["done", "refused"]


def test_nobody_expected_is_complete() -> None:
    """There is nothing to wait for."""
    assert collector(lost=("a",)).is_complete
    assert collector(lost=("a",)).report().exit_code == 5


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        verdict("a", id="another"),
        verdict("a", boot=4),
        json.dumps({"verdict": "done", "id": "x"}),
        json.dumps({"verdict": "done", "id": "x", "name": 3}),
    ],
)
def test_what_is_no_verdict_of_ours_is_passed_over(message: str) -> None:
    """Another command's, an older boot's, junk."""
    votes = collector("a")

    assert votes.take(message, 101) is None
    assert not votes.is_complete


def test_a_second_verdict_changes_nothing() -> None:
    """The first final one counts."""
    votes = collector("a")
    votes.take(verdict("a"), 100.001)

    assert votes.take(verdict("a", "failed"), 100.002) is None
    assert votes.report().outcomes[0].verdict == "done"


def test_who_was_not_expected_is_reported_too() -> None:
    """It has come since the roster was read."""
    votes = collector("a")
    votes.take(verdict("new"), 100.001)

    report = votes.report()

    assert [(o.name, o.verdict) for o in report.outcomes] == [("a", SILENT), ("new", "done")]


def test_each_unit_stands_in_one_list() -> None:
    """Of a report: who is on its way is neither silent nor has it refused."""
    votes = collector("a", "b", "c", "d", lost=("e",))
    for name, kind in (("a", "done"), ("b", "refused"), ("c", "postponed")):
        votes.take(verdict(name, kind), 100.001)

    report = votes.report()

    lists = (report.done, report.refused, report.pending, report.silent, report.lost)
    assert ["".join(outcome.name for outcome in found) for found in lists] == [*"abcde"]


def test_an_end_takes_as_long_as_the_slowest_unit_that_has_taken_it() -> None:
    """By its document; who is silent, or elsewhere, or says nothing of it isn't waited for more."""
    patient = {"a": 67.0, "b": 7.0, "c": 100.0, "d": 200.0}
    documents = {name: {"boot": 5, "ends_within_s": s} for name, s in patient.items()}
    units = [UnitInfo(name, 5, False, "", documents.get(name, {"boot": 5})) for name in "abcde"]
    votes = ResponseCollector("x", units, [], 100.0)
    known = [votes.ends_within_s()]

    for name, kind, state in (
        ("b", "accepted", "ENDING"),
        ("a", "accepted", "ENDING"),
        ("c", "accepted", "PAUSED"),
        ("e", "accepted", "ENDING"),
        ("a", "done", "END"),
    ):
        votes.take(verdict(name, kind, state=state), 100.001)
        known.append(votes.ends_within_s())

    assert known == [0, 7, 67, 67, 67, 7]


def test_who_has_gone_since_is_not_waited_for() -> None:
    """What it has taken won't be done; unless it has said so before."""
    votes = collector("a", "b", "c")
    votes.take(verdict("a", "accepted", state="ENDING"), 100.001)
    votes.take(verdict("b"), 100.002)
    for name in "abc":
        votes.leave(name)

    report = votes.report()

    assert (votes.is_complete, votes.unfinished, votes.ends_within_s()) == (True, [], 0.0)
    assert [(o.name, o.verdict) for o in report.outcomes] == [
        ("a", SILENT),
        ("b", "done"),
        ("c", SILENT),
    ]
    assert report.outcomes[0].reason == "accepted, and its daemon has gone since"
    assert report.exit_code == 4


def test_the_silent_and_the_lost_are_named() -> None:
    """With what is known of them."""
    votes = collector("a", "b", lost=("c",))
    votes.take(verdict("b", "accepted"), 100.001)

    outcomes = {o.name: o for o in votes.report().outcomes}

    assert (outcomes["a"].verdict, outcomes["a"].reason) == (SILENT, "no answer")
    assert (outcomes["b"].verdict, outcomes["b"].reason) == (PENDING, "accepted, and not done yet")
    assert (outcomes["b"].before, outcomes["b"].after) == ("RUNNING", "PAUSED")
    assert outcomes["c"].reason == "last seen 2026-11-23T12:00:00.000Z"


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ("done noop", 0),
        ("done refused", 3),
        ("failed silent", 3),
        ("invalid", 3),
        ("expired", 3),
        ("done silent", 4),
        ("done pending", 6),
        ("pending LOST", 6),
        ("pending silent", 4),
        ("pending refused silent", 3),
        ("done LOST", 0),
        ("LOST", 5),
        ("", 5),
    ],
)
def test_the_exit_code_says_what_became_of_it(verdicts: str, code: int) -> None:
    """0 all done, 3 some refused, 4 some silent, 6 some pending, 5 nobody to be asked."""
    outcomes = tuple(Outcome(str(n), verdict) for n, verdict in enumerate(verdicts.split()))

    assert Report("x", outcomes).exit_code == code
