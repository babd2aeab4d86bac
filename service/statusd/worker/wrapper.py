"""Becomes the user's program: ``python -I -S wrapper.py PARENT REPORT LOCALE PROGRAM ARGUMENT...``.

It asks to die with the daemon, writes down who it is and executes the program. ``REPORT`` is a
descriptor that closes with that; a reason is written to it if the program can't be executed.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal  # the numbers alone: `enum`, for their names, is half of our time

FAILED = 127
"""The exit code of a program that can't be executed, as a shell has it."""


_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal to this process when the thread that made it ends. It survives execve(2)."""


def die_with(parent: int) -> None:
    """Have the kernel send us SIGKILL when ``parent`` dies; leave at once if it is dead already.

    An interpreter without `ctypes` can't ask; the guard and the end of the pipe are left then.
    """
    try:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    except ImportError:
        return
    if os.getppid() != parent:  # it died before we could ask; the pid to compare with was passed
        os._exit(1)


def _prctl(*numbers: int) -> None:
    """Call prctl(2)."""
    try:
        # What `ctypes` is made of, where it is CPython's: all of it takes the other half.
        from _ctypes import call_function, dlopen, dlsym
    except ImportError:
        import ctypes

        ctypes.CDLL(None).prctl(*numbers)
    else:
        ourselves: Any = None
        call_function(dlsym(dlopen(ourselves, 0), "prctl"), numbers)


FILE = "STATUSD_WORKER_FILE"
"""The variable that says where to write who we are: the number of the run, a blank, the path."""


DESCRIPTORS = "STATUSD_DESCRIPTORS"
"""The variable that says how many may be open here, if the daemon may have more."""


def limit_descriptors() -> None:
    """Have the limit that the daemon was started with (`supervision.descriptors`)."""
    soft = os.environ.pop(DESCRIPTORS, "")
    if soft:
        from resource import RLIMIT_NOFILE, getrlimit, setrlimit

        setrlimit(RLIMIT_NOFILE, (int(soft), getrlimit(RLIMIT_NOFILE)[1]))


IGNORED = "STATUSD_IGNORED"
"""The variable that says which signals are the daemon's, which a job may send to all of us."""


def ignore_signals() -> None:
    """Ignore what is for the daemon, until we say otherwise ourselves; it was held back so far.

    It is inherited by what we start or become: whoever wants such a signal sets a handler.
    """
    numbers = [int(number) for number in os.environ.pop(IGNORED, "").split()]
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    if numbers:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def keep_identity() -> None:
    """Write down who we are, for a daemon that comes after ours (`supervision.worker_file`).

    The work is worth more than the file: if it can't be written the daemon will see that, and say
    so. It needn't survive the machine, so no disk is waited for.
    """
    run, _, path = os.environ.pop(FILE, "").partition(" ")
    if not path:
        return
    boot_id, pid_ns = machine()
    try:
        # Nothing is imported for this: it stands between every program and its start.
        text = f'{{"format": 1, "run": {run}, "pid": {os.getpid()}, "started": {_started()},'
        text += f' "boot_id": "{boot_id}", "pid_ns": "{pid_ns}"}}\n'
        _make_way(f"{path}.new")
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, 0o600)  # whatever the umask of the work is
            os.write(fd, text.encode())
        finally:
            os.close(fd)
        os.replace(f"{path}.new", path)
    except OSError:
        pass


def _make_way(path: str) -> None:
    """Remove what has that name: of a run that was killed, or a pipe on which we would wait."""
    try:  # noqa: SIM105  # nothing is imported for this
        os.unlink(path)
    except FileNotFoundError:
        pass


def _started() -> int:
    """Return when this process began, in clock ticks since the machine booted (proc(5))."""
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def machine() -> tuple[str, str]:
    """Return what tells this machine since it booted, and our pids, from others; empty: unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot_id = file.read().strip()
    except OSError:
        boot_id = ""
    try:
        return boot_id, os.readlink("/proc/self/ns/pid")
    except OSError:
        return boot_id, ""


def main(argv: list[str]) -> None:
    """Become the program; return never."""
    parent, report, locale, *command = argv
    die_with(int(parent))
    keep_identity()
    limit_descriptors()
    ignore_signals()
    os.set_inheritable(int(report), False)
    if locale == "none":  # the interpreter has set it for itself (PEP 538)
        os.environ.pop("LC_CTYPE", None)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by the interpreter, for itself
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(int(report), _why(command[0], error).encode("utf-8", "backslashreplace"))
    os._exit(FAILED)


def _why(program: str, error: OSError) -> str:
    """Return why it can't be executed. Only now is anything imported for that."""
    from importlib.util import module_from_spec, spec_from_file_location

    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unexecutable.py")
    spec = spec_from_file_location("unexecutable", beside)
    if spec is None or spec.loader is None:
        return f"{program}: {error.strerror}"
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.why(program, error))


if __name__ == "__main__":
    main(sys.argv[1:])
