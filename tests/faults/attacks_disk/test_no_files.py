"""Attacks from the disk, and a lack of it: files that are none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.faults.outages import wait_listening
from tests.tools import Broker, Program, environment, free_port, wait_until
from tests.tools.variants import pairs

pytestmark = pytest.mark.timeout(240)


def make_pipe(path: Path) -> None:
    """A pipe that nobody writes to, nor reads."""
    os.mkfifo(path)


def make_endless(path: Path) -> None:
    """A device that never ends."""
    path.symlink_to("/dev/zero")


def make_directory(path: Path) -> None:
    """A directory."""
    path.mkdir()


def make_huge(path: Path) -> None:
    """A file of 10 GB that takes no room."""
    with path.open("wb") as file:
        file.truncate(10 * 1000**3)


NO_FILES = [make_pipe, make_endless, make_directory, make_huge]

REFUSED = (
    *("it is a ", "Is a directory", "is no regular file", "longer than", "Too many levels"),
    "no unit in it",
)
"""How it is said of each: links of our own files are not followed; a folder has units."""


def names_it(output: str, path: Path) -> bool:
    """Tell whether an error names the file and what is wrong with it."""
    return str(path) in output and any(words in output for words in REFUSED)


def start_with(folder: Path, **changes: Any) -> tuple[int | None, str]:
    """Start a unit; return its exit code and what it said."""
    toml = settings("tests.workers:obedient", f"redis://127.0.0.1:{free_port()}", **changes)
    with Program(toml, directory=folder) as unit:
        return unit.wait_exit(20), unit.output()


@pytest.mark.fault("X30")
@pytest.mark.parametrize(
    ("key", "make"),
    pairs(["password_file", "sentinel_password_file", "ca_file", "key_file"], NO_FILES),
)
def test_a_file_of_the_broker_that_is_none_is_a_mistake(
    key: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    """Passwords and certificates: 78, with file, line and key; nobody waits for anything."""
    file = tmp_path / "secret"
    make(file)

    code, said = start_with(tmp_path / "unit", redis={key: str(file)})

    assert (code, names_it(said, file)) == (78, True)
    assert "statusd.toml:" in said
    assert f"redis.{key}" in said


@pytest.mark.fault("X30")
@pytest.mark.parametrize(("key", "make"), pairs(["environment_file", "lifecycle"], NO_FILES))
def test_a_file_of_the_settings_that_is_none_is_a_mistake(
    key: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    """Variables, and a lifecycle of its own file."""
    file = tmp_path / "more"
    make(file)
    table = {"worker": {key: str(file)}} if key != "lifecycle" else {key: {"file": str(file)}}

    code, said = start_with(tmp_path / "unit", **table)

    assert (code, names_it(said, file)) == (78, True)


@pytest.mark.fault("X30")
@pytest.mark.parametrize(("verb", "make"), pairs(["run", "check", "health", "send"], NO_FILES))
def test_settings_that_are_no_file_are_a_mistake(
    verb: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    """Whichever verb reads them."""
    file = tmp_path / "statusd.toml"
    make(file)
    words = ["send", "pause", "--file", str(file)] if verb == "send" else [verb, str(file)]

    done = subprocess.run(
        [sys.executable, "-m", "statusd", *words],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert (done.returncode, names_it(done.stderr, file)) == (78, True)


@pytest.mark.fault("X30")
@pytest.mark.parametrize(
    ("suffix", "make"),
    # Of a lock nothing is read but a number: its length means nothing.
    [pair for pair in pairs(["json", "lock"], NO_FILES) if pair.values != ("lock", make_huge)],
)
def test_a_file_of_ours_that_is_none_is_refused(
    suffix: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    """In the state directory: 78, and it is left as it is."""
    directory = tmp_path / "unit" / "state"
    directory.mkdir(mode=0o700, parents=True)
    file = directory / f"unit.{suffix}"
    make(file)
    before = file.lstat()

    code, said = start_with(tmp_path / "unit")

    assert (code, names_it(said, file)) == (78, True)
    assert file.lstat()[:2] == before[:2]


@pytest.mark.fault("X30")
@pytest.mark.parametrize(
    ("name", "make"), pairs(["unit.new", "unit.worker", "unit.worker.new"], NO_FILES)
)
def test_what_is_in_the_way_of_our_files_stops_nobody(
    name: str, make: Callable[[Path], None], broker: Broker, tmp_path: Path
) -> None:
    """It is replaced, but for a directory; the worker starts, and the daemon hears SIGTERM."""
    directory = tmp_path / "unit" / "state"
    directory.mkdir(mode=0o700, parents=True)
    make(directory / name)

    toml = settings("tests.workers:obedient", broker.url)
    with Program(toml, directory=tmp_path / "unit") as unit:
        unit.wait_logged("state.changed", trigger="ready")
        if make is not make_directory:
            kept = directory / ("unit.json" if name == "unit.new" else "unit.worker")
            wait_until(lambda: is_of_run_one(kept), 10, f"{kept.name} to be written")
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(15) == 0


def is_of_run_one(file: Path) -> bool:
    """Tell whether that is a file of ours, of the first run."""
    is_file = file.is_file() and not file.is_symlink() and file.stat().st_size < 10_000
    return is_file and json.loads(file.read_bytes())["run"] == 1


@pytest.mark.fault("X30")
@pytest.mark.parametrize("make", [make_pipe, make_directory])
def test_an_output_that_takes_nothing_is_a_mistake(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    """A pipe without a reader isn't waited for; with one it is as good as a file."""
    file = tmp_path / "output"
    make(file)

    code, said = start_with(tmp_path / "unit", worker={"output": str(file)})

    assert (code, str(file) in said) == (78, True)


@pytest.mark.fault("X30")
def test_an_output_may_be_a_pipe_that_is_read(broker: Broker, run: Run, tmp_path: Path) -> None:
    """What is printed comes out at the other end."""
    pipe = tmp_path / "output"
    os.mkfifo(pipe)
    fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        worker = {"function": "", "command": ["echo", "hello"], "output": str(pipe)}
        run("", broker.url, worker=worker)
        wait_until(lambda: b"hello" in taken(fd), 20, "its line")
    finally:
        os.close(fd)


def taken(fd: int) -> bytes:
    """Return what can be read now."""
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


@pytest.mark.fault("X30")
@pytest.mark.parametrize("make", NO_FILES)
def test_a_password_file_that_becomes_none_stops_nobody(
    make: Callable[[Path], None], broker: Broker, run: Run, tmp_path: Path
) -> None:
    """It is read at each connect: an error, which is told; SIGHUP refuses it; SIGTERM is heard."""
    file = tmp_path / "password"
    file.write_text("")
    unit = run("tests.workers:obedient", broker.url, redis={"password_file": str(file)})
    wait_listening(unit)
    unit.wait_logged("state.changed", trigger="ready")
    file.unlink()
    make(file)

    for row in broker.client().client_list():
        if row["name"].startswith("statusd-"):
            broker.client().client_kill_filter(_id=row["id"])
    failed = unit.wait_logged("link.failed")
    unit.signal(signal.SIGHUP)
    refused = unit.wait_logged("reload.refused")

    assert names_it(failed["reason"], file)
    assert names_it(refused["reason"], file)
    unit.signal(signal.SIGTERM)
    assert unit.wait_exit(15) == 0
