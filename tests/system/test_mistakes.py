"""Mistakes that only show outside of the settings: `statusd check` finds them before a run does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.commands import statusd
from tests.tools import Broker, Program, environment, free_port

FUNCTION = '[worker]\nfunction = "job:main"\n'
KINDS = """\
async def steps(worker):
    if worker:
        yield


class Camera: pass


def nothing(): return lambda: (yield)


async def by_keyword(*, worker, camera=None): pass


def inner(worker):
    def steps(): yield
    return steps
"""
JOB = "import time\n\n\ndef main(worker):\n    time.sleep(1)\n"


def table(name: str, row: str) -> str:
    """Return settings with a worker and one more row in another table."""
    return f"[{name}]\n{row}\n{FUNCTION}"


MISTAKES = {
    "no such module": (
        '[worker]\nfunction = "jib:main"\n',
        "toml:2: worker.function: no module jib",
    ),
    "no such function": (
        '[worker]\nfunction = "job:mian"\n',
        "job.py has no mian, did you mean main?",
    ),
    "a generator": (
        '[worker]\nfunction = "kinds:steps"\n',
        "kinds.py:1: steps is a generator, for there is a yield in it",
    ),
    "a class": (
        '[worker]\nfunction = "kinds:Camera"\n',
        "kinds.py:6: Camera is a class, and a function is called: write def Camera(worker)",
    ),
    "a function without an argument": (
        '[worker]\nfunction = "kinds:nothing"\n',
        "kinds.py:9: nothing takes no argument, and is given the worker: write def nothing(worker)",
    ),
    "an async function with keywords only": (
        '[worker]\nfunction = "kinds:by_keyword"\n',
        "kinds.py:12: by_keyword wants worker by keyword: write async def by_keyword(worker)",
    ),
    "a job that is called as we are": (
        '[worker]\nfunction = "statusd:main"\n',
        "toml:2: worker.function: statusd is our own package, and what its worker imports: rename",
    ),
    "a module that is none": ('[worker]\nfunction = "broken:main"\n', "broken.py:1: "),
    "no such program": (
        '[worker]\ncommand = ["no-such-program"]\n',
        "toml:2: worker.command: no-such-program: no such program in PATH",
    ),
    "a program that may not run": (
        '[worker]\ncommand = ["./job.py"]\n',
        "worker.command: ./job.py: not executable: chmod +x ./job.py",
    ),
    "a script of Windows": (
        '[worker]\ncommand = ["./crlf.sh"]\n',
        r"toml:2: worker.command: ./crlf.sh: its interpreter '/bin/sh\r' is not there: the script",
    ),
    "a script whose interpreter isn't there": (
        '[worker]\ncommand = ["./env.py"]\n',
        "worker.command: ./env.py: its interpreter 'pyton3' is not in PATH: correct its first line",
    ),
    "an interpreter that is none": (
        FUNCTION + 'python = "./crlf.sh"\n',
        r"toml:3: worker.python: ./crlf.sh: its interpreter '/bin/sh\r' is not there",
    ),
    "a channel instead of a list": (
        table("control", 'channels = "mychannel"'),
        'toml:2: control.channels: a list is wanted: ["..."]',
    ),
    "no such authority": (
        table("redis", 'url = "rediss://localhost"\nca_file = "/nope/ca.pem"'),
        "toml:3: redis.ca_file: /nope/ca.pem: No such file or directory",
    ),
    "TLS files without TLS": (
        table("redis", 'ca_file = "job.py"'),
        "toml:2: redis.ca_file: it is for TLS, and redis.url isn't rediss://",
    ),
    "no password file": (
        table("redis", 'password_file = "/nope/password"'),
        "toml:2: redis.password_file: /nope/password: No such file or directory",
    ),
    "an output nowhere": (
        FUNCTION + 'output = "nowhere/log"\n',
        "worker.output: nowhere: no such directory",
    ),
}


MAY_COME = {"no such authority", "TLS files without TLS", "no password file", "an output nowhere"}
"""Of these `statusd run` judges itself, when it needs them."""


@pytest.mark.fault("J28")
@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_check_names_it_and_run_refuses_it(mistake: str, tmp_path: Path) -> None:
    """One line with file, line, key and cure, and 78; nothing of the user's is run."""
    text, expected = MISTAKES[mistake]
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "broken.py").write_text("def main(:\n")
    (tmp_path / "kinds.py").write_text(KINDS)
    (tmp_path / "statusd.toml").write_text(text)
    for name, line in {"crlf.sh": b"#!/bin/sh\r\n", "env.py": b"#!/usr/bin/env pyton3\n"}.items():
        (tmp_path / name).write_bytes(line)
        (tmp_path / name).chmod(0o755)

    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 78
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    if mistake not in MAY_COME:
        run = statusd("run", cwd=tmp_path)
        assert (run.returncode, run.stderr) == (78, done.stderr)


@pytest.mark.parametrize(
    "module",
    [
        "from elsewhere import *\n",
        "from elsewhere import main\n",
        "import a.b as main\n",
        "if True:\n    main = print\n",
        "async def main(worker): ...\n",
        "if True:\n    def main(): ...\n",
        "import functools\n@functools.cache\ndef main(): ...\n",
        "def main(): ...\nmain = print\n",
        "def main(worker, camera=None, *, gain=1): return lambda: (yield)\n",
        "def main(*args): ...\n",
    ],
)
def test_check_has_no_doubts_without_reason(module: str, tmp_path: Path) -> None:
    """However the function comes into its module."""
    (tmp_path / "job.py").write_text(module)
    (tmp_path / "statusd.toml").write_text(FUNCTION)

    done = statusd("check", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_variable_that_should_be_a_list_is_told(tmp_path: Path) -> None:
    """By its name, with an example and without its content."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "statusd.toml").write_text(FUNCTION)

    done = statusd("check", cwd=tmp_path, env={"STATUSD_TAGS": "hunter2"})

    assert done.returncode == 78
    assert "environment: STATUSD_TAGS" in done.stderr
    assert '["a", "b"]' in done.stderr
    assert "hunter2" not in done.stderr


def test_a_runtime_directory_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """The embedded broker leaves its address there."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "statusd.toml").write_text(FUNCTION)
    env = {"XDG_RUNTIME_DIR": "/proc/nowhere", "STATUSD_STATE_DIRECTORY": str(tmp_path / "state")}

    done = statusd("run", "--embedded", cwd=tmp_path, env=env)

    assert done.returncode == 78
    assert "XDG_RUNTIME_DIR names a folder of yours" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """Somebody has removed the one that the shell is in; the settings are elsewhere."""
    (tmp_path / "job.py").write_text(JOB)
    file = tmp_path / "statusd.toml"
    file.write_text(FUNCTION)
    gone = tmp_path / "gone"
    for verb in ("check", "run"):
        gone.mkdir()
        words = ["sh", "-c", f'rmdir "{gone}" && exec "$0" -m statusd {verb} "{file}"']

        done = subprocess.run(
            [*words, sys.executable],
            cwd=gone,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

        assert done.returncode == 78
        assert "is gone: cd to one that is there" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_path_that_the_system_does_not_take_is_told(tmp_path: Path) -> None:
    """By its own words, in a line."""
    (tmp_path / "statusd.toml").write_text(f'{FUNCTION}directory = "{"long" * 100}"\n')

    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 78
    assert done.stderr.endswith("long: File name too long\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("jib", "\nrun 1 | jib:main: No module named 'jib'"),
        ("needs", 'job/needs.py", line 1, in <module>\nrun 1 |     import nowhere'),
    ],
)
def test_a_module_that_can_not_be_imported_is_told(module: str, said: str, tmp_path: Path) -> None:
    """At a run: without the frames of the import's own machinery, with those of the user's.

    Of another interpreter it is seen only there whether it has a module.
    """
    work = {"function": f"{module}:main", "restart": "never", "python": sys.executable}
    toml = {"redis": {"url": f"redis://127.0.0.1:{free_port()}"}, "worker": work}
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "needs.py").write_text("import nowhere\n")
    with Program(toml, directory=folder) as unit:
        reason = unit.wait_state("FAILED")["reason"]

        assert ": No module named '" in reason
        # The log comes in between, whenever it has something to say.
        printed = [line for line in unit.output().splitlines() if line.startswith("run 1 | ")]
        assert said in "\n" + "\n".join(printed)
        assert "importlib" not in unit.output()


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        (lambda _: f"redis://127.0.0.1:{free_port()}", "is it running?"),
        (lambda port: f"redis://127.0.0.1:{port}", "it wants a password"),
        (lambda port: f"redis://:wrong@127.0.0.1:{port}", "user or password is wrong"),
        (lambda _: "redis://no-such-host.invalid", "is the host's name right?"),
    ],
    ids=["nobody there", "no password", "wrong password", "wrong host"],
)
def test_a_broker_that_can_not_be_had_is_told(
    url: Callable[[int], str], cure: str, broker: Broker
) -> None:
    """What is wrong, how the address was found, and what to do."""
    broker.client().config_set("requirepass", "secret")

    done = statusd("status", "--url", url(broker.port))

    assert done.returncode == 69
    assert "(found by --url)" in done.stderr
    assert cure in done.stderr
    assert len(done.stderr.splitlines()) == 1
