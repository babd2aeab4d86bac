"""Tests of `statusd.daemon.router`: each unit gets its messages once, nobody what isn't his."""

from __future__ import annotations

from typing import Any

import pytest

from statusd.daemon.router import MOST_ROUTES, Router
from statusd.wire.names import Names


class Unit:
    """Writes down what it hears, and fails if it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[bytes, bytes]] = []
        self.errors: list[Exception] = []
        self.bug: Exception | None = None
        self.logs: Unit | None = None

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Hear a message."""
        if self.bug is not None:
            raise self.bug
        self.heard.append((channel, payload))

    def fail(self, error: Exception) -> None:
        """Be told of a bug."""
        self.errors.append(error)


def routed(**channels: tuple[str, ...]) -> tuple[Router, dict[str, Unit], list[bytes]]:
    """Return a router, its units by name, and what the canary's channel has brought."""
    echoes: list[bytes] = []
    router = Router(Names("statusd", "daemon"), echoes.append)
    units = {name: Unit(name) for name in channels}
    for name, heard in channels.items():
        unit: Any = units[name]
        router.hears(unit, heard)
    return router, units, echoes


def got(units: dict[str, Unit]) -> dict[str, int]:
    """Return how many messages each unit has heard."""
    return {name: len(unit.heard) for name, unit in units.items()}


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (b"a", {"one": 1, "two": 0, "all": 1}),
        (b"lab.x", {"one": 0, "two": 1, "all": 1}),
        (b"elsewhere", {"one": 0, "two": 0, "all": 1}),
        (b"statusd:control", {"one": 1, "two": 1, "all": 1}),
        (b"statusd:verdicts", {"one": 0, "two": 0, "all": 0}),
        (b"statusd:events", {"one": 0, "two": 0, "all": 0}),
        (b"statusd:reply:x", {"one": 0, "two": 0, "all": 0}),
        (b"statusd:canary:{other}", {"one": 0, "two": 0, "all": 0}),
    ],
)
def test_a_message_goes_once_to_each_unit_that_hears_its_channel(
    channel: bytes, expected: dict[str, int]
) -> None:
    """However many of a unit's names and patterns fit; of the namespace's own, only control."""
    router, units, echoes = routed(one=("a",), two=("lab.*", "lab.?", "lab.x"), all=("*", "a", "?"))

    router.hear(channel, b"pause")
    assert got(units) == expected
    router.hear(channel, b"pause")  # by the way that is known now

    assert got(units) == {name: 2 * count for name, count in expected.items()}
    assert echoes == []


@pytest.mark.fault("J22")
@pytest.mark.parametrize(
    "channel",
    [
        *("other:canary:{a}", "a-b.c:canary:{c@d}", "statusd2:canary:{}"),
        *("__keyspace@0__:statusd:status:{a}", "__keyevent@0__:set", "__sentinel__:hello"),
    ],
)
def test_what_others_say_to_themselves_is_no_command_by_a_pattern(channel: str) -> None:
    """Canaries of other namespaces, and what a server tells of keys and to Sentinels."""
    router, units, _ = routed(all=("*", "?*"), near=("other:*", "a-*", "statusd*"))

    router.hear(channel.encode(), b"end")

    assert got(units) == {"all": 0, "near": 0}


@pytest.mark.fault("J22")
def test_who_names_a_channel_of_the_server_hears_it() -> None:
    """By its name, or by a pattern that begins as these do; and channels that only look alike."""
    channel = "__keyevent@0__:job"
    router, units, _ = routed(name=(channel,), glob=("__key*",), near=("camera:*",))

    router.hear(channel.encode(), b"end")
    for like in (b"camera:control", b"camera:events", b"camera:canary"):
        router.hear(like, b"pause")

    assert got(units) == {"name": 1, "glob": 1, "near": 3}


def test_the_canary_is_nobodys_command() -> None:
    """Also where somebody hears everything."""
    router, units, echoes = routed(all=("*",))

    router.hear(b"statusd:canary:{daemon}", b"7-1")

    assert (got(units), echoes) == ({"all": 0}, [b"7-1"])


def test_other_channels_are_heard_from_the_next_message_on() -> None:
    """The ways that were known are not."""
    router, units, _ = routed(one=("a",), two=("b",))
    router.hear(b"a", b"x")
    unit: Any = units["one"]

    router.hears(unit, ("b",))
    router.hear(b"a", b"x")
    router.hear(b"b", b"x")

    assert got(units) == {"one": 2, "two": 1}


def test_a_bug_of_one_unit_costs_no_other_its_message() -> None:
    """It is told to the one whose it is."""
    router, units, _ = routed(one=("a",), two=("a",), three=("a",))
    units["two"].bug = RuntimeError("a bug")

    router.hear(b"a", b"x")

    assert got(units) == {"one": 1, "two": 0, "three": 1}
    assert (units["one"].errors, units["two"].errors) == ([], [units["two"].bug])


@pytest.mark.fault("X20")
@pytest.mark.parametrize("message", [(b"a", {}), (b"a", 7), (b"a", None), (7, b"x"), ([], b"x")])
def test_what_is_no_message_is_no_bug_of_a_unit(message: tuple[Any, Any]) -> None:
    """A broker may push anything: that costs the link, which catches what is raised."""
    router, units, _ = routed(one=("a", "*"))
    channel, payload = message
    units["one"].bug = TypeError("can't concat dict to bytes")

    with pytest.raises((TypeError, AttributeError)):
        router.hear(channel, payload)

    assert units["one"].errors == []


def test_channels_without_number_are_not_remembered_without_end() -> None:
    """Somebody who hears a pattern may be told of ever new ones."""
    router, units, _ = routed(one=("*",))

    for number in range(MOST_ROUTES + 10):
        router.hear(b"%d" % number, b"x")

    assert len(router._routes) <= MOST_ROUTES
    assert got(units) == {"one": MOST_ROUTES + 10}


def test_a_question_about_output_is_for_one_unit_alone() -> None:
    """Whatever patterns others have; a unit that rests, or that isn't there, is asked in vain."""
    router, units, _ = routed(one=("mychannel",), all=("*",), rests=("mychannel",))
    asked = units["one"].logs = Unit("one's output")

    for name in (b"one", b"all", b"rests", b"nobody", b"*"):
        router.hear(b"statusd:logs:{%s}" % name, b"{}")

    assert asked.heard == [(b"statusd:logs:{one}", b"{}")]
    assert got(units) == {"one": 0, "all": 0, "rests": 0}
