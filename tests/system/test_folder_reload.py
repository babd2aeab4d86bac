"""`statusd reload`: what runs is made what the files say, and nobody else notices."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.system.commands import statusd
from tests.system.test_folder import Start, documents, named, sent, start, unit, wait_states
from tests.tools import Broker, Program
from tests.tools.toml import to_toml

__all__ = ["start"]


def reload(program: Program, *words: str) -> tuple[int, str]:
    """Return exit code and what was said."""
    env = {"XDG_RUNTIME_DIR": str(program.directory)}
    done = statusd("reload", str(folder(program)), *words, env=env)
    return done.returncode, done.stdout + done.stderr


def folder(program: Program) -> Path:
    """Return the folder that it runs."""
    return program.directory / "units"


def write(program: Program, name: str, settings: dict[str, Any]) -> None:
    """Write a unit's file."""
    (folder(program) / f"{name}.toml").write_text(to_toml(settings))


def lives(broker: Broker) -> dict[str, tuple[int, int]]:
    """Return unit -> boot and pid of its worker."""
    found = documents(broker)
    return {name: (one["boot"], one["worker"]["pid"]) for name, one in found.items()}


def test_new_files_begin_gone_ones_end_and_changed_ones_change(
    start: Start, broker: Broker
) -> None:
    """Live where that can be; else that unit alone begins anew, with the goal that it had."""
    names = ("gone", "live", "other", "same")
    program = start(named(*names))
    wait_states(broker, **dict.fromkeys(names, "READY"))
    assert sent(broker, "start") == dict.fromkeys(names, "done")
    before = lives(broker)
    (folder(program) / "gone.toml").unlink()
    write(program, "live", unit(name="live", tags=["new"], control={"channels": ["fresh"]}))
    write(program, "other", unit("obedient", name="other"))
    write(program, "scan", unit(name="scan", instances=2))

    code, tried = reload(program, "--dry-run")
    assert (code, lives(broker)) == (0, before)
    code, said = reload(program)
    assert code == 0
    for line in (
        "gone                 ends",
        "live                 changes: tags, control.channels",
        "other                begins anew: worker.function",
        "scan-1               begins",
        "hall: 5 of 6 units, 1 stay",
    ):
        assert line in said, said
        assert line in tried
    running = dict.fromkeys(("live", "other", "same"), "RUNNING")
    wait_states(broker, gone="END", **running, **{"scan-1": "READY", "scan-2": "READY"})
    now = lives(broker)
    assert (now["live"], now["same"]) == (before["live"], before["same"])
    assert now["other"] != before["other"]
    assert documents(broker)["live"]["tags"] == ["new"]
    broker.client().publish("fresh", "pause")
    wait_states(broker, live="PAUSED")

    assert "0 of 5 units" in reload(program)[1]
    before = lives(broker)
    write(program, "scan", unit(name="scan", instances=1))
    write(program, "gone", unit(name="gone"))
    assert "hall: 2 of 6 units, 4 stay" in reload(program)[1]
    wait_states(broker, gone="RUNNING", **{"scan-1": "READY", "scan-2": "END"})
    write(program, "scan", unit(name="scan", instances=3))
    assert "hall: 2 of 7 units, 5 stay" in reload(program)[1]
    wait_states(broker, **{"scan-1": "READY", "scan-2": "READY", "scan-3": "READY"})
    assert lives(broker)["scan-1"] == before["scan-1"]
    program.signal(signal.SIGTERM)
    assert program.wait_exit() == 0


def test_a_mistake_in_one_file_changes_nothing(start: Start, broker: Broker) -> None:
    """All of them are told, with code 78; the next good one works."""
    program = start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    before = lives(broker)
    (folder(program) / "a.toml").unlink()
    write(
        program, "b", {"name": "b", "worker": {"function": "tests.workers:blocked", "budget": -1}}
    )
    (folder(program) / "c.toml").write_text("oops")
    code, said = reload(program)
    assert code == 78
    for text in ("b.toml", "worker.budget", "c.toml", "nothing was done"):
        assert text in said
    assert lives(broker) == before
    (folder(program) / "c.toml").unlink()
    write(program, "b", unit(name="b"))
    assert "a                    ends" in reload(program)[1]
    wait_states(broker, a="END", b="READY")


def test_a_unit_that_rests_takes_its_new_settings_when_it_is_launched(
    start: Start, broker: Broker
) -> None:
    """And one that was ended by command stays so, also as a new file."""
    program = start(named("a", "b"))
    wait_states(broker, a="READY", b="READY")
    sent(broker, "end", "--name", "a")
    write(program, "a", unit("obedient", name="a", goal="RUNNING"))
    assert reload(program)[0] == 0
    wait_states(broker, a="END", b="READY")
    assert statusd("launch", "a", "--url", broker.url).returncode == 0
    wait_states(broker, a="RUNNING")

    sent(broker, "end", "--name", "a")
    text = (folder(program) / "a.toml").read_text()
    (folder(program) / "a.toml").unlink()
    assert "a                    ends" in reload(program)[1]
    (folder(program) / "a.toml").write_text(text)
    assert reload(program)[0] == 0
    program.wait_logged("reload.obeyed", unit="a", what="begins")
    wait_states(broker, a="END")
    assert statusd("launch", "a", "--url", broker.url).returncode == 0
    wait_states(broker, a="RUNNING")


def test_a_reload_needs_a_folder_and_its_daemon(tmp_path: Path) -> None:
    """Each refusal says what to do."""
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    (tmp_path / "job.toml").write_text("")
    assert statusd("reload", str(tmp_path / "job.toml"), env=env).returncode == 78
    nobody = statusd("reload", str(tmp_path), env=env)
    assert (nobody.returncode, "no daemon" in nobody.stderr) == (69, True)
