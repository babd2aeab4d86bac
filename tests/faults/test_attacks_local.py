"""What neighbours on the host try: connections in numbers, squatted names, a board that shrinks."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statusd.fleet.fleet import Fleet
from tests.conftest import Run
from tests.system.attach.programs import Start, start  # noqa: F401  # `start` is a fixture
from tests.system.commands import statusd
from tests.tools import Broker, Journal, Program, environment, free_port, wait_until
from tests.tools.http import get
from tests.tools.unix import connect

MANY = 1100
"""More than the descriptors that a process usually may have (1024)."""
QUICK = {"backoff_s": [0.05, 0.1], "budget": 1000}


def ready(unit: Program) -> None:
    """Wait until it hears and works."""
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("RUNNING")


def socket_of(unit: Program) -> Path:
    """Return the unit's socket."""
    return next((unit.directory / "statusd").glob("*.sock"))


@contextlib.contextmanager
def held(connections: list[socket.socket]) -> Iterator[None]:
    """Let this process have as many descriptors as it takes, and close those at the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * MANY), hard))
    try:
        yield
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def at_host(unit: Program, *words: str) -> Any:
    """Run a verb on the unit's host."""
    return statusd(*words, env={"XDG_RUNTIME_DIR": str(unit.directory)})


# ---- X22: connections in numbers -----------------------------------------------------------------


@pytest.mark.fault("X22")
def test_idle_connections_make_room_for_who_says_something(broker: Broker, run: Run) -> None:
    """However many there are: health answers, a command is obeyed, the job goes on."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    ready(unit)
    idle: list[socket.socket] = []
    with held(idle):
        for number in range(MANY):
            idle.append(socket.socket(socket.AF_UNIX))
            connect(idle[-1], socket_of(unit))
            if number % 2:
                idle[-1].send(b'{"command": "pa')

        healthy = at_host(unit, "health")
        paused = at_host(unit, "send", "pause", "--socket")

        assert (healthy.returncode, paused.returncode) == (0, 0), healthy.stderr + paused.stderr
        assert len(os.listdir(f"/proc/{unit.pid}/fd")) < 150
    assert unit.exit_code() is None
    assert unit.logged("worker.exited") is None
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("X22")
def test_who_waits_for_a_verdict_keeps_its_place(broker: Broker, run: Run) -> None:
    """Connections that say nothing come and go around it; it learns what became of its command."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    ready(unit)
    os.kill(unit.worker_pid(), signal.SIGSTOP)  # it won't be seen in the new state yet
    idle: list[socket.socket] = []
    with held(idle), socket.socket(socket.AF_UNIX) as waiting:
        connect(waiting, socket_of(unit))
        waiting.send(b'{"command": "pause", "id": "mine"}\n')
        told = waiting.makefile("rb")
        assert json.loads(told.readline())["verdict"] == "accepted"
        for _ in range(300):
            idle.append(socket.socket(socket.AF_UNIX))
            connect(idle[-1], socket_of(unit))
        assert at_host(unit, "health").returncode == 0

        os.kill(unit.worker_pid(), signal.SIGCONT)

        assert json.loads(told.readline())["verdict"] == "done"


@pytest.mark.fault("X22")
def test_a_daemon_without_a_descriptor_left_goes_on_and_recovers(broker: Broker, run: Run) -> None:
    """Nobody can come in, no worker be started, no file be read: told, and not the end of it."""
    port = free_port()
    unit = run(
        "tests.workers:obedient",
        broker.url,
        goal="RUNNING",
        worker=QUICK,
        http={"listen": str(port)},
    )
    ready(unit)
    path, limits = socket_of(unit), resource.prlimit(unit.pid, resource.RLIMIT_NOFILE)
    outside = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    resource.prlimit(unit.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
    with held(outside):
        for one in outside:
            connect(one, path)
        with contextlib.suppress(OSError, http.client.HTTPException):
            get(port, "/livez", timeout_s=0.5)
        unit.wait_logged("accept.failed")
        unit.signal(signal.SIGHUP)
        unit.wait_logged("reload.refused")
        os.kill(unit.worker_pid(), signal.SIGKILL)
        unit.wait_state("BACKOFF")
        broker.restart()
        unit.wait_logged("link.failed", link="sends")
        broker.client().ping()

        resource.prlimit(unit.pid, resource.RLIMIT_NOFILE, limits)

        wait_until(lambda: get(port, "/readyz").status == 200, 20, "the unit to be ready again")
    unit.wait_state("RUNNING")
    assert at_host(unit, "send", "pause", "--socket").returncode == 0
    assert unit.logged("bug.caught") is None


# ---- X23: probes between silent connections ------------------------------------------------------


@pytest.mark.fault("X23")
def test_a_probe_is_answered_however_many_are_silent(broker: Broker, run: Run) -> None:
    """Each in time for an orchestrator, while others are silent, half-said, or don't read."""
    port = free_port()
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING", http={"listen": str(port)})
    ready(unit)
    silent: list[socket.socket] = []
    with held(silent):
        for _ in range(10):
            for said in (b"", b"GET /livez HTTP/1.1\r\nX", b"GET /metrics HTTP/1.1\r\n\r\n") * 10:
                silent.append(socket.create_connection(("127.0.0.1", port)))
                silent[-1].send(said)
            assert get(port, "/livez", timeout_s=1.0).status == 200
        assert len(os.listdir(f"/proc/{unit.pid}/fd")) < 150


@pytest.mark.fault("X23")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:9464", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("10.1.2.3", 200),
        (socket.gethostname(), 200),
        ("rebound.attacker.example", 421),
        ("rebound.attacker.example:80", 421),
        ("127.0.0.1.attacker.example", 421),
        ("localhost@attacker.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_a_page_that_has_its_name_lead_here_learns_nothing(
    host: str, status: int, http_port: int
) -> None:
    """On a port of this machine alone; names and numbers of the machine itself are answered."""
    with socket.create_connection(("127.0.0.1", http_port)) as asking:
        asking.settimeout(10)
        asking.send(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = asking.makefile("rb").read()

    assert int(answer.split()[1]) == status
    assert (b"statusd_state" in answer) is (status == 200)


@pytest.fixture(scope="module")
def http_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a unit that listens for HTTP, and has no broker."""
    port = free_port()
    toml = {
        "name": "unit",
        "redis": {"url": f"redis://127.0.0.1:{free_port()}"},
        "worker": {"function": "tests.workers:obedient"},
        "http": {"listen": str(port)},
    }
    with Program(toml, directory=tmp_path_factory.mktemp("http")) as unit:
        unit.wait_logged("http.listening")
        yield port


# ---- X24: names that somebody else has made ------------------------------------------------------

STRANGER = 54321
"""A user who isn't us, and needn't exist."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


class Common:
    """A common place such as /tmp, where a stranger was before us."""

    def __init__(self, directory: Path) -> None:
        directory.chmod(0o711)
        self.tmp = directory / "tmp"
        self.tmp.mkdir()
        self.tmp.chmod(0o1777)
        self.home = directory / "home"
        self.home.mkdir(0o700)
        self.taken = self.tmp / f"statusd-{os.getuid()}"
        self.env = {
            **{"XDG_RUNTIME_DIR": "", "RUNTIME_DIRECTORY": "", "XDG_STATE_HOME": ""},
            **{"TMPDIR": str(self.tmp), "HOME": str(self.home)},
        }

    def directory(self) -> Path:
        """Let him have made our directory."""
        self.taken.mkdir(0o777)
        self.taken.chmod(0o777)
        os.chown(self.taken, STRANGER, STRANGER)
        return self.taken

    def link(self) -> Path:
        """Let him have made a link of our directory's name; return where it leads."""
        victim = self.home / "victim"
        victim.mkdir()
        self.taken.symlink_to(victim)
        os.chown(self.taken, STRANGER, STRANGER, follow_symlinks=False)
        return victim

    def unit(self, directory: Path, url: str) -> Program:
        """Start a unit that would have its socket there."""
        toml = {
            **{"name": "unit", "goal": "RUNNING", "redis": {"url": url}},
            "worker": {"function": "tests.workers:obedient"},
        }
        return Program(toml, directory=directory / "unit", env=self.env)

    def typed(self, *words: str) -> Any:
        """Run a verb there."""
        return statusd(*words, env=self.env)


@pytest.fixture
def common() -> Iterator[Common]:
    """A common place, and what an environment there looks like; short, for sockets."""
    with tempfile.TemporaryDirectory(prefix="c") as place:
        yield Common(Path(place))


@contextlib.contextmanager
def impostor(path: Path) -> Iterator[socket.socket]:
    """A socket of the stranger's, at which he listens."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        os.chown(path, STRANGER, STRANGER)
        os.seteuid(STRANGER)
        try:
            listener.listen()  # whoever connects is told who did this
        finally:
            os.seteuid(0)
        yield listener


def heard_by(listener: socket.socket) -> bytes:
    """Return what was said to an impostor."""
    listener.setblocking(False)
    heard = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    heard += connection.recv(65536)
    return heard


@needs_root
@pytest.mark.fault("X24")
@pytest.mark.parametrize("how", ["directory", "link"])
def test_a_unit_keeps_out_of_a_directory_that_a_stranger_has_made(
    how: str, common: Common, broker: Broker, tmp_path: Path
) -> None:
    """It takes another one, all verbs find it there, and nothing of anybody's is removed."""
    place = common.directory() if how == "directory" else common.link()
    dear = place / "statusd:unit.sock"
    dear.write_text("dear")
    with common.unit(tmp_path, broker.url) as unit:
        ready(unit)

        paused = common.typed("send", "pause", "--socket")
        healthy = common.typed("health")
        unit.signal(signal.SIGTERM)
        assert unit.wait_exit(15) == 0

    assert (paused.returncode, healthy.returncode) == (0, 0), paused.stderr + healthy.stderr
    assert dear.read_text() == "dear"
    assert [file.name for file in place.iterdir()] == [dear.name]
    assert list((common.home / ".local/state/statusd/run").iterdir()) == []


@needs_root
@pytest.mark.fault("X24")
@pytest.mark.parametrize("where", ["usual", "directory", "file"])
def test_an_impostor_is_neither_believed_nor_told_anything(where: str, common: Common) -> None:
    """Whether he is found or named: no command, no arguments, no health of his."""
    path = common.directory() / "statusd:unit.sock"
    given = {"usual": (), "directory": (str(path.parent),), "file": (str(path),)}[where]
    with impostor(path) as listener:
        sent = common.typed("send", "end", "--arg", "secret=1", "--socket", *given)
        shown = common.typed("status", "--socket", *given)
        healthy = common.typed("health", *(("--socket", *given) if given else ()))

        assert heard_by(listener) == b""
    assert (sent.returncode, shown.returncode, healthy.returncode) == (69, 69, 1)
    for done in (sent, shown, healthy):
        assert f"user {STRANGER}" in done.stderr
        assert "Traceback" not in done.stderr


@needs_root
@pytest.mark.fault("X24")
def test_a_stranger_s_socket_in_our_own_directory_is_not_believed(
    common: Common, tmp_path: Path
) -> None:
    """Nor a link there: it may lead to another unit of ours."""
    ours = tmp_path / "ours"
    ours.mkdir(0o700)
    with impostor(ours / "statusd:unit.sock") as listener:
        sent = common.typed("send", "end", "--socket", str(ours))
        healthy = common.typed("health", "--socket", str(ours))
        assert heard_by(listener) == b""
        (ours / "statusd:link.sock").symlink_to("statusd:unit.sock")
        linked = common.typed("send", "end", "--socket", str(ours / "statusd:link.sock"))
        assert heard_by(listener) == b""

    assert (sent.returncode, healthy.returncode, linked.returncode) == (69, 1, 69)
    assert f"user {STRANGER} listens there" in sent.stderr
    assert f"user {STRANGER} listens there" in healthy.stderr


@pytest.mark.fault("X24")
def test_a_socket_where_others_may_write_is_not_used(common: Common, broker: Broker) -> None:
    """Not even if it is ours: somebody may lead us to another unit of ours by its name."""
    shared = common.tmp / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(shared / "statusd:unit.sock"))
        listener.listen()
        sent = common.typed("send", "end", "--socket", str(shared))

        assert heard_by(listener) == b""
    assert sent.returncode == 69
    assert "chmod go-w" in sent.stderr


# ---- X29: attached from several threads ----------------------------------------------------------


@pytest.mark.timeout(120)
@pytest.mark.fault("X29")
def test_threads_attach_and_leave_at_once(start: Start) -> None:  # noqa: F811
    """Each gets its own unit; those that want one name get it one after the other."""
    parent = start("attaching_at_once")

    assert parent.wait_exit(60) == 0, parent.said()

    said = parent.said().splitlines()
    units = [f"unit-{number}" for number in range(4)]
    for line in (line for line in said if line.startswith("all ")):
        assert [unit for unit in units if f"<statusd {unit}: " in line] == units, line
    assert [line for line in said if line.startswith("left ")] == [f"left {[None] * 8}"] * 2
    assert "same ['False', 'False', 'False', 'True']" in said


@pytest.mark.fault("X29")
def test_threads_that_lose_their_daemon_start_one_in_its_place(start: Start) -> None:  # noqa: F811
    """One, whoever sees it first; and all may leave at once."""
    parent = start("looking_at_once")

    assert parent.wait_exit(60) == 0, parent.said()

    assert "again True True 1" in parent.said().splitlines()
    assert f"left {[None] * 8} END" in parent.said()


# ---- X34: the page that a worker shares with its daemon ------------------------------------------


@pytest.mark.fault("X34")
def test_a_worker_can_not_take_the_page_away_from_its_daemon(
    broker: Broker, journal: Journal, run: Run
) -> None:
    """Reading what isn't there any more would be a SIGBUS: its length is sealed."""
    unit = run("tests.jobs:shrinking", broker.url, goal="RUNNING")
    ready(unit)
    wait_until(lambda: unit.output().count("tried:") == 4, 10, "all ways to be tried")
    with Fleet(broker.url) as fleet:

        def told() -> bool:
            return fleet.status()[0].document.get("text") == "tried all"

        wait_until(told, 10, "its progress to be told")
        assert len(fleet.send("pause", timeout_s=10).done) == 1

    assert "it worked" not in unit.output()
    assert unit.exit_code() is None


@pytest.mark.fault("X34")
def test_a_page_that_is_not_sealed_is_refused(start: Start, tmp_path: Path) -> None:  # noqa: F811
    """Of a program that attaches: its daemon looks before it maps."""
    parent = start("unsealed")

    assert parent.wait_exit() == 0, parent.said()
    assert "refused: the program's page isn't sealed" in parent.said()


# ---- modules of the user's by names of the library's ---------------------------------------------

SHADOW = "raise SystemError('this module is the user's')\n"
JOB = """
from statusd import Worker


def main(worker: Worker) -> None:
    for step in worker.while_running():
        if worker.args.get("run"):
            print("args:", dict(worker.args), flush=True)
            worker.trigger("pause", reason="half-way: \u00bd \\n")
            break
    while worker.wait(5) != "RUNNING":
        pass
    raise ValueError("nothing is left to tell")
"""
SCRIPT = """
import statusd
with statusd.attach("mychannel", name="unit") as worker:
    print("attached", flush=True)
    try:
        __import__("main_of_job").main(worker)
    except ValueError as error:
        print("raised:", error, flush=True)
    worker.text("left")
"""


def shadowed(folder: Path) -> Path:
    """Make a folder with a module of each name that the standard library has."""
    folder.mkdir()
    for name in sys.stdlib_module_names - {"__future__"}:
        (folder / f"{name}.py").write_text(SHADOW)
    (folder / "main_of_job.py").write_text(JOB)
    return folder


def steer(fleet: Fleet) -> None:
    """Give it args, and let it go on when it has paused itself."""
    assert len(fleet.send("start", args={"run": 1.5, "note": '\u00bd"'}, timeout_s=10).outcomes)
    wait_until(lambda: fleet.status()[0].state == "PAUSED", 10, "its own pause")
    assert len(fleet.send("resume", timeout_s=10).outcomes) == 1


def test_no_module_of_the_user_s_is_taken_for_the_library_s(
    broker: Broker, journal: Journal, run: Run, tmp_path: Path
) -> None:
    """Beside a function: it is told args, asks for a pause, and what it died of is told."""
    job = shadowed(tmp_path / "job")
    worker = {"directory": str(job), "restart": "never", **QUICK}
    unit = run("main_of_job:main", broker.url, worker=worker)
    unit.wait_logged("link.up", link="hears")
    unit.wait_state("READY")
    with Fleet(broker.url) as fleet:
        steer(fleet)

    crash = unit.wait_logged("state.changed", new="FAILED")
    assert "ValueError: nothing is left to tell" in crash["reason"]
    assert "args: {'run': 1.5, 'note': '\u00bd\"'}" in unit.output()
    assert "ValueError: nothing is left to tell" in unit.output()
    assert "SystemError" not in unit.output()
    (paused,) = [event for event in journal.events() if event["new"] == "PAUSED"]
    assert paused["reason"] == "half-way: \u00bd \n"


def test_nor_beside_a_program_that_attaches(broker: Broker, tmp_path: Path) -> None:
    """Its own folder is looked into first, for all that it imports itself."""
    job = shadowed(tmp_path / "job")
    (job / "script.py").write_text(SCRIPT)
    env = environment(tmp_path) | {"STATUSD_REDIS__URL": broker.url}
    with (
        (tmp_path / "said").open("w") as said,
        subprocess.Popen(
            [sys.executable, "script.py"], cwd=job, env=env, stdout=said, stderr=said
        ) as script,
        Fleet(broker.url) as fleet,
    ):
        try:
            wait_until(lambda: "attached" in (tmp_path / "said").read_text(), 20, "it to attach")
            steer(fleet)
            assert script.wait(20) == 0
        finally:
            script.kill()
    assert "raised: nothing is left to tell" in (tmp_path / "said").read_text()


def test_nor_beside_a_daemon(broker: Broker, tmp_path: Path) -> None:
    """Which is started in that folder, and imports the user's own states."""
    job = shadowed(tmp_path / "job")
    (job / "scan.py").write_text(
        "import json, enum, wave\nScan = enum.Enum('Scan', 'INIT READY RUNNING PAUSED END')\n"
    )
    (job / "statusd.toml").write_text(
        f"[redis]\nurl = '{broker.url}'\n[worker]\nfunction = 'main_of_job:main'\n"
        "[lifecycle]\nstates = 'scan:Scan'\ntransitions = [\n"
        "  { trigger = 'ready', source = 'INIT', dest = 'READY' },\n"
        "  { trigger = 'start', source = 'READY', dest = 'RUNNING' },\n"
        "  { trigger = 'pause', source = 'RUNNING', dest = 'PAUSED' },\n"
        "  { trigger = 'resume', source = 'PAUSED', dest = 'RUNNING' },\n"
        "  { trigger = 'end', source = '*', dest = 'END' }]\n"
    )

    checked = subprocess.run(
        [str(Path(sys.prefix, "bin", "statusd")), "check"],
        cwd=job,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
