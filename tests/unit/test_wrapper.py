"""What becomes the user's program: it dies with its parent, whoever else sees to that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from statusd.worker import wrapper
from tests.tools import Process, wait_until

_PARENT = """\
import os, subprocess, sys
reading, report = os.pipe()
told = [str(os.getpid()), str(report), "none", "sleep", "1000"]
child = subprocess.Popen([sys.executable, "-I", "-S", *sys.argv[1:], *told], pass_fds=[report])
os.close(report)
os.read(reading, 1)  # its end: the program is there
print(child.pid, flush=True)
child.wait()
"""
_WITHOUT_INSIDES = """\
import _ctypes, runpy, sys
del _ctypes.call_function
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""An interpreter that has `ctypes`, and not what CPython's is made of."""


@pytest.mark.parametrize("how", [[], ["-c", _WITHOUT_INSIDES]], ids=["usual", "by ctypes"])
def test_the_program_dies_with_its_parent(how: list[str]) -> None:
    """By the kernel: there is no guard here, and nothing of it looks at a pipe."""
    command = [sys.executable, "-c", _PARENT, *how, str(wrapper.__file__)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        program = Process.of(int(parent.stdout.readline()))
        assert program is not None
        assert program.is_alive()
        assert b"sleep" in _command_line(program.pid)
        os.kill(parent.pid, signal.SIGKILL)

    wait_until(lambda: not program.is_alive(), 5, "the end of the program")


def _command_line(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()
