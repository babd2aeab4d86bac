"""`statusd acl`: a file for one's own namespace and channels, which a server takes as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import BROKERS, settings
from tests.system.commands import statusd
from tests.tools import Broker, to_toml


def write(directory: Path, name: str, namespace: str, channels: list[str]) -> str:
    """Write the settings of a unit, and return the file's name."""
    toml = settings("job:main", "redis://127.0.0.1", name=name)
    toml["redis"]["namespace"], toml["control"]["channels"] = namespace, channels
    (directory / f"{name}.toml").write_text(to_toml(toml), encoding="utf-8")
    return f"{name}.toml"


@pytest.mark.parametrize("kind", sorted(BROKERS))
def test_a_server_takes_it_as_it_is(kind: str, tmp_path: Path) -> None:
    """With the channels of all the units that are named, and nothing of others."""
    first = write(tmp_path, "a", "lab", ["mychannel", "jobs:*"])
    second = write(tmp_path, "b", "lab", ["mychannel", "other"])

    done = statusd("acl", "--file", first, "--file", second, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "lab.acl"
    file.write_text(done.stdout)
    with Broker(BROKERS[kind], conf={"aclfile": str(file)}) as broker:
        assert broker.is_alive()
    daemon, operator = (line.split() for line in done.stdout.splitlines()[:2])
    outside = {word for word in daemon if word.lstrip("(")[0] == "&" and "&lab:" not in word}
    assert outside == {"&mychannel", "&jobs:*", "&other"}
    assert outside < set(operator)
    assert not [word for word in (*daemon, *operator) if word.endswith(("~lab:*", "&lab:*"))]


def test_one_role_is_one_line(tmp_path: Path) -> None:
    """To be added to a file that has others; a channel by hand."""
    done = statusd("acl", "--role", "viewer", "--namespace", "lab", "-c", "x", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("user statusd-viewer reset on >change-me-viewer ")
    assert "&lab:events" in line


def test_without_settings_the_example_is_said_to_be_one(tmp_path: Path) -> None:
    """It is the file of the project."""
    done = statusd("acl", cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path)})

    assert done.returncode == 0
    assert done.stdout == Path("config/acl/statusd.acl").read_text(encoding="utf-8")
    assert "the channel mychannel stands for yours" in done.stderr


def test_two_namespaces_are_two_files(tmp_path: Path) -> None:
    """Rights for both in one would let the units of one command those of the other."""
    files = [write(tmp_path, "a", "lab", []), write(tmp_path, "b", "house", [])]

    done = statusd("acl", "--file", files[0], "--file", files[1], cwd=tmp_path)

    assert done.returncode == 78
    assert "house, lab" in done.stderr
    assert done.stdout == ""


@pytest.mark.fault("X33")
@pytest.mark.parametrize(
    "words",
    [
        ("-c", "jobs ~* +@all"),
        ("-c", "jobs\nuser eve on nopass ~* &* +@all"),
        ("-c", "jobs)"),
        ("-c", ""),
        ("-c", "jobs", "--namespace", "lab ~*"),
        ("-c", "jobs", "--namespace", "*"),
    ],
    ids=repr,
)
def test_no_name_becomes_another_rule(words: tuple[str, ...], tmp_path: Path) -> None:
    """What has a blank, a line or the end of a selector in it is refused, whole."""
    done = statusd("acl", *words, cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path)})

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.count("\n") == 1
