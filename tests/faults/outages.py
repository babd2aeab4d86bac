"""Making a unit deaf and having it hear again: what the tests of the fault suite share.

Times are the unit's own, from its log, on this machine's wall clock.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import redis

from tests.tools import Journal, Program, wait_until

Line = dict[str, Any]

NOTICED_S = 6.0
"""So soon a deaf link must be known as such."""
AGAIN_S = 3.0
"""So soon after its cause has ended an outage must be over, in 95 of 100 cases."""

_pings = itertools.count(1)


class Outage(NamedTuple):
    """How long a unit was deaf, in seconds.

    Args:
        noticed_s: from the cause to the log line that the link is lost.
        again_s: from the end of the cause to the line that the link is up.
    """

    noticed_s: float
    again_s: float


def lines(unit: Program, event: str, **fields: Any) -> list[Line]:
    """Return all log lines of that ``event`` with those ``fields``."""
    wanted = {"event": event} | fields
    return [line for line in unit.log() if wanted.items() <= line.items()]


def wait_listening(unit: Program) -> None:
    """Return when both links are up for the first time."""
    for link in ("hears", "sends"):
        unit.wait_logged("link.up", 20, link=link)


def suffer(
    unit: Program, begin: Callable[[], object], end: Callable[[], object], *, deaf_s: float = 0.5
) -> Outage:
    """Let a cause begin; when the unit has noticed, let it last ``deaf_s`` more, and end it.

    Returns:
        How long that took, once the unit hears again.
    """
    lost, up = (len(lines(unit, event, link="hears")) for event in ("link.lost", "link.up"))
    began = time.time()
    begin()
    noticed = _next(unit, "link.lost", lost)
    wait_for(time.monotonic() + deaf_s)
    ended = time.time()
    end()
    again = _next(unit, "link.up", up)
    return Outage(noticed - began, again - ended)


def wait_for(moment: float) -> None:
    """Wait until the monotonic clock says ``moment``."""
    wait_until(
        lambda: time.monotonic() >= moment, moment - time.monotonic() + 5, "a moment to pass"
    )


def _next(unit: Program, event: str, known: int) -> float:
    """Return when the line after so many ``known`` ones was written."""
    wait_until(
        lambda: len(lines(unit, event, link="hears")) > known, 30, f"{event} number {known + 1}"
    )
    return at(lines(unit, event, link="hears")[known])


def at(line: Mapping[str, Any]) -> float:
    """Return when a line or event was written, on the wall clock in seconds."""
    return datetime.fromisoformat(line["at"]).timestamp()


def percentile(values: list[float], share: float) -> float:
    """Return the value that so great a ``share`` of ``values`` doesn't exceed (nearest rank)."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def judge(what: str, outages: list[Outage]) -> None:
    """Print the figures of one kind of outage, and hold them to what is promised."""
    noticed, again = ([o.noticed_s for o in outages], [o.again_s for o in outages])
    print(
        f"\n{what:<12} {len(outages):>4} times: noticed after {percentile(noticed, 0.5):.2f} s "
        f"(longest {max(noticed):.2f} s), listening again after {percentile(again, 0.5):.2f} s "
        f"(p95 {percentile(again, 0.95):.2f} s, longest {max(again):.2f} s)"
    )
    assert max(noticed) <= NOTICED_S
    assert percentile(again, 0.95) <= AGAIN_S


def history(client: redis.Redis, name: str = "unit") -> list[dict[str, Any]]:
    """Return every event in a unit's history."""
    entries: Any = client.xrange(f"statusd:history:{{{name}}}")
    return [json.loads(fields[b"event"]) for _, fields in entries]


def gaps(client: redis.Redis, name: str = "unit") -> list[dict[str, Any]]:
    """Return the gaps that a unit's history tells of."""
    return [event for event in history(client, name) if event["trigger"] == "gap"]


def wait_gap(client: redis.Redis, more_than: int = 0, name: str = "unit") -> dict[str, Any]:
    """Return the newest gap in a unit's history, once there are ``more_than`` so many."""
    wait_until(lambda: len(gaps(client, name)) > more_than, 15, f"gap number {more_than + 1}")
    return gaps(client, name)[-1]


def assert_hears(client: redis.Redis, journal: Journal, name: str = "unit") -> None:
    """Assert that a word on the unit's channel is heard and answered, by that unit."""
    ping = f"ping-{next(_pings)}"
    command = {"command": "ping", "id": ping, "target": {"name": name}}
    assert client.publish("mychannel", json.dumps(command)) >= 1
    wait_until(partial(is_answered, journal, ping, name), 10, f"the answer to {ping}")


def is_answered(journal: Journal, command_id: str, name: str = "unit") -> bool:
    """Tell whether the unit has given a final verdict on that command."""
    return any((v.get("id"), v["name"]) == (command_id, name) for v in journal.finals())
