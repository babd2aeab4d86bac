"""A folder of units: what is shared, what is a unit's own, and every mistake in it at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from statusd.core.errors import ConfigError
from statusd.settings.folder import Folder, load_folder, read_folder

JOB = '[worker]\ncommand = ["sleep", "9"]\n'
"""A unit with nothing of its own."""


def load(folder: Path, environ: Mapping[str, str] | None = None, /, **files: str) -> Folder:
    """Write ``files`` (name without ending -> text) and load their folder."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return load_folder(folder, environ or {})


def mistakes(folder: Path, environ: Mapping[str, str] | None = None, /, **files: str) -> list[str]:
    """Return what is complained of, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, environ, **files)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def names(folder: Folder) -> list[str]:
    """Return the names of the units, without the host."""
    return [unit.settings.name.partition("@")[0] for unit in folder.units]


def test_every_file_is_a_unit_over_what_is_shared(tmp_path: Path) -> None:
    """A unit's own word counts, table by table, key by key; the daemon's is the same for all."""
    shared = """\
tags = ["hall"]
[redis]
namespace = "hall"
[control]
channels = ["all"]
[worker]
stop_timeout_s = 7
kill_timeout_s = 3
"""
    folder = load(
        tmp_path,
        statusd=shared,
        camera=f'tags = ["optics"]\n{JOB}kill_timeout_s = 1\n',
        laser=f'name = "beam"\n{JOB}',
    )
    beam, camera = folder.units
    assert names(folder) == ["beam", "camera"]
    assert (camera.settings.tags, beam.settings.tags) == (("optics",), ("hall",))
    kept = [
        (u.settings.worker.stop_timeout_s, u.settings.worker.kill_timeout_s) for u in (beam, camera)
    ]
    assert kept == [(7, 3), (7, 1)]
    assert {u.settings.redis.namespace for u in folder.units} == {"hall"}
    assert {u.settings.control.channels for u in folder.units} == {("all",)}
    assert folder.shared.redis.namespace == "hall"


def test_a_unit_says_what_its_daemon_says(tmp_path: Path) -> None:
    """Be it what holds anyway; nothing else."""
    folder = load(tmp_path, statusd='[redis]\nurl = "redis://127.0.0.1:6379/0"\n', camera=JOB)

    (unit,) = folder.units
    assert unit.settings.says("redis", "url")
    assert not unit.settings.says("redis", "namespace")


def test_a_folder_needs_no_shared_file(tmp_path: Path) -> None:
    """What nobody says is as by default."""
    folder = load(tmp_path, camera=JOB)
    assert names(folder) == ["camera"]
    assert folder.shared.redis.namespace == "statusd"
    assert folder.name.startswith(f"{tmp_path.name}@")


def test_the_daemon_has_a_name_of_its_own(tmp_path: Path) -> None:
    """It may be chosen."""
    assert load(tmp_path, statusd='[daemon]\nname = "hall-3"', camera=JOB).name == "hall-3"


def test_instances_are_numbered(tmp_path: Path) -> None:
    """In the name, wherever ``{instance}`` stands in a text, and for the worker."""
    scan = """\
name = "scan"
instances = 2
[control]
channels = ["scan.{instance}", "{instances}"]
[worker]
command = ["scan", "--port=900{instance}"]
environment = { PART = "{instance} of 2" }
"""
    folder = load(tmp_path, scan=scan)
    assert names(folder) == ["scan-1", "scan-2"]
    first = folder.units[0].settings
    assert first.control.channels == ("scan.1", "{instances}")
    assert first.worker.command == ("scan", "--port=9001")
    assert first.worker.environment == {"PART": "1 of 2", "STATUSD_INSTANCE": "1"}
    assert [unit.instance for unit in folder.units] == [1, 2]


def test_instances_of_a_derived_or_chosen_name(tmp_path: Path) -> None:
    """The number comes before the host, or where it is asked for."""
    folder = load(
        tmp_path,
        scan=f"instances = 1\n{JOB}",
        part=f'name = "a{{instance}}@b"\ninstances = 1\n{JOB}',
        lone=f'name = "lone@b"\ninstances = 1\n{JOB}',
    )
    full = [unit.settings.name for unit in folder.units]
    assert full[:2] == ["a1@b", "lone-1@b"]
    assert full[2].startswith("scan-1@")


def test_no_instance_is_a_unit_that_is_put_aside(tmp_path: Path) -> None:
    """As long as there is another one."""
    assert names(load(tmp_path, scan=f"instances = 0\n{JOB}", camera=JOB)) == ["camera"]
    (tmp_path / "camera.toml").unlink()
    assert "no unit" in mistakes(tmp_path)[0]


def test_the_environment_is_for_what_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins over the shared file; what would be for each unit at once is a mistake."""
    environ = {"STATUSD_REDIS__NAMESPACE": "lab", "STATUSD_LOG__LEVEL": "debug"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    folder = load(tmp_path, environ, statusd='[redis]\nnamespace = "hall"', camera=JOB)
    assert folder.shared.redis.namespace == folder.units[0].settings.redis.namespace == "lab"
    assert folder.shared.log.level == "debug"
    for name in ("STATUSD_NAME", "STATUSD_WORKER__COMMAND", "STATUSD_WORKER", "STATUSD_GOAL"):
        assert mistakes(tmp_path, {name: '["x"]'}) == [
            f"environment: {name}: it would be for each unit: write it in statusd.toml"
        ]
    assert "unknown variable STATUSD_NAMEE" in mistakes(tmp_path, {"STATUSD_NAMEE": "x"})[0]


def test_files_of_lifecycles_are_no_units(tmp_path: Path) -> None:
    """One that a unit, or the shared file, names."""
    machine = Path("config/lifecycles/packml.toml").read_text(encoding="utf-8")
    files = {"machine": machine, "laser": JOB}
    camera = f'{JOB}input = "states"\n[lifecycle]\nfile = "machine.toml"\n'
    assert names(load(tmp_path, camera=camera, **files)) == ["camera", "laser"]
    (tmp_path / "camera.toml").unlink()
    assert mistakes(tmp_path) == [
        "machine.toml: no [worker]: a unit has one; what else is it here for?"
    ]
    shared = '[lifecycle]\nfile = "machine.toml"\n[worker]\ninput = "states"\n'
    assert names(load(tmp_path, statusd=shared)) == ["laser"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a": JOB, "b": f"[redis]\n{JOB}"}, ["b.toml:1: redis: it is the daemon's"]),
        ({"a": f'state_directory = "x"\n{JOB}'}, ["a.toml:1: state_directory: it is the daemon's"]),
        ({"a": f"[http]\n{JOB}"}, ["a.toml:1: http: it is the daemon's"]),
        ({"a": f"[web]\n{JOB}"}, ["a.toml:1: web: it is the daemon's"]),
        ({"a": f"[log]\n{JOB}"}, ["a.toml:1: log: it is the daemon's"]),
        ({"a": f"[daemon]\n{JOB}"}, ["a.toml:1: daemon: it is the daemon's"]),
        ({"statusd": 'name = "x"', "a": JOB}, ["statusd.toml:1: name: it makes a unit this one"]),
        (
            {"statusd": '[worker]\ncommand = ["x"]', "a": JOB},
            ["statusd.toml:2: worker.command: it makes a unit this one"],
        ),
        (
            {"statusd": '[worker]\nfunction = "x:y"', "a": JOB},
            ["statusd.toml:2: worker.function: it makes a unit this one"],
        ),
        ({"a": f'name = "x"\n{JOB}', "b": f'name = "x"\n{JOB}'}, ["b.toml: x is the name of"]),
        ({"a": JOB, "pyproject": "[tool]\nx = 1"}, ["pyproject.toml: no [worker]"]),
        ({"a": f"instances = -1\n{JOB}"}, ["a.toml:1: instances: "]),
        ({"a": f"instances = 1001\n{JOB}"}, ["a.toml:1: instances: "]),
        ({"a": f'instances = "2"\n{JOB}'}, ["a.toml:1: instances: "]),
        ({"a": f"instances = true\n{JOB}"}, ["a.toml:1: instances: "]),
        (
            {"a": f"instances = 3\n{JOB}stop_timeout = 1"},
            ["a.toml:4: worker.stop_timeout: unknown"],
        ),
        ({"a": "x ="}, ["a.toml: "]),
        ({"statusd": "x = 1", "a": JOB}, ["statusd.toml:1: x: unknown key"]),
        ({"statusd": "[redis]\nurl = 3", "a": JOB}, ["statusd.toml:2: redis.url: "]),
        ({"statusd": "[worker]\nbudget = -1", "a": JOB}, ["statusd.toml:2: worker.budget: "]),
        ({"statusd": "[redis]"}, ["no unit in it"]),
        ({}, ["no unit in it"]),
    ],
)
def test_each_mistake_names_its_file(
    files: dict[str, str], told: list[str], tmp_path: Path
) -> None:
    """Once, with the line and the key, in the file that says it."""
    found = mistakes(tmp_path, **files)
    assert len(found) == len(told), found
    for problem, start in zip(found, told, strict=True):
        assert start in problem


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """Nobody starts it ten times to find ten of them."""
    found = mistakes(
        tmp_path,
        {"STATUSD_GOAL": "x"},
        statusd='name = "x"\n[redis]\nurl = 3\n',
        a=f"[log]\n{JOB}",
        b=f'goal = "NOWHERE"\n{JOB}',
    )
    starts = (
        "environment: STATUSD_GOAL",
        "statusd.toml:1",
        "statusd.toml:3",
        "a.toml:1",
        "b.toml:1",
    )
    for start in starts:
        assert [one for one in found if one.startswith(start)], (start, found)
    assert len(found) == len(starts)


def test_a_mistake_of_instances_is_told_once(tmp_path: Path) -> None:
    """Of each place what the first one has there, whatever its number makes of it; names, too."""
    text = """\
name = "x{instance}"
instances = 8
goal = "NOWHERE-{instance}"
tags = ["no tag {instance}", "nor this"]
[worker]
function = "-{instance}"
"""
    found = mistakes(tmp_path, a=text)
    assert [problem.split(": ")[:2] for problem in found] == [
        ["a.toml:4", "tags"],
        ["a.toml:4", "tags"],
        ["a.toml:6", "worker.function"],
    ]
    assert "no tag 1" in found[0]
    assert "nor this" in found[1]
    job = f'name = "x"\ninstances = 8\n{JOB}'
    assert mistakes(tmp_path, a=job, b=job) == [
        'b.toml: x-1 is the name of the unit in a.toml, too: write name = "..." into one of them'
    ]


def test_a_later_instance_has_a_mistake_of_its_own(tmp_path: Path) -> None:
    """It is told, too: what others have elsewhere hides nothing."""
    text = f'instances = 9\nname = "{"x" * 62}-{{instance}}"\ntags = ["no tag"]\n{JOB}'
    assert [problem.split(": ")[1] for problem in mistakes(tmp_path, a=text)] == ["tags"]
    more = text.replace("instances = 9", "instances = 10")
    assert [problem.split(": ")[1] for problem in mistakes(tmp_path, a=more)] == ["tags", "name"]


def test_a_default_that_does_not_fit_says_whom(tmp_path: Path) -> None:
    """It stands in the shared file, and all others may live with it."""
    files = {
        "statusd": '[worker]\npython = "python3"\nbudget = -1\n',
        "a": '[worker]\nfunction = "a:main"\n',
        "b": JOB,
        "c": JOB,
    }
    program, of_all = "statusd.toml:2: worker.python: python is for a function", "statusd.toml:3: "
    found = mistakes(tmp_path, **files)
    assert f"{program} (of b.toml, c.toml)" in found
    (budget,) = (problem for problem in found if problem.startswith(of_all))
    assert "toml)" not in budget
    assert len(found) == 2


def test_a_lifecycle_is_one_thing(tmp_path: Path) -> None:
    """A unit's own takes the place of what is shared: half of each would be none."""
    machine = Path("config/lifecycles/packml.toml").read_text(encoding="utf-8")
    folder = load(
        tmp_path,
        statusd='[lifecycle]\nfile = "machine.toml"\n[worker]\ninput = "states"\n',
        machine=machine,
        a=JOB,
        b=machine + JOB,
    )
    assert names(folder) == ["a", "b"]
    first, second = (unit.settings.states() for unit in folder.units)
    assert [state.name for state in first.members()] == [state.name for state in second.members()]


def test_a_unit_whose_lifecycle_another_has_is_a_unit(tmp_path: Path) -> None:
    """It isn't left out without a word."""
    machine = Path("config/lifecycles/packml.toml").read_text(encoding="utf-8")
    told = '[worker]\ninput = "states"\ncommand = ["sleep", "9"]\n'
    folder = load(
        tmp_path, camera=machine + told, laser=f'{told}[lifecycle]\nfile = "camera.toml"\n'
    )
    assert names(folder) == ["camera", "laser"]


def test_a_derived_name_stays_one(tmp_path: Path) -> None:
    """With its number it is no longer than a name may be, and still another one."""
    folder = load(tmp_path, **{"x" * 70: f"instances = 12\n{JOB}"})
    full = {unit.settings.name for unit in folder.units}
    assert len(full) == 12
    assert {len(name) for name in full} == {64}


def test_each_setting_knows_where_it_stands(tmp_path: Path) -> None:
    """In the unit's file, or in the shared one."""
    folder = load(
        tmp_path, statusd="[worker]\nkill_timeout_s = 3\n", camera=f"{JOB}stop_timeout_s = 1\n"
    )
    place = folder.units[0].source.place
    assert place(("worker", "kill_timeout_s")).endswith("/statusd.toml:2: worker.kill_timeout_s")
    assert place(("worker", "stop_timeout_s")).endswith("/camera.toml:3: worker.stop_timeout_s")


def test_what_is_right_is_known_beside_what_is_wrong(tmp_path: Path) -> None:
    """So that more can be asked of it at once."""
    (tmp_path / "a.toml").write_text(JOB)
    (tmp_path / "b.toml").write_text("x =")
    folder, problems = read_folder(tmp_path, {})
    assert names(folder) == ["a"]
    assert len(problems) == 1


def test_a_folder_is_to_be_one(tmp_path: Path) -> None:
    """Something that isn't there, or can't be read, is no folder without units."""
    with pytest.raises(ConfigError, match="none: No such file or directory: is it spelt"):
        load_folder(tmp_path / "none", {})
    (tmp_path / "a.toml").write_text(JOB)
    with pytest.raises(ConfigError, match="Not a directory: it is a file: a folder has a"):
        load_folder(tmp_path / "a.toml", {})
