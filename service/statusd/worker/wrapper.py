"""Becomes the user's program: ``python -I -S wrapper.py PARENT REPORT LOCALE PROGRAM ARGUMENT...``.

It asks to die with the daemon and executes the program. ``REPORT`` is a descriptor that closes with
that; a reason is written to it if the program can't be executed.
"""

from __future__ import annotations

import os
import signal
import sys

FAILED = 127
"""The exit code of a program that can't be executed, as a shell has it."""


_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal to this process when the thread that made it ends. It survives execve(2)."""


def die_with(parent: int) -> None:
    """Have the kernel send us SIGKILL when ``parent`` dies; leave at once if it is dead already.

    An interpreter without `ctypes` can't ask; the guard and the end of the pipe are left then.
    """
    try:
        import ctypes
    except ImportError:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we could ask; the pid to compare with was passed
        os._exit(1)


def main(argv: list[str]) -> None:
    """Become the program; return never."""
    parent, report, locale, *command = argv
    die_with(int(parent))
    os.set_inheritable(int(report), False)
    if locale == "none":  # the interpreter has set it for itself (PEP 538)
        os.environ.pop("LC_CTYPE", None)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by the interpreter, for itself
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(int(report), f"{command[0]}: {error.strerror}".encode())
    os._exit(FAILED)


if __name__ == "__main__":
    main(sys.argv[1:])
