"""`statusd completion`: typed and completed in real shells, on a real terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from statusd.cli import VERBS
from tests.system.commands import statusd
from tests.tools import Broker, Terminal, environment, free_port

START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='$ '; source ./_statusd"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='$ '; bindkey -e; fpath=($PWD $fpath); autoload -Uz compinit; compinit -uD",
    ),
    "tcsh": (["tcsh", "-f"], "set prompt='$ '; set autolist; source ./_statusd"),
}
COMPLETED = {
    "statusd compl": "statusd completion ",
    "statusd send --dry": "statusd send --dry-run ",
    "statusd history cam": "statusd history camera ",
    "statusd send -c my": "statusd send -c mychannel ",
    "statusd send --tag gp": "statusd send --tag gpu ",
    "statusd send resu": "statusd send resume ",
    "statusd check jo": "statusd check job.toml ",
    "statusd check la": "statusd check lab/",
    "statusd acl --file la": "statusd acl --file lab/",
    "statusd acl jo": "statusd acl job.toml ",
    "statusd run --embedded jo": "statusd run --embedded job.toml ",
    "statusd run jo": "statusd run job.toml ",
    "statusd status --file la": "statusd status --file lab/",
    "statusd doctor lab/sc": "statusd doctor lab/scan.toml ",
    "statusd graph -o job.p": "statusd graph -o job.py ",
    "statusd completion zs": "statusd completion zsh ",
}
"""What is typed before the tabulator key -> what stands there then."""
UNABLE = {("tcsh", "statusd run --embedded jo")}
"""What a shell's own rules can't say: here, what comes after an option without a value."""


@pytest.fixture
def known(broker: Broker) -> Broker:
    """A broker that knows one unit."""
    document = {
        **{"boot": 5, "state": "PAUSED", "tags": ["gpu"], "channels": ["mychannel"]},
        "allowed": ["resume", "stop", "end"],
    }
    client = broker.client()
    entry = {"boot": 5, "left": False, "seen": ""}
    client.hset("statusd:roster", "camera", json.dumps(entry))
    client.set("statusd:status:{camera}", json.dumps(document))
    return broker


@pytest.mark.parametrize("shell", sorted(START))
def test_a_shell_completes(shell: str, known: Broker, tmp_path: Path) -> None:
    """Verbs, options, names, channels, tags, words and files."""
    command, first = START[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / "lab").mkdir()
    for name in ("job.toml", "job.py", "lab/scan.toml", "lab/scan.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "_statusd").write_text(statusd("completion", shell).stdout)
    env = environment(tmp_path) | {"STATUSD_REDIS__URL": known.url, "HOME": str(tmp_path)}
    env["PATH"] = f"{Path(sys.prefix, 'bin')}:{env['PATH']}"
    with Terminal(command, env, cwd=tmp_path, columns=100) as terminal:
        terminal.type(f"{first}; echo re''ady\n")
        terminal.wait("\nready")
        for typed, completed in COMPLETED.items():
            if (shell, typed) in UNABLE:
                continue
            terminal.type(f"{typed}\tX")  # it shows where the completed word ends
            terminal.wait(f"{completed}X")
            terminal.type("\x01\x0b")  # to the beginning, and away with the line
        terminal.type("exit\n")
        terminal.wait_exit()


def test_tcsh_takes_the_script(tmp_path: Path) -> None:
    """It is read without a complaint; completing can't be asked for without a terminal's hands."""
    if shutil.which("tcsh") is None:
        pytest.skip("no tcsh here")
    (tmp_path / "completion").write_text(statusd("completion", "tcsh").stdout)

    done = subprocess.run(
        ["tcsh", "-f", "-c", "source completion; complete"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "statusd" in done.stdout


def test_every_verb_is_completed() -> None:
    """Also one that was added later: the script is made of the parsers."""
    script = statusd("completion", "bash").stdout

    assert all(f"_shtab_statusd_{verb}_option_strings" in script for verb in VERBS)


def test_without_a_broker_what_is_built_in_is_listed(tmp_path: Path) -> None:
    """And nothing is said on standard error, which would stand in the line that is typed."""
    nobody = {"STATUSD_REDIS__URL": f"redis://127.0.0.1:{free_port()}/0"}

    words = statusd("completion", "--list", "words", env=nobody, cwd=tmp_path)
    names = statusd("completion", "--list", "names", env=nobody, cwd=tmp_path)

    assert "pause" in words.stdout.split()
    assert (words.returncode, words.stderr) == (0, "")
    assert (names.returncode, names.stdout.split(), names.stderr) == (0, [], "")


def test_no_shell_is_asked_for() -> None:
    """Exit code 64, and which there are."""
    done = statusd("completion")

    assert done.returncode == 64
    assert "bash, zsh or tcsh" in done.stderr
