"""Tests of `statusd.unit.claim`: whose a state file is whose unit has a derived name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from statusd.core.errors import Unavailable
from statusd.core.unit import Memory
from statusd.unit import claim
from statusd.unit.claim import CHOSEN, Origin
from statusd.unit.kept import NOTHING, Kept
from statusd.unit.name_lock import NameLock
from statusd.unit.state_file import StateFile
from statusd.wire.names import former_name

OLD = "statusd@host"
UNSENT = ("PUBLISH", "statusd:events", f'{{"event":"5-9","name":"{OLD}"}}')
LEFT = Kept(Memory(goal="PAUSED", run=7), unsent=(UNSENT,))


def started(
    directory: Path, origin: Origin, name: str = "scan@host", keep: Kept | None = None
) -> tuple[Kept, int]:
    """Return what a daemon of that origin finds; it keeps something, and ends."""

    async def live() -> tuple[Kept, int]:
        file = StateFile(directory, name, origin=origin)
        try:
            found = file.load()
            if keep is not None:
                file.save(keep, 6)
        finally:
            await file.close()
        return found

    return asyncio.run(live())


def older(directory: Path, name: str = OLD) -> Path:
    """Leave what a daemon of an older version has left under ``name``."""
    started(directory, CHOSEN, name, LEFT)
    file = directory / f"{name}.json"
    content = json.loads(file.read_bytes())
    del content["settings"]
    file.write_text(json.dumps(content))
    return file


def derived(settings: Path, former: str = OLD) -> Origin:
    """Return the origin of a unit whose settings file, which is there, has no name."""
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.touch()
    return Origin(str(settings), is_derived=True, former=former)


def content(directory: Path) -> dict[str, bytes]:
    """Return all that is kept in a state directory."""
    return {f.name: f.read_bytes() for f in directory.iterdir() if f.suffix != ".lock"}


def test_another_settings_file_with_the_same_derived_name_is_refused(tmp_path: Path) -> None:
    """With both paths and the cure, also while the first one runs; nothing is changed."""
    state, first = tmp_path / "state", derived(tmp_path / "a/scan/statusd.toml")
    second = derived(tmp_path / "b/scan/statusd.toml")
    started(state, first, keep=LEFT)
    before = content(state)

    for is_running in (False, True):
        lock = NameLock(state / "scan@host.lock") if is_running else None
        with pytest.raises(Unavailable) as caught:
            started(state, second, keep=NOTHING)
        if lock is not None:
            lock.give_up()
        told = str(caught.value)
        assert first.settings in told
        assert second.settings in told
        assert 'write name = "..." into one of them' in told

    assert content(state) == before
    assert started(state, first)[0].memory == LEFT.memory


def test_a_chosen_name_is_its_users_affair(tmp_path: Path) -> None:
    """Whatever file it stands in; but nobody derives it any more, other than that file."""
    state, first = tmp_path / "state", derived(tmp_path / "a/scan/statusd.toml")
    second = derived(tmp_path / "b/scan/statusd.toml")
    started(state, first, keep=LEFT)

    chosen = Origin(second.settings)
    assert started(state, chosen, keep=LEFT)[0].memory == LEFT.memory
    with pytest.raises(Unavailable, match="both are 'scan@host'"):
        started(state, first)
    assert started(state, second)[0].memory == LEFT.memory


def test_who_has_moved_his_project_is_told_how_to_go_on(tmp_path: Path) -> None:
    """The name, chosen, takes the state over."""
    state, moved = tmp_path / "state", derived(tmp_path / "b/laser.toml")
    started(state, Origin(str(tmp_path / "a/laser.toml"), is_derived=True), keep=LEFT)

    with pytest.raises(Unavailable, match='to go on with its state, write name = "scan@host"'):
        started(state, moved)


def test_the_first_comer_adopts_what_an_older_version_has_left(tmp_path: Path) -> None:
    """State, last words and worker, under the new name; the next one begins anew."""
    state, first = tmp_path / "state", derived(tmp_path / "scan/statusd.toml")
    older(state)
    (state / f"{OLD}.worker").write_text("a worker")

    assert started(state, first, keep=LEFT)[0] == LEFT
    assert content(state).keys() == {"scan@host.json", "scan@host.worker"}
    assert json.loads((state / "scan@host.json").read_bytes())["settings"] == first.settings
    assert started(state, derived(tmp_path / "b/statusd.toml"), "b@host") == (NOTHING, 0)


def interrupted(state: Path) -> None:
    """Leave what an adoption leaves that was interrupted."""
    (state / f"{OLD}.worker").rename(state / "scan@host.worker")


def untouched(_: Path) -> None:
    """Leave it as it is."""


@pytest.mark.parametrize("meanwhile", [interrupted, untouched])
def test_an_adoption_that_was_interrupted_is_gone_on_with(
    meanwhile: Callable[[Path], None], tmp_path: Path
) -> None:
    """A worker is known before its state is: never is there a state whose worker isn't known."""
    state = tmp_path / "state"
    older(state)
    (state / f"{OLD}.worker").write_text("a worker")
    meanwhile(state)

    found, _ = started(state, derived(tmp_path / "scan/statusd.toml"), keep=LEFT)

    assert found.memory == LEFT.memory
    assert (state / "scan@host.worker").read_text() == "a worker"


def test_what_belongs_to_somebody_is_not_adopted(tmp_path: Path) -> None:
    """A daemon of an older version that runs is waited out; a chosen name's state is left alone."""
    state, first = tmp_path / "state", derived(tmp_path / "scan/statusd.toml")
    file = older(state)
    lock = NameLock(state / f"{OLD}.lock")
    before = content(state)

    with pytest.raises(Unavailable, match=f"a unit named '{OLD}' runs here already"):
        started(state, first)
    lock.give_up()

    assert content(state) == before
    started(state, Origin("/etc/statusd/chosen.toml"), OLD, keep=LEFT)
    assert started(state, first) == (NOTHING, 0)
    assert file.exists()


def test_a_unit_that_has_lived_adopts_nothing(tmp_path: Path) -> None:
    """It has a state of its own; or a worker, and no state yet."""
    state, first = tmp_path / "state", derived(tmp_path / "scan/statusd.toml")
    older(state)
    for kind, owner in (("scan@host", "its worker"), (OLD, "another's worker")):
        (state / f"{kind}.worker").write_text(owner)

    assert started(state, first, keep=NOTHING) == (NOTHING, 0)
    assert started(state, first)[0] == NOTHING
    assert (state / "scan@host.worker").read_text() == "its worker"
    assert (state / f"{OLD}.worker").read_text() == "another's worker"


def test_a_name_that_was_derived_so_before_keeps_its_state(tmp_path: Path) -> None:
    """Of ``laser.toml``, say: its state becomes its own with the first start."""
    state, settings = tmp_path / "state", tmp_path / "laser.toml"
    name = former_name(settings)
    older(state, name)

    assert started(state, derived(settings, name), name, LEFT)[0].memory == LEFT.memory
    with pytest.raises(Unavailable, match="both are"):
        started(state, derived(tmp_path / "b/laser.toml", name), name)


# ---- jobs that were typed ------------------------------------------------------------------------

LINE = "statusd run job:main"


def typed(folder: Path, line: str = LINE) -> Origin:
    """Return the origin of a unit whose job was typed in a folder, which is there."""
    folder.mkdir(parents=True, exist_ok=True)
    return Origin(claim.typed(folder, line), is_derived=True)


@pytest.mark.parametrize(
    ("folder", "line"), [("b", LINE), ("a", "statusd run job:other"), ("a", "statusd run -- job")]
)
def test_another_line_or_folder_is_another_owner(folder: str, line: str, tmp_path: Path) -> None:
    """Both are named as they were typed, with the cure; nothing is changed."""
    state, first = tmp_path / "state", typed(tmp_path / "a")
    started(state, first, keep=LEFT)
    before = content(state)

    with pytest.raises(Unavailable) as caught:
        started(state, typed(tmp_path / folder, line), keep=NOTHING)

    told = str(caught.value)
    assert f"is of `{LINE}` in {tmp_path}/a, and `{line}` in {tmp_path}/{folder} has no" in told
    assert told.endswith("both are 'scan@host'; type STATUSD_NAME=... before it")
    assert content(state) == before
    assert started(state, typed(tmp_path / "a"))[0].memory == LEFT.memory


def test_a_line_whose_folder_is_gone_leaves_its_state_to_whoever_takes_the_name(
    tmp_path: Path,
) -> None:
    """As a settings file does that was moved."""
    state = tmp_path / "state"
    started(state, Origin(claim.typed(tmp_path / "gone", LINE), is_derived=True), keep=LEFT)

    with pytest.raises(Unavailable, match="go on with its state, type STATUSD_NAME=scan@host bef"):
        started(state, typed(tmp_path / "a"))
    assert started(state, Origin(typed(tmp_path / "a").settings))[0].memory == LEFT.memory


def test_a_file_and_a_line_are_two_owners(tmp_path: Path) -> None:
    """Whoever comes second is told what he can do."""
    file, line = derived(tmp_path / "a/job.toml"), typed(tmp_path / "a")
    started(tmp_path / "first", line, keep=LEFT)
    started(tmp_path / "second", file, keep=LEFT)

    with pytest.raises(Unavailable, match=r'both are .*; write name = "\.\.\."$'):
        started(tmp_path / "first", file)
    with pytest.raises(Unavailable, match=r"both are .*; type STATUSD_NAME=\.\.\. before it$"):
        started(tmp_path / "second", line)


def test_only_a_path_is_a_settings_file(tmp_path: Path) -> None:
    """What a worker's files are beside; of a line it is the present folder."""
    assert derived(tmp_path / "a/job.toml").file == tmp_path / "a/job.toml"
    assert (typed(tmp_path).file, CHOSEN.file) == (None, None)


def test_a_line_has_an_end(tmp_path: Path) -> None:
    """What is kept can be read again, however deep the folder is."""
    deep = Origin(claim.typed(Path("/" + "x" * 5000), LINE), is_derived=True)
    started(tmp_path, deep, keep=LEFT)

    assert started(tmp_path, deep)[0].memory == LEFT.memory
