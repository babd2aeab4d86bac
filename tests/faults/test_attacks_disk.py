"""Attacks from the disk, and a lack of it: full, read-only, gone; files that are none; no threads.

The rules: what Redis says is never ahead of what our disk holds; nobody waits for a file; what a
file says is wholly what we would have written, or nothing of it is taken; and no lack of anything
ends a daemon.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from tests.conftest import Run, settings
from tests.faults.outages import lines, wait_listening
from tests.tools import Broker, Journal, Program, SmallDisk, environment, free_port, wait_until
from tests.tools.halt import threads, writing_halted
from tests.tools.http import get
from tests.tools.variants import pairs

pytestmark = pytest.mark.timeout(240)

STREAM = "statusd:commands"
CURSOR = "statusd:cursor:{unit}"
DOCUMENT = "statusd:status:{unit}"
OWN_DISK = pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())
_users = itertools.count(100_000 + os.getpid() % 20_000 * 20)
"""Users who have no other process, nor a dead one that nobody has buried: a limit counts all."""


# ---- row 5: a disk that takes nothing ----------------------------------------------------------


class Trouble(NamedTuple):
    """A way in which a disk takes nothing: how it begins and ends.

    Args:
        stays: a daemon can be started while it lasts.
    """

    begin: Callable[[SmallDisk], object]
    end: Callable[[SmallDisk], object]
    stays: bool = True


def lose_directory(disk: SmallDisk) -> None:
    """Remove the state directory under the daemon."""
    shutil.rmtree(disk.path / "state")


TROUBLES = {
    "full": Trouble(lambda disk: disk.fill(), lambda disk: disk.empty()),
    "no inodes": Trouble(lambda disk: disk.use_up_inodes(), lambda disk: disk.give_inodes_back()),
    "read-only": Trouble(
        lambda disk: disk.let_nothing_be_written(),
        lambda disk: disk.let_nothing_be_written(writable=True),
        stays=False,
    ),
    "removed": Trouble(lose_directory, lambda disk: (disk.path / "state").mkdir(mode=0o700)),
}


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A disk of a few files, for the state directory alone."""
    with SmallDisk(inodes=16) as small:
        yield small


class Site(NamedTuple):
    """A unit whose state directory is on a disk of its own."""

    disk: SmallDisk
    broker: Broker
    folder: Path

    def start(self, **changes: Any) -> Program:
        """Return the unit, once it hears and has a worker."""
        toml = settings("tests.workers:obedient", self.broker.url, goal="RUNNING", **changes)
        variables = {"STATUSD_STATE_DIRECTORY": str(self.disk.path / "state")}
        unit = Program(toml, directory=self.folder, env=variables)
        wait_listening(unit)
        unit.wait_logged("state.changed", 20, trigger="ready")
        return unit

    def add(self, word: str) -> str:
        """Add a durable command to the stream; return its entry's id."""
        return add(self.broker.client(), word)

    def cursor(self) -> dict[str, Any]:
        """Return what Redis has as our place."""
        return place_in(self.broker.client())

    def document(self) -> dict[str, Any]:
        """Return the status document; nothing if there is none."""
        content: dict[str, Any] = json.loads(self.broker.client().get(DOCUMENT) or "{}")
        return content

    def kept(self) -> dict[str, Any]:
        """Return what the disk holds; nothing if there is no file."""
        file = self.disk.path / "state" / "unit.json"
        content: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
        return content

    def is_kept(self, entry: str) -> bool:
        """Tell whether disk and Redis have come as far as ``entry``, and are both content."""
        kept = self.kept().get("cursor", {}).get("id")
        return kept == self.cursor().get("id") == entry and "obeyed" not in self.cursor()


@pytest.fixture
def site(disk: SmallDisk, broker: Broker, tmp_path: Path) -> Site:
    """A place for a unit, and its disk."""
    return Site(disk, broker, tmp_path / "unit")


def add(client: redis.Redis, word: str) -> str:
    """Add a durable command to the stream, as anybody could; return its entry's id."""
    entry = client.xadd(STREAM, {"command": word})
    assert isinstance(entry, bytes)
    return entry.decode()


def place_in(client: redis.Redis) -> dict[str, Any]:
    """Return what Redis has as the unit's place; nothing if it has none."""
    content: dict[str, Any] = json.loads(client.get(CURSOR) or "{}")
    return content


def answer(journal: Journal, entry: str, *, boot: int = 0) -> dict[str, Any]:
    """Return the final verdict to an entry, once it is there, of a daemon with a higher boot."""

    def found() -> list[dict[str, Any]]:
        return [v for v in journal.finals() if v.get("id") == entry and v["boot"] > boot]

    wait_until(found, 20, f"the answer to {entry}")
    return found()[-1]


def number(entry: str) -> tuple[int, ...]:
    """Return an entry's id as something that can be compared."""
    return tuple(map(int, entry.split("-")))


@OWN_DISK
@pytest.mark.fault("X17")
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_durable_pause_is_not_lost_with_a_disk_that_takes_nothing(
    trouble: Trouble, site: Site, journal: Journal
) -> None:
    """It is obeyed, told as not kept, and read again by the next daemon: Redis isn't ahead."""
    unit = site.start()
    unit.wait_state("RUNNING")
    first = site.add("status")
    wait_until(lambda: site.is_kept(first), 20, "a place that is kept")
    trouble.begin(site.disk)

    entry = site.add("pause")
    said = answer(journal, entry)
    unit.wait_state("PAUSED")

    assert (said["verdict"], said["kept"]) == ("done", False)
    wait_until(lambda: site.cursor().get("obeyed") == entry, 10, "what was obeyed to be named")
    assert site.cursor()["id"] == first
    unit.signal(signal.SIGKILL)
    unit.close()
    if not trouble.stays:
        trouble.end(site.disk)

    again = site.start()
    again.wait_state("PAUSED")
    assert answer(journal, entry, boot=said["boot"])["verdict"] in ("done", "noop")
    again.close()


@OWN_DISK
@pytest.mark.fault("X17")
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_disk_in_trouble_is_told_and_caught_up_with(
    trouble: Trouble, site: Site, journal: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    """In document, log, health and readiness, not in liveness; no later command is obeyed twice."""
    port = free_port()
    unit = site.start(http={"listen": str(port)})
    unit.wait_state("RUNNING")
    trouble.begin(site.disk)
    entry = site.add("pause")
    boot = answer(journal, entry)["boot"]

    unit.wait_logged("state_file.failed")
    wait_until(lambda: site.document().get("trouble"), 10, "the document to tell it")
    ready = get(port, "/readyz")
    assert (ready.status, "nothing is kept: " in ready.text) == (503, True)
    assert get(port, "/livez").status == 200
    assert "statusd_state_file_failures_total" in get(port, "/metrics").text
    health = ask(site, "health", "--json")
    (told,) = json.loads(health.stdout)["units"]
    assert (health.returncode, told["healthy"], bool(told["trouble"])) == (0, True, True)
    status = ask(site, "status", "unit", "--url", site.broker.url)
    assert f"nothing is kept: {told['trouble']}" in " ".join(status.stdout.split())

    trouble.end(site.disk)
    wait_until(lambda: site.is_kept(entry), 20, "disk and Redis to catch up")
    unit.wait_logged("state_file.kept_again")
    wait_until(lambda: site.document().get("trouble") == "", 10, "the document to be content")
    assert get(port, "/readyz").status == 200
    unit.signal(signal.SIGKILL)
    unit.close()

    again = site.start()
    again.wait_state("PAUSED")
    last = site.add("status")
    answer(journal, last, boot=boot)
    assert [v for v in journal.finals() if v.get("id") == entry and v["boot"] > boot] == []
    assert "kept" not in answer(journal, last, boot=boot)
    again.close()


def ask(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run another verb where the unit is."""
    return subprocess.run(
        [sys.executable, "-m", "statusd", *words],
        cwd=site.folder,
        env=environment(site.folder) | {"COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@OWN_DISK
@pytest.mark.fault("X17")
def test_an_end_that_no_disk_has_ends_nobody_twice(site: Site, journal: Journal) -> None:
    """Starting is itself a request: an END that can't be kept doesn't end each daemon anew."""
    unit = site.start()
    first = site.add("status")
    wait_until(lambda: site.is_kept(first), 20, "a place that is kept")
    site.disk.let_nothing_be_written()  # where it is only full, what a unit gives back makes room
    entry = site.add("end")
    assert unit.wait_exit(20) == 0
    boot = answer(journal, entry)["boot"]
    site.disk.let_nothing_be_written(writable=True)

    again = site.start()

    said = answer(journal, entry, boot=boot)
    assert (said["verdict"], "the last daemon has ended by it" in said["reason"]) == ("noop", True)
    again.wait_state("RUNNING")
    wait_until(lambda: site.is_kept(entry), 20, "disk and Redis to catch up")
    again.close()


@OWN_DISK
@pytest.mark.fault("X17")
def test_a_lock_that_was_removed_is_taken_anew(site: Site) -> None:
    """Or a second daemon of this name could begin beside the first, on this machine."""
    unit = site.start()
    lose_directory(site.disk)
    (site.disk.path / "state").mkdir(mode=0o700)
    wait_until(lambda: site.add("status") and site.kept(), 20, "the file to be there again")

    toml = settings("tests.workers:obedient", site.broker.url)
    variables = {"STATUSD_STATE_DIRECTORY": str(site.disk.path / "state")}
    with Program(toml, directory=site.folder.with_name("second"), env=variables) as second:
        assert second.wait_exit(20) == 78
        assert f"runs here already (pid {unit.pid})" in second.output()
    unit.close()


@pytest.mark.fault("X17")
def test_a_disk_that_hangs_keeps_nobody_waiting(broker: Broker, journal: Journal, run: Run) -> None:
    """A durable word is obeyed and answered; the trouble is told, and all is caught up with."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    wait_listening(unit)
    unit.wait_state("RUNNING")
    client = broker.client()
    first = add(client, "status")
    wait_until(lambda: place_in(client).get("id") == first, 20, "a place that is kept")

    with writing_halted(unit.pid):
        entry = add(client, "pause")
        said = answer(journal, entry)
        unit.wait_logged("state_file.failed")
        assert (said["verdict"], said["kept"]) == ("done", False)
        wait_until(lambda: place_in(client).get("obeyed") == entry, 10, "it to be named")
        assert place_in(client)["id"] == first

    wait_until(lambda: unit.kept()["cursor"]["id"] == entry, 20, "the disk to catch up")
    wait_until(lambda: "obeyed" not in place_in(client), 20, "Redis as well")
    unit.wait_logged("state_file.kept_again")


# ---- row 18: files that are none -----------------------------------------------------------------


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
REFUSED = ("it is a ", "Is a directory", "is no regular file", "longer than", "Too many levels")
"""How it is said of each: links of our own files are not followed."""


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
    [("json", make) for make in NO_FILES]
    # Of a lock nothing is read but a number: its length means nothing.
    + [("lock", make) for make in NO_FILES if make is not make_huge],
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


# ---- row 23: no process, no thread, no name server -----------------------------------------------


def as_stranger(folder: Path, user: int) -> tuple[str, ...]:
    """Return what makes a user of a program who has no other process; he may work in ``folder``.

    He keeps the right to read and write everybody's files, which the limit isn't about.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, user, user)
    rights = ("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    who = ("--reuid", str(user), "--regid", str(user), "--clear-groups")
    return ("setpriv", *who, *rights)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="to become somebody else needs root")


@AS_ROOT
@pytest.mark.fault("X35")
def test_without_a_thread_for_the_state_file_nothing_starts(tmp_path: Path) -> None:
    """78, and the limit is named: a daemon that can keep nothing would be no help."""
    folder = tmp_path / "unit"
    below = (*as_stranger(folder, next(_users)), "prlimit", "--nproc=1:1")
    toml = settings("tests.workers:obedient", f"redis://127.0.0.1:{free_port()}")

    with Program(toml, directory=folder, below=below) as unit:
        assert unit.wait_exit(20) == 78
        assert "no thread is to be had: the limit on processes is reached" in unit.output()
        assert "Traceback" not in unit.output()


JOB = {"command": ["sleep", "1000"], "backoff_s": [0.2, 0.5], "budget": 1000}


@AS_ROOT
@pytest.mark.fault("X35")
def test_a_daemon_lives_with_no_more_than_its_own_two_threads(
    broker: Broker, tmp_path: Path
) -> None:
    """From the start: no worker, guard, nor a thread for a name or for output; tried again."""
    folder = tmp_path / "unit"
    by_name = broker.url.replace("127.0.0.1", "localhost")
    toml = settings("", by_name, goal="RUNNING")
    toml["worker"] = JOB
    below = (*as_stranger(folder, next(_users)), "prlimit", f"--nproc={OURS}:1000")
    with Program(toml, directory=folder, below=below) as unit:
        wait_until(lambda: not_started(unit), 20, "a worker that can't be started")
        wait_until(lambda: threadless(unit), 20, "a name that can't be looked up")
        assert (unit.exit_code(), lines(unit, "bug.caught")) == (None, [])

        limit_processes(unit, 1000)
        unit.wait_state("RUNNING", 20)
        wait_listening(unit)
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(15) == 0


@AS_ROOT
@pytest.mark.fault("X35")
def test_a_limit_on_processes_stops_no_write(broker: Broker, tmp_path: Path) -> None:
    """The thread of the state file is there from the start: what can't be started is kept."""
    folder = tmp_path / "unit"
    toml = settings("", broker.url, goal="RUNNING")
    toml["worker"] = JOB
    with Program(toml, directory=folder, below=as_stranger(folder, next(_users))) as unit:
        wait_listening(unit)
        unit.wait_state("RUNNING")
        limit_processes(unit, 1)
        os.kill(unit.worker_pid(), signal.SIGKILL)
        wait_until(lambda: not_started(unit), 20, "a worker that can't be started")
        before = kept_at(folder)
        wait_until(lambda: kept_at(folder) != before, 20, "another state file")

        limit_processes(unit, 1000)
        unit.wait_state("RUNNING", 20)
        assert lines(unit, "bug.caught") == []


@AS_ROOT
@pytest.mark.fault("X35")
def test_output_waits_for_a_thread(broker: Broker, tmp_path: Path) -> None:
    """What a worker prints while there is no thread to write it is written when there is one."""
    folder = tmp_path / "unit"
    toml = settings("", broker.url, goal="RUNNING")
    toml["worker"] = {**JOB, "command": ["sh", "-c", "read x < go; echo said; exec sleep 1000"]}
    below = as_stranger(folder, next(_users))
    os.mkfifo(folder / "go")
    with Program(toml, directory=folder, below=below) as unit:
        wait_listening(unit)
        unit.wait_state("RUNNING")
        limit_processes(unit, 1)
        (folder / "go").write_text("\n")
        unit.wait_logged("output.failed", 20)
        assert "run 1 | said" not in unit.output()

        limit_processes(unit, 1000)
        wait_until(lambda: "run 1 | said" in unit.output(), 20, "what was said")
        assert lines(unit, "bug.caught") == []


def not_started(unit: Program) -> bool:
    """Tell whether a worker could not be started for want of a process."""
    changes = lines(unit, "state.changed")
    return any("can't be started" in line.get("reason", "") for line in changes)


def limit_processes(unit: Program, most: int) -> None:
    """Let a unit's user have so many processes and threads; he may ask for that himself."""
    user = str(Path(f"/proc/{unit.pid}").stat().st_uid)
    who = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    limit = ["prlimit", "--pid", str(unit.pid), f"--nproc={most}:"]
    subprocess.run([*who, *limit], check=True, timeout=10)


def threadless(unit: Program) -> bool:
    """Tell whether a link has said that there is no thread to be had."""
    return any("no thread" in line.get("reason", "") for line in lines(unit, "link.failed"))


def kept_at(folder: Path) -> int:
    """Return which file the state file is: each write makes another one."""
    return (folder / "state" / "unit.json").stat().st_ino


HANGING_RESOLVER = """\
import socket, time
_real = socket.getaddrinfo
def _slow(host, *more, **others):
    if host == "slow.invalid":
        time.sleep(20)
    return _real(host, *more, **others)
socket.getaddrinfo = _slow
"""
"""A ``sitecustomize``: a name server that doesn't answer for 20 s, for one name."""


@pytest.mark.fault("X35")
def test_a_name_server_that_hangs_delays_no_write(tmp_path: Path) -> None:
    """Names are looked up in threads; the state file has its own, and the end waits for no name."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HANGING_RESOLVER)
    paths = os.pathsep.join([str(site), environment(tmp_path)["PYTHONPATH"]])
    toml = settings("tests.workers:obedient", "redis://slow.invalid:6379", goal="RUNNING")
    with Program(toml, directory=tmp_path / "unit", env={"PYTHONPATH": paths}) as unit:
        unit.wait_state("RUNNING", 20)
        wait_until(lambda: len(lines(unit, "link.failed")) >= 2, 20, "names to be looked up")
        most = min(32, (os.cpu_count() or 1) + 4)  # asyncio has no more
        wait_until(
            lambda: len(threads(unit.pid)) >= most + OURS, 60, "all of asyncio's threads to wait"
        )
        began = unit.kept()["last_event"]
        words = ["send", "pause", "--socket", str(tmp_path / "unit"), "--wait"]
        send = subprocess.Popen(
            [sys.executable, "-m", "statusd", *words],
            cwd=tmp_path / "unit",
            env=environment(tmp_path / "unit"),
        )
        unit.wait_state("PAUSED", 20)
        wait_until(lambda: unit.kept()["goal"] == "PAUSED", 1.5, "the goal on the disk")
        assert unit.kept()["last_event"] != began
        assert send.wait(20) == 0
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(10) == 0


OURS = 2
"""The threads of a daemon that doesn't wait for names: the loop's, and the state file's."""
