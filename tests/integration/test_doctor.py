"""`statusd doctor` against real brokers and units: what is wrong, and that its cure is one."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from statusd import doctor
from statusd.cli import doctor as verb
from tests.conftest import BROKERS, Run, settings
from tests.system.commands import statusd
from tests.tools import Broker, free_port, to_toml, wait_until

LEVELS = ("ok", "unknown", "warning", "error")


class Told(NamedTuple):
    """What the doctor said."""

    code: int
    findings: list[dict[str, str]]

    def level(self, about: str) -> str:
        """Return the worst level of the findings about something; empty for none."""
        found = [LEVELS.index(one["level"]) for one in self.findings if one["about"] == about]
        return LEVELS[max(found)] if found else ""

    def text(self, about: str) -> str:
        """Return all that was said about something, cures too."""
        return "\n".join(
            f"{one['what']} -> {one['cure']}" for one in self.findings if one["about"] == about
        )


def examine(directory: Path, url: str, *words: str, **changes: Any) -> Told:
    """Ask the doctor after a unit with those settings."""
    file = directory / "statusd.toml"
    file.write_text(to_toml(settings("tests.workers:blocked", url, **changes)), encoding="utf-8")
    return ask(file, *words)


def ask(file: Path, *words: str) -> Told:
    """Ask the doctor after the unit of that file."""
    env = {
        "STATUSD_STATE_DIRECTORY": str(file.parent / "state"),
        "XDG_RUNTIME_DIR": str(file.parent),
    }
    done = statusd("doctor", str(file), "--json", *words, env=env)
    assert done.stderr == ""
    return Told(done.returncode, json.loads(done.stdout))


def setuser(client: redis.Redis, *words: str) -> None:
    """Make or change an ACL user."""
    client.execute_command("ACL", "SETUSER", *words)  # type: ignore[no-untyped-call]  # redis-py


def test_a_broker_that_is_away_is_an_error_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    """With the cure; nothing is made on this machine."""
    told = examine(tmp_path, f"redis://127.0.0.1:{free_port()}")

    assert told.code == 1
    assert told.level("broker") == "error"
    assert "Connection refused" in told.text("broker")
    assert told.level("state") == told.level("runtime") == "ok"
    assert not (tmp_path / "state").exists()


def test_a_plain_broker_works_and_is_open_to_everybody(each_broker: Broker, tmp_path: Path) -> None:
    """No error; what is open is a warning, which counts with --strict alone."""
    told = examine(tmp_path, each_broker.url)

    assert told.code == 0
    for about in ("broker", "rights", "clock", "eviction", "buffers", "name", "channels"):
        assert told.level(about) == "ok", told.text(about)
    assert told.level("strangers") == "warning"
    assert "mychannel" in told.text("strangers")
    assert each_broker.client().keys("*") == []
    assert examine(tmp_path, each_broker.url, "--strict").code == 1


def test_a_finding_on_a_terminal_or_in_a_pipe_has_its_cure(broker: Broker, tmp_path: Path) -> None:
    """Aligned, one below the other, without colours."""
    examine(tmp_path, broker.url)

    done = statusd("doctor", str(tmp_path / "statusd.toml"))

    assert re.search(r"^warning  strangers  anybody .*\n {20}-> `statusd acl`", done.stdout, re.M)
    assert "\x1b" not in done.stdout


def test_a_missing_right_is_named_with_its_rule(each_broker: Broker, tmp_path: Path) -> None:
    """As the broker would judge it; each rule that is named mends it."""
    client, port = each_broker.client(), each_broker.port
    setuser(client, "unit", "on", ">secret", "+@all", "-publish", "-xinfo|stream", "-time")
    setuser(client, "unit", "~other:*", "%R~statusd:owner:*", "resetchannels", "&statusd:*")
    url = f"redis://unit:secret@127.0.0.1:{port}"

    told = examine(tmp_path, url, control={"channels": ["mychannel", "jobs:*"]})

    assert told.code == 1
    rules = set(re.findall(r'ACL SETUSER unit ("[^"]*"|\S+);', told.text("rights")))
    assert "+time" in rules
    assert '"(%RW~statusd:owner:{*} +get +getrange +set +del +pttl)"' in rules
    assert any(rule.endswith('+publish)"') and "&statusd:reply:*" in rule for rule in rules)
    assert any("&jobs:* +subscribe +psubscribe" in rule for rule in rules)
    for rule in rules:
        setuser(client, "unit", rule.strip('"'))
    assert ask(tmp_path / "statusd.toml").level("rights") == "ok"


def test_the_role_of_the_acl_file_is_enough(each_broker: Broker, tmp_path: Path) -> None:
    """The server's own settings are not for a unit's eyes; an administrator is asked for them."""
    client = each_broker.client()
    for line in Path("config/acl/statusd.acl").read_text().splitlines()[:3]:
        setuser(client, *line.split()[1:])
    url = f"redis://statusd-daemon:change-me-daemon@127.0.0.1:{each_broker.port}"

    told = examine(tmp_path, url)

    assert told.code == 0
    assert told.level("rights") == "ok"
    assert told.level("eviction") == told.level("buffers") == "unknown"
    assert told.level("password") == "warning"
    admin = examine(tmp_path, url, "--admin-url", each_broker.url)
    assert admin.level("eviction") == admin.level("buffers") == "ok"
    assert "change-me-daemon" not in json.dumps(admin.findings)


def test_a_shut_broker_is_one(tmp_path: Path) -> None:
    """Nobody gets in without a password; a wrong one is told with its cure, and not shown."""
    with Broker(BROKERS["valkey"]) as broker:
        broker.client().config_set("requirepass", "right-one")

        wrong = examine(tmp_path, f"redis://:wrong-one@127.0.0.1:{broker.port}")
        right = examine(tmp_path, f"redis://:right-one@127.0.0.1:{broker.port}")

        assert (wrong.code, right.code) == (1, 0)
        assert "redis.password_file" in wrong.text("broker")
        assert right.level("strangers") == "ok"
        assert "wrong-one" not in json.dumps(wrong.findings)
        assert right.level("secrets") == "warning"  # it stands in a file for everybody to read


def test_a_server_that_throws_things_away_is_told_of(broker: Broker, tmp_path: Path) -> None:
    """Its policy and its buffers, as they are now."""
    client = broker.client()
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("client-output-buffer-limit", "pubsub 1024 1024 1")

    told = examine(tmp_path, broker.url)

    assert told.code == 1
    assert told.level("eviction") == "error"
    assert "CONFIG SET maxmemory-policy noeviction" in told.text("eviction")
    assert told.level("buffers") == "warning"


def test_a_unit_of_its_name_elsewhere_is_found(broker: Broker, run: Run, tmp_path: Path) -> None:
    """Ours is well; another machine's has the name, and this one could not start."""
    unit = run("tests.workers:blocked", broker.url)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    wait_until(lambda: broker.client().exists("statusd:owner:{unit}"), 5, "the owner")

    ours = ask(unit.directory / "statusd.toml")
    assert ours.code == 0
    assert "this machine's own unit" in ours.text("name")
    assert "mychannel: heard by 1" in ours.text("channels")
    broker.client().publish("mychannel", "END")
    assert unit.wait_exit() == 0

    other = {"boot": 1, "host": "gpu-3.invalid", "pid": 7}
    broker.client().set("statusd:owner:{unit}", json.dumps(other))
    taken = examine(tmp_path, broker.url)
    assert taken.code == 1
    assert "on gpu-3.invalid (pid 7" in taken.text("name")
    assert "--replace" in taken.text("name")
    assert "nobody hears it, though the unit lives" in taken.text("channels")


def test_what_crosses_the_network_in_the_clear_is_told_of(tmp_path: Path) -> None:
    """A name that isn't this machine, a certificate that nobody checks, an open endpoint."""
    file = {"http": {"listen": "0.0.0.0:9464"}}
    clear = examine(tmp_path, "redis://broker.invalid", **file)
    unchecked = examine(tmp_path, "rediss://broker.invalid?ssl_cert_reqs=none")

    assert "nobody has to log in" in clear.text("TLS")
    assert "rediss://" in clear.text("TLS")
    assert clear.level("http") == "warning"
    assert "ssl_cert_reqs=none" in unchecked.text("TLS")
    assert unchecked.level("TLS") == "warning"


def test_a_replica_is_no_broker_for_a_unit(broker: Broker, tmp_path: Path) -> None:
    """Nothing can be written there."""
    conf = {"replicaof": f"127.0.0.1 {broker.port}"}
    with Broker(BROKERS["valkey"], conf=conf) as replica:
        told = examine(tmp_path, replica.url)

    assert told.level("broker") == "error"
    assert "redis+sentinel://" in told.text("broker")


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_who_listens_there_and_is_no_broker_is_an_error(says: bytes, tmp_path: Path) -> None:
    """One that hangs up, and one that speaks something else: an error, and no traceback."""

    def answer() -> None:
        there, _ = listener.accept()
        with there:
            there.recv(1000)
            there.sendall(says)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        told = examine(tmp_path, f"redis://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)

    assert told.code == 1
    assert told.level("broker") == "error"


def test_the_page_lists_what_is_asked() -> None:
    """And nothing else: every subject of a finding, as it stands in the sources."""
    files = [*Path(doctor.__path__[0]).glob("*.py"), Path(verb.__file__)]
    sources = "".join(file.read_text("utf-8") for file in files)
    asked = set(re.findall(r'\b(?:ok|unknown|warning|error|folder)\(\s*"(\w+)"', sources))
    asked |= set(re.findall(r'^ *(?:ABOUT|about)(?:, name)? = "(\w+)"', sources, re.M))
    rows = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", Path("docs/doctor.md").read_text("utf-8"), re.M
    )

    listed = set(re.findall(r"\w+", " ".join(rows))) - set(LEVELS)

    assert listed == asked


# ---- a server of the fleet -----------------------------------------------------------------------


def for_web(directory: Path, url: str, **web: Any) -> Told:
    """Ask the doctor after a file for `statusd web` alone."""
    file = directory / "web.toml"
    file.write_text(to_toml({"redis": {"url": url}, "web": web}), encoding="utf-8")
    return ask(file)


def test_the_roles_of_the_acl_file_are_enough_for_the_web(
    each_broker: Broker, tmp_path: Path
) -> None:
    """A viewer's for one that commands nobody; what an operator must besides is named."""
    client = each_broker.client()
    for line in Path("config/acl/statusd.acl").read_text().splitlines()[:3]:
        setuser(client, *line.split()[1:])
    url = "redis://statusd-{0}:change-me-{0}@127.0.0.1:" + str(each_broker.port)
    listen = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = for_web(
            tmp_path, url.format("viewer"), listen=str(other.getsockname()[1]), read_only=True
        )
    looks = for_web(tmp_path, url.format("viewer"), listen=listen, read_only=True)
    commands = for_web(tmp_path, url.format("operator"), listen=listen)
    may_not = for_web(tmp_path, url.format("viewer"), listen=listen)

    assert looks.code == commands.code == 0
    assert looks.level("rights") == commands.level("rights") == "ok"
    assert looks.level("web") == "ok"
    assert taken.code == may_not.code == 1
    assert "Address already in use" in taken.text("web")
    assert "statusd-viewer may not: XADD statusd:commands" in may_not.text("rights")
    assert "for `statusd web`" in may_not.text("rights")


def test_a_unit_whose_file_has_web_is_asked_for_both(broker: Broker, tmp_path: Path) -> None:
    """A daemon needs nothing of it: what a server couldn't do is a warning there."""
    (tmp_path / "short").write_text("short")
    file = {"web": {"token_file": "short", "listen": "0.0.0.0:9460"}}

    told = examine(tmp_path, broker.url, **file)

    assert told.code == 0
    assert told.level("web") == "warning"
    assert "a token is 16 to 256" in told.text("web")
    assert "cross the network in the clear" in told.text("web")
    assert "for `statusd web`" in told.text("rights")
