"""Tests of `statusd init`: what is written is what the pages show, and nothing is overwritten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from statusd.cli import beginnings, init, parser
from statusd.cli.init import main
from statusd.core.errors import ConfigError
from statusd.settings.load import load
from tests.tools.pages import blocks, text

README = text("README.md")
VARIANTS = {
    "a function": ([], ["job.py", "statusd.toml"]),
    "a program": (["--command", "sh -c 'exec sleep 60'"], ["statusd.toml"]),
    "attached": (["--attach"], ["job.py"]),
}
"""What is typed behind `statusd init`, and what it writes."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is called as the unit in the pages."""
    path = tmp_path / "camera"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def typed(*words: str) -> int:
    """Return the exit code of `statusd init` with those words."""
    return main(parser("init").parse_args(["init", *words]))


def content(folder: Path) -> dict[str, str]:
    """Return what stands in each file of a folder."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_what_is_written_is_what_the_pages_show(folder: Path) -> None:
    """The README's job and settings; its program; and the program of docs/attach.md."""
    assert typed() == 0
    written = content(folder)
    assert written == {
        "job.py": blocks(README, "python")[0],
        "statusd.toml": blocks(README, "toml")[0],
    }

    (folder / "job.py").unlink()
    (folder / "statusd.toml").unlink()
    typed("--command", "sha256sum /dev/zero")
    assert content(folder)["statusd.toml"].endswith("\n\n" + blocks(README, "toml")[1])

    typed("--attach")
    shown = blocks(text("docs/attach.md"), "python")[1]
    assert re.sub("camera-[0-9a-f]{4}", "camera", content(folder)["job.py"]) == shown


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_says_what_to_type(
    variant: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First what runs the job: with a broker of its own, unless there is one or none can be had."""
    words, files = VARIANTS[variant]
    monkeypatch.delenv("STATUSD_REDIS__URL", raising=False)
    typed(*words)
    said = capsys.readouterr().out

    assert said.startswith(" and ".join(files))
    first = "job.py\n" if variant == "attached" else "statusd run --embedded\n"
    assert first in said
    assert "statusd send pause --wait\n" in said

    for file in files:
        Path(file).unlink()
    monkeypatch.setenv("STATUSD_REDIS__URL", "redis://x")
    typed(*words)
    said = capsys.readouterr().out
    assert "--embedded" not in said
    assert "the broker that STATUSD_REDIS__URL names" in said


def test_without_the_broker_of_the_extra_it_names_the_usual_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what would bring one."""
    monkeypatch.delenv("STATUSD_REDIS__URL", raising=False)
    monkeypatch.setattr(init, "find_spec", lambda _: None)
    typed()

    assert "statusd run\n\nIt wants a broker at redis://127.0.0.1:6379/0; statusd[embedded]" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("there", ["job.py", "statusd.toml", "both", "a link that leads nowhere"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_overwritten(variant: str, there: str, folder: Path) -> None:
    """A file that is there is named, with the cure; nothing is written, not even the other one."""
    words, files = VARIANTS[variant]
    if there == "a link that leads nowhere":
        (folder / files[0]).symlink_to("nowhere")
    else:
        for name in ["job.py", "statusd.toml"] if there == "both" else [there]:
            (folder / name).write_text(
                "def work(worker): pass\n" if name == "job.py" else "# mine\n"
            )
    met = sorted({path.name for path in folder.iterdir()} & {*files})
    before = {name: os.lstat(folder / name).st_mtime_ns for name in os.listdir(folder)}
    if not met:
        assert typed(*words) == 0
        return

    with pytest.raises(ConfigError) as caught:
        typed(*words)

    told = str(caught.value)
    assert [name for name in files if f"{name} is there already" in told] == met
    assert "nothing was written: " in told
    assert ("run job:work runs it" in told) == (met == ["job.py"] and not there.startswith("a "))
    assert {name: os.lstat(folder / name).st_mtime_ns for name in os.listdir(folder)} == before


def test_all_is_written_or_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody makes the second file while the first one is written: his stays, ours goes."""
    monkeypatch.setattr(os.path, "lexists", lambda _: False)  # nobody had made it when we looked
    (folder / "statusd.toml").write_text("# his\n")

    with pytest.raises(ConfigError, match=r"statusd\.toml is there already"):
        typed()

    assert content(folder) == {"statusd.toml": "# his\n"}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("./acquire --fast", "command line: worker.command: ./acquire: no such program in "),
        (
            "no-such-program",
            "command line: worker.command: no-such-program: no such program in PATH",
        ),
    ],
)
def test_a_program_has_to_be_there(command: str, told: str, folder: Path) -> None:
    """What is written runs as it stands."""
    with pytest.raises(ConfigError) as caught:
        typed("--command", command)

    assert told in str(caught.value)
    assert content(folder) == {}


@pytest.mark.parametrize(
    "words", [("--command", ""), ("--command", "'x"), ("--attach", "--command", "x")]
)
def test_what_is_no_command_line_is_none(words: tuple[str, ...], folder: Path) -> None:
    """No program, a quote that isn't closed, two things at once."""
    with pytest.raises(SystemExit) as left:
        typed(*words)

    assert left.value.code == 64
    assert content(folder) == {}


ODD = ["/bin/echo", 'say "hi"', "back\\slash", "two\nlines", "\x7f", "ü \U0001f600", "", "COMMAND"]


def test_arguments_stand_there_as_they_are() -> None:
    """Whatever signs are in them."""
    assert tomllib.loads(beginnings.of_program(ODD))["worker"]["command"] == ODD


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [("scan 7", "scan-7"), ("-x", "x"), ("ü", "job"), ("x" * 80, "x" * 64), ("COMMAND", "COMMAND")],
)
def test_names_are_made_of_the_folders(
    folder_name: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as a unit can be called so; that in settings isn't chosen, but to be chosen."""
    there = folder / folder_name
    there.mkdir()
    monkeypatch.chdir(there)
    typed()
    (there / "job.py").unlink()
    typed("--attach")

    settings = (there / "statusd.toml").read_text()
    assert tomllib.loads(settings.removeprefix("# "))["name"] == name
    assert load(Path("statusd.toml"), {}).is_name_derived
    (own,) = re.findall('name="(.*?)"', (there / "job.py").read_text())
    assert own.startswith(name[:59])
    assert re.fullmatch(r"[A-Za-z0-9._@-]{1,64}", own)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_folders_of_one_name_have_no_unit_in_common(
    variant: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings say no name, so that the first one holds it; what attaches has one of its own."""
    written = []
    for parent in ("a", "b", "a"):
        there = folder / parent / "camera"
        there.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(there)
        for path in there.iterdir():
            path.unlink()
        typed(*VARIANTS[variant][0])
        written.append(content(there))

    assert written[0] == written[2]
    if variant == "attached":
        assert written[0] != written[1]
    else:
        assert "name" not in tomllib.loads(written[0]["statusd.toml"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_well_formed(variant: str, folder: Path) -> None:
    """As our own code is, in lines that fit; others can't write to it, whatever the umask."""
    umask = os.umask(0)
    try:
        typed(*VARIANTS[variant][0])
    finally:
        os.umask(umask)
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o644
        assert [line for line in path.read_text().splitlines() if len(line) > 100] == []
    rules = str(Path(__file__).parents[2] / "pyproject.toml")
    for check in (["format", "--check"], ["check"]):
        words = [sys.executable, "-m", "ruff", *check, "--no-cache", "--config", rules, "."]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_where_others_may_write_the_settings_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`statusd run` doesn't believe a file there that nobody has named."""
    folder.chmod(0o777)
    typed()

    assert "run --embedded statusd.toml\n" in capsys.readouterr().out
