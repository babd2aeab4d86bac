"""Two units in one daemon, over one broker session: what they share, and what they don't.

Their daemon is the one that `statusd run` starts, with one unit more in its plan; broker, workers,
state files and sockets are real.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from statusd import logs
from statusd.core import answers
from statusd.core import events as ev
from statusd.core.errors import Unavailable
from statusd.daemon import wiring
from statusd.daemon.daemon import Daemon
from statusd.daemon.means import Outlets
from statusd.daemon.plan import Plan
from statusd.settings.load import load
from statusd.unit.parts import Parts
from statusd.unit.unit import Unit
from tests.conftest import BROKERS
from tests.tools import Broker
from tests.tools.toml import to_toml
from tests.tools.waiting import until

Story = Callable[["Two"], Awaitable[None]]


class Two:
    """A daemon of the units "one" and "two", and a client of its broker."""

    def __init__(self, daemon: Daemon, client: redis.Redis) -> None:
        self.daemon = daemon
        self.client = client

    def document(self, name: str) -> dict[str, Any]:
        """Return a unit's status document."""
        return dict(json.loads(self.client.get(f"statusd:status:{{{name}}}") or b"{}"))

    def states(self) -> list[str]:
        """Return the states of both, as their documents say them."""
        return [self.document(name).get("state", "") for name in ("one", "two")]

    def triggers(self, name: str) -> list[str]:
        """Return the triggers in a unit's history, the oldest first."""
        entries: Any = self.client.xrange(f"statusd:history:{{{name}}}")
        return [json.loads(fields[b"event"])["trigger"] for _, fields in entries]

    async def until(self, predicate: Callable[[], object], what: str) -> None:
        """Wait until ``predicate`` holds, while the daemon goes on."""
        await until(predicate, what, 30)


def settings(folder: Path, url: str, name: str, channels: list[str]) -> Path:
    """Write the settings of a unit, and return their file."""
    toml = {
        "name": name,
        "state_directory": str(folder),
        "redis": {"url": url},
        "control": {"channels": channels},
        "worker": {"function": "tests.workers:blocked"},
    }
    file = folder / f"{name}.toml"
    file.write_text(to_toml(toml), encoding="utf-8")
    return file


def parts(file: Path) -> Parts:
    """Return what the unit of ``file`` is made of."""
    loaded = load(file)
    whose = wiring.origin(loaded, file)
    return wiring.unit_parts(loaded, whose, Outlets(), fresh=False, is_one_of_many=True)


def play(
    story: Story,
    folder: Path,
    one: list[str],
    two: list[str],
    broker: Broker,
) -> int:
    """Run a daemon with two units through ``story``; return its exit code."""
    files = [settings(folder, broker.url, name, c) for name, c in (("one", one), ("two", two))]
    logs.configure("json", "info")

    async def live() -> int:
        second = parts(files[1])

        def with_second(plan: Plan) -> Plan:
            (first,) = plan.units
            means = replace(first.means, spec=replace(first.means.spec, unit="one"))
            return replace(plan, units=(replace(first, means=means), second))

        first = load(files[0])
        daemon = wiring.build(first, files[0], lambda: load(files[0]), adapt=with_second)
        life = asyncio.create_task(daemon.live(lambda signalled: None))
        client = broker.client()
        two_units = Two(daemon, client)
        try:
            await two_units.until(lambda: two_units.states() == ["READY", "READY"], "both up")
            await story(two_units)
        finally:
            for name in () if life.done() else ("SIGTERM", "SIGTERM"):
                daemon._signalled(name, "")
            async with asyncio.timeout(20):
                code = await life
            client.close()
        return code

    return asyncio.run(live())


def test_what_stands_still_is_one_trouble_whoever_it_is(
    broker: Broker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Forty units have more combinations than a log has room for."""

    async def story(two: Two) -> None:
        for parts in (["inbox of one"], ["inbox of two"], ["inbox of one", "inbox of two"]):
            two.daemon._complain_of_stuck(parts)

    play(story, tmp_path, ["common"], ["common"], broker)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (told,) = (line for line in lines if line["event"] == "loop.stuck")
    assert told["parts"] == ["inbox of one"]


def test_each_hears_what_is_meant_for_it_and_answers_for_itself(
    broker: Broker, tmp_path: Path
) -> None:
    """By name, by pattern, by target; each keeps its own document, history, owner and cursor."""

    async def story(two: Two) -> None:
        two.client.publish("common", "start")
        await two.until(lambda: two.states() == ["RUNNING", "RUNNING"], "both by one word")
        two.client.publish("mine.2", "pause")
        await two.until(lambda: two.states() == ["RUNNING", "PAUSED"], "one by a pattern")
        told = json.dumps({"command": "pause", "target": {"name": "one"}})
        two.client.publish("statusd:control", told)
        await two.until(lambda: two.states() == ["PAUSED", "PAUSED"], "the other by name")
        two.client.xadd("statusd:commands", {"command": "resume"})
        await two.until(lambda: two.states() == ["RUNNING", "RUNNING"], "both by the stream")

        for name in ("one", "two"):
            assert two.triggers(name) == ["ready", "start", "pause", "resume"]
            owner: Any = two.client.get(f"statusd:owner:{{{name}}}")
            assert json.loads(owner)["boot"] == two.document(name)["boot"]
            cursor = f"statusd:cursor:{{{name}}}"
            await two.until(partial(two.client.get, cursor), "its place")
        assert two.client.pubsub_numpat() == 1
        names = [info["name"] for info in two.client.client_list() if "statusd" in info["name"]]
        assert len(names) == 2  # one session for both

    code = play(story, tmp_path, ["common"], ["common", "mine.*", "mine.2"], broker)

    assert code == 0


def test_the_end_of_one_is_not_the_end_of_the_other(broker: Broker, tmp_path: Path) -> None:
    """The daemon leaves with the last of them."""

    async def story(two: Two) -> None:
        two.client.publish("one", "end")
        await two.until(lambda: two.states() == ["END", "READY"], "the end of one")
        await two.until(lambda: not two.client.exists("statusd:owner:{one}"), "its name given up")
        seen: Any = two.client.hget("statusd:roster", "one")
        assert json.loads(seen)["left"] is True
        assert two.client.exists("statusd:owner:{two}")
        turning = [name for name, _ in two.daemon._health._ticks(0.0) if " of " in name]
        assert turning == ["inbox of two", "supervisor of two"]  # the watchdog waits for no other
        two.client.publish("two", "start")
        await two.until(lambda: two.states()[1] == "RUNNING", "the other at work")
        assert not two.daemon.left.done()
        two.client.publish("two", "end")
        await two.until(two.daemon.left.done, "the end of both")

    assert play(story, tmp_path, ["one"], ["two"], broker) == 0


def test_a_log_line_says_whose_it_is(
    broker: Broker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where there is more than one; a daemon of one unit has nothing to add."""

    async def story(two: Two) -> None:
        two.client.publish("one", "nonsense")
        await two.until(lambda: two.states() == ["READY", "READY"], "both up")

    play(story, tmp_path, ["one"], ["two"], broker)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    started = [line["unit"] for line in lines if line["event"] == "worker.started"]
    assert sorted(started) == ["one", "two"]
    answered = [line["unit"] for line in lines if line["event"] == "command.answered"]
    assert answered == ["one"]


def by_a_timer(unit: Unit) -> None:
    """Have a timer of the unit call what fails."""
    unit.timers._passed = fails
    unit.timers.arm(ev.Arm(ev.Timer.STATE, 0.0))


def by_a_reply(unit: Unit) -> None:
    """Have what fails told of the broker's reply to a line of the unit."""
    unit.publisher.outbox.put(("ECHO", "x"), fails)
    unit.ports.broker.flush()


def by_output(unit: Unit) -> None:
    """Have what fails called when there is room for what its worker has printed."""
    process: Any = unit.supervisor.process
    stream = process._relay._out
    stream._go_on = fails
    stream._sink.offer(b"printed\n")
    stream._hold(b"more\n")


def by_its_rules(unit: Unit) -> None:
    """Have what fails decide on its next command."""
    unit.status.handle = fails  # type: ignore[method-assign, assignment]  # that is the bug
    unit.happened(ev.Signalled("SIGTERM", ""))


def fails(*_: object) -> Any:
    """Be a bug."""
    raise RuntimeError("a bug")


BUGS = [by_its_rules, by_a_timer, by_a_reply, by_output]


@pytest.mark.fault("K01")
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_one_is_no_end_of_the_other(
    bug: Callable[[Unit], None],
    broker: Broker,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Wherever its parts are called; the other loses no command, and the exit code tells of it."""

    async def story(two: Two) -> None:
        unit = two.daemon.units["one"]
        assert unit.supervisor.process is not None
        worker = unit.supervisor.process.pid
        bug(unit)
        for word in ("start", *("pause", "resume") * 10):
            state = "PAUSED" if word == "pause" else "RUNNING"
            two.client.publish("two", word)
            await two.until(lambda s=state: two.states()[1] == s, f"the other {state}")  # type: ignore[misc]  # its own
        assert not two.daemon.left.done()
        await two.until(lambda: not Path(f"/proc/{worker}").exists(), "the end of its worker")
        await two.until(lambda: not two.client.exists("statusd:owner:{one}"), "its name given up")

    assert play(story, tmp_path, ["one"], ["two"], broker) == 70
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {line["unit"] for line in lines if line["event"] == "bug.caught"} == {"one"}
    assert not [line for line in lines if line["event"] == "link.lost"]


def test_units_share_what_they_remember(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that comes again is known as long as it is one of the unit's share."""
    monkeypatch.setattr(answers, "REMEMBERED_BY_ALL", 2)
    monkeypatch.setattr(answers, "REMEMBERED_AT_LEAST", 1)

    async def story(two: Two) -> None:
        listening = two.client.pubsub()  # type: ignore[no-untyped-call]  # redis-py has no types here
        listening.subscribe("statusd:reply:test")
        for number in (1, 1, 2, 1):
            told = {"command": "ping", "id": f"{number}", "reply_to": "statusd:reply:test"}
            two.client.publish("one", json.dumps(told))
        heard: list[Any] = []

        def are_heard() -> bool:
            message = listening.get_message(ignore_subscribe_messages=True)
            heard.extend([json.loads(message["data"])] if message else [])
            return len(heard) == 4

        await two.until(are_heard, "four answers")
        listening.close()
        assert ["repeat" in verdict for verdict in heard] == [False, True, False, False]

    assert play(story, tmp_path, ["one"], ["two"], broker) == 0


def test_an_outage_is_told_in_both_histories(broker: Broker, tmp_path: Path) -> None:
    """One outage, for each of them."""

    async def story(two: Two) -> None:
        two.client.client_kill_filter(_type="pubsub")
        await two.until(
            lambda: all("gap" in two.triggers(name) for name in ("one", "two")), "both gaps"
        )
        two.client.publish("one", "start")
        await two.until(lambda: two.states() == ["RUNNING", "READY"], "one at work")

    assert play(story, tmp_path, ["one"], ["two"], broker) == 0


def calls(two: Two) -> Counter[str]:
    """Return how often the broker was given each command until now."""
    told: Any = two.client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): said["calls"] for name, said in told.items()})


def test_a_beat_is_one_command_for_each_unit_and_few_for_all(
    broker: Broker, tmp_path: Path
) -> None:
    """In six seconds each renews its name once and writes its document once; all else is shared."""

    async def story(two: Two) -> None:
        probes = calls(two)["publish"]
        await two.until(lambda: calls(two)["publish"] >= probes + 3, "each to have had its turn")
        before = calls(two)
        await two.until(lambda: calls(two)["publish"] >= before["publish"] + 6, "six seconds")
        since = calls(two) - before

        assert 2 <= since.pop("set") <= 2 * 2 + 1
        most = {
            "publish": 7,
            "xread": 3,
            "xinfo|stream": 2,
            "time": 2,
            "hset": 1,
            "info": since["info"],
        }
        assert since - Counter(most) == Counter()

    assert play(story, tmp_path, ["one"], ["two"], broker) == 0


@pytest.mark.skipif("redis" not in BROKERS, reason="no server that can't compare")
def test_a_server_that_can_not_compare_keeps_the_names_as_well(tmp_path: Path) -> None:
    """Asked once, it is asked as ever; nobody is told of what is no fault."""

    async def story(two: Two) -> None:
        left_ms: list[Any] = [[0, 0]]

        def renewed(times: int) -> bool:
            found = [two.client.pttl(f"statusd:owner:{{{name}}}") for name in ("one", "two")]
            assert min(found) > 0
            left_ms.append(found)
            pairs = list(pairwise(left_ms))
            return all(sum(b[i] > a[i] for a, b in pairs) > times for i in range(2))

        await two.until(lambda: renewed(2), "both to be renewed twice")
        stats: Any = two.client.info("commandstats")["cmdstat_set"]
        assert stats["failed_calls"] <= 2 * 2  # before both links were up, and after that
        assert [two.document(name)["trouble"] for name in ("one", "two")] == ["", ""]
        two.client.set("statusd:owner:{one}", '{"boot":1,"host":"elsewhere","pid":1}', ex=10)
        lease = two.daemon.units["one"].lease
        await two.until(lambda: lease.holder is not None, "one to see that its name is another's")

    with Broker(BROKERS["redis"]) as old:
        assert play(story, tmp_path, ["one"], ["two"], old) == 78


def test_each_holds_its_own_name(broker: Broker, tmp_path: Path) -> None:
    """Another daemon of the second one's name is refused on this machine, too."""

    async def story(two: Two) -> None:
        with pytest.raises(Unavailable, match="'two' runs here already"):
            parts(tmp_path / "two.toml")

    assert play(story, tmp_path, ["one"], ["two"], broker) == 0
