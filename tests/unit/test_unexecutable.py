"""Tests of `statusd.worker.unexecutable`: why a file can't be executed, and what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from statusd.worker.unexecutable import found, objection, why
from tests.tools import SmallDisk

BOM = b"\xef\xbb\xbf"
ELF = Path("/bin/true").resolve().read_bytes()
FIRST = "correct its first line"
CRLF = r"the script has Windows line ends (CRLF): sed -i 's/\r$//' {file}"

FAULTY = {
    "line ends": (b"#!/bin/sh\r\n", rf"its interpreter '/bin/sh\r' is not there: {CRLF}"),
    "line ends and nothing": (b"#!/bin/sh\r", rf"its interpreter '/bin/sh\r' is not there: {CRLF}"),
    "blanks": (
        b"#! \t/bin/sh\r\n",
        rf"its interpreter '/bin/sh\r' is not there: {CRLF}",
    ),
    "line ends for env": (b"#!/usr/bin/env sh\r\n", rf"'sh\r': {CRLF}"),
    "no interpreter": (b"#!/usr/bin/pyton3 -u\n", "its interpreter '/usr/bin/pyton3' is not there"),
    "not executable": (b"#!/etc/passwd\n", "its interpreter '/etc/passwd' is not executable"),
    "nothing for env": (b"#!/usr/bin/env pyton3\n", "its interpreter 'pyton3' is not in PATH"),
    "nothing for env -S": (b"#!/usr/bin/env -S pyton3 -u\n", "its interpreter 'pyton3' is not in"),
    "a mark": (BOM + b"#!/bin/sh\n", r"a byte order mark stands before its #!: sed -i '1s/^\xEF"),
    "no first line": (b"echo\n", "it has no first line such as #!/bin/sh: write one, or name an"),
    "nothing in it": (b"", "it is empty: write one"),
    "no loader": (ELF[:4096].replace(b"/lib", b"/lob"), "its loader '/lob"),
}
SOUND = {
    **{"a shell": b"#!/bin/sh\n", "env": b"#!/usr/bin/env sh", "a program": ELF},
    **{"blanks": b"#!  /bin/sh -e \n", "env with more": b"#!/usr/bin/env A=b pyton3\n"},
    **{"an archive that the system may know": b"PK\x03\x04\0", "beside it": b"#!interpreter\n"},
}
REFUSED_AT_ONCE = ("line ends", "no interpreter", "not executable", "a mark", "no first line")


def executable(folder: Path, content: bytes) -> str:
    """Make a program of that content, and return its path."""
    file = folder / "x.sh"
    file.write_bytes(content)
    file.chmod(0o755)
    return str(file)


@pytest.mark.fault("J18")
@pytest.mark.parametrize("case", FAULTY)
def test_what_is_wrong_with_a_file_is_seen_before_it_is_executed(case: str, tmp_path: Path) -> None:
    """With the interpreter as it stands there, carriage return and all, and the cure (J18)."""
    content, expected = FAULTY[case]

    said = objection(executable(tmp_path, content), shown="./x.sh")

    assert said.startswith(expected.replace("{file}", "./x.sh"))


@pytest.mark.fault("J18")
@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_said_that_is_not_certain(case: str, tmp_path: Path) -> None:
    """Also if only the system, or env(1), knows (J18)."""
    assert objection(executable(tmp_path, SOUND[case])) == ""


@pytest.mark.fault("J18")
@pytest.mark.parametrize("case", REFUSED_AT_ONCE)
def test_what_is_said_beforehand_the_system_says_as_well(case: str, tmp_path: Path) -> None:
    """Each of these is really refused, and the error is told in the same words (J18)."""
    file = executable(tmp_path, FAULTY[case][0])

    with pytest.raises(OSError, match=r"No such file|Permission|Exec format") as refused:
        subprocess.run([file], check=False, env={"PATH": "/bin"})

    assert why(file, refused.value) == f"{file}: {objection(file)}"


@pytest.mark.fault("J18")
def test_the_cure_for_line_ends_cures(tmp_path: Path) -> None:
    """It is pasted as it stands (J18)."""
    file = executable(tmp_path, b"#!/bin/sh\r\necho done\r\n")
    subprocess.run(objection(file).rpartition(": ")[2], shell=True, check=True)

    assert objection(file) == ""
    assert subprocess.run([file], check=True, capture_output=True).stdout == b"done\n"


@pytest.mark.fault("J18")
def test_what_may_not_be_executed_is_told_why(tmp_path: Path) -> None:
    """The mode, a folder, another processor; what isn't there keeps the system's words (J18)."""
    file = executable(tmp_path, b"#!/bin/sh\n")
    Path(file).chmod(0o644)
    other = OSError(8, "Exec format error")
    missing = OSError(2, "No such file or directory")

    assert objection(file) == f"not executable: chmod +x {file}"
    assert objection(str(tmp_path)) == "it is a directory"
    assert why("no-such-program", missing) == "no-such-program: No such file or directory"
    Path(file).write_bytes(ELF)
    Path(file).chmod(0o755)
    assert why(file, other).startswith(f"{file}: it is built for another kind of processor")


@pytest.mark.fault("J18")
@pytest.mark.skipif(bool(SmallDisk.why_not()), reason=SmallDisk.why_not())
def test_a_file_system_without_execution_is_named(tmp_path: Path) -> None:
    """The mode of the file is right there (J18)."""
    with SmallDisk() as disk:
        file = executable(disk.path, b"#!/bin/sh\n")
        mount = shutil.which("mount") or "mount"
        subprocess.run([mount, "-o", "remount,noexec", disk.path], check=True)

        assert objection(file).startswith("its file system is mounted noexec: mount it with exec")


@pytest.mark.parametrize("path", [None, "", "/usr/bin:/bin", ":/bin", "/nowhere:/bin", "::"])
@pytest.mark.parametrize(
    "program", ["sh", "nothing-of-this-name", "/bin/sh", "./ours", "ours", "/etc/passwd", "/tmp"]
)
def test_a_program_is_found_where_the_library_finds_it(
    program: str, path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that are there, may be executed, and are no folder."""
    (tmp_path / "ours").write_text("#!/bin/sh\n")
    (tmp_path / "ours").chmod(0o755)
    monkeypatch.chdir(tmp_path)

    assert found(program, path) == shutil.which(program, path=path)
