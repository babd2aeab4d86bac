"""What an interpreter is typed for: a script or a module is a job, and the interpreter is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.settings.interpreters import script
from statusd.settings.typed import Typed

SECRET = "s3cret"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scripts, and a file that is none of anybody's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    for path in ("a.py", "b.py", "my scan.sh", "x/a.py", "setup.js", "main.js", "lib.rc"):
        (tmp_path / path).touch()
    return tmp_path


def read(line: str) -> tuple[str, ...]:
    """Return name and words of what is run; empty for no script."""
    found = script(tuple(line.split(" ")))
    return () if found is None else (found.name, *found.words)


@pytest.mark.parametrize("program", ["python", "/usr/bin/python3.13t", "pypy3", "./v/bin/python3"])
@pytest.mark.parametrize(
    "options", ["", "-u ", "-W error ", "-Werror -OO ", "-X dev -uW error ", "--check x ", "-- "]
)
def test_python_runs_its_first_file(program: str, options: str) -> None:
    """Whichever Python it is and whatever it is told; arguments of the script are its own."""
    assert read(f"{program} {options}a.py b.py -m x") == ("a", program, "a.py")
    assert read(f"{program} {options}-m pkg.mod a.py") == ("pkg.mod", program, "-m", "pkg.mod")
    assert read(f"{program} {options}-um pkg.mod") == ("pkg.mod", program, "-m", "pkg.mod")
    assert read(f"{program} {options}-mpkg") == ("pkg", program, "-m", "pkg")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("bash a.py", "a"),
        ("sh -e a.py x", "a"),
        ("bash -o pipefail -eux a.py", "a"),
        ("bash --rcfile lib.rc a.py", "a"),
        ("node -r ./setup.js main.js", "main"),
        ("node --require ./setup.js --max-old-space-size=4096 main.js", "main"),
        ("Rscript --vanilla a.py", "a"),
        ("julia -t 4 --project=. a.py", "a"),
        ("julia-x a.py", ""),
        ("perl5.36 -I x -w a.py", "a"),
        ("ruby3.2 -rjson a.py", "a"),
        ("env python a.py", "a"),
        ("/usr/bin/env MODE=b.py LEVEL=2 python3 a.py", "a"),
    ],
)
def test_others_run_their_first_file(line: str, name: str) -> None:
    """Their options, and the values of these, are no scripts."""
    assert read(line)[:1] == ((name,) if name else ())


@pytest.mark.parametrize(
    "line",
    [
        *("python", "python -", "python x", "python x a.py", "python no.py a.py", "python -m"),
        *("python -c pass a.py", "python -Ic pass a.py", "python -W", "bash -xc true a.py"),
        *("perl -ne print a.py", "node -pe 1 main.js", "node --eval=1 main.js", "ruby -e 1 a.py"),
        *("Rscript -e 1 a.py", "./acquire a.py", "cat a.py", "env", "env A=b.py", "", "nice a.py"),
    ],
)
def test_code_and_what_isnt_there_are_no_script(line: str) -> None:
    """Nor is the data of a program that is none of these, nor a folder."""
    assert read(line) == ()


def test_two_scripts_of_a_folder_are_two_units() -> None:
    """By name; and those of one name, of two folders below it, by the line that was typed."""
    typed = [
        Typed(command=tuple(line.split()))
        for line in ("python a.py", "python b.py", "python x/a.py", "python -m a")
    ]
    a, b, below, module = typed

    assert a.name.startswith("a@")
    assert b.name.startswith("b@")
    assert (below.name, module.name) == (a.name, a.name)
    assert len({one.line for one in typed}) == len(typed)
    assert below.line == "statusd run -- python x/a.py"


def test_a_script_is_spelt_as_a_unit_can_be() -> None:
    """And its line can be typed."""
    typed = Typed(command=("bash", "-e", "my scan.sh", SECRET))

    assert typed.name.startswith("my-scan@")
    assert typed.line == "statusd run -- bash 'my scan.sh'"


def test_no_argument_is_told() -> None:
    """Wherever it stands: in front of the script, behind it, or behind a module."""
    for words in (("-X", SECRET, "a.py"), ("a.py", SECRET), ("-m", "a", SECRET), ("-c", SECRET)):
        typed = Typed(command=("python", *words))
        assert SECRET not in typed.name + typed.line
    assert Typed(command=("python", "-c", SECRET)).line == "statusd run -- python"
