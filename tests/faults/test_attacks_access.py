"""Attacks by whoever has a role at the broker, or a settings file where somebody else looks.

A role can do what docs/security.md says of it and nothing else, against a real Valkey and, where
one is installed, a real Redis.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import Run, settings
from tests.system.commands import statusd
from tests.tools import Broker, Program, available_brokers, wait_until
from tests.tools.variants import some

NEW = Path("config/acl/statusd.acl")
OLD = """\
user statusd-daemon on >change-me-daemon resetkeys ~statusd:* resetchannels &statusd:* &mychannel \
-@all +hello +auth +client|setname +select +ping +time +subscribe +psubscribe +unsubscribe \
+punsubscribe +publish +get +set +del +pttl +hget +hset +xadd +xinfo|stream +xread +xrevrange \
+xtrim +pubsub|numsub +multi +discard
user statusd-operator on >change-me-operator resetkeys ~statusd:* resetchannels &statusd:* \
&mychannel -@all +hello +auth +client|setname +select +ping +subscribe +unsubscribe +hgetall \
+hkeys +get +mget +xrange +xrevrange +xread +time +psubscribe +punsubscribe +publish \
+pubsub|numsub +xadd +hdel
user statusd-viewer on >change-me-viewer resetkeys ~statusd:* resetchannels &statusd:verdicts \
&statusd:events -@all +hello +auth +client|setname +select +ping +subscribe +unsubscribe +hgetall \
+hkeys +get +mget +xrange +xrevrange +xread
"""
"""The ACL file before there were selectors in it: who upgrades has that one at first."""
LARGEST = "18446744073709551615-18446744073709551615"
GONE, NEVER = "statusd:status:{gone}", "statusd:status:{ghost}"

Row = tuple[Any, ...]


def let_in(broker: Broker, text: str) -> None:
    """Make the users of an ACL file."""
    for line in text.splitlines():
        if line.startswith("user statusd-"):
            ask(broker.client(), "ACL", "SETUSER", *line.split()[1:])


def ask(client: redis.Redis, *row: Any) -> Any:
    """Return the reply to one command, as it comes."""
    return client.execute_command(*row)  # type: ignore[no-untyped-call]  # redis-py


def as_url(broker: Broker, role: str) -> str:
    """Return how one logs in in that role."""
    return f"redis://statusd-{role}:change-me-{role}@127.0.0.1:{broker.port}/0"


def started(run: Run, broker: Broker, **changes: Any) -> Program:
    """Return a unit that listens, in the role of a daemon."""
    url = as_url(broker, "daemon")
    unit = run("tests.workers:obedient", broker.url, redis={"url": url}, **changes)
    unit.wait_logged("link.up", link="hears")
    unit.wait_logged("link.up", link="sends")
    unit.wait_state("READY")
    return unit


@pytest.fixture(params=some(sorted(available_brokers(), reverse=True), 1))
def each_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running Valkey, and at night a Redis."""
    with Broker(available_brokers()[request.param]) as running:
        yield running


@pytest.fixture
def guarded(each_broker: Broker) -> Broker:
    """A broker with the users of the project's own ACL file."""
    let_in(each_broker, NEW.read_text())
    return each_broker


Role = Callable[[str], redis.Redis]


@pytest.fixture
def role(guarded: Broker) -> Iterator[Role]:
    """Log in in a role: ``role("viewer")``."""
    clients = []

    def login(name: str) -> redis.Redis:
        clients.append(redis.Redis.from_url(as_url(guarded, name)))
        return clients[-1]

    yield login
    for client in clients:
        client.close()


# ---- what each role may ------------------------------------------------------------------------

VERBS = {
    ("send", "start", "--wait"): {"operator"},
    ("send", "ping"): {"operator"},
    ("send", "ping", "-c", "mychannel"): {"operator"},
    ("send", "pause", "--wait", "--durable"): {"operator"},
    ("send", "ping", "--wait", "--expires", "1m"): {"operator"},
    ("send", "end", "--dry-run"): {"operator", "viewer"},
    ("status",): {"operator", "viewer"},
    ("status", "unit"): {"operator", "viewer"},
    ("history", "unit"): {"operator", "viewer"},
    ("graph", "--unit", "unit"): {"operator", "viewer"},
    ("status", "ghost", "--forget"): {"operator"},
}
"""A verb -> who may; the last words are of a unit that is gone."""


@pytest.mark.fault("X33")
@pytest.mark.parametrize("name", ["operator", "viewer"])
def test_each_verb_works_for_whom_it_should(name: str, guarded: Broker, run: Run) -> None:
    """Everything else is NOPERM, with exit code 69 and the cure, and nothing comes of it."""
    unit = started(run, guarded)
    entry = '{"boot":1,"left":false,"seen":"2026-01-01T00:00:00.000Z"}'
    guarded.client().hset("statusd:roster", "ghost", entry)
    url = as_url(guarded, name)

    for words, may in VERBS.items():
        done = statusd(*words, "--url", url)
        told = (words, done.stdout, done.stderr)
        if name in may:
            assert (done.returncode, done.stderr) == (0, ""), told
        else:
            assert (done.returncode, "NOPERM" in done.stderr) == (69, True), told
            assert "config/acl/statusd.acl" in done.stderr, told
    is_obeyed = unit.logged("state.changed", new="PAUSED") is not None
    assert is_obeyed == (name == "operator")
    assert (b"ghost" in guarded.client().hkeys("statusd:roster")) == (name == "viewer")


@pytest.mark.fault("X33")
def test_a_unit_may_all_that_it_must(guarded: Broker, run: Run, tmp_path: Path) -> None:
    """Its whole life, a durable command, ``--replace`` and the doctor: not one refusal."""
    unit = started(run, guarded)
    operator = as_url(guarded, "operator")
    assert statusd("send", "start", "--wait", "--durable", "--url", operator).returncode == 0
    unit.wait_state("RUNNING")
    toml = settings("tests.workers:obedient", as_url(guarded, "daemon"))
    with Program(toml, directory=tmp_path / "elsewhere", args=("--replace",)) as second:
        assert unit.wait_exit(15) == 0
        second.wait_logged("link.up", link="hears", timeout_s=15)

        examined = statusd("doctor", str(second.directory / "statusd.toml"))

        assert re.search("^ok +rights ", examined.stdout, re.M), examined.stdout
        for program in (unit, second):
            assert program.logged("reply.failed") is None
            assert "NOPERM" not in program.output()


# ---- what no role may --------------------------------------------------------------------------

EVENT = '{"event":"1-1","name":"unit","old":"RUNNING","new":"END"}'
FORBIDDEN: dict[str, dict[str, list[Row]]] = {
    "forged events": {
        "operator viewer": [
            ("XADD", "statusd:history:{unit}", "*", "event", EVENT),
            ("XADD", "statusd:history:{unit}", LARGEST, "event", EVENT),
            ("PUBLISH", "statusd:events", EVENT),
        ],
    },
    "forged answers": {
        "operator viewer": [
            ("PUBLISH", "statusd:verdicts", '{"verdict":"done","name":"unit"}'),
            ("PUBLISH", "statusd:reply:7f3a", '{"verdict":"done","name":"unit"}'),
            ("PUBLISH", "statusd:canary:{unit}", "1-1"),
        ],
    },
    "documents of ghosts, and keys of another type": {
        "operator viewer": [
            ("SET", NEVER, "{}"),
            ("XADD", NEVER, "*", "a", "b"),
            ("XADD", "statusd:owner:{unit}", "*", "a", "b"),
            ("XADD", "statusd:roster", "*", "a", "b"),
            ("XADD", "statusd:anything", "*", "a", "b"),
            ("HSET", "statusd:roster", "ghost", "{}"),
        ],
        "daemon": [
            ("XADD", NEVER, "*", "a", "b"),
            ("SET", "statusd:anything", "x"),
            ("HSET", "statusd:status:{unit}", "a", "b"),
            ("SET", "statusd:roster", "x"),
        ],
    },
    "the history is cut": {
        "operator viewer": [
            ("XADD", "statusd:history:{unit}", "MAXLEN", 0, "*", "event", EVENT),
            ("XTRIM", "statusd:history:{unit}", "MAXLEN", 0),
            ("DEL", "statusd:history:{unit}"),
        ],
        "daemon": [
            ("DEL", "statusd:history:{unit}"),
            ("DEL", "statusd:roster"),
            ("DEL", "statusd:commands"),
            ("XTRIM", "statusd:history:{unit}", "MAXLEN", 0),
        ],
    },
    "commands and their arguments are read": {
        "operator viewer": [
            ("XRANGE", "statusd:commands", "-", "+"),
            ("XREVRANGE", "statusd:commands", "+", "-"),
            ("XREAD", "STREAMS", "statusd:commands", "0"),
            ("GET", "statusd:cursor:{unit}"),
            ("SUBSCRIBE", "statusd:control"),
            ("SUBSCRIBE", "mychannel"),
        ],
    },
    "everything is heard": {
        "operator viewer daemon": [
            ("PSUBSCRIBE", "*"),
            ("PSUBSCRIBE", "statusd:*"),
            ("PSUBSCRIBE", "statusd:reply:*"),
        ],
        "viewer daemon": [("SUBSCRIBE", "statusd:reply:7f3a")],
        "daemon": [("SUBSCRIBE", "statusd:verdicts"), ("PUBLISH", "mychannel", "END")],
    },
    "units are struck off": {"viewer": [("HDEL", "statusd:roster", "unit")]},
    "commands by a viewer": {
        "viewer": [
            ("PUBLISH", "mychannel", "END"),
            ("PUBLISH", "statusd:control", "END"),
            ("XADD", "statusd:commands", "*", "command", "END"),
        ],
    },
}
"""An attack -> who may not -> what he would have to say for it."""


@pytest.mark.fault("X33")
@pytest.mark.parametrize("attack", FORBIDDEN)
def test_no_role_may_more_than_it_must(attack: str, guarded: Broker, role: Role) -> None:
    """NOPERM, and the keys are as they were."""
    client = guarded.client()
    client.xadd("statusd:history:{unit}", {"event": EVENT}, id="1-1")
    client.set("statusd:status:{unit}", "{}")
    client.hset("statusd:roster", "unit", "{}")
    client.xadd("statusd:commands", {"command": '{"command":"ping","args":{"secret":1}}'})
    before = {key: client.dump(key) for key in sorted(client.keys())}

    for names, rows in FORBIDDEN[attack].items():
        for name in names.split():
            for row in rows:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    print(name, row, ask(role(name), *row))
    assert {key: client.dump(key) for key in sorted(client.keys())} == before


# ---- what stays possible, and what becomes of it -------------------------------------------------


@pytest.mark.fault("X33")
def test_a_living_unit_that_is_struck_off_is_back_with_its_next_beat(
    guarded: Broker, run: Run, role: Role
) -> None:
    """An operator may do that, for it is how a dead one is forgotten."""
    unit = started(run, guarded)
    client = guarded.client()
    wait_until(lambda: client.hexists("statusd:roster", "unit"), 5, "the roster")

    assert role("operator").hdel("statusd:roster", "unit") == 1

    wait_until(lambda: client.hexists("statusd:roster", "unit"), 10, "the unit's next beat")
    shown = statusd("status", "--url", as_url(guarded, "viewer"))
    assert "unit" in shown.stdout
    client.publish("mychannel", "END")
    assert unit.wait_exit(15) == 0


@pytest.mark.fault("X33")
def test_a_stream_whose_ids_are_used_up_is_told_and_plain_words_are_obeyed(
    guarded: Broker, run: Run, role: Role
) -> None:
    """An operator may do that, for whoever adds an entry may choose its id."""
    unit = started(run, guarded)
    operator = as_url(guarded, "operator")

    row = ("XADD", "statusd:commands", LARGEST, "command", "ping")
    assert ask(role("operator"), *row) == LARGEST.encode()
    sent = statusd("send", "start", "--wait", "--url", operator)

    assert (sent.returncode, sent.stderr) == (0, "")
    unit.wait_state("RUNNING")
    assert unit.logged("link.lost", link="hears") is None


@pytest.mark.fault("X33")
def test_a_stream_that_is_emptied_loses_what_was_not_read_and_the_unit_goes_on(
    guarded: Broker, run: Run, role: Role
) -> None:
    """An operator may do that, for whoever adds an entry may bound the stream."""
    unit = started(run, guarded)
    operator = as_url(guarded, "operator")

    ask(role("operator"), "XADD", "statusd:commands", "MAXLEN", 0, "*", "command", "ping")
    sent = statusd("send", "start", "--wait", "--durable", "--url", operator)

    assert (sent.returncode, sent.stderr) == (0, "")
    unit.wait_state("RUNNING")
    assert unit.logged("link.lost", link="hears") is None


# ---- the rights of an older version ------------------------------------------------------------


@pytest.mark.fault("X33")
def test_the_rights_of_an_older_version_do(each_broker: Broker, run: Run) -> None:
    """Units and verbs work as they did; what is new and not allowed is told by the doctor."""
    let_in(each_broker, OLD)
    unit = started(run, each_broker)
    operator, viewer = as_url(each_broker, "operator"), as_url(each_broker, "viewer")

    for words, may in VERBS.items():
        for name, url in (("operator", operator), ("viewer", viewer)):
            if name in may and "--forget" not in words:
                done = statusd(*words, "--url", url)
                assert (done.returncode, done.stderr) == (0, ""), (words, done.stderr)
    examined = statusd("doctor", str(unit.directory / "statusd.toml"))

    assert "+renamenx" in examined.stdout
    each_broker.client().publish("mychannel", "END")
    assert unit.wait_exit(15) == 0
    assert unit.logged("link.lost") is None
    assert unit.logged("link.failed") is None


KEPT = ("owner", "roster", "status", "history", "commands", "cursor")


@pytest.mark.fault("X33")
@pytest.mark.parametrize("key", KEPT)
def test_a_right_that_is_missing_costs_its_feature_and_no_link(
    key: str, broker: Broker, run: Run
) -> None:
    """A daemon that may not touch one of its keys says so, and obeys the words on its channels."""
    daemon = next(line for line in NEW.read_text().splitlines() if "statusd-daemon" in line)
    less = re.sub(rf" \([^)]*~statusd:{key}\b[^)]*\)", "", daemon)
    assert less != daemon
    let_in(broker, less)

    unit = started(run, broker)
    client = broker.client()
    client.publish("mychannel", "start")
    unit.wait_state("RUNNING")

    logged = partial(_mentions, unit, "NOPERM")
    wait_until(logged, 15, "the missing right to be told")
    client.publish("mychannel", "END")
    assert unit.wait_exit(15) == 0
    assert unit.logged("link.lost") is None
    assert unit.logged("link.failed") is None


def _mentions(unit: Program, text: str) -> bool:
    return any(text in str(line) for line in unit.log())


# ---- a stranger's settings ---------------------------------------------------------------------

SECRET = "xyzzy-Marker-Quux"
STRANGER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to give a file away")


class Trap:
    """A port where somebody waits for passwords, and a folder with settings that lead there.

    Its file names a secret file as the password, and a module to be run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        (folder / "id_rsa").write_text(SECRET)
        (folder / "evil.py").write_text(
            "import enum, pathlib\n"
            "pathlib.Path(__file__).with_name('was-run').touch()\n"
            "class Scan(enum.Enum):\n    INIT = 'INIT'\n    READY = 'READY'\n    END = 'END'\n"
        )
        self.file = folder / "statusd.toml"
        self.write(self.url, password_file=str(folder / "id_rsa"))
        self.file.chmod(0o644)
        folder.chmod(0o755)

    def write(self, url: str, **redis: str) -> None:
        """Let the settings name that broker."""
        table = {"url": url, **redis}
        states = 'states = "evil:Scan"\ntransitions = []\n'
        text = "".join(f'{key} = "{value}"\n' for key, value in table.items())
        self.file.write_text(
            f'name = "unit"\n[redis]\n{text}[worker]\nfunction = "evil:main"\n[lifecycle]\n{states}'
        )

    def caught(self) -> bytes:
        """Return what whoever has come here has said at once; empty if nobody came."""
        self._socket.setblocking(False)
        said = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                caller, _ = self._socket.accept()
                with caller:
                    caller.settimeout(2.0)
                    said += caller.recv(65536) or b"(nothing)"
        return said

    def was_run(self) -> bool:
        """Tell whether its module was imported."""
        return (self.folder / "was-run").exists()

    def close(self) -> None:
        """Wait no more."""
        self._socket.close()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    """A trap in a folder of our own."""
    folder = tmp_path / "trap"
    folder.mkdir()
    found = Trap(folder)
    yield found
    found.close()


def in_there(trap: Trap, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a verb in that folder."""
    home = {"XDG_CONFIG_HOME": str(trap.folder), "XDG_RUNTIME_DIR": str(trap.folder)}
    return statusd(*words, cwd=trap.folder, env={**home, **env})


PASSWORD = {"STATUSD_REDIS__PASSWORD": SECRET}


READING = (
    ("send", "ping"),
    ("send", "end", "--wait", "--yes"),
    ("status",),
    ("status", "unit", "--watch"),
    ("watch",),
    ("history", "unit"),
    ("graph",),
    ("graph", "--unit", "unit"),
    ("doctor",),
    ("acl",),
    ("check",),
    ("run",),
)
"""Every verb that looks for settings and can't do without them."""


@needs_root
@pytest.mark.fault("X25")
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_strangers_settings_are_not_read(words: tuple[str, ...], trap: Trap) -> None:
    """78, with whose they are and how they would be named; nobody is called, nothing is run."""
    os.chown(trap.file, STRANGER, STRANGER)

    done = in_there(trap, *words, **PASSWORD)

    assert done.returncode == 78, done
    assert f"statusd.toml: it is of user {STRANGER}; nobody has named it" in done.stderr
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stdout + done.stderr
    assert trap.caught() == b""
    assert not trap.was_run()


@needs_root
@pytest.mark.fault("X25")
def test_completing_a_line_asks_no_stranger(trap: Trap) -> None:
    """What is built in is listed; the environment's own url would still be asked."""
    os.chown(trap.file, STRANGER, STRANGER)

    done = in_there(trap, "completion", "--list", "words", **PASSWORD)

    assert done.returncode == 0
    assert "pause" in done.stdout.split()
    assert trap.caught() == b""


@needs_root
@pytest.mark.fault("X25")
def test_a_strangers_settings_make_no_job_look_ill(trap: Trap, broker: Broker, run: Run) -> None:
    """An orchestrator kills what isn't healthy: its question passes over them."""
    unit = run("tests.workers:obedient", broker.url)
    unit.wait_state("READY")
    trap.write(trap.url, namespace="elsewhere")
    os.chown(trap.file, STRANGER, STRANGER)

    done = in_there(trap, "health", XDG_RUNTIME_DIR=str(unit.directory))

    assert (done.returncode, done.stderr) == (0, "")
    assert trap.caught() == b""


@needs_root
@pytest.mark.fault("X25")
def test_who_says_where_is_not_led_elsewhere(trap: Trap, tmp_path: Path) -> None:
    """With a url by hand or in the environment the stranger's file isn't needed: it has no say."""
    trap.write(trap.url, namespace="elsewhere")
    os.chown(trap.file, STRANGER, STRANGER)
    with Broker(available_brokers()["valkey"], conf={"requirepass": SECRET}) as broker:
        by_hand = in_there(trap, "status", "--url", broker.url, **PASSWORD)
        by_environment = in_there(trap, "status", STATUSD_REDIS__URL=broker.url, **PASSWORD)

    for done in (by_hand, by_environment):
        assert done.returncode == 5, done
        assert "no unit in the namespace 'statusd'" in done.stderr
    assert trap.caught() == b""


@needs_root
@pytest.mark.fault("X25")
def test_what_somebody_names_is_his_choice(trap: Trap) -> None:
    """Settings of anybody, named: they are read, and their password goes where they say."""
    os.chown(trap.file, STRANGER, STRANGER)

    done = in_there(trap, "status", "--file", "statusd.toml", "-v")

    assert done.returncode == 69
    assert f"broker {trap.url} (statusd.toml)" in done.stderr
    assert SECRET.encode() in trap.caught()


@pytest.mark.fault("X25")
def test_ones_own_settings_and_the_environments_password_belong_together(trap: Trap) -> None:
    """As in a container: the file has the url, a variable the secret. -v says which file it was."""
    with Broker(available_brokers()["valkey"], conf={"requirepass": SECRET}) as broker:
        trap.write(broker.url)

        done = in_there(trap, "status", "-v", **PASSWORD)

        assert done.returncode == 5, done
        assert f"broker {broker.url} (statusd.toml)" in done.stderr


@pytest.mark.fault("X25")
@pytest.mark.parametrize("verb", ["status", "doctor"])
def test_a_password_that_was_found_is_not_sent_to_a_url_by_hand(verb: str, trap: Trap) -> None:
    """It was meant for the url beside it; who names the file as well means both."""
    trap.write("redis://127.0.0.1:1/0", password_file=str(trap.folder / "id_rsa"))
    text = trap.file.read_text().partition("[lifecycle]")[0]
    trap.file.write_text(text.replace("evil:main", "os:getpid"))
    named = ("--file", "statusd.toml") if verb == "status" else ("statusd.toml",)

    in_there(trap, verb, "--url", trap.url)
    found = trap.caught()
    in_there(trap, verb, "--url", trap.url, *named)
    meant = trap.caught()

    assert b"HELLO" in found
    assert SECRET.encode() not in found
    assert SECRET.encode() in meant
