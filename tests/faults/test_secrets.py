"""A secret is looked for in everything that can be read: it must be nowhere."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BROKERS, settings
from tests.system.commands import statusd
from tests.tools import Broker, Program, free_port, wait_until
from tests.tools.processes import descendants
from tests.tools.program import environment
from tests.tools.toml import to_toml

SECRET = "xyzzy-Marker-Quux"
WAYS = ("a file", "a setting", "a variable", "the url")


def access(way: str, broker: Broker, secret: str, directory: Path) -> tuple[dict[str, Any], Any]:
    """Return the ``[redis]`` table and the variables that bring a password in that way."""
    table: dict[str, Any] = {"url": broker.url}
    match way:
        case "a file":
            (directory / "secret").write_text(secret)
            return {**table, "password_file": str(directory / "secret")}, {}
        case "a setting":
            return {**table, "password": secret}, {}
        case "a variable":
            return table, {"STATUSD_REDIS__PASSWORD": secret}
    return {"url": broker.url.replace("//", f"//:{secret}@")}, {}


@pytest.mark.fault("X08", "C02")
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_nowhere_to_be_read(way: str, tmp_path: Path) -> None:
    """Log, command lines, the worker's environment, state file, socket's folder, all of Redis."""
    with Broker(BROKERS["valkey"], conf={"requirepass": SECRET}) as broker:
        redis, variables = access(way, broker, SECRET, tmp_path)
        toml = settings("tests.workers:obedient", "", goal="RUNNING", redis=redis)
        toml["log"] = {"level": "debug"}
        with Program(toml, directory=tmp_path / "unit", env=variables) as unit:
            unit.wait_logged("link.up", link="hears")
            unit.wait_state("RUNNING")
            client = broker.client()
            client.publish("mychannel", json.dumps({"command": "status", "id": "s"}))
            client.publish("mychannel", f"nonsense {way}")
            wait_until(lambda: client.exists("statusd:status:{unit}"), 15, "the document")

            seen = [*of_processes(unit), *everything_in(broker)]
            unit.signal(signal.SIGTERM)
            assert unit.wait_exit(15) == 0
            seen += [unit.output(), *files_of(unit.directory)]

        assert [text[:200] for text in seen if SECRET in text] == []


@pytest.mark.fault("X08", "C02")
@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_secret_is_not_shown_either(way: str, tmp_path: Path) -> None:
    """Whoever mistypes it reads why, and not what; on the command line as well."""
    with Broker(BROKERS["valkey"], conf={"requirepass": "another"}) as broker:
        redis, variables = access(way, broker, SECRET, tmp_path)
        toml = settings("tests.workers:blocked", "", redis=redis)
        with Program(toml, directory=tmp_path / "unit", env=variables) as unit:
            assert "WRONGPASS" in unit.wait_logged("link.failed", link="hears")["reason"]
            unit.signal(signal.SIGHUP)
            unit.wait_logged("reload.done")
            said = unit.output()
            for verb in (["status"], ["send", "ping", "-v"], ["check"]):
                done = statusd(*verb, cwd=unit.directory, env=variables)
                said += done.stdout + done.stderr

        assert SECRET not in said


# ---- urls that are wrong -------------------------------------------------------------------------

TAIL = "plugh-Tail-Thud"
URLS = {
    "a hash": f"redis://:{SECRET}#{TAIL}@127.0.0.1/0",
    "a slash": f"redis://:{SECRET}/{TAIL}@127.0.0.1/0",
    "a question mark": f"redis://:{SECRET}?{TAIL}@127.0.0.1/0",
    "an at and a slash": f"redis://:{SECRET}@{TAIL}/@127.0.0.1/0",
    "a bracket, and no host": f"redis://:{SECRET}[{TAIL}",
    "double quotes": f'"redis://:{SECRET}{TAIL}@127.0.0.1/0"',
    "single quotes": f"'redis://:{SECRET}{TAIL}@127.0.0.1/0'",
    "Sentinels": f"redis+sentinel://me:{SECRET}/{TAIL}@127.0.0.1:26379/mymaster",
    "a socket": f"unix://:{SECRET}/{TAIL}@/run/redis.sock",
    "another scheme": f"http://:{SECRET}{TAIL}@127.0.0.1/0",
    "a database": f"redis://127.0.0.1/{SECRET}{TAIL}",
    "an option": f"redis://127.0.0.1/0?{SECRET}={TAIL}",
}
LOOKING = (["status"], ["send", "ping"], ["watch"], ["history", "unit"], ["graph", "--unit", "a"])
"""The verbs that take ``--url``."""
LOADING = (["check"], ["run"], ["doctor"], ["acl"])
"""Those that read all settings."""
SILENT = (["health"], ["completion", "--list", "names"])
"""Those that don't look at the url, or say nothing of it."""
FLEET = """
import json, os, statusd
from statusd.core.errors import ConfigError
for url in json.loads(os.environ["ITS_URLS"]):
    for make in (statusd.Fleet, statusd.AsyncFleet):
        try:
            make(url)
        except ConfigError as error:
            print(error, repr(error))
"""
ATTACH = """
import json, os, statusd
for url in json.loads(os.environ["ITS_URLS"]):
    try:
        statusd.attach(channels="c", url=url, name="a")
    except statusd.AttachError as error:
        print(error, repr(error))
"""


def shown(text: str) -> bool:
    """Tell whether ``text`` shows any of the secret."""
    pieces = (*SECRET.lower().split("-"), *TAIL.lower().split("-"))
    return any(piece in text.lower() for piece in pieces)


@pytest.mark.fault("J07", "X08", "C02")
@pytest.mark.parametrize("verb", [*LOOKING, *LOADING, *SILENT], ids=lambda verb: verb[0])
def test_a_url_that_is_wrong_is_shown_by_no_verb(verb: list[str], tmp_path: Path) -> None:
    """Wherever it came from: they name the setting instead."""
    url = URLS["a hash"]
    toml = settings("tests.workers:obedient", url)
    (tmp_path / "statusd.toml").write_text(to_toml(toml))
    told = {"redis.url": statusd(*verb, cwd=tmp_path)}
    (tmp_path / "statusd.toml").write_text(to_toml(toml | {"redis": {}}))
    variable = "STATUSD_REDIS__URL"
    told[variable] = statusd(*verb, cwd=tmp_path, env={variable: url})
    if verb in LOOKING or verb == ["doctor"]:
        told["--url"] = statusd(*verb, "--url", url, cwd=tmp_path)

    for setting, done in told.items():
        said = done.stdout + done.stderr
        assert not shown(said)
        assert verb in SILENT or (done.returncode, f"{setting}: " in said) == (78, True), said


@pytest.mark.fault("J07", "X08", "C02")
@pytest.mark.parametrize("kind", URLS)
def test_whatever_is_wrong_with_a_url_it_is_not_shown(kind: str, tmp_path: Path) -> None:
    """To whoever checks the settings, and to whoever doesn't and only looks into them."""
    url = URLS[kind]
    (tmp_path / "statusd.toml").write_text(to_toml(settings("tests.workers:obedient", url)))

    done = [statusd("check", cwd=tmp_path), statusd("status", "--url", url, cwd=tmp_path)]

    assert [one.returncode for one in done] == [78, 78]
    assert not any(shown(one.stdout + one.stderr) for one in done)


@pytest.mark.fault("J07", "X08", "C02")
@pytest.mark.parametrize("code", [FLEET, ATTACH], ids=["Fleet", "attach"])
def test_nor_is_it_from_python(code: str, tmp_path: Path) -> None:
    """By a fleet, or by `attach`, whose daemon finds it out."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path) | {"ITS_URLS": json.dumps(list(URLS.values()))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert not shown(done.stdout + done.stderr)
    said = [row for row in done.stdout.splitlines() if row.startswith("url: ")]
    assert len(said) == len(URLS) * (2 if code == FLEET else 1)


@pytest.mark.fault("J07", "X08")
def test_the_cure_is_named(tmp_path: Path) -> None:
    """Whoever has such a password reads what to do; docker's quotes are known as such."""
    kinds = [kind for kind in URLS if not kind.startswith(("another", "a database", "an option"))]
    told = {
        kind: statusd("status", env={"STATUSD_REDIS__URL": URLS[kind]}, cwd=tmp_path).stderr
        for kind in kinds
    }

    for kind in ("a hash", "a slash", "a question mark", "an at and a slash", "Sentinels"):
        assert "/ ? # @ are written %2F %3F %23 %40 (or use password_file)" in told[kind], kind
    for kind in ("double quotes", "single quotes"):
        assert "docker --env-file keeps them; leave them out" in told[kind]


@pytest.mark.nightly  # `test_a_url_that_is_wrong_is_shown_by_no_verb` shows it by few
@pytest.mark.timeout(300)  # of half a hundred programs, each of which has its own limit
@pytest.mark.fault("J07", "X08")
def test_a_url_is_not_shown_where_none_belongs(tmp_path: Path) -> None:
    """As a verb, a file, a name, a value of another option; or without quotes in the file."""
    url = f"redis://:{SECRET}{TAIL}@127.0.0.1/0"
    said = ""
    mistakes = (
        *([url], ["check", url], ["run", url], ["doctor", url], ["health", url], ["graph", url]),
        *(["status", "--file", url], ["status", url, url], ["history", url], ["history"]),
        *(["status", f"--ulr={url}"], ["status", "--ulr", url], ["health", "--timeout", url]),
        *(["watch", "--since", url], ["send", url], ["send", "ping", "--expires", url]),
        *(["send", "ping", "--tag", url, "--url", url], ["history", "a", "--since", url]),
        *(["graph", "-o", url], ["status", "--json", f"--json={url}"], ["acl", "--role", url]),
    )
    for words in mistakes:
        done = statusd(*words, cwd=tmp_path)
        assert done.returncode != 0, words
        said += done.stdout + done.stderr
    for text in (f"url = {url}", f'url = "{url}', f'url = "{url}"\nurl = 1', f'"{url}" = 1\n' * 2):
        (tmp_path / "statusd.toml").write_text(f"[redis]\n{text}\n")
        for words in (["check"], ["status"], ["health"], ["run"], ["graph"]):
            said += statusd(*words, cwd=tmp_path).stderr
    (tmp_path / "password").write_text(f"{SECRET}{TAIL}\n")
    (tmp_path / "statusd.toml").write_text(
        '[worker]\nfunction = "job:main"\nenvironment_file = "password"\n'
    )
    said += (wrong := statusd("check", cwd=tmp_path).stderr)
    said += statusd("check", cwd=tmp_path, env={"STATUSD_REDIS": url}).stderr

    assert [row for row in said.splitlines() if shown(row)] == []
    assert "password:1: a line is NAME=value" in wrong


@pytest.mark.fault("J07", "X08")
def test_a_reload_doesnt_show_it_either(broker: Broker, tmp_path: Path) -> None:
    """The unit goes on with what it had, and says why."""
    toml = settings("tests.workers:blocked", broker.url)
    with Program(toml, directory=tmp_path) as unit:
        unit.wait_logged("link.up", link="hears")
        for url in URLS.values():
            (tmp_path / "statusd.toml").write_text(to_toml(toml | {"redis": {"url": url}}))
            before = len([line for line in unit.log() if line["event"] == "reload.refused"])
            unit.signal(signal.SIGHUP)
            wait_until(partial(is_refused, unit, before), 10, "the reload to be refused")

        assert not shown(unit.output())


def is_refused(unit: Program, before: int) -> bool:
    """Tell whether one more reload was refused."""
    return len([line for line in unit.log() if line["event"] == "reload.refused"]) > before


@pytest.mark.fault("J07", "X08")
def test_a_server_that_repeats_the_greeting_is_cut_short(tmp_path: Path) -> None:
    """One that doesn't know HELLO says with which arguments it came; the last is the password."""
    with without_hello(tmp_path) as port:
        url = f"redis://:{SECRET}@127.0.0.1:{port}"
        toml = settings("tests.workers:blocked", url)
        with Program(toml, directory=tmp_path) as unit:
            assert "unknown command" in unit.wait_logged("link.failed", link="hears")["reason"]
            said = unit.output()
        for words in (["status"], ["send", "ping", "-v"], ["history", "unit"], ["doctor"]):
            done = statusd(*words, cwd=tmp_path)
            assert "unknown command" in done.stdout + done.stderr, words
            said += done.stdout + done.stderr

        assert not shown(said)


@contextmanager
def without_hello(directory: Path) -> Iterator[int]:
    """Run a server that knows no HELLO, as those before Redis 6; give its port."""
    port = free_port()
    words = [str(BROKERS["valkey"]), "--port", str(port), "--save", "", "--dir", str(directory)]
    words += ["--rename-command", "HELLO", ""]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(partial(is_open, port), 10, "the server to listen")
            yield port
        finally:
            server.kill()


def is_open(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


# ---- where to look -------------------------------------------------------------------------------


def of_processes(unit: Program) -> list[str]:
    """Return all command lines, and the environment of everything below the daemon."""
    below = descendants(unit.pid)
    files = [f"/proc/{pid}/cmdline" for pid in (unit.pid, *below)]
    files += [f"/proc/{pid}/environ" for pid in below if is_worker(pid)]
    return [Path(file).read_bytes().decode(errors="replace") for file in files]


def is_worker(pid: int) -> bool:
    """Tell whether it runs the user's function."""
    return b"launch.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


def files_of(directory: Path) -> list[str]:
    """Return the content of all that the unit has written."""
    own = directory / "statusd.toml"
    files = [Path(above, name) for above, _, names in os.walk(directory) for name in names]
    return [file.read_text(errors="replace") for file in files if file != own and file.is_file()]


def everything_in(broker: Broker) -> list[str]:
    """Return every value that the broker holds, and how it knows its clients."""
    client = broker.client()
    found = [repr(client.client_list())]
    for key in client.scan_iter():
        kind = client.type(key)
        if kind == b"string":
            found.append(repr(client.get(key)))
        elif kind == b"hash":
            found.append(repr(client.hgetall(key)))
        else:
            assert kind == b"stream"
            found.append(repr(client.xrange(key)))
    return found
