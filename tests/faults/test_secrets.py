"""A secret is looked for in everything that can be read: it must be nowhere."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BROKERS, settings
from tests.system.commands import statusd
from tests.tools import Broker, Program, wait_until
from tests.tools.processes import descendants

SECRET = "xyzzy-Marker-4711"
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
