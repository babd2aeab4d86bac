"""Tests of `statusd.cli.files`: whose a settings file must be that nobody has named."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from statusd.cli import files
from statusd.cli.files import (
    believed_file,
    default_files,
    existing,
    find_file,
    folder_objection,
    objection,
    of_broker,
)
from statusd.core.errors import ConfigError

NOBODY = 65534
STRANGER = 12345
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="it takes root to give a file away")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can look into, below a sticky one, as /tmp is."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o755)
    (path / "statusd.toml").write_text("")
    (path / "statusd.toml").chmod(0o644)
    yield path
    shutil.rmtree(path)


def of_stranger(path: Path) -> None:
    """Give it away."""
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


def of_group(path: Path, mode: int) -> None:
    """Let a group write that is nobody's own."""
    os.chown(path, -1, STRANGER)
    path.chmod(mode)


def through_link(path: Path) -> None:
    """Put a link in its place."""
    path.rename(path.with_name("real.toml"))
    path.symlink_to("real.toml")


def through_a_strangers_link(path: Path) -> None:
    """Where anybody may leave one."""
    path.parent.chmod(0o1777)
    through_link(path)
    of_stranger(path)


def through_link_to_a_stranger(path: Path) -> None:
    """A link of our own to what isn't."""
    through_link(path)
    of_stranger(path.with_name("real.toml"))


BELIEVED: dict[str, Callable[[Path], object]] = {
    "for its owner to write": lambda file: file.chmod(0o600),
    "for all to read": lambda file: file.chmod(0o444),
    "in a sticky folder": lambda file: file.parent.chmod(0o1777),
    "a link of one's own": through_link,
}
OBJECTIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "of somebody else": (of_stranger, f"it is of user {STRANGER}"),
    "for all to write": (lambda file: file.chmod(0o666), r"others may write to it \(mode 666\)"),
    "for a group to write": (
        lambda file: of_group(file, 0o664),
        r"others may write to it \(mode 664\)",
    ),
    "in a folder of somebody else": (
        lambda file: of_stranger(file.parent),
        f"its folder is of user {STRANGER}",
    ),
    "in a folder for all to write": (
        lambda file: file.parent.chmod(0o777),
        r"others may write to its folder \(mode 777\)",
    ),
    "in a folder for a group to write": (
        lambda file: of_group(file.parent, 0o775),
        "others may write to its folder",
    ),
    "a stranger's link in a sticky folder": (
        through_a_strangers_link,
        f"is a link of user {STRANGER}",
    ),
    "behind a link of one's own": (
        through_link_to_a_stranger,
        f"it is of user {STRANGER}",
    ),
}


@pytest.mark.parametrize("case", BELIEVED)
def test_what_only_we_can_have_made_is_believed(case: str, folder: Path) -> None:
    """Of this user, wherever nobody else can put another one in its place."""
    BELIEVED[case](folder / "statusd.toml")

    assert objection(folder / "statusd.toml") == ""


@needs_root
@pytest.mark.fault("X25")
@pytest.mark.parametrize("case", OBJECTIONS)
def test_what_others_can_have_made_is_not(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says why, that nobody has named it, and what to type; `health` passes over it."""
    prepare, why = OBJECTIONS[case]
    prepare(folder / "statusd.toml")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))

    with pytest.raises(ConfigError, match=f"^statusd.toml: .*{why}.*--file statusd.toml$"):
        find_file("--file")
    assert believed_file() in (None, files.SYSTEM)


@needs_root
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_root_is_believed_by_everybody(owner: int, folder: Path) -> None:
    """And a user believes himself; root doesn't believe a user."""
    os.chown(folder / "statusd.toml", owner, owner)
    os.chown(folder, owner, owner)

    assert bool(objection(folder / "statusd.toml")) == (owner != 0)
    os.seteuid(NOBODY)
    try:
        assert objection(folder / "statusd.toml") == ""
    finally:
        os.seteuid(0)


@needs_root
def test_what_stands_in_the_administrators_folder_is_his(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns it: a volume keeps the owner that it has elsewhere. But not if all may write."""
    file = folder / "statusd.toml"
    monkeypatch.setattr(files, "SYSTEM", file)
    through_link(file)
    of_stranger(folder / "real.toml")
    of_stranger(folder)
    folder.chmod(0o777)  # as Kubernetes mounts a ConfigMap

    assert objection(file) == ""
    (folder / "real.toml").chmod(0o666)
    assert "everybody may write to it" in objection(file)


def test_links_in_a_circle_are_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are a folder, a pipe, and a link that leads nowhere."""
    file = folder / "statusd.toml"
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))
    makers: list[Callable[[], object]] = [
        lambda: file.symlink_to("statusd.toml"),
        lambda: file.symlink_to("nowhere"),
        lambda: os.mkfifo(file),
    ]
    for make in makers:
        file.unlink()
        make()
        assert find_file() in (None, files.SYSTEM)


def test_who_has_no_home_has_no_file_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is called ~ is not his home."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "~")

    assert default_files() == [Path("statusd.toml"), files.SYSTEM]


# ---- a folder of units ---------------------------------------------------------------------------


def test_the_broker_of_a_folder_is_in_what_its_units_share(tmp_path: Path) -> None:
    """A folder without that file has the default one; one without units is a mistake."""
    units = tmp_path / "units"
    units.mkdir()
    with pytest.raises(ConfigError, match="units: no unit in it"):
        of_broker(units)
    (units / "camera.toml").write_text("")

    assert of_broker(units) == units / "statusd.toml"
    assert of_broker(units / "camera.toml") == units / "camera.toml"


def test_what_is_not_there_is_told_with_what_may_have_been_meant(tmp_path: Path) -> None:
    """Another file of settings, or a folder; nothing is made up."""
    (tmp_path / "units").mkdir()
    (tmp_path / "camera.toml").write_text("")
    for typed, meant in (("unit", "units"), ("camra.toml", "camera.toml")):
        with pytest.raises(ConfigError, match=f"{typed}: No such .*, did you mean .*/{meant}"):
            existing(tmp_path / typed)
    with pytest.raises(ConfigError, match="zzz/a: No such file or directory: is it spelt right"):
        existing(tmp_path / "zzz" / "a")


def test_who_may_add_a_unit_is_told(tmp_path: Path) -> None:
    """What sticks keeps others from our files, and not from leaving theirs."""
    tmp_path.chmod(0o755)
    assert folder_objection(tmp_path) == ""
    tmp_path.chmod(0o1777)
    assert folder_objection(tmp_path) == "others may write to it (mode 1777)"
    tmp_path.chmod(0o755)


@needs_root
def test_a_folder_of_a_stranger_is_told(tmp_path: Path) -> None:
    """He adds whatever he likes."""
    of_stranger(tmp_path)
    assert "it is of user 12345" in folder_objection(tmp_path)
