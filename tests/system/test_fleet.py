"""The fleet by name: who answers, who is silent, who is lost; from the command line and Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from statusd.core.errors import ConfigError
from statusd.fleet.async_fleet import AsyncFleet
from statusd.fleet.fleet import Fleet
from statusd.fleet.host import Host
from statusd.fleet.response_collector import Report
from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, Program, Proxy, environment, wait_until
from tests.tools.terminal import Terminal

Units = Callable[..., list[Program]]


@pytest.fixture
def fleet(broker: Broker) -> Iterator[Fleet]:
    """The fleet on the broker."""
    with Fleet(broker.url) as found:
        yield found


@pytest.fixture
def units(broker: Broker, run: Run) -> Units:
    """Start units of those names and wait until they hear: ``units("a", "b", goal="RUNNING")``."""

    def start(*names: str, function: str = "obedient", **changes: Any) -> list[Program]:
        started = [
            run(f"tests.workers:{function}", broker.url, name=name, **changes) for name in names
        ]
        state = changes.get("goal") or "READY"
        for unit in started:
            unit.wait_state(state)
            unit.wait_logged("link.up", link="hears")
        with Fleet(broker.url) as fleet:
            shown = {(name, state) for name in names}
            wait_until(
                lambda: {(u.name, u.state) for u in fleet.status() if u.is_alive} >= shown,
                15,
                "their documents",
            )
        return started

    return start


def names(report: Report) -> dict[str, list[str]]:
    """Return who stands in which list of a report."""
    return {
        kind: [outcome.name for outcome in getattr(report, kind)]
        for kind in ("done", "refused", "pending", "silent", "lost")
        if getattr(report, kind)
    }


# ---- commands -----------------------------------------------------------------------------------


def test_everybody_answers_at_once(fleet: Fleet, units: Units) -> None:
    """It returns when the last has answered, not at the timeout."""
    units("a", "b", "c", goal="RUNNING")

    report = fleet.send("pause", timeout_s=30)

    assert names(report) == {"done": ["a", "b", "c"]}
    assert {(o.before, o.after) for o in report.done} == {("RUNNING", "PAUSED")}
    assert max(o.ms for o in report.done if o.ms is not None) < 10_000
    assert report.exit_code == 0


def test_who_is_silent_and_who_was_lost_is_told_by_name(
    broker: Broker, fleet: Fleet, units: Units
) -> None:
    """One frozen, one refusing, one killed: exactly that."""
    frozen, refusing, killed, _ = units("frozen", "refusing", "killed", "good")
    fleet.send("start", name=["frozen", "killed", "good"])
    killed.signal(signal.SIGKILL)
    killed.wait_exit(15)
    broker.client().delete("statusd:status:{killed}")  # as it goes by itself in ten seconds
    frozen.signal(signal.SIGSTOP)

    report = fleet.send("pause", timeout_s=0.5)

    frozen.signal(signal.SIGCONT)
    assert names(report) == {
        "done": ["good"],
        "refused": ["refusing"],
        "silent": ["frozen"],
        "lost": ["killed"],
    }
    assert report.refused[0].reason.startswith("pause is not allowed in READY: it is for RUNNING")
    assert report.exit_code == 3
    assert refusing.exit_code() is None


def test_a_unit_that_is_on_its_way_is_pending_everywhere(
    broker: Broker, fleet: Fleet, units: Units
) -> None:
    """It has taken the word, and its worker is in a long step: neither done nor silent."""
    unit = units("a", function="slow_to_pause", goal="RUNNING")[0]
    wait_until((unit.directory / "working").exists, 15, "the long step")

    report = fleet.send("pause", timeout_s=0.3)
    fleet.send("resume", timeout_s=0.1)
    wait = ("--wait", "--timeout", "0.3", "--url", broker.url)
    lines = statusd("send", "pause", *wait)
    fleet.send("resume", timeout_s=0.1)
    as_json = statusd("send", "pause", *wait, "--json")
    fleet.send("resume", timeout_s=0.1)
    here = Host(given=str(unit.directory / "statusd")).send("pause", timeout_s=0.3)

    assert names(report) == names(here) == {"pending": ["a"]}
    assert report.pending[0].reason == "accepted, and not done yet"
    assert report.exit_code == 6
    row, total = lines.stdout.splitlines()
    assert row.split()[:5] == ["a", "pending", "RUNNING", "->", "PAUSED"]
    assert (total, lines.returncode, as_json.returncode) == ("pause: 1 pending", 6, 6)
    told = json.loads(as_json.stdout)
    assert (told["pending"], told["units"][0]["verdict"]) == (["a"], "pending")
    (unit.directory / "release").touch()


def test_an_end_is_waited_for_and_shown_on_a_terminal(broker: Broker, units: Units) -> None:
    """As long as the settings allow, by itself; the line of those who are waited for goes away."""
    (unit,) = units("a", function="slow_to_pause", goal="RUNNING", worker={"stop_timeout_s": 60})
    wait_until((unit.directory / "working").exists, 15, "the long step")
    command = [sys.executable, "-m", "statusd", "send", "end", "--url", broker.url]
    with Terminal(
        command, environment(unit.directory), cwd=unit.directory, columns=110
    ) as terminal:
        terminal.wait("waits for a ENDING (END said; SIGTERM in 5")
        assert re.search(rb"end: \[[#.]{20}\] [56]\d s", terminal.raw)
        (unit.directory / "release").touch()
        terminal.wait("end: 1 done")

        assert terminal.wait_exit(15) == 0
        assert "waits for" not in terminal.text()
        assert unit.wait_exit(15) == 0


def test_only_who_is_meant_and_hears_it_answers(fleet: Fleet, units: Units) -> None:
    """Name, tag and state; a channel that only some hear; nobody."""
    units("gpu-1", "gpu-2", tags=["gpu"], control={"channels": ["lab.*"]})
    units("cpu-1", tags=["cpu"], control={"channels": ["other"]})

    assert names(fleet.send("ping", name="gpu-*")) == {"done": ["gpu-1", "gpu-2"]}
    assert names(fleet.send("ping", tag="cpu")) == {"done": ["cpu-1"]}
    assert names(fleet.send("ping", state="RUNNING")) == {}
    assert names(fleet.send("ping", channel="lab.7")) == {"done": ["gpu-1", "gpu-2"]}
    assert names(fleet.send("ping", channel="other", name="gpu-*")) == {}
    assert fleet.send("ping", name="nobody").exit_code == 5


def test_what_is_no_command_is_not_sent(broker: Broker, fleet: Fleet) -> None:
    """The mistake is told, and nothing was published."""
    with broker.client().pubsub() as heard:  # type: ignore[no-untyped-call]  # redis-py has no types
        heard.subscribe("statusd:control")
        wait_until(heard.get_message, 15, "the subscription")

        with pytest.raises(ConfigError, match="must be a word"):
            fleet.send("two words")
        with pytest.raises(ConfigError, match="expires"):
            fleet.send("pause", expires="tomorrow")

        assert heard.get_message() is None


@pytest.mark.fault("N15")
def test_a_lost_connection_is_made_anew(broker: Broker, fleet: Fleet, units: Units) -> None:
    """The next call works; a command is never sent twice."""
    units("a", goal="RUNNING")
    with broker.client().pubsub() as heard:  # type: ignore[no-untyped-call]  # redis-py has no types
        heard.subscribe("statusd:control")
        wait_until(heard.get_message, 15, "the subscription")
        assert names(fleet.send("pause")) == {"done": ["a"]}

        for client in broker.client().client_list():
            if client["name"] == "statusd-fleet":
                broker.client().client_kill_filter(_id=client["id"])

        assert names(fleet.send("resume")) == {"done": ["a"]}
        broker.client().publish("statusd:control", '{"command": "ping"}')
        sent: list[str] = []
        while "ping" not in sent:
            message = wait_until(heard.get_message, 15, "the next command")
            sent.append(json.loads(message["data"])["command"])
    assert sent == ["pause", "resume", "ping"]


def test_the_asynchronous_fleet_does_the_same(broker: Broker, units: Units) -> None:
    """The same words, awaited; its watch is an asynchronous iterator."""
    units("a", goal="RUNNING")

    async def live() -> tuple[list[str], list[str]]:
        async with AsyncFleet(broker.url) as fleet:
            watch = fleet.watch()
            first = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            seen: list[str] = []
            while not first.done():
                report = await fleet.send("pause" if not seen else "resume")
                seen.append(report.outcomes[0].verdict)
                await asyncio.wait([first], timeout=0.2)
            event = await first
            await watch.aclose()  # type: ignore[attr-defined]  # it is an async generator
            return seen, [event["name"], *(unit.name for unit in await fleet.status())]

    seen, found = asyncio.run(live())

    assert set(seen) == {"done"}
    assert found == ["a", "a"]


# ---- the command line ---------------------------------------------------------------------------


def test_send_waits_and_tells_a_line_a_unit(broker: Broker, units: Units) -> None:
    """A line a unit, then the sum; as JSON; who would be asked."""
    units("a", "b", goal="RUNNING")

    dry = statusd("send", "pause", "--dry-run", "--url", broker.url)
    done = statusd("send", "pause", "--wait", "--url", broker.url)
    refused = statusd("send", "start", "-w", "--json", "--name", "a", "--url", broker.url)
    nobody = statusd("send", "pause", "-w", "--name", "x", "--url", broker.url)

    assert dry.stdout.splitlines() == ["a  RUNNING", "b  RUNNING", "pause would ask 2 units"]
    rows = sorted(line.split()[:5] for line in done.stdout.splitlines()[:2])
    assert rows == [[name, "done", "RUNNING", "->", "PAUSED"] for name in "ab"]
    assert done.stdout.splitlines()[-1] == "pause: 2 done"
    assert (dry.returncode, done.returncode, refused.returncode, nobody.returncode) == (0, 0, 3, 5)
    told = json.loads(refused.stdout)["units"][0]
    assert (told["name"], told["verdict"], told["before"]) == ("a", "refused", "PAUSED")
    where = f"namespace 'statusd' on redis://127.0.0.1:{broker.port}/0"
    assert f"nobody to ask: no unit fits ({where})" in nobody.stderr


def test_a_terminal_gets_the_verdicts_by_itself(broker: Broker, units: Units) -> None:
    """A pipe doesn't, nor who asks for JSON, to keep it for others, or not to wait."""
    (unit,) = units("a", goal="RUNNING")
    env, to = environment(unit.directory), ("--url", broker.url)
    for words, told in (
        (("pause",), "pause: 1 done"),
        (("resume", "--no-wait"), "sent resume to statusd:control: 1 unit listening"),
        (("pause", "--durable"), "kept pause as "),
        (("ping", "--json"), '"heard": 1'),
    ):
        command = [sys.executable, "-m", "statusd", "send", *words, *to]
        with Terminal(command, env, cwd=unit.directory, columns=200) as terminal:
            terminal.wait(told)
            assert terminal.wait_exit() == 0

    piped = statusd("send", "ping", *to)
    assert piped.stdout == "sent ping to statusd:control: 1 unit listening\n"


def test_a_word_that_nobody_knows_is_sent_and_warned_of(broker: Broker, units: Units) -> None:
    """With what may have been meant; where nobody is, there is nobody to know it."""
    units("a")
    to = ("--url", broker.url)
    wrong = statusd("send", "puase", *to)
    waited = statusd("send", "puase", "--wait", *to)
    nobody = statusd("send", "puase", "--url", broker.url, "--namespace", "empty")

    assert "no unit there knows the word 'puase', did you mean pause?" in wrong.stderr
    assert (wrong.returncode, wrong.stdout.splitlines()[-1][:10]) == (0, "sent puase")
    assert "no unit there knows" in waited.stderr
    assert (waited.returncode, "invalid" in waited.stdout) == (3, True)
    where = f"namespace 'empty' on redis://127.0.0.1:{broker.port}/0"
    assert f"but nobody listens there ({where})" in nobody.stderr
    assert "knows" not in nobody.stderr


def test_status_tells_a_line_a_unit_and_names_the_lost(broker: Broker, units: Units) -> None:
    """A line a unit, the lost by name; one unit in full; JSON; forgetting."""
    running, lost = units("running", "lost", tags=["x"])
    statusd("send", "start", "--wait", "--url", broker.url)
    lost.signal(signal.SIGKILL)
    lost.wait_exit(15)
    broker.client().delete("statusd:status:{lost}")

    table = statusd("status", "--url", broker.url)
    full = statusd("status", "running", "--url", broker.url)
    as_json = json.loads(statusd("status", "--json", "--url", broker.url).stdout)
    alive = statusd("status", "running", "--forget", "--url", broker.url)
    forgotten = statusd("status", "lost", "--forget", "--url", broker.url)
    nobody = statusd("status", "nobody", "--url", broker.url)

    rows = {line.split()[0]: line for line in table.stdout.splitlines()[1:]}
    assert rows.keys() == {"running", "lost"}
    assert rows["lost"].split()[1] == "LOST"
    assert str(running.worker_pid()) in rows["running"]
    assert "start by " in rows["running"]
    assert f"pid {running.pid} on" in full.stdout
    assert "mychannel" in full.stdout
    assert [(u["name"], u["lost"]) for u in as_json] == [("lost", True), ("running", False)]
    assert (alive.returncode, forgotten.returncode, nobody.returncode) == (5, 0, 5)
    where = f"in the namespace 'statusd' on redis://127.0.0.1:{broker.port}/0"
    assert f"no unit 'nobody' {where}" in nobody.stderr
    assert "is alive" in alive.stderr
    assert "lost" not in statusd("status", "--url", broker.url).stdout


def test_a_clean_leave_is_no_loss(broker: Broker, fleet: Fleet, units: Units) -> None:
    """It has ended, and its last document says so."""
    unit = units("a")[0]

    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0

    found = fleet.status()[0]
    assert (found.left, found.is_lost, found.state) == (True, False, "END")
    assert broker.client().get("statusd:owner:{a}") is None


def test_the_history_is_listed(broker: Broker, units: Units, fleet: Fleet) -> None:
    """In words or as JSON, all or what came after an event or a time."""
    units("a", goal="RUNNING")
    fleet.send("pause")
    events = fleet.history("a")

    words = statusd("history", "a", "--url", broker.url).stdout.splitlines()
    after = statusd("history", "a", "--json", "--since", events[1]["event"], "--url", broker.url)
    since = statusd("history", "a", "--json", "--since", events[1]["at"], "--url", broker.url)
    nobody = statusd("history", "x", "--url", broker.url)
    wrong = statusd("history", "a", "--since", "yesterday", "--url", broker.url)

    assert [event["new"] for event in events] == ["READY", "RUNNING", "PAUSED"]
    assert "RUNNING -> PAUSED  pause (redis:statusd:control by " in words[-1]
    assert [json.loads(row)["new"] for row in after.stdout.splitlines()] == ["PAUSED"]
    assert [json.loads(row)["new"] for row in since.stdout.splitlines()] == ["PAUSED"]
    assert (nobody.returncode, wrong.returncode) == (5, 64)
    assert f"no unit 'x' in the namespace 'statusd' on {broker.url}" in nobody.stderr


def test_a_watcher_loses_nothing(broker: Broker, units: Units, fleet: Fleet) -> None:
    """Its connection is cut three times during 1,000 transitions: a gapless history, in order."""
    units("a", goal="RUNNING")
    client = broker.client()
    with Proxy(broker.port) as proxy, Fleet(f"redis://127.0.0.1:{proxy.port}") as far:
        watcher = far.watch()
        assert watcher.poll() is None  # it knows now where it begins
        events: list[dict[str, Any]] = []
        for part in range(4):
            pipe = client.pipeline()
            for _ in range(125):
                pipe.publish("mychannel", "pause")
                pipe.publish("mychannel", "resume")
            pipe.execute()
            while len(events) < 250 * part + 100:
                event = watcher.poll()
                events += [event] if event is not None else []
            if part < 3:
                proxy.cut()
                proxy.pass_()
        while len(events) < 1000:
            event = watcher.poll()
            events += [event] if event is not None else []
        watcher.close()

    assert not [event for event in events if "gap" in event]
    assert [event["seq"] for event in events] == list(range(3, 1003))
    assert all(a["new"] == b["old"] for a, b in pairwise(events))


# ---- the name -----------------------------------------------------------------------------------


@pytest.mark.fault("C05")
def test_a_living_name_is_refused(broker: Broker, units: Units, tmp_path: Path, run: Run) -> None:
    """On another machine, that is, with another state directory: the reason, and 78."""
    unit = units("a")[0]

    second = elsewhere("a", broker, tmp_path)

    with second:
        assert second.wait_exit(15) == 78
    assert f"a unit named 'a' is alive on {os.uname().nodename} (pid {unit.pid}" in second.output()
    assert second.logged("worker.started") is None
    assert unit.exit_code() is None


def elsewhere(name: str, broker: Broker, tmp_path: Path, *args: str, **toml: Any) -> Program:
    """Start a unit with a state directory of its own, as on another machine."""
    from tests.conftest import settings

    content = settings("tests.workers:obedient", broker.url, name=name, **toml)
    return Program(content, directory=tmp_path / "elsewhere", args=args)


@pytest.mark.fault("C05")
def test_a_newer_one_may_replace_it(broker: Broker, units: Units, tmp_path: Path) -> None:
    """With --replace the older one ends first: two are never there at once."""
    unit = units("a")[0]

    with elsewhere("a", broker, tmp_path, "--replace") as second:
        second.wait_state("READY")

        assert unit.wait_exit(1) == 0
        ended = next(line for line in unit.log() if line.get("new") == "END")
        started = second.wait_logged("worker.started")
        assert ended["at"] < started["at"]


def test_a_name_whose_holder_is_dead_is_free(broker: Broker, units: Units, tmp_path: Path) -> None:
    """Its daemon was killed: nobody waits ten seconds for that on the same machine."""
    unit = units("a")[0]
    unit.signal(signal.SIGKILL)
    unit.wait_exit(15)

    with elsewhere("a", broker, tmp_path) as second:
        second.wait_state("READY", 3)


@pytest.mark.fault("R03")
def test_a_sleeper_that_was_replaced_ends(broker: Broker, units: Units, tmp_path: Path) -> None:
    """SIGSTOP until its name was free, and another took it: 78, and its words are not heard."""
    unit = units("a")[0]
    unit.signal(signal.SIGSTOP)
    broker.client().delete("statusd:owner:{a}")  # as it goes by itself in ten seconds
    with elsewhere("a", broker, tmp_path) as second:
        second.wait_state("READY")
        second.wait_logged("link.up", link="hears")

        unit.signal(signal.SIGCONT)

        assert unit.wait_exit(15) == 78
        assert unit.logged("name.taken") is not None
        with Fleet(broker.url) as fleet:
            wait_until(
                lambda: fleet.status()[0].document.get("pid") == second.pid, 15, "the second"
            )


def holder(fleet: Fleet) -> object:
    """Return the pid of the daemon whose document stands in Redis."""
    return fleet.status()[0].document.get("pid")


@pytest.mark.fault("R03")
@pytest.mark.parametrize("sleeps", [False, True], ids=["evicted", "slept"])
def test_what_was_lost_is_written_again(
    sleeps: bool, broker: Broker, units: Units, fleet: Fleet
) -> None:
    """FLUSHALL, also while it was stopped: with the next beat everything is there again."""
    unit = units("a")[0]

    if sleeps:
        unit.signal(signal.SIGSTOP)
    broker.client().flushall()
    assert not fleet.status() or not sleeps
    unit.signal(signal.SIGCONT)

    wait_until(lambda: [u.name for u in fleet.status() if u.is_alive] == ["a"], 15, "the unit")
    assert json.loads(broker.client().get("statusd:owner:{a}") or b"{}")["pid"] == unit.pid
    assert unit.exit_code() is None


def test_a_daemon_starts_without_its_broker(tmp_path: Path) -> None:
    """Nobody can say whose the name is: the work begins."""
    from tests.conftest import settings
    from tests.tools import free_port

    url = f"redis://127.0.0.1:{free_port()}"
    with Program(settings("tests.workers:obedient", url), directory=tmp_path / "u") as unit:
        unit.wait_state("READY", 5)


def test_ending_several_asks_on_a_terminal(broker: Broker, units: Units, fleet: Fleet) -> None:
    """Not for one, not with --yes, and never in a script."""
    units("a", "b")
    names_and_verdicts = []
    for answer in ("n\n", "y\n"):
        pid, terminal = pty.fork()
        if pid == 0:
            words = ["send", "end", "--wait", "--url", broker.url]
            os.execv(sys.executable, [sys.executable, "-m", "statusd", *words])
        said = b""

        def hears(text: bytes, end: int = terminal) -> bool:
            nonlocal said
            if select.select([end], [], [], 0)[0]:
                with contextlib.suppress(OSError):  # it has ended
                    said += os.read(end, 65536)
            return text in said

        wait_until(lambda: hears(b"end 2 units (a, b)? [y/N]"), 15, "the question")
        os.write(terminal, answer.encode())
        if answer == "y\n":
            wait_until(lambda: hears(b"end: 2 done"), 15, "the sum")
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        names_and_verdicts.append((code, [u.state for u in fleet.status()]))

    assert names_and_verdicts == [(5, ["READY", "READY"]), (0, ["END", "END"])]


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        (["watch", "--name", "a"], "RUNNING -> PAUSED  pause"),
        (["watch", "--json"], '"new": "PAUSED"'),
        (["status", "--watch"], "PAUSED"),
        (["status", "a", "--watch"], "PAUSED"),
    ],
    ids=" ".join,
)
def test_what_is_watched_is_live(
    verb: list[str], expected: str, broker: Broker, units: Units, fleet: Fleet, tmp_path: Path
) -> None:
    """It shows what happens after it was started, and Ctrl-C ends it without a word."""
    units("a", goal="RUNNING")
    output = tmp_path / "output"
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "statusd", *verb, "--url", broker.url],
            env=environment(tmp_path),
            stdout=file,
            stderr=file,
        ) as process,
    ):
        try:
            if verb[0] == "status":
                wait_until(lambda: "RUNNING" in output.read_text(), 15, "the first look")
            # A watcher begins with what comes now: go on until it has begun.
            wait_until(lambda: shown(output, expected, fleet), 15, expected)
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 130
        finally:
            process.kill()
    assert "Traceback" not in output.read_text()


def shown(output: Path, expected: str, fleet: Fleet) -> bool:
    """Let the unit pause and go on, and tell whether ``expected`` was printed."""
    fleet.send("resume")
    fleet.send("pause")
    return expected in output.read_text()
