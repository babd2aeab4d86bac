"""`statusd logs`: what workers print, from anywhere, and harmless wherever it is shown."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis

from statusd.fleet.async_fleet import AsyncFleet
from statusd.fleet.fleet import Fleet
from tests.conftest import Run, settings
from tests.system.commands import statusd
from tests.tools import Broker, Program, environment, wait_until
from tests.tools.contract import schema
from tests.tools.terminal import Terminal

SAYS = ["sh", "-c", "touch say err; tail -n +1 -f err >&2 & exec tail -n +1 -f say"]
"""Prints what is written to the files ``say`` and ``err``, and each run all of it again."""
Start = Callable[..., Program]


@pytest.fixture
def start(broker: Broker, tmp_path: Path) -> Iterator[Start]:
    """Start a unit whose worker prints what it is told to."""
    with ExitStack() as stack:

        def made(name: str = "a", command: Sequence[str] = SAYS, **worker: Any) -> Program:
            worker |= {"command": list(command), "backoff_s": [0.05, 0.05], "kill_timeout_s": 0.5}
            toml = settings("", broker.url, name=name)
            toml["worker"] = {"directory": ".", **worker}
            unit = stack.enter_context(Program(toml, directory=tmp_path / name))
            unit.wait_logged("link.up", link="hears")
            unit.wait_logged("link.up", link="sends")
            unit.wait_logged("worker.started")
            return unit

        yield made


def say(unit: Program, text: str | bytes, file: str = "say") -> None:
    """Let the worker print."""
    with (unit.directory / file).open("ab") as opened:
        opened.write(text if isinstance(text, bytes) else text.encode())


def shown(broker: Broker, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the verb by the broker."""
    return statusd("logs", *words, "--url", broker.url)


def has_printed(broker: Broker, name: str, *texts: str) -> None:
    """Wait until a unit tells these lines last."""
    with Fleet(broker.url) as fleet:

        def newest() -> bool:
            lines = [item["line"] for item in fleet.logs(name) if "line" in item]
            return tuple(lines[-len(texts) :]) == texts

        wait_until(newest, 15, f"{texts}")


class Following:
    """The verb while it follows, and what it has printed."""

    def __init__(self, folder: Path, *words: str, env: dict[str, str] | None = None) -> None:
        self.file = folder / "followed"
        with self.file.open("wb") as opened:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "statusd", "logs", "-f", *words],
                env=environment(folder) | (env or {}),
                stdout=opened,
                stderr=opened,
            )

    def text(self) -> str:
        """Return all of it."""
        return self.file.read_text()

    def wait(self, text: str) -> None:
        """Wait for it."""
        wait_until(lambda: text in self.text(), 20, f"{text!r} in {self.text()!r}")

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(15)

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(15)


# ---- the last lines ------------------------------------------------------------------------------


def test_the_last_lines_come_by_broker_and_by_socket(broker: Broker, start: Start) -> None:
    """The same ones; standard error alone if that is wanted; as JSON, all that is known of them."""
    unit = start()
    say(unit, "one\ntwo\nthree\n")
    has_printed(broker, "a", "one", "two", "three")
    say(unit, "oops\n", "err")
    has_printed(broker, "a", "three", "oops")
    here = ("--socket", str(unit.directory / "statusd"))

    for words in (("--url", broker.url), here):
        assert statusd("logs", "a", *words).stdout.splitlines() == ["one", "two", "three", "oops"]
        assert statusd("logs", "a", "-n", "2", *words).stdout.splitlines() == ["three", "oops"]
        assert statusd("logs", "a", "--stderr", *words).stdout == "oops\n"
        assert statusd("logs", "a", "--since", "1h", *words).stdout.count("\n") == 4
        assert statusd("logs", "a", "--since", "2999-01-01", *words).stdout == ""
    (line,) = shown(broker, "a", "-n", "1", "--json").stdout.splitlines()
    assert json.loads(line).items() >= {"name": "a", "stream": "stderr", "run": 1}.items()


def test_several_at_once_have_their_names_before_their_lines(broker: Broker, start: Start) -> None:
    """In colour where a terminal shows some."""
    for name in ("one", "two"):
        say(start(name), f"I am {name}\n")
        has_printed(broker, name, f"I am {name}")

    done = shown(broker, "one", "t*")
    env = {"FORCE_COLOR": "1"}
    in_colour = statusd("logs", "one", "two", "--url", broker.url, env=env).stdout

    assert sorted(done.stdout.splitlines()) == ["one | I am one", "two | I am two"]
    assert in_colour.count("\x1b[0m | I am") == 2


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["nobody"], 5, "no unit 'nobody' in the namespace"),
        (["a", "--since", "soon"], 64, "--since 'soon' is none of these"),
        (["a", "-n", "-1"], 64, "a unit keeps its last 2000 lines"),
        (["a", "-n", "2001"], 64, "a unit keeps its last 2000 lines"),
    ],
)
def test_what_cant_be_shown_is_said(
    words: list[str], code: int, complaint: str, broker: Broker, start: Start
) -> None:
    """In a line, with an exit code."""
    start()

    done = shown(broker, *words)

    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in done.stderr


def test_without_a_broker_or_a_daemon_here_it_is_69(tmp_path: Path) -> None:
    """As for other verbs."""
    assert statusd("logs", "a", "--url", "redis://127.0.0.1:1").returncode == 69
    assert statusd("logs", "a", "--socket", str(tmp_path)).returncode == 69


def test_output_that_doesnt_come_by_us_is_named_with_the_cure(
    broker: Broker, start: Start, tmp_path: Path
) -> None:
    """By broker and by socket; whoever else was asked for is shown."""
    unit, other = start("inherits", output="inherit"), start("tells", output="./out.log")
    say(other, "here\n")
    has_printed(broker, "tells", "here")

    done = shown(broker, "inherits", "tells")
    local = statusd("logs", "inherits", "--socket", str(unit.directory / "statusd"))

    assert done.stdout == "tells | here\n"
    assert (done.returncode, local.returncode) == (3, 3)
    for one in (done, local):
        assert (
            'inherits: its output doesn\'t come by statusd (worker.output = "inherit"' in one.stderr
        )


def test_who_is_lost_or_has_ended_is_named(broker: Broker, start: Start) -> None:
    """And the others are shown."""
    lost, ended = start("lost"), start("ended")
    lost.signal(signal.SIGKILL)
    lost.wait_exit()
    broker.client().delete("statusd:status:{lost}")  # as it goes by itself in ten seconds
    ended.signal(signal.SIGTERM)
    ended.wait_exit(15)

    done = shown(broker, "lost", "ended")

    assert "lost: it is lost" in done.stderr
    assert "ended: it has ended" in done.stderr
    assert done.returncode == 4


# ---- nothing reaches a terminal ------------------------------------------------------------------


EVIL = b"\x1b]0;title\x07\x1b[2Jgone\x9b31m\xe2\x80\xaetxt\x00\x7f \x1b[31mred\x1b[0m\n"


def test_nothing_that_a_worker_prints_reaches_a_terminal(
    broker: Broker, start: Start, tmp_path: Path
) -> None:
    """Colours are left out, all else is shown as it is written; a bar is escaped as well."""
    unit = start()
    say(unit, EVIL)
    env = environment(tmp_path)
    command = [sys.executable, "-m", "statusd", "logs", "a", "b*", "-f", "--url", broker.url]
    with Terminal(command, env, cwd=tmp_path, columns=200) as terminal:
        terminal.wait("red")
        say(unit, b"\r\x1b[5A 10%")
        terminal.wait("10%")
        say(unit, b"\r\x1b[5A 20%")
        screen = terminal.wait("20%")
        terminal.type("\x03")
        assert terminal.wait_exit() == 130

    assert "\\x1b]0;title\\x07\\x1b[2Jgone\\x9b31m\\u202etxt\\x00\\x7f red" in screen
    assert "10%" not in screen
    raw = terminal.raw.decode("utf-8", "replace")
    assert not [
        bad for bad in ("\x1b]", "\x1b[2J", "\x1b[5A", "\x9b", "\u202e", "\x07") if bad in raw
    ]


def test_json_is_printable_whatever_is_in_a_line(broker: Broker, start: Start) -> None:
    """And says exactly what was printed."""
    say(start(), EVIL)
    has_printed(broker, "a", EVIL[:-1].decode("utf-8", "backslashreplace"))

    done = shown(broker, "a", "--json")

    assert done.stdout.removesuffix("\n").isprintable()
    assert json.loads(done.stdout)["line"] == EVIL[:-1].decode("utf-8", "backslashreplace")


# ---- what comes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["broker", "socket"])
def test_it_follows_over_the_workers_restart(
    way: str, broker: Broker, start: Start, tmp_path: Path
) -> None:
    """Its runs are told apart; and when the unit has ended, so has this."""
    unit = start()
    say(unit, "first\n")
    here = str(unit.directory / "statusd")
    words = ("--url", broker.url) if way == "broker" else ("--socket", here)
    with Following(tmp_path, "a", *words) as following:
        following.wait("first\n")
        os.kill(unit.worker_pid(), signal.SIGKILL)
        following.wait("run 2\nfirst\n")
        say(unit, "second\n")
        following.wait("second\n")
        unit.signal(signal.SIGTERM)
        following.wait("a: it has ended")
        assert following.process.wait(15) == 0
    assert following.text().startswith("first\nrun 2\nfirst\nsecond\n")


@pytest.mark.nightly
def test_it_joins_past_the_broker_who_begins_later(broker: Broker, tmp_path: Path) -> None:
    """A unit of a folder that had ended and is launched; it was told of its first life as well."""
    prints = {"command": ["sh", "-c", "echo begins; exec sleep 60"]}
    units = {name: {"name": name, "worker": prints} for name in ("a", "b")}
    toml = {"redis": {"url": broker.url}, "daemon": {"name": "hall"}}
    with Program(toml, directory=tmp_path / "d", units=units) as hall:
        hall.wait_logged("link.up", link="hears")
        here = str(hall.directory / "statusd")
        with Following(tmp_path, "a", "b", "--socket", here) as following:
            wait_until(lambda: following.text().count("begins") == 2, 20, "both")
            assert statusd("send", "end", "--name", "b", "--socket", here).returncode == 0
            following.wait("b: it has ended")
            assert statusd("launch", "b", "--socket", here).returncode == 0
            wait_until(lambda: following.text().count("begins") == 3, 20, "its next life")
            assert following.stop() == 130


def test_ctrl_c_ends_it(broker: Broker, start: Start, tmp_path: Path) -> None:
    """Without a word, as for other verbs."""
    say(start(), "first\n")
    with Following(tmp_path, "a", "--url", broker.url) as following:
        following.wait("first\n")
        assert following.stop() == 130
    assert following.text() == "first\n"


@pytest.mark.nightly
def test_it_follows_over_a_new_daemon_and_a_new_broker(
    broker: Broker, start: Start, tmp_path: Path
) -> None:
    """What was printed meanwhile is told when they are there again, and nothing twice."""
    unit = start()
    say(unit, "first\n")
    with Following(tmp_path, "a", "--url", broker.url) as following:
        following.wait("first\n")
        broker.kill()
        following.wait("waiting for it")
        say(unit, "meanwhile\n")
        broker.start()
        following.wait("meanwhile\n")
        unit.close()
        following.wait("a: it ")
        (unit.directory / "say").write_text("anew\n")
        start()
        following.wait("anew\n")
        assert following.stop() == 130
    assert following.text().count("meanwhile\n") == 1
    assert following.text().count("first\n") == 1


def test_a_bar_is_one_line_that_changes(broker: Broker, start: Start) -> None:
    """Its last state is the line; until it has an end, it is what stands there."""
    unit = start()
    with Fleet(broker.url) as fleet:
        items = fleet.logs("a", follow=True)
        say(unit, b"begin\n")
        assert next(item for item in items if "line" in item)["line"] == "begin"
        say(unit, b"\r 10%|#   |")
        assert next(items)["standing"]["line"] == " 10%|#   |"
        say(unit, b"\r100%|####|\nend\n")
        rest = [next(items) for _ in range(3)]
    assert [item.get("line") for item in rest] == ["100%|####|", "end", None]
    assert rest[-1]["standing"] is None


FLOOD = ["sh", "-c", "seq 1000000; touch printed; exec sleep 1000"]


def test_a_flood_is_capped_counted_and_never_waits(
    broker: Broker, start: Start, tmp_path: Path
) -> None:
    """Somebody follows, and his broker connection stands still: the worker has printed it all.

    Whoever reads learns how many lines he was not sent.
    """
    seen: list[str] = []
    left_out = 0
    with Fleet(broker.url) as fleet:
        unit = start(command=FLOOD, output="/dev/null")
        items = fleet.logs("a", follow=True, lines=0)
        first = next(items)
        wait_until((unit.directory / "printed").exists, 30, "a million lines")
        for item in [first]:
            left_out += item.get("left_out", 0)
        while not seen or seen[-1] != "1000000":
            item = next(items)
            left_out += item.get("left_out", 0)
            if "line" in item:
                seen.append(item["line"])
    assert seen == sorted(set(seen), key=int)
    assert len(seen) + left_out <= 1_000_000
    assert len(seen) < 10_000


def test_what_was_left_out_is_said_where_it_is_missing(
    broker: Broker, start: Start, tmp_path: Path
) -> None:
    """With its number, as people write it."""
    unit = start()
    say(unit, "first\n")
    with Following(tmp_path, "a", "--url", broker.url) as following:
        following.wait("first\n")
        say(unit, "".join(f"{number}\n" for number in range(5000)))
        following.wait("4999\n")
        assert following.stop() == 130
    _, *rows = following.text().splitlines()
    counts = [int(row.split()[1].replace(",", "")) for row in rows if row.startswith("... ")]
    numbers = [row for row in rows if row.isdigit()]
    assert sum(counts) + len(numbers) == 5000
    assert max(counts) > 1000
    assert any("," in row and row.endswith("lines left out") for row in rows)


def test_anybody_can_ask_as_the_contract_says(broker: Broker, start: Start) -> None:
    """On the unit's channel, with a channel for the answer; and is sent what comes, or why not."""
    unit = start()
    client = broker.client()
    heard = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
    heard.subscribe("statusd:reply:logs:me")
    heard.get_message(timeout=2)
    question = {"ask": "logs", "reply_to": "statusd:reply:logs:me", "lines": 5, "follow_s": 30}
    jsonschema.validate(question, schema("log-question"))

    assert client.publish("statusd:logs:{a}", json.dumps(question)) == 1
    answer = next_message(heard)
    say(unit, "x\n")
    comes = next_message(heard)
    client.publish("statusd:logs:{a}", json.dumps({**question, "lines": "x"}))
    refusal = next_message(heard)

    for message in (answer, comes, refusal):
        jsonschema.validate(message, schema("logs"))
    assert (answer["logs"], answer["lines"], comes["lines"][0]["line"]) == ("a", [], "x")
    assert refusal["refused"] == '"lines" is no number from 0 to 2000'


def next_message(heard: Any) -> dict[str, Any]:
    """Return the next message."""
    message = wait_until(lambda: heard.get_message(timeout=0.1), 10, "a message")
    found: dict[str, Any] = json.loads(message["data"])
    return found


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_viewer_may_read_and_nothing_else(role: str, guarded: Broker, run: Run) -> None:
    """With the project's own access list."""
    run("tests.workers:telling_args", guarded.url, redis=access(guarded, "daemon"))
    url = f"redis://statusd-{role}:change-me-{role}@127.0.0.1:{guarded.port}"
    with Fleet(url) as fleet:
        wait_until(lambda: [unit for unit in fleet.status() if unit.is_alive], 15, "the unit")
    done = wait_until(lambda: answered(url), 15, "an answer")

    assert (done.returncode, done.stderr) == (0, "")
    with redis.Redis.from_url(url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.publish("statusd:reply:x", "y")


def answered(url: str) -> subprocess.CompletedProcess[str] | None:
    """Run the verb, and return what came of it when somebody has answered."""
    done = statusd("logs", "unit", "--url", url)
    return done if done.returncode == 0 else None


def test_an_older_access_list_costs_the_logs_alone(guarded: Broker, run: Run) -> None:
    """The unit lives and obeys; it says what is missing, and so does the verb; a right mends it."""
    admin = guarded.client()
    admin.execute_command(  # type: ignore[no-untyped-call]  # redis-py
        *("ACL", "SETUSER", "statusd-daemon", "clearselectors", "resetchannels", "~*", "+@all"),
        *("&mychannel", "&statusd:control", "&statusd:canary:*", "&statusd:verdicts"),
        *("&statusd:events", "&statusd:reply:*"),
    )
    unit = run("tests.workers:obedient", guarded.url, redis=access(guarded, "daemon"))
    refused = unit.wait_logged("channel.refused")
    with Fleet(guarded.url) as fleet:
        assert fleet.send("start").exit_code == 0
        (found,) = fleet.status()
    done = shown(guarded, "unit")

    assert refused["channel"] == "statusd:logs:{unit}"
    assert refused["cure"] == 'ACL SETUSER statusd-daemon "(&statusd:logs:{unit} +subscribe)"'
    assert "statusd:logs:{unit}: it isn't heard: NOPERM" in found.document["trouble"]
    assert done.returncode == 4
    assert "may not SUBSCRIBE to statusd:logs:{unit}" in done.stderr
    admin.execute_command("ACL", "SETUSER", "statusd-daemon", "&statusd:logs:*")  # type: ignore[no-untyped-call]  # redis-py
    unit.wait_logged("channel.heard", channel="statusd:logs:{unit}")
    assert shown(guarded, "unit").returncode == 0


def test_who_may_not_ask_is_told_so(guarded: Broker, run: Run) -> None:
    """An older list for viewers: the broker's own words, and where the rights stand."""
    run("tests.workers:obedient", guarded.url).wait_logged("link.up", link="sends")
    guarded.client().execute_command(  # type: ignore[no-untyped-call]  # redis-py
        *("ACL", "SETUSER", "statusd-viewer", "clearselectors", "resetchannels", "~*"),
        *("+@read", "+subscribe", "+publish", "&statusd:reply:logs:*"),
    )
    url = f"redis://statusd-viewer:change-me-viewer@127.0.0.1:{guarded.port}"

    def refused() -> bool:
        done = statusd("logs", "unit", "--url", url)
        return done.returncode == 69 and "NOPERM" in done.stderr

    wait_until(refused, 15, "the broker's words")


@pytest.fixture
def guarded(broker: Broker) -> Broker:
    """A broker with the users of the project's own access list, and its front door open."""
    for line in Path("config/acl/statusd.acl").read_text().splitlines():
        if line.startswith("user statusd-"):
            broker.client().execute_command("ACL", "SETUSER", *line.split()[1:])  # type: ignore[no-untyped-call]  # redis-py
    return broker


def access(broker: Broker, role: str) -> dict[str, str]:
    """Return the settings of a user of the access list."""
    user = f"statusd-{role}"
    return {"url": broker.url, "username": user, "password": f"change-me-{role}"}


# ---- from Python ---------------------------------------------------------------------------------


def test_async_fleet_follows_several_at_once(broker: Broker, start: Start) -> None:
    """In any number of tasks; whoever has seen enough leaves nothing behind."""
    units = [start("one"), start("two")]

    async def first_line(fleet: AsyncFleet, name: str) -> str:
        async for item in fleet.logs(name, follow=True):
            if "line" in item:
                return str(item["line"])
        return ""

    async def follow() -> list[str]:
        async with AsyncFleet(broker.url) as fleet:
            waiting = [asyncio.ensure_future(first_line(fleet, name)) for name in ("one", "two")]
            for unit in units:
                say(unit, f"I am {unit.directory.name}\n")
            return list(await asyncio.gather(*waiting))

    assert asyncio.run(follow()) == ["I am one", "I am two"]
    wait_until(lambda: not broker.client().pubsub_channels("statusd:reply:*"), 10, "no reader")
