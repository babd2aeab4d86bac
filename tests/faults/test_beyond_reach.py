"""A worker that has become somebody else, and a daemon that may not signal him: kill(2) says EPERM.

As with sudo, but the other way round, for that needs no set-uid program: the daemon is root without
the right to signal anybody (CAP_KILL), and setpriv(1) makes nobody of the job. It waits for the
file ``release`` to be opened for writing, and ends by itself.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings
from tests.tools import Broker, Journal, Process, Program, wait_until
from tests.tools.processes import all_processes

NOBODY = "65534"
POWERLESS = ("setpriv", "--bounding-set", "-kill")
"""What follows is root, and may signal root's processes alone."""
EPERM = "can't be signalled: Operation not permitted"
QUICK = {"stop_timeout_s": 0.3, "kill_timeout_s": 0.3, "backoff_s": [0.05, 0.1]}
STOPPABLE = {"signals": {"PAUSED": "SIGSTOP", "RUNNING": "SIGCONT"}}
DOCUMENT = "statusd:status:{unit}"


class Site:
    """A folder for a unit, into which its job can look as nobody.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.release = folder / "release"
        os.mkfifo(self.release)
        os.chmod(self.release, 0o644)

    @property
    def job(self) -> list[str]:
        """A command that becomes nobody's and waits to be released."""
        nobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
        return [*nobody, "cat", str(self.release)]

    def shell(self, text: str) -> list[str]:
        """Return a shell around that: ``job`` in ``text`` stands for it."""
        return ["sh", "-c", text.replace("job", " ".join(self.job))]

    def alive(self) -> list[Process]:
        """Return the processes of the job that live as nobody."""
        return [process for process in all_processes() if self._is_job(process)]

    def _is_job(self, process: Process) -> bool:
        try:
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            uid = Path(f"/proc/{process.pid}").stat().st_uid
        except OSError:
            return False
        return words[:2] == [b"cat", str(self.release).encode()] and uid == int(NOBODY)

    def wait_job(self, *but: Process) -> Process:
        """Return the one job, once it is there and another one than ``but``."""
        wait_until(lambda: self.alive() and self.alive() != list(but), 15, "the job to be nobody's")
        (one,) = self.alive()
        return one

    def let_end(self) -> None:
        """Let the job end by itself."""
        os.close(os.open(self.release, os.O_WRONLY | os.O_NONBLOCK))


@pytest.fixture
def site() -> Iterator[Site]:
    """A folder in which everybody can look."""
    if os.geteuid() != 0:
        pytest.skip("only root can make somebody else of a worker")
    try:
        subprocess.run([*POWERLESS, "true"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no rights can be given up here: {error}")
    with tempfile.TemporaryDirectory(prefix="reach-") as name:
        let_through(Path(name).parent)
        os.chmod(name, 0o755)
        yield Site(Path(name))


def let_through(folder: Path) -> None:
    """Let everybody who knows a name below reach it: the session's folders are ours alone."""
    while folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & stat.S_IXOTH:
        os.chmod(folder, 0o711)
        folder = folder.parent


Start = Callable[..., Program]


@pytest.fixture
def start(site: Site, broker: Broker) -> Iterator[Start]:
    """Start a unit that may not signal others: ``start(site.job, args=("--fresh",))``."""
    with ExitStack() as stack:

        def start(command: list[str], *, args: tuple[str, ...] = (), **worker: Any) -> Program:
            toml = settings("", broker.url, worker={**QUICK, "command": command, **worker})
            unit = stack.enter_context(
                Program(toml, directory=site.folder, args=args, below=POWERLESS)
            )
            unit.wait_logged("link.up", link="hears")
            unit.wait_logged("link.up", link="sends")
            return unit

        yield start


def send(broker: Broker, word: str, command_id: str = "") -> None:
    """Send a command with an id."""
    message = json.dumps({"command": word, "id": command_id or word})
    broker.client().publish("mychannel", message)


def verdicts(journal: Journal, command_id: str, count: int) -> list[dict[str, Any]]:
    """Return what was answered to a command, once it is so much."""

    def found() -> list[dict[str, Any]]:
        return [said for said in journal.verdicts() if said.get("id") == command_id]

    wait_until(lambda: len(found()) >= count, 15, f"{count} verdicts to {command_id}")
    return found()


def document(broker: Broker) -> dict[str, Any]:
    """Return the status document."""
    found: dict[str, Any] = json.loads(broker.client().get(DOCUMENT) or b"{}")
    return found


def wait_text(broker: Broker, text: str) -> dict[str, Any]:
    """Return the document, once its text says so."""
    wait_until(lambda: text in document(broker).get("text", ""), 15, f"the text {text!r}")
    return document(broker)


def waiting_for(one: Process) -> str:
    """Return what is said while it is waited for."""
    return f"waiting for pid {one.pid} (cat, of uid {NOBODY}) to end: {EPERM}"


# Around the job, and whether its first process is the shell.
SHELLS = {"the program itself": "exec job", "inside of a shell": "job; true"}


@pytest.mark.fault("J01")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_pause_that_would_not_arrive_is_refused(
    shell: str, site: Site, start: Start, broker: Broker, journal: Journal
) -> None:
    """The state goes on to say what is so, also where killpg(2) would be content with the shell."""
    unit = start(site.shell(SHELLS[shell]), **STOPPABLE)
    unit.wait_state("RUNNING")
    wait_until(lambda: document(broker).get("state") == "RUNNING", 15, "it to be written down")
    job = site.wait_job()

    send(broker, "pause")

    (refused,) = verdicts(journal, "pause", 1)
    assert refused["verdict"] == "refused"
    assert refused["reason"] == f"pid {job.pid} (cat, of uid {NOBODY}) {EPERM}"
    assert "pause" in refused["allowed"]
    assert (refused["state"], document(broker)["state"]) == ("RUNNING", "RUNNING")
    assert document(broker)["goal"] != "PAUSED"
    assert {Process.of(pid).state for pid in unit.descendants() if Process.of(pid)} == {"S"}  # type: ignore[union-attr]  # it was just found
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("J01")
def test_a_job_that_changed_hands_while_stopped_is_not_said_to_go_on(
    site: Site, start: Start, broker: Broker, journal: Journal
) -> None:
    """Somebody who may has stopped it; we may not let it go on, and say so."""
    unit = start(site.shell("while [ ! -e go ]; do sleep 0.01; done; exec job"), **STOPPABLE)
    unit.wait_state("RUNNING")
    send(broker, "pause")
    assert [said["verdict"] for said in verdicts(journal, "pause", 2)] == ["accepted", "done"]
    (site.folder / "go").touch()
    os.killpg(unit.worker_pid(), signal.SIGCONT)
    site.wait_job()

    send(broker, "resume")

    assert verdicts(journal, "resume", 1)[0]["verdict"] == "refused"
    assert EPERM in verdicts(journal, "resume", 1)[0]["reason"]
    wait_until(lambda: document(broker).get("state") == "PAUSED", 15, "it to be written down")
    assert unit.logged("state.changed", old="PAUSED") is None
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("J01")
@pytest.mark.parametrize("shell", SHELLS)
def test_an_end_that_can_not_be_enforced_waits_and_says_for_whom(
    shell: str, site: Site, start: Start, broker: Broker, journal: Journal
) -> None:
    """END and force are answered; the unit ends when the job does."""
    unit = start(site.shell(SHELLS[shell]))
    unit.wait_state("RUNNING")
    job = site.wait_job()

    send(broker, "end")
    accepted, failed = verdicts(journal, "end", 2)
    send(broker, "force")
    forced = verdicts(journal, "force", 2)

    assert (accepted["verdict"], failed["verdict"]) == ("accepted", "failed")
    assert failed["reason"] == waiting_for(job)
    assert [said["verdict"] for said in forced] == ["accepted", "failed"]
    told = wait_text(broker, waiting_for(job))
    assert (told["state"], told["stop"]["stage"]) == ("ENDING", EPERM)
    assert unit.logged("worker.not_signalled", signal="SIGKILL") is not None
    assert site.alive() == [job]
    site.let_end()
    assert unit.wait_exit(15) == 0
    assert unit.wait_state("END")
    assert unit.logged("bug.caught") is None
    assert not (site.folder / "state" / "unit.worker").exists()


@pytest.mark.fault("J01")
@pytest.mark.parametrize("times", [1, 2, 3])
def test_signals_to_the_daemon_are_no_errors(
    times: int, site: Site, start: Start, broker: Broker
) -> None:
    """One and two wait for the job; the third one leaves it behind, for the next start to find."""
    unit = start(site.job)
    unit.wait_state("RUNNING")
    job = site.wait_job()
    for number in range(times):
        unit.signal(signal.SIGTERM)
        unit.wait_state("ENDING")
        if number == 1:
            unit.wait_logged("worker.forced")

    if times == 3:
        assert unit.wait_exit(5) == 128 + signal.SIGTERM
        again = start(site.job)
        wait_text(broker, waiting_for(job))
        assert site.alive() == [job]
        unit = again
        unit.signal(signal.SIGTERM)
        unit.wait_state("ENDING")
    wait_text(broker, waiting_for(job))
    site.let_end()

    assert unit.wait_exit(15) == 0
    assert site.alive() == []
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("J01")
@pytest.mark.parametrize("args", [(), ("--fresh",)], ids=["again", "fresh"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_job_that_outlives_its_daemon_is_not_started_twice(
    shell: str, args: tuple[str, ...], site: Site, start: Start, broker: Broker, journal: Journal
) -> None:
    """The next daemon waits in INIT, keeps what it is told, and starts the next one afterwards."""
    first = start(site.shell(SHELLS[shell]))
    first.wait_state("RUNNING")
    job = site.wait_job()
    first.signal(signal.SIGKILL)
    first.wait_exit(5)

    unit = start(site.shell(SHELLS[shell]), args=args)
    told = wait_text(broker, waiting_for(job))
    send(broker, "RUNNING", "go")

    assert verdicts(journal, "go", 1)[0]["verdict"] == "postponed"
    assert (told["state"], told["stop"]["stage"]) == ("INIT", EPERM)
    assert site.alive() == [job]
    assert unit.logged("worker.started") is None
    site.let_end()
    unit.wait_state("RUNNING")
    site.wait_job(job)
    assert verdicts(journal, "go", 2)[-1]["verdict"] == "done"
    assert unit.wait_logged("worker.started")["run"] == 2
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("J01")
def test_an_end_while_the_survivor_is_awaited(
    site: Site, start: Start, broker: Broker, journal: Journal
) -> None:
    """It fails with the reason, holds all the same, and nothing is started when the job ends."""
    start(site.job).wait_state("RUNNING")
    job = site.wait_job()
    os.kill(Process.of(job.pid).parent, signal.SIGKILL)  # type: ignore[union-attr]  # it lives
    unit = start(site.job)
    wait_until(lambda: unit.logged("worker.not_signalled", signal="SIGKILL"), 15, "SIGKILL")

    send(broker, "end")

    failed = verdicts(journal, "end", 2)[-1]
    assert (failed["verdict"], failed["reason"]) == ("failed", waiting_for(job))
    site.let_end()
    assert unit.wait_exit(15) == 0
    assert (unit.logged("worker.started"), site.alive()) == (None, [])


@pytest.mark.fault("J01")
def test_a_crash_around_the_job_waits_for_it(site: Site, start: Start, broker: Broker) -> None:
    """The shell is killed, the job lives on: BACKOFF says for whom it waits, then comes run 2."""
    unit = start(site.shell("job; true"))
    unit.wait_state("RUNNING")
    job = site.wait_job()

    os.kill(unit.worker_pid(), signal.SIGKILL)

    told = wait_text(broker, waiting_for(job))
    assert (told["state"], told["run"]) == ("BACKOFF", 1)
    assert site.alive() == [job]
    site.let_end()
    unit.wait_logged("state.changed", new="RUNNING", run=2)
    site.wait_job(job)
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("J01")
def test_a_hang_that_can_not_be_killed_waits_for_its_end(
    site: Site, start: Start, broker: Broker
) -> None:
    """It beats once and then hangs as somebody else: BACKOFF, all stages refused, then run 2."""
    beat = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
        "s.sendto(b'WATCHDOG=1', '\\0' + os.environ['NOTIFY_SOCKET'][1:]);"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    unit = start([sys.executable, "-c", beat, *site.job], hang_timeout_s=0.5)

    unit.wait_state("BACKOFF", 15)
    job = site.wait_job()

    wait_text(broker, waiting_for(job))
    assert unit.wait_logged("worker.not_signalled", signal="SIGKILL")
    assert site.alive() == [job]
    site.let_end()
    unit.wait_logged("state.changed", new="RUNNING", run=2)
    assert unit.logged("bug.caught") is None


@pytest.mark.fault("J01")
def test_whom_it_reaches_it_ends(site: Site, start: Start, broker: Broker) -> None:
    """Of a group with both kinds, ours are killed and the text names the other one."""
    unit = start(site.shell("trap '' TERM; (trap '' TERM; sleep 600) & job & wait; wait"))
    unit.wait_state("RUNNING")
    job = site.wait_job()

    unit.signal(signal.SIGTERM)

    wait_text(broker, waiting_for(job))
    unit.wait_logged("worker.not_signalled", signal="SIGKILL")
    group = [process for process in all_processes() if process.group == unit.worker_pid()]
    wait_until(lambda: [p for p in group if p.is_alive()] == [job], 15, "ours to be gone")
    site.let_end()
    assert unit.wait_exit(15) == 0


@pytest.mark.fault("J01")
def test_a_file_that_can_not_be_written_stops_nobody(site: Site, start: Start) -> None:
    """The program starts all the same, and the log says what that means."""
    (site.folder / "state").mkdir()
    (site.folder / "state" / "unit.worker").mkdir()  # nothing can be renamed over it

    unit = start(["sleep", "600"])

    unit.wait_state("RUNNING")
    line = unit.wait_logged("worker.not_kept", run=1)
    assert line["file"] == str(site.folder / "state" / "unit.worker")


@pytest.mark.fault("J01")
@pytest.mark.parametrize("kind", ["program", "function"])
def test_a_stranger_with_the_number_is_left_alone(kind: str, site: Site, start: Start) -> None:
    """The file of an older run names a number that is somebody else's by now."""
    worker = {"function": "tests.workers:obedient"} if kind == "function" else {}
    first = start([] if worker else ["sleep", "600"], **worker)
    wait_until(lambda: first.logged("state.changed"), 15, "the first run")
    file = site.folder / "state" / "unit.worker"
    kept = json.loads(file.read_bytes())
    assert (kept["run"], kept["pid"]) == (1, first.worker_pid())
    first.close()
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        file.write_text(json.dumps(kept | {"pid": stranger.pid}), encoding="utf-8")

        unit = start([] if worker else ["sleep", "600"], **worker)

        unit.wait_logged("worker.started", run=2)
        assert unit.logged("worker.survived") is None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
