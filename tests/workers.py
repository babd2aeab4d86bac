"""Workers for tests: each shows one way of behaving, good or bad."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from statusd import Worker
from statusd.worker.board import SEEN, STATE, Board

STEP_S = 0.005
"""How long a step of work takes."""


def obedient(worker: Worker) -> None:
    """Work in steps, as the README shows it."""
    for step in worker.while_running():
        time.sleep(STEP_S)
        worker.progress(step + 1, 1000, "working")


def tracking(worker: Worker) -> None:
    """Have a thousand images, as tqdm would have them, and log what is done."""
    import logging

    from statusd import LogText  # not above: it loads what other workers don't

    log = logging.getLogger("images")
    log.addHandler(LogText(worker))
    for number in worker.track(range(1000), "images", unit="images", leave=False):
        log.warning("image %d", number)
        time.sleep(STEP_S * 4)


def telling_time_left(worker: Worker) -> None:
    """Tell how long there is until the deadline."""
    for _ in worker.while_running():
        worker.text(f"{worker.time_left_s} s left")
        time.sleep(STEP_S)


def blocked(worker: Worker) -> None:
    """Do nothing but wait for the next state."""
    while worker.wait() != "ENDING":
        pass


def polling(worker: Worker) -> None:
    """Look at the status in a loop, like the hand-written program."""
    while worker.state != "ENDING":
        if worker.state == "RUNNING":
            time.sleep(STEP_S)
            worker.ack()
        else:
            worker.wait()
    worker.ack()


def finishing(worker: Worker) -> None:
    """Have three steps of work, then be done."""
    for step in worker.while_running():
        if step == 3:
            return


def deaf(worker: Worker) -> None:
    """Never look at the state again; SIGTERM ends it."""
    while True:
        time.sleep(60)


def stubborn(worker: Worker) -> None:
    """Never look at the state again, and ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker.ready()
    deaf(worker)


def slow_to_pause(worker: Worker) -> None:
    """Take a step, told by the file ``working``, that lasts until the file ``release`` exists."""
    for _ in worker.while_running():
        Path("working").touch()
        while not Path("release").exists():
            time.sleep(STEP_S)


def raising(worker: Worker) -> None:
    """Fail in the first step."""
    for _ in worker.while_running():
        raise ValueError("the detector is\non fire")


def raising_hostile(worker: Worker) -> None:
    """Fail with an error that wants to do something to whoever reads it."""
    from tests.tools.hostile import HOSTILE

    for _ in worker.while_running():
        raise RuntimeError(HOSTILE)


def early(worker: Worker) -> None:
    """Leave with 0 before anybody said start."""


def never_ready(worker: Worker) -> None:
    """With ``ready = "notified"``: say nothing."""
    deaf(worker)


def ready_on_file(worker: Worker) -> None:
    """With ``ready = "notified"``: be ready when the file ``release`` exists."""
    while not Path("release").exists():
        time.sleep(STEP_S)
    worker.ready()
    obedient(worker)


def pausing_itself(worker: Worker) -> None:
    """Ask for a pause in the first step of each start."""
    for _ in worker.while_running():
        worker.trigger("pause", reason="out of film")
        worker.wait(5)


def telling_args(worker: Worker) -> None:
    """Write the args that came with each state into the file ``args``."""
    for _ in worker.while_running():
        Path("args.new").write_text(json.dumps(dict(worker.args)), encoding="utf-8")
        Path("args.new").rename("args")
        time.sleep(STEP_S)


def with_children(worker: Worker) -> None:
    """Have a grandchild in the same group that ignores SIGTERM."""
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
    obedient(worker)


GROWN = 150 * 2**20
"""So much memory is taken by whoever is to have too much, in bytes."""


def growing(worker: Worker) -> None:
    """Have so much memory as long as the file ``grow`` exists."""
    held = b""
    for _ in worker.while_running():
        held = (held or b"x" * GROWN) if Path("grow").exists() else b""
        time.sleep(STEP_S)


def with_a_growing_child(worker: Worker) -> None:
    """Have a child in a session of its own that takes so much, once the file ``grow`` exists."""
    for step in worker.while_running():
        if step == 0:
            wait = "import os, time\nwhile not os.path.exists('grow'): time.sleep(0.01)\n"
            have = f"held = b'x' * {GROWN}\ntime.sleep(600)\n"
            subprocess.Popen([sys.executable, "-c", wait + have], start_new_session=True)
        time.sleep(STEP_S)


def sharing_memory(worker: Worker) -> None:
    """Have 60 MiB and five children, who share them."""
    held = b"x" * (60 * 2**20)
    for _ in range(5):
        if os.fork() == 0:
            while held:
                time.sleep(60)
    obedient(worker)


def telling_modules(worker: Worker) -> None:
    """Write the names of all modules into ``modules``, then of variables into ``environment``."""
    Path("modules").write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
    Path("environment.new").write_text("\n".join(sorted(os.environ)), encoding="utf-8")
    Path("environment.new").rename("environment")
    obedient(worker)


def babbling(worker: Worker) -> None:
    """Write nonsense into the pipe to the daemon, then work."""
    up = worker._up.fd
    for line in (b"\n", b"{\n", b"[1]\n", b'{"note":1}\n', b'{"note":"trigger"}\n', b"\xff\n"):
        os.write(up, line)
    obedient(worker)


def spinning_for_ever(worker: Worker) -> None:
    """Never come out of the second step, with the processor busy."""
    for step in worker.while_running():
        while step == 1:
            pass


def blocked_for_ever(worker: Worker) -> None:
    """Never come out of the second step, in a system call."""
    nothing, _keep = os.pipe()
    for step in worker.while_running():
        if step == 1:
            os.read(nothing, 1)


def slow_and_patient(worker: Worker) -> None:
    """Say that the second step takes long, and take long."""
    for step in worker.while_running():
        if step == 1:
            worker.expect(30)
            Path("expecting").touch()
            while not Path("release").exists():
                time.sleep(STEP_S)
        time.sleep(STEP_S)
        Path("steps").write_text(str(step), encoding="utf-8")


def many_children(worker: Worker) -> None:
    """Have fifty grandchildren in the group, some of which ignore SIGTERM and have children too."""
    for number in range(50):
        if os.fork() == 0:
            if number % 2:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if number % 5 == 0:
                os.fork()
            while True:
                time.sleep(60)
    Path("forked").touch()
    obedient(worker)


def until_end(worker: Worker) -> None:
    """Follow every state, whatever the lifecycle calls it, and finish when it is to leave."""
    while worker.wait() != "ENDING":
        pass


def completing(worker: Worker) -> None:
    """Do at once what a state of PackML that ends in -ING is for; produce nothing else."""
    while (state := worker.wait()) != "ENDING":
        if state.endswith("ING"):
            worker.trigger("state_complete")


def telling_signals(worker: Worker) -> None:
    """Say so when one comes that a terminal sends, and go on."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: print("got a signal"))
    obedient(worker)


def leaving_a_ghost(worker: Worker) -> None:
    """In the first run, die, but for a child that nobody knows any more; later, work.

    The child is what an old worker is that was stopped and wakes: it has the old run's page and
    pipes, and uses them once the file ``wake`` exists.
    """
    if Path("ghost").exists():
        obedient(worker)
        return
    Path("ghost").touch()
    if os.fork() > 0:
        while not Path("escaped").exists():
            time.sleep(STEP_S)
        os._exit(1)
    os.setsid()
    page, _, up = worker.fds
    for fd in (page, up):
        os.set_inheritable(fd, True)
    haunt = f"from tests.workers import haunt; haunt({page}, {up})"
    nobodys = {key: value for key, value in os.environ.items() if key != "STATUSD_RUN"}
    os.execve(sys.executable, [sys.executable, "-c", haunt], nobodys)


def haunt(page: int, up: int) -> None:
    """Be the ghost of a worker, with its page and pipe."""
    board = Board(page)
    Path("escaped").touch()
    while not Path("wake").exists():
        time.sleep(STEP_S)
    board.write_record(1, 2, "a word from the grave")
    board.words[SEEN] = board.words[STATE]
    for note in (b"seen", b'{"note": "trigger", "trigger": "end"}', b'{"note": "ready"}'):
        with suppress(OSError):
            os.write(up, note + b"\n")
    Path("haunted").touch()


def calculating_for_ever(worker: Worker) -> None:
    """Never come out of one call in C, with a handler for SIGTERM that has to wait for it."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for _ in worker.while_running():
        Path("calculating").touch()
        _ = 0 in itertools.repeat(1)


def late(worker: Worker) -> None:
    """Take steps, and leave on SIGTERM, as slowly as the file ``late`` says, in seconds each."""
    step_s, leave_s = json.loads(Path("late").read_text(encoding="utf-8"))

    def leave(*_: object) -> None:
        time.sleep(leave_s)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    for _ in worker.while_running():
        Path("working").touch()
        time.sleep(step_s)


def speaking(worker: Worker) -> None:
    """Say to the unit what no C locale has letters for."""
    worker.text("L\u00fcftung \u2026 \u8fdb")
    for _ in worker.while_running():
        worker.wait(5)
