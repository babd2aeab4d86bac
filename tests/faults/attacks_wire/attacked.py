"""A unit that is attacked over the wire, and how one sees that it is well."""

from __future__ import annotations

import json
import time
from typing import Any

import redis

from statusd.daemon.stream_reader import StreamReader
from statusd.unit.cursor import Cursor
from statusd.unit.stream_position import StreamPosition
from statusd.wire.address import Address
from statusd.wire.link import Link
from statusd.wire.names import Names
from tests.conftest import Run
from tests.faults.outages import assert_hears, history, wait_listening
from tests.tools import Broker, Journal, Program

STREAM = "statusd:commands"

HISTORY = "statusd:history:{unit}"


def up(run: Run, url: str, **changes: Any) -> Program:
    """Start a unit and return it when it hears and is ready."""
    unit = run("tests.workers:obedient", url, **changes)
    wait_listening(unit)
    unit.wait_state("READY")
    return unit


def document(client: redis.Redis) -> dict[str, Any]:
    """Return the unit's status document."""
    return dict(json.loads(client.get("statusd:status:{unit}") or b"{}"))


def denying(broker: Broker, right: str) -> str:
    """Return the url of a user who may do all but one thing: ``-rename``."""
    broker.client().acl_setuser(
        "statusd",
        enabled=True,
        nopass=True,
        keys=["*"],
        channels=["*"],
        commands=["+@all", right],
    )
    return broker.url.replace("redis://", "redis://statusd:x@")


def assert_well(unit: Program, broker: Broker) -> None:
    """Assert that the unit is the same, and obeys; nothing was a bug."""
    client = broker.client()
    with Journal(client) as journal:
        assert_hears(client, journal)
    assert unit.exit_code() is None
    assert unit.logged("bug.caught") is None


def is_done(journal: Journal, command_id: str) -> bool:
    """Tell whether the command of that id is done, for the first time."""
    said = [v for v in journal.verdicts() if v.get("id") == command_id]
    return any(v["verdict"] == "done" and "repeat" not in v for v in said)


def history_or_none(client: redis.Redis) -> list[str]:
    """Return the states of a history; none while it isn't one."""
    try:
        return [event["new"] for event in history(client)]
    except (redis.ResponseError, KeyError):
        return []


class Subscriber:
    """What a daemon hears with, without the daemon: a link and its reader of the stream."""

    def __init__(self, port: int, place: StreamPosition) -> None:
        self.link = Link(
            *(Address(port=port), "test", self),
            draw=lambda: 0.0,
            clock=time.monotonic,
            channels=("mychannel", "lab.*"),
        )
        names = Names("statusd", "unit")
        cursor = Cursor(
            names,
            place,
            fresh=False,
            lasting_s=1.0,
            deliver=lambda delivered: None,
            broker_time=time.time,
            complain=lambda event, reason: None,
            write_anew=lambda: None,
        )
        self.link.follower = StreamReader(
            names,
            [cursor],
            ask=self.link.ask,
            caught_up=self.link.caught_up,
            noticed=lambda cursor: None,
            complain=lambda event, reason: None,
            told_time=self.link.server.take_time,
        )

    def hear(self, channel: bytes, payload: bytes) -> None:
        """Take a message as the daemon does: they are bytes, or nothing that can be added."""
        _ = channel + payload

    def read_complete(self) -> None:
        """Nothing is to be sent."""

    def link_changed(self, link: Link) -> None:
        """That is seen."""

    def link_failed(self, link: Link) -> None:
        """That is seen."""

    def channel_refused(self, channel: str, reason: str) -> None:
        """That is seen."""

    def channel_heard(self, channel: str) -> None:
        """That is seen."""


def answer(asked: bytes, said: bytes) -> tuple[bytes, bytes]:
    """Say how a question is answered."""
    return asked, said
