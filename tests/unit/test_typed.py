"""A job that is typed in the place of settings: what is made of it, and what was perhaps meant."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import Any

import pytest

from statusd.cli import EXIT_USAGE, parser
from statusd.cli.typed import functions_in, typed
from statusd.core.errors import ConfigError
from statusd.settings.tables import Redis
from statusd.settings.typed import Typed, load_typed

JOB = """
def _own(worker): pass
def other(worker): pass
def none(): pass
def main(worker): pass
"""
SCRIPT = "#!/bin/sh\nexec sleep 60\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a job, a package, a program, and settings with a colon in their name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").mkdir()
    for path in ("job.py", "package/laser.py", "my-job.py", "my job.py"):
        (tmp_path / path).write_text(JOB)
    (tmp_path / "nothing.py").write_text("import json\n")
    for path in ("acquire", "my program"):
        (tmp_path / path).write_text(SCRIPT)
        (tmp_path / path).chmod(0o755)
    (tmp_path / "lab:camera").write_text("")
    (tmp_path / "statusd.toml").write_text("")
    return tmp_path


def read(*words: str) -> argparse.Namespace:
    """Return what is made of the words behind ``statusd run``."""
    found: argparse.Namespace = parser("run").parse_args(["run", *words])
    return found


def job(*words: str) -> Typed:
    """Return the job that those words are."""
    found = typed(read(*words))
    assert found is not None
    return found


# ---- what it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [(), ("statusd.toml",), ("lab:camera",), ("package",), ("no.toml",), ("--embedded",)],
)
def test_settings_are_meant(words: tuple[str, ...]) -> None:
    """By nothing, by a file, also with a colon in its name, by a folder, by what isn't there."""
    assert typed(read(*words)) is None


@pytest.mark.parametrize(
    ("words", "worker", "name"),
    [
        (["job:main"], {"function": "job:main"}, "job"),
        (["package.laser:main"], {"function": "package.laser:main"}, "package.laser"),
        (["--", "./acquire"], {"command": ["./acquire"]}, "acquire"),
        (["--", "acquire.sh", "--fast"], {"command": ["acquire.sh", "--fast"]}, "acquire"),
        (["--", "/usr/bin/python3.11"], {"command": ["/usr/bin/python3.11"]}, "python3.11"),
        (["--", "a", "--", "-h", ""], {"command": ["a", "--", "-h", ""]}, "a"),
        (["--", "my program"], {"command": ["my program"]}, "my-program"),
        (["--", "-"], {"command": ["-"]}, "statusd"),
    ],
)
def test_a_job_is_a_function_or_a_program(
    words: list[str], worker: dict[str, Any], name: str
) -> None:
    """With all that stands behind ``--``; it is called as its module or program is, here."""
    found = job(*words)

    assert found.content == {"worker": {"function": "", "command": [], **worker}}
    assert found.name == f"{name}@{socket.gethostname()}"[:64]


def test_options_are_keys() -> None:
    """Before the job or behind it; those of the program are its own."""
    words = ["-c", "a", "--goal", "RUNNING", "--channel", "b.*", "--url", "redis://x/1"]
    more = {
        "control": {"channels": ["a", "b.*"]},
        "redis": {"url": "redis://x/1"},
        "goal": "RUNNING",
    }

    function = {"worker": {"function": "job:main", "command": []}, **more}
    program = {"worker": {"function": "", "command": ["x", "--goal", "END"]}, **more}

    assert job(*words, "job:main").content == function
    assert job("job:main", *words).content == function
    assert job(*words, "--", "x", "--goal", "END").content == program


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--"], "there is to be a program behind --"),
        (["job.toml", "--", "x"], "job.toml is to be run, or a program behind --"),
        (["statusd.toml", "--goal", "RUNNING"], "of settings it is the key goal"),
        (["-c", "x"], "of settings it is the key control.channels"),
        (["--embedded", "--url", "redis://x", "job:main"], "not both"),
    ],
)
def test_words_that_dont_go_together_are_no_command_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is begun; the cure is said."""
    with pytest.raises(SystemExit) as left:
        typed(read(*words))

    assert left.value.code == EXIT_USAGE
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("job.py", "job.py is Python, and no settings: statusd run job:main"),
        ("./package/laser.py", "statusd run package.laser:main"),
        ("../elsewhere/job.py", "and statusd run job:main"),
        ("nothing.py", "statusd run -- python nothing.py (no function in it can be called"),
        ("job", "job: there is no such file, did you mean statusd run job:main?"),
        ("job.py:main", "statusd run job:main"),
        ("package/laser:other", "statusd run package.laser:other"),
        ("acquire", "acquire is a program, and no settings: statusd run -- ./acquire"),
        ("my program", "my program is a program, and no settings: statusd run -- './my program'"),
        ("my-job.py", "run -- python my-job.py (no module can be called my-job)"),
        ("my job.py", "run -- python 'my job.py' (no module can be called my job)"),
    ],
)
def test_what_is_nearly_a_job_is_told_as_one(word: str, told: str, here: Path) -> None:
    """A file of Python, with a function in it; a module's file; a program."""
    (here.parent / "elsewhere").mkdir(exist_ok=True)
    (here.parent / "elsewhere/job.py").write_text(JOB)

    with pytest.raises(ConfigError) as caught:
        typed(read(word))

    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["def main(", "\0", "\udcff", "(" * 5000])
def test_a_file_that_is_no_python_has_no_functions(text: str, here: Path) -> None:
    """Whatever is in it."""
    (here / "x.py").write_bytes(text.encode("utf-8", "surrogateescape"))

    assert functions_in(here / "x.py") == []
    assert functions_in(here / "job.py") == ["main", "other"]


# ---- the settings --------------------------------------------------------------------------------


def test_what_was_typed_counts_most_then_the_environment() -> None:
    """And the rest is as by default; a job of the environment's isn't meant."""
    environ = {
        "STATUSD_REDIS__URL": "redis://environment/0",
        "STATUSD_REDIS__NAMESPACE": "lab",
        "STATUSD_CONTROL": '{"channels": ["environment"]}',
        "STATUSD_GOAL": "PAUSED",
        "STATUSD_WORKER__COMMAND": '["sleep"]',
        "STATUSD_WORKER": '{"command": ["sleep"], "nice": 3}',
        "STATUSD_WORKER__STOP_TIMEOUT_S": "7",
    }
    plain = load_typed(Typed("job:main"), environ)
    chosen = load_typed(
        Typed(
            "job:main",
            redis={"url": "redis://typed/0"},
            control={"channels": ["typed"]},
            goal="RUNNING",
        ),
        environ,
    )

    assert (plain.redis.url, plain.goal) == ("redis://environment/0", "PAUSED")
    assert plain.control.channels == ("environment",)
    assert (chosen.redis.url, chosen.goal) == ("redis://typed/0", "RUNNING")
    assert chosen.control.channels == ("typed",)
    for settings in (plain, chosen):
        assert settings.redis.namespace == "lab"
        assert (settings.worker.stop_timeout_s, settings.worker.nice) == (7, 3)
        assert (settings.worker.function, settings.worker.command) == ("job:main", ())
        assert settings.is_name_derived
    assert load_typed(Typed("job:main"), {}).redis == Redis()
    assert not load_typed(Typed("job:main"), {"STATUSD_NAME": "x"}).is_name_derived


MISTAKES: list[tuple[Typed, dict[str, str], str]] = [
    (Typed("job"), {}, "command line: worker.function: a function is written"),
    (Typed("a:b", goal="RUNING"), {}, "command line: goal: RUNING: "),
    (Typed("a:b", goal="RUNING"), {"STATUSD_GOAL": "RUNNING"}, "did you mean RUNNING?"),
    (Typed("a:b", redis={"url": "x"}), {}, "command line: redis.url: "),
    (Typed("a:b", control={"channels": ["a b"]}), {}, 'control.channels: entry 1 ("a b"): '),
    (Typed("a:b"), {"STATUSD_GAOL": "x"}, "environment: unknown variable STATUSD_GAOL"),
    (Typed("a:b"), {"STATUSD_GOAL": "RUNING"}, "settings: goal: RUNING: "),
    (Typed("a:b"), {"STATUSD_WORKER__INPUT": "states"}, "settings: worker.input: input is for a"),
    (Typed(command=("x",)), {"STATUSD_WORKER__PYTHON": "y"}, "worker.python: python is for a"),
]


@pytest.mark.parametrize(("typed_", "environ", "told"), MISTAKES)
def test_every_mistake_is_told_with_its_place(
    typed_: Typed, environ: dict[str, str], told: str
) -> None:
    """What was typed, the command line; what the environment says isn't told as typed."""
    with pytest.raises(ConfigError) as caught:
        load_typed(typed_, environ)

    assert told in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    """Also those that each value allows and both together don't."""
    with pytest.raises(ConfigError) as caught:
        load_typed(Typed("a:b", redis={"url": "x"}, goal="RUNING"), {"STATUSD_GAOL": "x"})

    assert len(caught.value.problems) == 3
