"""What somebody who may write to the broker, be one, or name a file can do to an operator: nothing.

Completion in real shells, and every verb on a real terminal.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import Run
from tests.system.commands import statusd
from tests.system.test_completion import START
from tests.tools import Broker, Terminal, environment, free_port, wait_until
from tests.tools.hostile import FORGED, HOSTILE, arrived
from tests.tools.http import get
from tests.tools.impostor import HELLO, Impostor

EVIL = [
    "cam$(touch${IFS}pwned1)",
    "cam`touch\tpwned2`",
    "cam;touch\tpwned3",
    "cam{a,b}",
    "cam~root",
    "cam'$(touch pwned4)'",
    'cam"$(touch pwned5)"',
    "cam\ntouch pwned6\n",
    "cam!!",
    "cam\\",
    "cam|touch${IFS}pwned7",
    "--url=redis://attacker",
    "-camx",
    "cam\x1b[2J",
    "cam é",
    "cam" * 100,
]
BOOT = 1_795_400_000_000


def put(broker: Broker, name: str, **more: Any) -> None:
    """Write a unit into the broker: its roster entry and its document."""
    client = broker.client()
    document = {"name": name, "boot": BOOT, "state": "RUNNING", **more}
    client.hset("statusd:roster", name, json.dumps({"boot": BOOT, "left": False, "seen": ""}))
    client.set(f"statusd:status:{{{name}}}", json.dumps(document))


def event(unit: str, seq: int, **more: Any) -> tuple[str, dict[Any, Any]]:
    """Return id and fields of an entry of a history."""
    event_id = f"{BOOT}-{seq}"
    told = {
        **{"event": event_id, "name": unit, "boot": BOOT, "seq": seq, "run": 1, "old": "READY"},
        **{"new": "RUNNING", "trigger": "start", "source": "redis:x", "at": "2026-11-27T09:00:00Z"},
        **more,
    }
    return event_id, {"event": json.dumps(told)}


# ---- completion ----------------------------------------------------------------------------------


@pytest.fixture
def poisoned(broker: Broker) -> Broker:
    """A broker with a unit that is well and some whose every word is a command of a shell."""
    lists = {key: [*EVIL, "camgood", "cam.*"] for key in ("allowed", "channels", "tags")}
    put(broker, "camera", **lists)
    for name in EVIL:
        put(broker, name, state=name)
    return broker


@pytest.mark.fault("X13")
@pytest.mark.parametrize("kind", ["names", "channels", "states", "tags", "words"])
def test_nothing_is_listed_that_means_something_to_a_shell(kind: str, poisoned: Broker) -> None:
    """What is listed is plain, and the harmless is among it."""
    done = statusd("completion", "--list", kind, env={"STATUSD_REDIS__URL": poisoned.url})

    expected = {"names": "camera", "states": "RUNNING"}.get(kind, "camgood")
    rows = done.stdout.splitlines()
    assert expected in rows
    assert [row for row in rows if not row.replace("camera", "").isascii() or row[:1] == "-"] == []
    assert set("".join(rows)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@:*-"
    )
    assert (done.returncode, done.stderr) == (0, "")


TYPED = ["statusd history cam", "statusd send -c cam", "statusd send --tag cam", "statusd send cam"]


@pytest.mark.fault("X13")
@pytest.mark.parametrize("shell", sorted(START))
def test_a_shell_expands_nothing_foreign(shell: str, poisoned: Broker, tmp_path: Path) -> None:
    """Names, channels, tags and words of strangers, the tabulator key, a real shell."""
    env = {"STATUSD_REDIS__URL": poisoned.url}
    with shell_of(shell, tmp_path, env, Path(sys.prefix, "bin")) as terminal:
        complete_all(terminal, lists_all=shell != "tcsh")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["_statusd", "home"]


@pytest.mark.fault("X13")
@pytest.mark.parametrize("shell", sorted(START))
def test_a_script_trusts_no_list(shell: str, tmp_path: Path) -> None:
    """The second line: a statusd that lists whatever it finds, as an older one does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "list").write_text("\n".join([*EVIL, "camgood", ""]))
    (folder / "statusd").write_text(f"#!/bin/sh\ncat {folder}/list\n")
    (folder / "statusd").chmod(0o755)

    with shell_of(shell, tmp_path, {}, folder) as terminal:
        complete_all(terminal, lists_all=shell != "tcsh")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["_statusd", "bin", "home"]
    assert sorted(path.name for path in folder.iterdir()) == ["list", "statusd"]


@pytest.mark.fault("X13")
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_pattern_is_quoted(shell: str, broker: Broker, tmp_path: Path) -> None:
    """Or the names of a stranger's files would become arguments."""
    put(broker, "camera", channels=["lab.*"])
    (tmp_path / "lab.$(touch pwned)").touch()
    env = {"STATUSD_REDIS__URL": broker.url}
    with shell_of(shell, tmp_path, env, Path(sys.prefix, "bin")) as terminal:
        terminal.type("statusd send -c la\tX")
        terminal.wait("statusd send -c lab.\\* X")


@contextmanager
def shell_of(shell: str, cwd: Path, more: dict[str, str], first: Path) -> Iterator[Terminal]:
    """Start a shell in which the completion is at work."""
    command, start = START[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    (cwd / "_statusd").write_text(statusd("completion", shell).stdout)
    (cwd / "home").mkdir()
    env = environment(cwd) | more | {"HOME": str(cwd / "home")}
    env["PATH"] = f"{first}:{env['PATH']}"
    with Terminal(command, env, cwd=cwd, columns=100) as terminal:
        terminal.type(f"{start}; echo re''ady\n")
        terminal.wait("\nready")
        yield terminal
        terminal.type("\x03\n")


def complete_all(terminal: Terminal, *, lists_all: bool) -> None:
    """Ask for each kind of word: once for what is common, twice for all there is."""
    for at, typed in enumerate(TYPED):
        terminal.type(f"{typed}\t\t")
        if at and lists_all:
            terminal.wait("camgood")
        terminal.type(f"\x03\necho do''ne{at}\n")
        terminal.wait(f"done{at}")


@pytest.mark.fault("X13")
def test_a_strangers_folder_names_no_broker(tmp_path: Path) -> None:
    """Completing a line there is no reason to talk with the broker of its settings."""
    with Impostor(lambda _: HELLO) as attacker:
        (tmp_path / "statusd.toml").write_text(f'[redis]\nurl = "{attacker.url}"\n')
        with shell_of("bash", tmp_path, {}, Path(sys.prefix, "bin")) as terminal:
            terminal.type("statusd history \t\t")
            terminal.type("\x03\necho do''ne\n")
            terminal.wait("done")
        done = statusd("completion", "--list", "names", cwd=tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert attacker.connections == 0


# ---- what is shown -------------------------------------------------------------------------------


TYPEABLE = HOSTILE.replace("\x00", "").replace("\ud800", "")
"""As an argument, a file's name, a variable."""
FILE = TYPEABLE.replace("/", "-").replace("\u0301", "")[:60] + ".toml"


@pytest.fixture
def hostile(broker: Broker) -> Broker:
    """A broker in which everything that is shown was written by somebody hostile."""
    texts = dict.fromkeys(("state", "goal", "text", "link", "host", "since", "part"), HOSTILE)
    for name in ("well", TYPEABLE):
        put(
            broker,
            name,
            **{key: [HOSTILE, HOSTILE] for key in ("allowed", "tags", "channels")},
            worker={"pid": 1, "death": {"run": 1, "reason": HOSTILE, "stderr": [HOSTILE]}},
            stop={"stage": HOSTILE},
            last={"command": HOSTILE, "by": HOSTILE},
            args={HOSTILE: HOSTILE},
            **texts,
        )
    client = broker.client()
    client.hset("statusd:roster", f"other{TYPEABLE}", HOSTILE.replace("\ud800", ""))
    client.set("statusd:owner:{well}", json.dumps({"boot": 5, "host": HOSTILE, "pid": 1}))
    for seq in (1, 2):
        tell(broker, seq)
    return broker


def tell(broker: Broker, seq: int) -> None:
    """Add a hostile event to the history of the unit that is well."""
    keys = ("name", "old", "new", "trigger", "source", "by", "reason", "at")
    event_id, fields = event(HOSTILE, seq, **dict.fromkeys(keys, HOSTILE))
    broker.client().xadd("statusd:history:{well}", fields, id=event_id)


SETTINGS = """\
name = "well"
control.channels = ["mychannel"]
worker.command = ["true"]
redis.url = "{url}"
"""
VERBS = {
    "status": (["status"], 0, True),
    "status NAME": (["status", "well"], 0, True),
    "status --json": (["status", "--json"], 0, False),
    "history": (["history", "well"], 0, False),
    "history --json": (["history", "well", "--json"], 0, False),
    "send --dry-run": (["send", "pause", "--dry-run"], 0, False),
    "send --dry-run --json": (["send", "pause", "--dry-run", "--json"], 0, False),
    "send": (["send", "pause", "-c", TYPEABLE], 5, False),
    "send --wait": (["send", "pause", "--wait", "--timeout", "0.5"], 4, False),
    "graph": (["graph", "--unit", "well"], 78, False),
    "completion": (["completion", "--list", "names"], 0, False),
    "forget": (["status", TYPEABLE, "--forget"], 5, False),
    "no such unit": (["history", f"x{TYPEABLE}"], 5, False),
    "namespace": (["status", "--namespace", TYPEABLE], 5, False),
}
"""What is typed, the exit code, and whether it draws; the broker is named by the environment."""


@pytest.mark.fault("X15")
@pytest.mark.parametrize("on_a_terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_shows_a_foreign_control_character(
    verb: str, on_a_terminal: bool, hostile: Broker, tmp_path: Path
) -> None:
    """Names, states, texts, reasons, arguments, events; not one reaches a terminal, or a pipe."""
    words, code, draws = VERBS[verb]
    env = {"STATUSD_REDIS__URL": hostile.url}

    if on_a_terminal:
        ended, text = run_on_terminal(words, env, tmp_path)
    else:
        done = statusd(*words, env=env, cwd=tmp_path)
        ended, text = done.returncode, done.stdout + done.stderr

    assert "Traceback" not in text
    assert arrived(text, draws=draws and on_a_terminal) == []
    assert ended == code


@pytest.mark.fault("X15")
def test_the_doctor_shows_none(hostile: Broker, tmp_path: Path) -> None:
    """Not of who holds the name, nor of what the settings' file is called."""
    (tmp_path / FILE).write_text(SETTINGS.format(url=hostile.url))
    env = {"STATUSD_STATE_DIRECTORY": str(tmp_path / f"s{FILE}")}

    ended, text = run_on_terminal(["doctor", FILE], env, tmp_path)
    plain = statusd("doctor", FILE, env=env, cwd=tmp_path)

    assert "it names no holder" in plain.stdout
    assert arrived(text, draws=True) == []
    assert arrived(plain.stdout + plain.stderr) == []
    assert (ended, plain.returncode) == (1, 1)


MISTAKES: dict[str, Sequence[str]] = {
    "verb": [TYPEABLE],
    "option": ["status", f"--x{TYPEABLE}"],
    "choice": ["acl", "--role", TYPEABLE],
    "word": ["send", TYPEABLE],
    "pair": ["send", "pause", "--arg", TYPEABLE],
    "span": ["send", "pause", "--expires", TYPEABLE],
    "place": ["watch", "--since", TYPEABLE],
    "time": ["history", "x", "--since", TYPEABLE],
    "url": ["status", "--url", TYPEABLE],
    "host": ["status", "--url", f"redis://{TYPEABLE[:40]}:1"],
    "file": ["status", "--file", TYPEABLE],
    "settings": ["check", TYPEABLE],
    "content": ["check", FILE],
    "run": ["run", TYPEABLE],
    "picture": ["graph", "-o", TYPEABLE],
    "socket": ["status", "--socket", TYPEABLE],
    "health": ["health", "--socket", TYPEABLE],
}


@pytest.mark.fault("X15")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_complaint_repeats_a_control_character(mistake: str, tmp_path: Path) -> None:
    """Of what was typed, of files' names, and of what stands in them."""
    (tmp_path / FILE).write_text(f'name = "x"\n["\\u001b]0;PWN\\u0007\\n{FORGED}"]\n')

    done = statusd(*MISTAKES[mistake], cwd=tmp_path)

    assert done.returncode in (1, 5, 64, 69, 78)
    assert "Traceback" not in done.stderr
    assert arrived(done.stdout + done.stderr) == []
    assert len(done.stderr) < 5000


@pytest.mark.fault("X15")
@pytest.mark.parametrize("verb", ["status", "history x", "send pause", "send pause --wait"])
def test_no_error_of_a_broker_gets_through(verb: str, tmp_path: Path) -> None:
    """It may say anything, and any amount of it."""
    error = HOSTILE.replace("\r\n", " ").replace("\n", " ").replace("\ud800", "") + "x" * 100_000
    with Impostor(lambda words: f"-ERR {error}\r\n".encode()) as liar:
        done = statusd(*verb.split(), "--url", liar.url, cwd=tmp_path)

    assert done.returncode == 69
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) < 3000
    assert arrived(done.stdout + done.stderr) == []


@pytest.mark.fault("X15")
def test_a_forged_verdict_forges_no_line(hostile: Broker, tmp_path: Path) -> None:
    """Reason, state, what is allowed: told in the line of whoever said so."""
    fields = dict.fromkeys(("state", "reason", "did_you_mean"), HOSTILE)
    with answering(hostile, {"verdict": "refused", "name": "well", "boot": BOOT, **fields}):
        words = ["send", "pause", "--wait", "--timeout", "2", "--name", "well"]
        ended, text = run_on_terminal(words, {"STATUSD_REDIS__URL": hostile.url}, tmp_path)

    assert ended == 3
    assert "did you mean A" in text
    assert arrived(text) == []


@pytest.mark.fault("X15")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_watch_shows_none(options: list[str], hostile: Broker, tmp_path: Path) -> None:
    """What happens while somebody looks."""
    env = environment(tmp_path) | {"STATUSD_REDIS__URL": hostile.url}
    command = [sys.executable, "-m", "statusd", "watch", *options]
    sequence = iter(range(3, 1000))
    with Terminal(command, env, cwd=tmp_path, columns=200) as terminal:
        wait_until(lambda: seen(terminal, hostile, next(sequence)), 20, "an event")
        terminal.type("\x03")
        assert terminal.wait_exit() == 130
        # The terminal itself shows a Ctrl-C as ^C.
        assert arrived(terminal.raw.decode("utf-8", "replace")) == []


def seen(terminal: Terminal, broker: Broker, seq: int) -> bool:
    """Let something happen, and tell whether anything is shown."""
    tell(broker, seq)
    return "PWN" in terminal.text()


@pytest.mark.fault("X15")
@pytest.mark.parametrize("name", [[], ["well"]], ids=["fleet", "one"])
def test_status_that_is_watched_shows_none(
    name: list[str], hostile: Broker, tmp_path: Path
) -> None:
    """What is drawn again and again."""
    env = environment(tmp_path) | {"STATUSD_REDIS__URL": hostile.url}
    command = [sys.executable, "-m", "statusd", "status", *name, "--watch"]
    with Terminal(command, env, cwd=tmp_path, columns=200, rows=50) as terminal:
        terminal.wait("well")
        terminal.type("\x03")
        assert terminal.wait_exit() == 130
        assert "PWN" in terminal.raw.decode("utf-8", "replace")
        assert arrived(terminal.raw.decode("utf-8", "replace"), draws=True) == []


@pytest.mark.fault("X15")
def test_before_units_are_ended_their_names_are_harmless(hostile: Broker, tmp_path: Path) -> None:
    """The question whether they are to be has them in it."""
    env = environment(tmp_path) | {"STATUSD_REDIS__URL": hostile.url}
    with Terminal([sys.executable, "-m", "statusd", "send", "end"], env, columns=200) as terminal:
        terminal.wait("[y/N]")
        terminal.type("n\n")
        assert terminal.wait_exit() == 5
        assert arrived(terminal.raw.decode("utf-8", "replace")) == []


@pytest.mark.fault("X15")
def test_who_we_are_is_harmless(broker: Broker, tmp_path: Path) -> None:
    """It comes from the environment, and goes to others: a name that can't be sent stops nobody."""
    client = broker.client()
    heard = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
    heard.subscribe("mychannel")
    heard.get_message(timeout=2)

    done = statusd(
        *("send", "pause", "-c", "mychannel", "--url", broker.url),
        cwd=tmp_path,
        env={"LOGNAME": TYPEABLE},
    )

    message = wait_until(lambda: heard.get_message(timeout=0), 5, "the command")
    heard.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(message["data"])["by"].isprintable()


@pytest.mark.fault("X15")
def test_the_demo_shows_none(tmp_path: Path) -> None:
    """Also what somebody else says on its broker; and what is no message ends it not."""
    env = environment(tmp_path)
    with Terminal([sys.executable, "-m", "statusd", "demo", "--plain"], env, columns=200) as demo:
        told = demo.wait("password)", 30)
        port = int(told.partition("a broker on 127.0.0.1:")[2].split()[0])
        password = Path(told.partition("$(cat ")[2].partition(")")[0]).read_text().strip()
        client = redis.Redis(port=port, password=password)
        texts = dict.fromkeys(("old", "new", "trigger", "reason", "command", "at"), HOSTILE)
        wait_until(client.ping, 10, "the broker")
        for message in (b"\xff", "[" * 10_000, "3", "{}", '{"verdict": [], "name": "camera"}'):
            client.publish("statusd:verdicts", message)
        client.publish("statusd:events", json.dumps({"event": "5-1", "name": "camera", **texts}))
        client.publish(
            "statusd:verdicts", json.dumps({"verdict": "done", "name": "camera", **texts})
        )
        demo.wait("PWN", 20)
        demo.wait("what can't be read", 20)
        client.close()
        demo.type("\x03")
        demo.wait_exit(20)
        raw = demo.raw.decode("utf-8", "replace")
    assert arrived(raw) == []
    assert "Traceback" not in raw


@pytest.mark.fault("X15")
@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
def test_a_daemon_repeats_no_control_character(form: str, run: Run) -> None:
    """Of its broker's errors and its worker's last words: not in its log, and on no page."""
    error = HOSTILE.replace("\r\n", " ").replace("\n", " ").replace("\ud800", "")
    port = free_port()
    with Impostor(lambda _: f"-ERR {error}\r\n".encode()) as liar:
        unit = run(
            "tests.workers:raising_hostile",
            liar.url,
            goal="RUNNING",
            log={"format": form},
            http={"listen": port},
            worker={"restart": "never"},
        )
        wait_until(lambda: "ERR A" in unit.output(), 20, "the trouble with the broker")
        wait_until(lambda: "RuntimeError: A" in unit.output(), 20, "the crash")
        page = get(port, "/readyz")

        assert "ERR A" in page.text
        assert arrived(page.text) == []
        # What the worker itself prints is its own affair, and marked as such.
        said = [row for row in unit.output().split("\n") if not row.startswith("run 1 | ")]
        assert arrived("\n".join(said)) == []


def run_on_terminal(words: Sequence[str], env: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Run the program on a terminal; return its exit code, and all that came."""
    whole = environment(cwd) | env
    with Terminal([sys.executable, "-m", "statusd", *words], whole, cwd=cwd, columns=200) as here:
        ended = here.wait_exit(20)
        here.text()
        return ended, here.raw.decode("utf-8", "replace")


@contextmanager
def answering(broker: Broker, *verdicts: dict[str, Any] | bytes) -> Iterator[None]:
    """Answer each command on the control channel, in the name of whoever stands in ``verdicts``."""
    client = broker.client()
    heard = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
    heard.subscribe("statusd:control")
    heard.get_message(timeout=2)

    def answer(message: dict[str, Any]) -> None:
        try:
            command = json.loads(message["data"])
            command["reply_to"] + command["id"]
        except (ValueError, KeyError, TypeError):
            return  # not from `send`
        for verdict in verdicts:
            told = {"id": command["id"], **verdict} if isinstance(verdict, dict) else verdict
            text = told if isinstance(told, bytes) else json.dumps(told).encode()
            client.publish(command["reply_to"], text.replace(b"$id", command["id"].encode()))

    heard.subscribe(**{"statusd:control": answer})
    thread = heard.run_in_thread(sleep_time=0.05, daemon=True)
    yield
    thread.stop()
    thread.join(5)
    heard.close()
