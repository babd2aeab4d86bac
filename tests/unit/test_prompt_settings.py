"""Tests of ``[daemon.signals]`` and its neighbours: which signals, which words, which code."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.core.errors import ConfigError
from statusd.core.signals import PROMPTS
from statusd.daemon.living import rank
from statusd.daemon.reload import changes
from statusd.settings.folder import load_folder
from statusd.settings.load import load
from tests.tools.settings import made, mistakes

JOB = '[worker]\nfunction = "job:main"\n'
PROGRAM = '[worker]\ncommand = ["sleep", "9"]\n'


def complaints(folder: Path, text: str) -> list[str]:
    """Return what is complained of in a file, without its name."""
    file = folder / "a.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


@pytest.mark.parametrize("spelt", ["USR1", "SIGUSR1", "usr1", "sigUsr1"])
def test_a_signal_is_spelt_as_one_likes(spelt: str, tmp_path: Path) -> None:
    """In a file, or in the environment, as JSON or by itself."""
    file = tmp_path / "a.toml"
    file.write_text(f'{JOB}[daemon.signals]\n{spelt} = "pause"\n', encoding="utf-8")
    for environ in ({}, {"STATUSD_DAEMON__SIGNALS": '{"URG": "end"}'}):
        assert load(file, environ).daemon.signals["SIGUSR1"] == "pause"


@pytest.mark.parametrize("name", PROMPTS)
def test_these_signals_can_stand_for_a_word(name: str) -> None:
    """Those by which batch systems warn."""
    assert made({"daemon": {"signals": {name: "end"}}}).daemon.signals == {name: "end"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("TERM", "TERM can't stand for a word: it is END already; USR1, USR2, URG, XCPU, ALRM can"),
        ("SIGINT", "it is END already"),
        ("HUP", "it has the settings read again"),
        ("KILL", "no program hears of it"),
        ("STOP", "no program hears of it"),
        ("TSTP", "it is a shell's, for its jobs"),
        ("CONT", "it is a shell's, for its jobs"),
        ("WINCH", "a terminal sends it"),
        ("CHLD", "statusd needs it itself"),
        ("PIPE", "statusd needs it itself"),
        ("SEGV", "it tells of a fault"),
        ("URS1", "URS1 is no signal, did you mean SIGUSR1?"),
        ("pause", "pause is no signal"),
    ],
)
def test_others_have_a_meaning_already(name: str, says: str) -> None:
    """Which is told."""
    (mistake,) = mistakes({"daemon": {"signals": {name: "pause"}}})
    assert says in mistake.text
    assert mistake.path == ("daemon", "signals", name)


def test_a_signal_has_one_word() -> None:
    """Whatever its spelling."""
    (mistake,) = mistakes({"daemon": {"signals": {"USR1": "pause", "sigusr1": "end"}}})
    assert "SIGUSR1 stands there twice" in mistake.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'{JOB}[daemon.signals]\nUsr1 = "puase"\n', "4: daemon.signals.Usr1: puase is no word"),
        (f'{JOB}[daemon.signals]\nUSR1 = "puase"\n', "did you mean pause?"),
        (f'{JOB}[daemon.signals]\nUSR1 = "status"\n', "status changes nothing"),
        (f'{JOB}[daemon.signals]\nUSR1 = "launch"\n', "launch changes nothing"),
        (f'{JOB}[daemon.signals]\nUSR1 = "two words"\n', "a word is wanted"),
        (f'{JOB}[daemon.signals]\nFOO = "end"\n', "4: daemon.signals.FOO: FOO is no signal"),
        (f'{PROGRAM}[daemon.signals]\nUSR1 = "pause"\n', "can't be told PAUSED: worker.signals"),
        (f'{JOB}deadline = "2h"\ndeadline_word = "edn"\n', "4: worker.deadline_word: edn is no"),
        (f"{JOB}[daemon]\nrequeue_exit = 70\n", "4: daemon.requeue_exit: 70 says"),
        (f"{JOB}[daemon]\nrequeue_exit = 256\n", "less than or equal to 255"),
        (f'{JOB}on_failed = "exit"\n[daemon]\nrequeue_exit = 75\n', "75 is that of on_failed"),
        (f'{JOB}[daemon]\nname = "a"\n', "4: daemon.name: it is for a folder of units"),
    ],
)
def test_a_word_that_would_never_be_obeyed_is_a_mistake(
    text: str, says: str, tmp_path: Path
) -> None:
    """With file, line, key, and what may be meant; before anything is started."""
    (complaint,) = complaints(tmp_path, text)
    assert says in complaint


@pytest.mark.parametrize("word", ["end", "END", "stop", "PAUSED", "force"])
def test_triggers_and_states_are_words(word: str, tmp_path: Path) -> None:
    """As `statusd send` takes them."""
    file = tmp_path / "a.toml"
    file.write_text(f'{JOB}[daemon.signals]\nUSR1 = "{word}"\n', encoding="utf-8")
    assert load(file, {}).daemon.signals == {"SIGUSR1": word}


def test_each_unit_of_a_folder_must_know_the_word(tmp_path: Path) -> None:
    """A signal is for all of them: who wouldn't obey is named, in the file that says it."""
    (tmp_path / "a.toml").write_text(JOB)
    (tmp_path / "b.toml").write_text(PROGRAM)
    shared = tmp_path / "statusd.toml"
    shared.write_text('[daemon.signals]\nUSR1 = "pause"\nUSR2 = "end"\n')

    with pytest.raises(ConfigError) as caught:
        load_folder(tmp_path, {})

    (problem,) = caught.value.problems
    assert problem.startswith(f"{shared}:2: daemon.signals.USR1: pause is never obeyed")
    assert problem.endswith("(of b.toml)")


def test_a_folder_s_signals_may_be_words_of_its_units_alone(tmp_path: Path) -> None:
    """Not of the built-in lifecycle, which nobody there has; and a unit's file can't say them."""
    own = """\
[lifecycle]
states = ["INIT", {name = "IDLE"}, {name = "ON", worker = "works"}, "END"]
transitions = [["ready", "INIT", "IDLE"], ["go", "IDLE", "ON"], ["off", "ON", "IDLE"],
               ["end", "*", "END"]]
"""
    (tmp_path / "a.toml").write_text(JOB + own)
    (tmp_path / "statusd.toml").write_text('[daemon.signals]\nUSR1 = "off"\n')
    assert load_folder(tmp_path, {}).shared.daemon.signals == {"SIGUSR1": "off"}


def test_work_that_is_left_is_worse_than_none() -> None:
    """And better than whatever has failed: of many units the daemon leaves with the worst."""
    assert sorted([0, 85, 75, 70, 78, 1], key=rank) == [70, 78, 75, 85, 1, 0]


def test_what_a_reload_takes_over_is_told_apart() -> None:
    """The exit code is; which signals are heard, and the deadline, need a restart."""
    old = made({"worker": {"function": "job:main"}})
    new = made(
        {
            "worker": {"function": "job:main", "deadline": "2h", "deadline_margin_s": 5},
            "daemon": {"signals": {"USR1": "end"}, "requeue_exit": 85},
        }
    )
    changed, needs_restart = changes(old, new)
    assert changed == ["daemon.requeue_exit"]
    assert needs_restart == ["daemon.signals", "worker.deadline", "worker.deadline_margin_s"]
