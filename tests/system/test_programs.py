"""Real programs as workers: none of them knows statusd; all are there on every Unix."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, settings
from tests.system.commands import statusd
from tests.tools import (
    Broker,
    Journal,
    Process,
    Program,
    environment,
    to_toml,
    wait_until,
)
from tests.tools.terminal import Terminal
from tests.tools.variants import nightly

QUICK = {"stop_timeout_s": 0.5, "kill_timeout_s": 0.5, "backoff_s": [0.05, 0.1]}
STOPPABLE = {"signals": {"PAUSED": "SIGSTOP", "RUNNING": "SIGCONT"}}
MIB = 1024 * 1024


@pytest.fixture
def program(broker: Broker, run: Run) -> Callable[..., Program]:
    """Start a unit whose worker is a program: ``program(["cat"], input="states")``."""

    def start(command: list[str], *, goal: str = "", **worker: Any) -> Program:
        unit = run("", broker.url, goal=goal, worker={**QUICK, "command": command, **worker})
        unit.wait_logged("link.up", link="hears")
        return unit

    return start


def python(text: str) -> list[str]:
    """Return the command of a Python program that has no statusd."""
    return [sys.executable, "-uc", text]


def sh(text: str) -> list[str]:
    """Return the command of a shell script."""
    return ["sh", "-c", text]


def notifier(*messages: str, then: str = "time.sleep(1000)") -> list[str]:
    """Return a program that sends these datagrams to its NOTIFY_SOCKET."""
    return python(
        "import os, socket, time\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:])\n"
        f"for m in {messages!r}: s.send(m.encode())\n{then}"
    )


def document(broker: Broker, unit: str = "unit") -> dict[str, Any]:
    """Return the unit's status document."""
    text = broker.client().get(f"statusd:status:{{{unit}}}")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def verdict(journal: Journal, word: str, number: int = 1) -> dict[str, Any]:
    """Return the ``number``-th verdict to ``word``, once it is there."""

    def found() -> list[dict[str, Any]]:
        return [v for v in journal.verdicts() if v["command"] == word][number - 1 :]

    return wait_until(found, 15, f"verdict {number} to {word}")[0]


def children(pid: int) -> dict[str, str]:
    """Return the names and states of the living processes of a group."""
    found = {}
    for entry in Path("/proc").iterdir():
        process = Process.of(int(entry.name)) if entry.name.isdigit() else None
        if process is not None and process.group == pid and process.is_alive():
            found[(entry / "comm").read_text().strip()] = process.state
    return found


# ---- signals ------------------------------------------------------------------------------------


def test_a_program_that_knows_nothing_runs_and_ends(
    program: Callable[..., Program], broker: Broker, journal: Journal
) -> None:
    """`sleep` ignores its input and is told nothing; END is SIGTERM, and done when it is gone."""
    unit = program(["sleep", "1000"])
    unit.wait_state("RUNNING")

    broker.client().publish("mychannel", "pause")
    refused = verdict(journal, "pause")
    broker.client().publish("mychannel", "end")

    assert unit.wait_exit(15) == 0
    assert unit.wait_state("END")["reason"] == "killed by SIGTERM"
    assert refused["verdict"] == "refused"
    assert 'worker.signals.PAUSED = "SIG..."' in refused["reason"]
    assert "pause" not in refused["allowed"]


def test_a_job_of_many_processes_is_stopped_and_continued(
    program: Callable[..., Program], broker: Broker, journal: Journal
) -> None:
    """SIGSTOP goes to all of them, as a terminal would send it; done says that nobody was seen."""
    unit = program(sh("sleep 1000 & sleep 1000"), **STOPPABLE)
    unit.wait_state("RUNNING")
    group = unit.worker_pid()
    wait_until(lambda: children(group) == {"sh": "S", "sleep": "S"}, 15, "both programs")

    broker.client().publish("mychannel", "pause")
    wait_until(lambda: children(group) == {"sh": "T", "sleep": "T"}, 15, "both to be stopped")
    broker.client().publish("mychannel", "resume")
    wait_until(lambda: children(group) == {"sh": "S", "sleep": "S"}, 15, "both to go on")

    done = verdict(journal, "pause", 2)
    assert (done["verdict"], done["observed"]) == ("done", False)


@pytest.mark.parametrize("how", ["word", "signal"])
def test_a_stopped_program_is_woken_to_end(
    how: str, program: Callable[..., Program], broker: Broker
) -> None:
    """It catches SIGTERM, and couldn't while it is stopped."""
    tidies = "trap 'echo tidied; exit 0' TERM; echo catches; while :; do sleep 0.01; done"
    unit = program(sh(tidies), **STOPPABLE)
    unit.wait_state("RUNNING")
    wait_until(lambda: "run 1 | catches" in unit.output(), 15, "it to catch SIGTERM")
    broker.client().publish("mychannel", "pause")
    wait_until(lambda: children(unit.worker_pid()).get("sh") == "T", 15, "it to be stopped")

    if how == "word":
        broker.client().publish("mychannel", "end")
    else:
        unit.signal(signal.SIGTERM)

    assert unit.wait_exit(15) == 0
    assert unit.wait_state("END")["reason"] == "exit code 0"
    assert "run 1 | tidied" in unit.output()


def test_a_signal_of_one_s_own_is_for_the_program_alone(
    program: Callable[..., Program], broker: Broker
) -> None:
    """SIGUSR1 would kill a child that doesn't expect it. It says when it can catch its signals."""
    text = (
        "import signal, subprocess\n"
        "for n in (signal.SIGUSR1, signal.SIGUSR2):\n"
        "    signal.signal(n, lambda n, _: print('told', n))\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "s.send(b'READY=1')\n"
        "while child.poll() is None: time.sleep(0.01)"
    )
    unit = program(
        notifier(then=text),
        goal="PAUSED",
        ready="notified",
        signals={"PAUSED": "SIGUSR1", "RUNNING": "SIGUSR2", "READY": "SIGUSR2"},
    )
    unit.wait_state("PAUSED")
    told = f"run 1 | told {signal.SIGUSR1:d}\n"
    wait_until(lambda: unit.output().count(told) == 1, 15, "the program to be told")
    broker.client().publish("mychannel", "resume")
    unit.wait_state("RUNNING")
    broker.client().publish("mychannel", "pause")

    wait_until(lambda: unit.output().count(told) == 2, 15, "the program to be told again")
    assert children(unit.worker_pid()).keys() >= {"sleep"}
    assert unit.logged("state.changed", new="BACKOFF") is None


def test_end_may_be_another_signal(program: Callable[..., Program], broker: Broker) -> None:
    """In place of SIGTERM."""
    unit = program(
        python("import signal, sys; signal.signal(2, lambda *_: sys.exit(0)); print(1)\n"
               "while True: signal.pause()"),
        signals={"END": "SIGINT"},
    )  # fmt: skip
    wait_until(lambda: "run 1 | 1" in unit.output(), 15, "the program to be there")

    broker.client().publish("mychannel", "end")

    assert unit.wait_exit(15) == 0
    assert unit.wait_state("END")["reason"] == "exit code 0"


# ---- lines --------------------------------------------------------------------------------------


def test_states_are_lines_on_standard_input(
    program: Callable[..., Program], broker: Broker
) -> None:
    """`cat` prints what it was told, args before the state, and ends when its input is closed."""
    unit = program(["cat"], input="states")
    unit.wait_state("READY")
    for text in ("start", '{"command": "pause", "args": {"n": 1, "who": "a b"}}', "resume", "END"):
        broker.client().publish("mychannel", text)

    assert unit.wait_exit(15) == 0
    lines = [line[8:] for line in unit.output().splitlines() if line.startswith("run 1 | ")]
    assert unit.wait_state("END")["reason"] == "exit code 0"
    assert lines[-1] == "ENDING"
    assert lines.index('ARGS {"n": 1, "who": "a b"}') + 1 == lines.index("PAUSED")


@pytest.mark.fault("W22")
@pytest.mark.parametrize(
    "command",
    [["sleep", "1000"], sh("exec <&-; sleep 1000"), sh("exec < /dev/null; sleep 1000")],
    ids=["never reads it", "closes it", "has another one"],
)
def test_input_that_nobody_reads_is_harmless(
    command: list[str], program: Callable[..., Program], broker: Broker, journal: Journal
) -> None:
    """2,000 states are told to it; the daemon goes on, and END comes as a SIGTERM in the end."""
    unit = program(command, input="states", goal="RUNNING")
    unit.wait_state("RUNNING")
    client = broker.client()

    pipe = client.pipeline()
    for _ in range(1000):
        pipe.publish("mychannel", "pause")
        pipe.publish("mychannel", "resume")
    pipe.execute()
    client.publish("mychannel", '{"command": "ping", "id": "p"}')
    wait_until(lambda: [v for v in journal.finals() if v.get("id") == "p"], 10, "an answer")
    client.publish("mychannel", "end")

    assert unit.wait_exit(15) == 0
    assert unit.wait_state("END")["reason"] == "SIGTERM after 0.5 s"
    assert len(journal.events()) == unit.wait_state("END")["seq"]


def test_who_reads_late_reads_the_newest_state_and_the_end(
    program: Callable[..., Program], broker: Broker
) -> None:
    """A page of old lines at most; ENDING is never lost."""
    text = "while [ ! -e release ]; do sleep 0.01; done; exec cat > told"
    unit = program(sh(text), input="states", goal="RUNNING", stop_timeout_s=10)
    unit.wait_state("RUNNING")
    pipe = broker.client().pipeline()
    for _ in range(1000):
        pipe.publish("mychannel", "pause")
        pipe.publish("mychannel", "resume")
    pipe.publish("mychannel", "end")
    pipe.execute()
    unit.wait_state("ENDING")

    (unit.directory / "release").touch()

    assert unit.wait_exit(15) == 0
    told = (unit.directory / "told").read_text()
    assert told.endswith("ENDING\n")
    assert len(told) < 4096 + 100
    assert set(told.split()) <= {"INIT", "READY", "RUNNING", "PAUSED", "ENDING"}


# ---- what it says -------------------------------------------------------------------------------


def test_ready_is_notified(program: Callable[..., Program]) -> None:
    """INIT is over when the program says so."""
    unit = program(notifier("READY=1"), ready="notified", ready_timeout_s=10)

    assert unit.wait_state("RUNNING")["source"] == "daemon"


def test_what_it_says_stands_in_the_document(
    program: Callable[..., Program], broker: Broker
) -> None:
    """STATUS, progress, watchdog; junk between them hurts nobody."""
    unit = program(
        notifier(
            "STATUS=cooling down\nX_STATUSD_PROGRESS=3/10\nX_STATUSD_UNIT=images",
            "WATCHDOG=1",
            "WATCHDOG=1",
            "\n==\nREADY\nX_STATUSD_PROGRESS=many\nX_STATUSD_TRIGGER=dance",
            "STOPPING=1",
        )
    )

    unit.wait_logged("worker.stopping")
    wait_until(lambda: document(broker).get("worker", {}).get("beats") == 2, 12, "two beats")
    told = document(broker)
    known = {"step": 3, "total": 10, "unit": "images", "rate": None, "left_s": None}
    assert told["progress"] == known
    assert told["text"] == "cooling down"
    assert unit.logged("worker.trigger_refused", trigger="dance") is not None


def test_it_may_fire_what_the_worker_may(program: Callable[..., Program], journal: Journal) -> None:
    """With its own reason in the event."""
    asks = "X_STATUSD_TRIGGER=pause\nX_STATUSD_REASON=out of film"
    unit = program(notifier(asks), **STOPPABLE)

    line = unit.wait_state("PAUSED")

    assert (line["source"], line["reason"]) == ("worker", "out of film")


def test_a_grandchild_is_heard_and_a_stranger_is_not(
    program: Callable[..., Program], broker: Broker
) -> None:
    """`systemd-notify` in a script is a child of the program; the socket's name is a secret."""
    tell = '"$0" "$@"; echo "heard at $NOTIFY_SOCKET."; sleep 1000'
    unit = program([*sh(tell), *notifier("STATUS=by a child", then="")])
    told = re.compile(r"heard at @(.+)\.$", re.MULTILINE)
    name = wait_until(lambda: told.search(unit.output()), 15, "the socket's name")[1]

    unit.signal(signal.SIGTERM)
    unit.wait_exit(15)

    assert document(broker)["text"] == "by a child"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as late, pytest.raises(OSError):  # noqa: PT011  # whichever the kernel says
        late.connect(f"\0{name}")


# ---- args ---------------------------------------------------------------------------------------


def test_args_are_refused_where_they_would_be_lost(
    program: Callable[..., Program], broker: Broker, journal: Journal
) -> None:
    """A program without `input = "states"`: the cure is named, and nothing has changed."""
    unit = program(["sleep", "1000"], **STOPPABLE)
    unit.wait_state("RUNNING")

    broker.client().publish("mychannel", '{"command": "pause", "args": {"n": 1}}')

    refused = verdict(journal, "pause")
    assert refused["verdict"] == "refused"
    assert 'worker.input = "states" would allow it' in refused["reason"]
    assert children(unit.worker_pid()) == {"sleep": "S"}


def test_args_come_back_as_variables(program: Callable[..., Program], broker: Broker) -> None:
    """The next run finds them in its environment: all as JSON, and each by its name."""
    tell = 'echo "$STATUSD_ARGS,$STATUSD_ARG_run" >> told; exec cat > /dev/null'
    unit = program(sh(tell), input="states")
    told = unit.directory / "told"
    unit.wait_state("READY")
    wait_until(told.exists, 15, "the first run")

    broker.client().publish("mychannel", '{"command": "start", "args": {"run": "1234", "a b": 1}}')
    unit.wait_state("RUNNING")
    os.kill(unit.worker_pid(), signal.SIGKILL)
    wait_until(lambda: len(told.read_text().splitlines()) == 2, 15, "the second run")

    first, second = told.read_text().splitlines()
    assert first == ","
    assert second == '{"run": "1234", "a b": 1},1234'


# ---- output -------------------------------------------------------------------------------------


def flood(megabytes: int) -> str:
    """Return the script that writes so much, half of it to each output."""
    half = megabytes * 500_000
    return (
        f"head -c {half} /dev/zero | tr '\\0' 'x' | fold -w 100;"
        f" head -c {half} /dev/zero | tr '\\0' 'y' | fold -w 100 >&2;"
    )


@pytest.mark.parametrize("megabytes", [20, *nightly(100)])
@pytest.mark.parametrize("output", ["tagged", "./worker.log"])
def test_a_flood_is_passed_on(output: str, megabytes: int, broker: Broker, tmp_path: Path) -> None:
    """Every byte arrives while somebody takes it; and words are obeyed meanwhile."""
    command = sh(flood(megabytes) + " exec sleep 1000")
    toml = settings("", broker.url, worker={**QUICK, "command": command, "output": output})
    with Program(toml, directory=tmp_path / "flood") as unit:
        unit.wait_state("RUNNING")
        folder, pattern = tmp_path / "flood", "std*.log" if output == "tagged" else "worker.log"

        def size() -> int:
            return sum(path.stat().st_size for path in folder.glob(pattern))

        wait_until(lambda: size() > megabytes * 1_000_000, 50, f"{megabytes} MB")
        unit.signal(signal.SIGTERM)

        assert unit.wait_exit(8) == 0
        assert unit.logged("worker.lines_dropped") is None


@pytest.mark.fault("G15")
def test_a_flood_that_nobody_reads_stops_nobody(broker: Broker, tmp_path: Path) -> None:
    """Our own output is a pipe that nobody reads: the program finishes, what is lost is counted."""
    (tmp_path / "job").mkdir()
    command = sh(flood(100) + " touch done")
    toml = settings("", broker.url, worker={**QUICK, "command": command})
    (tmp_path / "job" / "statusd.toml").write_text(to_toml(toml))
    with subprocess.Popen(
        [sys.executable, "-m", "statusd", "run"],
        cwd=tmp_path / "job",
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            wait_until((tmp_path / "job" / "done").exists, 50, "the flood to be over")
            wait_until(lambda: process.poll() is not None, 10, "the daemon to end")
        finally:
            process.kill()
        assert process.returncode == 0


@pytest.mark.fault("G15", "R06")
def test_standard_output_may_be_full(broker: Broker, tmp_path: Path) -> None:
    """/dev/full takes nothing: the daemon goes on, obeys, and leaves with 0."""
    (tmp_path / "job").mkdir()
    toml = settings("", broker.url, worker={**QUICK, "command": sh("yes"), "output": "tagged"})
    (tmp_path / "job" / "statusd.toml").write_text(to_toml(toml))
    with (
        open("/dev/full", "wb") as full,
        subprocess.Popen(
            [sys.executable, "-m", "statusd", "run"],
            cwd=tmp_path / "job",
            env=environment(tmp_path),
            stdout=full,
            stderr=full,
        ) as process,
    ):
        try:
            client = broker.client()
            wait_until(lambda: document(broker).get("state") == "RUNNING", 10, "RUNNING")
            wait_until(lambda: client.publish("mychannel", "end"), 10, "somebody to hear it")
            wait_until(lambda: process.poll() is not None, 10, "the daemon to end")
        finally:
            process.kill()
        assert process.returncode == 0


def test_the_last_words_stand_in_event_and_document(
    program: Callable[..., Program], broker: Broker, journal: Journal
) -> None:
    """The last 20 lines of standard error, and a Python traceback's last line in the reason."""
    text = "import sys\nfor n in range(30): print('line', n, file=sys.stderr)\n"
    unit = program(python(f"{text}raise OSError('no film')"), restart="never")

    line = unit.wait_state("FAILED")

    assert line["reason"] == "exit code 1: OSError: no film"
    event = wait_until(
        lambda: next((e for e in journal.events() if e["new"] == "FAILED"), None), 15, "the event"
    )
    assert len(event["stderr"]) == 20
    assert event["stderr"][-1] == "OSError: no film"
    wait_until(lambda: document(broker).get("state") == "FAILED", 15, "the document")
    assert document(broker)["worker"]["death"]["stderr"] == event["stderr"]


@pytest.mark.fault("J14")
def test_what_has_no_newline_is_shown_and_the_last_line_is_why(
    program: Callable[..., Program],
) -> None:
    """A prompt comes while it waits, a bar is its last state, and its last line is the reason."""
    script = "printf 'Password: '; while [ ! -e go ]; do sleep 0.02; done;"
    script += r" printf '1%%\r2%%\r3%%\r\n'; printf '\033[2Jacquire: no film' >&2; exit 3"
    unit = program(sh(script), restart="never")

    wait_until(lambda: "run 1 | Password: \n" in unit.output(), 15, "the prompt")
    (unit.directory / "go").touch()

    assert unit.wait_state("FAILED")["reason"] == r"exit code 3: \x1b[2Jacquire: no film"
    wait_until(lambda: "run 1 | 3%\n" in unit.output(), 15, "the bar")
    assert "run 1 | 1%" not in unit.output()


@pytest.mark.parametrize("form", ["auto", *nightly("json", "logfmt")])
def test_among_the_lines_of_the_log_those_of_the_worker_are_of_its_kind(
    form: str, broker: Broker, tmp_path: Path
) -> None:
    """Whoever reads JSON reads nothing else, on both outputs; else the run is before each line."""
    worker = {**QUICK, "command": sh("echo one; echo two >&2"), "restart": "never"}
    toml = settings("", broker.url, worker=worker)
    env = {"STATUSD_LOG__FORMAT": form}
    with Program(toml, directory=tmp_path / "job", env=env) as unit:
        assert unit.wait_exit(15) == 0
        lines = unit.printed().splitlines()

    said = [json.loads(line) for line in lines if "worker.output" in line]
    if form != "logfmt":
        assert [(line["stream"], line["line"]) for line in said] == [
            ("stdout", "one"),
            ("stderr", "two"),
        ]
        assert all(line.startswith('{"') for line in lines)
    else:
        assert {"run 1 | one", "run 1 | two"} <= set(lines)
        assert said == []


@pytest.mark.nightly
def test_on_a_terminal_a_human_reads_what_the_worker_says(broker: Broker, tmp_path: Path) -> None:
    """The run before each line, as before."""
    toml = settings("", broker.url, worker={**QUICK, "command": sh("echo one; echo two >&2")})
    (tmp_path / "statusd.toml").write_text(to_toml(toml))
    variables = environment(tmp_path) | {"STATUSD_LOG__FORMAT": "auto"}
    with Terminal([sys.executable, "-m", "statusd", "run"], variables, cwd=tmp_path) as terminal:
        terminal.wait("run 1 | one")
        terminal.wait("run 1 | two")


def test_output_may_be_inherited(program: Callable[..., Program]) -> None:
    """As it is, without a mark: for progress bars."""
    unit = program(sh("printf 'half a line'; exec sleep 1000"), output="inherit")

    wait_until(lambda: "half a line" in unit.output(), 15, "the output")
    assert "run 1 |" not in unit.output()


# ---- how it runs --------------------------------------------------------------------------------


def test_where_and_how_it_runs(broker: Broker, tmp_path: Path) -> None:
    """directory, environment, environment_file (which is weaker), umask, nice."""
    folder = tmp_path / "unit"
    (folder / "inside").mkdir(parents=True)
    (folder / "job.env").write_text("# a remark\nCOLOUR=blue\nexport SIZE='3 m'\n")
    tell = 'echo "$(pwd) $COLOUR $SIZE $(nice)" > told.new; mv told.new told; exec sleep 1000'
    worker = {
        **QUICK,
        "command": sh(tell),
        "directory": "inside",
        "environment": {"COLOUR": "red"},
        "environment_file": "job.env",
        "umask": "0027",
        "nice": 5,
    }
    with Program(settings("", broker.url, worker=worker), directory=folder) as unit:
        told = folder / "inside" / "told"
        wait_until(told.exists, 15, "the program's words")

        assert told.read_text() == f"{folder / 'inside'} red 3 m 5\n"
        assert stat.S_IMODE(told.stat().st_mode) == 0o640
        assert os.getpriority(os.PRIO_PROCESS, unit.pid) == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.fault("G10")
def test_nothing_meant_for_us_reaches_it(
    program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither our settings nor what the service manager said to us; only which run it is of."""
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("INVOCATION_ID", "abc")
    unit = program(sh("env > told.new; mv told.new told; exec sleep 1000"))
    wait_until((unit.directory / "told").exists, 15, "its environment")

    names = {line.split("=")[0] for line in (unit.directory / "told").read_text().splitlines()}

    assert {n for n in names if n.startswith("STATUSD_")} == {"STATUSD_RUN"}
    assert not {"WATCHDOG_USEC", "LISTEN_FDS"} & names
    assert "NOTIFY_SOCKET" in names  # its own


CRLF = "printf '#!/bin/sh\\r\\nsleep 60\\r\\n' > x.new && chmod +x x.new && mv x.new x.sh"


@pytest.mark.fault("J18")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("rm x.sh", "./x.sh: No such file or directory"),
        ("chmod -x x.sh", "./x.sh: not executable: chmod +x ./x.sh"),
        ("mv ../work ../gone", "work: No such file or directory"),
        (CRLF, r"./x.sh: its interpreter '/bin/sh\r' is not there: the script has"),
    ],
)
def test_what_can_not_be_started_any_more_says_why(
    spoil: str, reason: str, broker: Broker, run: Run, tmp_path: Path
) -> None:
    """With the system's own words, and the cure; the policy judges it like any other death."""
    folder = tmp_path / "work"
    folder.mkdir()
    script = folder / "x.sh"
    script.write_text(f"#!/bin/sh\n{spoil}\nexit 1\n")
    script.chmod(0o755)
    work = {"command": ["./x.sh"], "directory": str(folder), "function": ""}
    unit = run("", broker.url, worker={**QUICK, "budget": 1, **work})

    line = unit.wait_state("FAILED")

    assert reason in line["reason"]


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "signals for a function": (
        {"function": "job:main", "signals": {"PAUSED": "SIGSTOP"}},
        "worker.signals: signals is for a command",
    ),
    "python for a command": (
        {"command": ["true"], "python": "venv/bin/python"},
        "worker.python: python is for a function",
    ),
    "both": (
        {"command": ["true"], "function": "job:main"},
        "worker.command: a function or a command, not both",
    ),
    "a signal that nobody knows": (
        {"command": ["true"], "signals": {"PAUSED": "SIGPAUSE"}},
        "worker.signals.PAUSED: ",
    ),
    "a signal that can't be caught": (
        {"command": ["true"], "signals": {"PAUSED": "SIGKILL"}},
        "worker.signals.PAUSED: ",
    ),
    "a state that there is not": (
        {"command": ["true"], "signals": {"PAUSE": "SIGSTOP"}},
        "worker.signals.PAUSE: no state, did you mean PAUSED?",
    ),
    "stopped for ever": (
        {"command": ["true"], "signals": {"PAUSED": "SIGSTOP"}},
        'nothing tells it RUNNING: add RUNNING = "SIG..."',
    ),
    "no such environment file": (
        {"command": ["true"], "environment_file": "nowhere.env"},
        "worker.environment_file: nowhere.env: No such file or directory",
    ),
    "a umask that is none": ({"command": ["true"], "umask": "999"}, "worker.umask: "),
    "a command that is a text": ({"command": "true"}, "worker.command: "),
    "no command": ({"command": []}, "worker.function: missing"),
}


@pytest.mark.fault("C04")
@pytest.mark.parametrize("name", sorted(CONTRADICTIONS))
def test_a_contradiction_is_told(name: str, tmp_path: Path) -> None:
    """Each setting by itself is fine; together they are not."""
    worker, expected = CONTRADICTIONS[name]
    (tmp_path / "statusd.toml").write_text(to_toml({"worker": worker}))

    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 78
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
