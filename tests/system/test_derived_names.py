"""Units that nobody has named: projects of one host stay apart, and what was is taken over."""

from __future__ import annotations

import json
from pathlib import Path

from statusd.core.unit import Memory
from statusd.unit import state_format
from statusd.unit.kept import Kept
from statusd.wire.names import Names, default_name, former_name
from tests.conftest import settings
from tests.system.commands import statusd
from tests.tools import Broker, Program


def test_a_project_keeps_its_state_and_no_other_gets_it(broker: Broker, tmp_path: Path) -> None:
    """What an older version has left is the first starter's; the second of that name is refused."""
    state, toml = tmp_path / "state", settings("tests.workers:obedient", broker.url)
    del toml["name"]
    env = {"STATUSD_STATE_DIRECTORY": str(state)}
    state.mkdir()
    older = former_name(None)
    left = state_format.encode(Kept(Memory(goal="PAUSED", run=7)), 5, Names("statusd", older))
    content = json.loads(left)
    del content["settings"]
    (state / f"{older}.json").write_text(json.dumps(content))
    first, second = (tmp_path / folder / "scan" for folder in "ab")
    name = default_name(first / "statusd.toml")

    with Program(toml, directory=first, env=env) as unit:
        adopted = unit.wait_logged("state.adopted")
        unit.wait_state("PAUSED")
        unit.wait_logged("link.up", link="hears")
        with Program(toml, directory=second, env=env) as other:
            assert other.wait_exit(10) == 78
            said = other.output()
        sent = statusd("send", "ping", "--wait", "--name", name, "--url", broker.url)
        health = statusd(
            "health", f"{first}/statusd.toml", env={"XDG_RUNTIME_DIR": str(first)}, cwd=tmp_path
        )

    assert (adopted["settings"], adopted["was"]) == (
        str(first / "statusd.toml"),
        str(state / f"{older}.json"),
    )
    assert unit.wait_logged("worker.started")["run"] == 8
    for text in (
        f"{first}/statusd.toml",
        f"{second}/statusd.toml",
        f"both are '{name}'",
        'name = "',
    ):
        assert text in said
    assert f"{name} " in sent.stdout
    doctor = statusd("doctor", f"{second}/statusd.toml", env=env, cwd=tmp_path)
    assert f"error    state      {state}/{name}.json is of {first}/statusd.toml" in doctor.stdout
    fine = statusd("doctor", f"{first}/statusd.toml", env=env, cwd=tmp_path)
    assert "error    state" not in fine.stdout
    assert health.stdout.startswith(f"{name}: PAUSED")
