"""The nemesis at work, and a checker that compares what was sent with what each unit made of it.

Few rounds in every run of the suite; for figures, ``make faults ROUNDS=1000``. The seed is printed;
``--randomly-seed=N`` plays it again.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest

from statusd.core.lifecycle import BUILT_IN
from tests.conftest import BROKERS
from tests.faults.nemesis import DURABLE_FROM, Nemesis, Victim, toml, victim, words
from tests.faults.nemesis_house import House
from tests.faults.outages import history
from tests.tools import Broker, Journal, Program, Publisher, Sent, wait_until

pytestmark = pytest.mark.timeout(7200)  # of many rounds; each wait in them has its own limit

EVENTS = ("state.changed", "gap.ended")
FINAL = {"done", "noop", "refused", "invalid", "expired", "failed"}
SLACK_S = 1.0
"""Book of outages is kept once a second."""

Line = dict[str, Any]


@pytest.mark.fault("N01", "N03", "N04", "N05", "N10", "N15", "N20", "N29", "M11", "M13")
def test_nothing_durable_is_lost_and_nothing_is_obeyed_twice(rounds: int, tmp_path: Path) -> None:
    """Whatever befalls broker, network and processes; bare words are lost in told gaps only."""
    seed = random.randrange(2**32)
    print(f"\nnemesis with seed {seed}, {rounds} rounds")
    chance = random.Random(seed)
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(BROKERS["valkey"], conf=DURABLE_FROM))
        victims = [victim(name, broker, tmp_path, new) for name in ("a", "b", "c")]
        for one in victims:
            stack.callback(one.close)
        journal = stack.enter_context(Journal(broker.client()))
        nemesis = Nemesis(chance, broker, victims, again)
        nemesis.rest()
        wait_until(partial(have_place, victims, broker), 10, "each to have kept its place")
        durable = Publisher(broker.client(), "statusd:commands", "d", durable=True)
        live = Publisher(broker.client(), "statusd:control", "l")
        began = time.monotonic()
        durable.start(words(random.Random(seed + 1)), rate_hz=5)
        live.start(words(random.Random(seed + 2)), rate_hz=10)
        for _ in range(rounds):
            nemesis.strike()
        sent = durable.stop(30), live.stop(30)
        nemesis.rest()
        wait_until(
            lambda: all(has_read(one, broker, journal) for one in victims), 60, "all to be read"
        )
        took_s = time.monotonic() - began

        wrong = [text for one in victims for text in judge(one, broker, journal, *sent)]
        entries = len(entries_of(broker))

    print(f"{took_s:.0f} s; faults: {dict(sorted(nemesis.done.items()))}")
    print(f"{entries} durable commands and {len(sent[1])} bare words to {len(victims)} units")
    print(f"at 95 %, fewer than {3 / rounds:.1%} of such rounds lose or double one")
    assert wrong == []


@pytest.mark.fault("K21")
def test_units_of_one_daemon_lose_nothing_either(rounds: int, tmp_path: Path) -> None:
    """Beside units that end, are launched, are more, fewer and others; each told every outage."""
    seed = random.randrange(2**32)
    print(f"\nnemesis of a folder with seed {seed}, {rounds} rounds")
    chance = random.Random(seed)
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(BROKERS["valkey"], conf=DURABLE_FROM))
        house = House(broker, tmp_path, ("a", "b", "c"), chance)
        stack.callback(house.close)
        journal = stack.enter_context(Journal(broker.client()))
        more = [house.launch, house.reload]
        nemesis = Nemesis(chance, broker, house.victims, house.start, more=more)
        nemesis.rest()
        wait_until(partial(have_place, house.victims, broker), 10, "each to have kept its place")
        durable = Publisher(broker.client(), "statusd:commands", "d", durable=True)
        live = Publisher(broker.client(), "statusd:control", "l")
        durable.start(words(random.Random(seed + 1)), rate_hz=5)
        live.start(words(random.Random(seed + 2)), rate_hz=10)
        for fault in (house.launch, house.reload):  # once at least, in few rounds as well
            fault(house.victims[0])
        for _ in range(rounds):
            nemesis.strike()
        sent = durable.stop(30), live.stop(30)
        nemesis.rest()
        wait_until(
            lambda: all(has_read(one, broker, journal) for one in house.victims), 60, "all to read"
        )
        wrong = [text for one in house.victims for text in judge(one, broker, journal, *sent)]
        wrong += _gaps(house.victims, broker)
        house.launch(house.victims[0])  # who was ended last can still be launched
        gone = [line for line in house.victims[0].program.log() if line["event"] == "bug.caught"]

    print(f"faults: {dict(sorted(nemesis.done.items()))}; {len(sent[1])} bare words")
    assert wrong == []
    assert gone == []


def _gaps(victims: Sequence[Victim], broker: Broker) -> Iterator[str]:
    """Yield what is wrong with the gaps of units that were deaf together: each has each, once.

    What one has told before its daemon was killed, another one tells together with that; and what
    was told right before it, but not noted yet that it was, the next daemon tells again, longer.
    """
    told = {one.name: sorted(_deaf(one, broker)) for one in victims}
    for one in victims:
        for earlier, later in pairwise(told[one.name]):
            died = any(s - SLACK_S <= later[1] <= e + SLACK_S for s, e in one.dead)
            if later[0] < earlier[1] - SLACK_S and not died:
                yield f"{one.name}: the gaps {earlier} and {later} are one outage"
        known = _joined([*told[one.name], *one.dead])
        for name, gaps in told.items():
            for start, end in gaps:
                if not any(s - SLACK_S <= start and end <= e + SLACK_S for s, e in known):
                    yield f"{one.name} doesn't tell of the gap {start:.3f} to {end:.3f} of {name}"


def _deaf(one: Victim, broker: Broker) -> list[tuple[float, float]]:
    events = history(broker.client(), one.name)
    return [(stamp(e["gap"]["start"]), stamp(e["gap"]["end"])) for e in events if "gap" in e]


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the same without those that touch."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + SLACK_S:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def new(settings: dict[str, Any], folder: Path) -> Program:
    """Start a unit."""
    return Program(settings, directory=folder)


def again(one: Victim) -> Program:
    """Start the unit anew, in its folder."""
    return Program(toml(one.name, one.proxy.port), directory=one.directory)


# ---- the checker -------------------------------------------------------------------------------


def entries_of(broker: Broker) -> list[str]:
    """Return the ids of all durable commands to everybody that the broker has kept, in order."""
    found: Any = broker.client().xrange("statusd:commands")
    to_all = [one for one, fields in found if b'"target"' not in fields[b"command"]]
    return [entry_id.decode() for entry_id in to_all]


def answers(one: Victim, journal: Journal) -> dict[str, list[Line]]:
    """Return id -> final answers that the unit gave, but for repeated ones.

    What one daemon decides and the next one tells has no line in the log: the state file had it.
    What one said right before it was killed may have none either: whoever listened has heard it.
    """
    found: defaultdict[str, list[Line]] = defaultdict(list)
    left = {answer["id"]: answer for answer in one.inherited if answer["verdict"] in FINAL}
    heard = {
        said["id"]: said for said in journal.finals() if "id" in said and said["name"] == one.name
    }
    for line in one.journal():
        is_final = line["event"] == "command.answered" and line.get("verdict") in FINAL
        if is_final and "id" in line and not line.get("repeat"):
            found[line["id"]].append(line)
    for command_id, answer in (heard | left).items():
        if command_id not in found:
            found[command_id].append(answer)
    return found


def have_place(victims: list[Victim], broker: Broker) -> bool:
    """Tell whether each has kept where it reads the stream: before that nobody knows of it."""
    return all(broker.client().exists(f"statusd:cursor:{{{one.name}}}") for one in victims)


def has_read(one: Victim, broker: Broker, journal: Journal) -> bool:
    """Tell whether the unit has answered the last durable command, all that it has begun with, and
    told all its events.
    """
    last = entries_of(broker)[-1]
    lines = one.own(one.program.log())
    told = [line["seq"] for line in lines if line["event"] in EVENTS]
    known = history(broker.client(), one.name)[-1]["seq"]
    finals = answers(one, journal)
    begun = {line["id"] for line in lines if line.get("verdict") in ("accepted", "postponed")}
    return (
        (not told or known == told[-1])
        and begun <= finals.keys()
        and any(line["source"] == f"stream:{last}" for line in chain(*finals.values()))
    )


def judge(
    one: Victim, broker: Broker, journal: Journal, durable: Sequence[Sent], live: Sequence[Sent]
) -> Iterator[str]:
    """Yield what is wrong, a sentence each."""
    told = answers(one, journal)
    events = history(broker.client(), one.name)
    yield from _durable(one, entries_of(broker), told, events)
    yield from _live(one, live, told, events)
    yield from _steps(one, events)


def _durable(
    one: Victim, entries: list[str], told: dict[str, list[Line]], events: list[Line]
) -> Iterator[str]:
    by_source = Counter(line["source"] for lines in told.values() for line in lines)
    moved = [event["source"] for event in events if event["source"].startswith("stream:")]
    for entry in entries:
        count = by_source[f"stream:{entry}"]
        if count != 1:
            yield f"{one.name}: {count} final answers to the durable command {entry}"
    yield from (f"{one.name}: {s} was obeyed {n} times" for s, n in Counter(moved).items() if n > 1)
    order = [entries.index(source.removeprefix("stream:")) for source in moved]
    if order != sorted(order):
        yield f"{one.name}: durable commands were obeyed out of turn"


def _live(
    one: Victim, live: Sequence[Sent], told: dict[str, list[Line]], events: list[Line]
) -> Iterator[str]:
    deaf = [(stamp(e["gap"]["start"]), stamp(e["gap"]["end"])) for e in events if "gap" in e]
    for command in live:
        count = len(told.get(command.id, ()))
        if count > 1:
            yield f"{one.name}: {count} final answers to {command.id}"
        elif count == 0 and command.receivers is not None:
            at = command.wall
            in_gap = any(start - SLACK_S <= at <= end + SLACK_S for start, end in deaf)
            was_dead = any(start <= at <= end + SLACK_S for start, end in one.dead)
            if not in_gap and not was_dead:
                yield f"{one.name}: {command.id} of {at:.3f} was lost outside of any gap"


def _steps(one: Victim, events: list[Line]) -> Iterator[str]:
    table = {(t.source.name, t.trigger, t.dest.name) for t in BUILT_IN.rows}
    for event in events:
        step = (event["old"], event["trigger"], event["new"])
        if "gap" not in event and step not in table:
            yield f"{one.name}: {step} is no transition of the lifecycle"
    for earlier, later in pairwise(events):
        if earlier["boot"] == later["boot"]:
            if later["seq"] != earlier["seq"] + 1:
                yield f"{one.name}: {later['event']} came after {earlier['event']}"
            elif later["old"] != earlier["new"]:
                yield f"{one.name}: {later['event']} begins where {earlier['event']} didn't end"


def stamp(text: str) -> float:
    """Return an RFC 3339 time in seconds."""
    return datetime.fromisoformat(text).timestamp()
