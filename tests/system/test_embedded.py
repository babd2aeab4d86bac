"""`make run`: a broker of its own beside the daemon, on this machine only, gone with it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from statusd.daemon import embedded
from statusd.supervision.held_signals import HARMLESS
from statusd.wire import own_broker
from tests.system.commands import statusd
from tests.tools import Broker, Program, free_port, processes_with_marker, wait_until
from tests.tools.processes import descendants

DEMO = Path("config/demo.toml").read_text()
SAID = re.compile(r"A broker listens on 127\.0\.0\.1:(\d+)")


def demo(directory: Path, runtime_directory: Path | None = None) -> Program:
    """Start what `make run` starts, with a runtime directory of its own."""
    runtime = {"XDG_RUNTIME_DIR": str(runtime_directory or directory), "COUNTER_STEP_S": "0.01"}
    return Program(DEMO, directory=directory, args=("--embedded", "--fresh"), env=runtime)


def has_counted(unit: Program) -> bool:
    """Tell whether the worker's own lines have come through."""
    return "counter: 3 of 600" in unit.output()


def broker_port(unit: Program) -> int:
    """Return the port that it told its user."""
    found = wait_until(lambda: SAID.search(unit.output()), 10, "the lines to type")
    return int(found[1])


def test_it_works_twice_in_a_row(tmp_path: Path) -> None:
    """Each time with a broker, commanded by `statusd send` without an address, and nothing left."""
    for _ in range(2):
        with demo(tmp_path) as unit:
            port = broker_port(unit)
            unit.wait_logged("link.up", link="hears")
            unit.wait_state("READY")
            assert f"redis-cli -p {port} PUBLISH mychannel start" in unit.output() or port == 6379

            send(tmp_path, "start")
            unit.wait_state("RUNNING")
            wait_until(partial(has_counted, unit), 15, "three counts")
            send(tmp_path, "END")

            assert unit.wait_exit(10) == 0
            assert unit.leftovers() == []
            assert list((tmp_path / "statusd").iterdir()) == []


def send(directory: Path, word: str) -> None:
    """Type `statusd send WORD` in another terminal of the same user."""
    done = statusd("send", word, cwd=directory, env={"XDG_RUNTIME_DIR": str(directory)})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_taken_port_is_no_trouble(tmp_path: Path) -> None:
    """It takes a free one, and says so in each line to type."""

    def take() -> bool:
        try:
            taken.bind(("127.0.0.1", 6379))
            taken.listen()
        except OSError:
            return False  # another test beside us, most of all, which gives it back
        return True

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(AssertionError):  # somebody has it and keeps it: just as good
            wait_until(take, 20, "the port")
        with demo(tmp_path) as unit:
            assert broker_port(unit) != 6379
            assert "6379 is taken" in unit.output()
            unit.wait_logged("link.up", link="hears")


def test_a_port_that_is_taken_meanwhile_is_left_to_its_owner(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The port looked free and isn't: somebody else's broker would have got our commands."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ports = iter([broker.port, free_port()])
    monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))

    with embedded.Embedded() as ours:
        assert ours.port != broker.port
        assert [one.url for one in own_broker.running()] == [ours.url]

    assert list(tmp_path.glob("*/*")) == []


def test_a_signal_to_all_of_a_job_does_not_reach_the_broker() -> None:
    """Nor the shell that ends it: what is for the daemon of the job would kill both."""
    with embedded.Embedded() as ours:
        shell = ours._guard.pid
        (server,) = descendants(shell)
        for number in HARMLESS:
            os.kill(shell, number)
            os.kill(server, number)
        assert redis.Redis(port=ours.port, password=ours.password_file.read_text().strip()).ping()
        assert descendants(shell) == [server]


def test_the_broker_goes_with_a_killed_daemon(tmp_path: Path) -> None:
    """Even SIGKILL of the daemon leaves no broker behind."""
    with demo(tmp_path) as unit:
        unit.wait_logged("link.up", link="hears")

        unit.signal(signal.SIGKILL)

        wait_until(lambda: processes_with_marker(unit.marker) == [], 15, "all to be gone")


@pytest.mark.fault("X36")
def test_nobody_else_on_the_host_commands_it(tmp_path: Path) -> None:
    """Neither a word nor a setting, without the password; and that stands nowhere to be read."""
    with demo(tmp_path) as unit:
        port = broker_port(unit)
        unit.wait_state("READY")
        unit.wait_logged("link.up", link="hears")
        stranger: Any = redis.Redis(port=port, retry=Retry(NoBackoff(), 0))
        for command in (("PUBLISH", "mychannel", "end"), ("CONFIG", "SET", "dir", "/"), ("PING",)):
            with pytest.raises(redis.AuthenticationError):
                stranger.execute_command(*command)
        stranger.close()
        (file,) = (tmp_path / "statusd").glob("embedded-*")
        secret = file.read_text().split()[2]
        pids = [unit.pid, *unit.descendants()]
        shown = [Path(f"/proc/{pid}/{what}") for pid in pids for what in ("cmdline", "environ")]

        assert len(secret) == 32
        assert all(secret.encode() not in path.read_bytes() for path in shown)
        assert secret not in unit.output()
        (typed,) = re.findall(r"\$\(cat (.*)\)", unit.output())
        assert Path(typed).read_text().strip() == secret
        for path in (file, Path(typed), Path(typed).with_name("valkey.conf")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert unit.logged("bug.caught") is None


@pytest.mark.fault("X36")
def test_whoever_is_this_user_needs_no_password(tmp_path: Path) -> None:
    """A second unit, a Fleet, a verb: at the broker's plain address, whatever credentials there are
    for another broker."""
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    theirs = {**runtime, "STATUSD_REDIS__PASSWORD": "of-another-broker"}
    toml = Path("config/demo.toml").read_text()
    with Program(toml, directory=tmp_path / "a", args=("--embedded",), env=theirs) as first:
        url = f"redis://127.0.0.1:{broker_port(first)}/0"
        first.wait_logged("link.up", link="hears")
        first.signal(signal.SIGHUP)
        first.wait_logged("reload.done", changed=[])
        second = toml.replace('name = "counter"', f'name = "other"\n[redis]\nurl = "{url}"\n', 1)
        second = second.replace('tags = ["demo"]\ngoal', "# goal")
        with Program(second, directory=tmp_path / "b", env=runtime) as other:
            other.wait_logged("link.up", link="hears")
            done = statusd("status", "--url", url, cwd=tmp_path, env=runtime)

            assert [row.split()[0] for row in done.stdout.splitlines()[1:]] == ["counter", "other"]


@pytest.mark.fault("X36")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_address_that_a_stranger_has_left_is_not_believed(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """He may want us to talk to a broker of his, and our passwords with it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "statusd"
    folder.mkdir(0o700)
    file = folder / f"embedded-{broker.port}"
    file.write_bytes(own_broker.content(broker.url, "secret"))
    assert [one.url for one in own_broker.running()] == [broker.url]
    assert own_broker.password(broker.port) == "secret"

    os.chown(file, 54321, 54321)
    assert (own_broker.running(), own_broker.password(broker.port)) == ([], "")
    os.chown(file, 0, 0)
    os.chown(folder, 54321, 54321)
    assert (own_broker.running(), own_broker.password(broker.port)) == ([], "")


def test_each_folder_talks_to_its_own_broker(tmp_path: Path) -> None:
    """Also by `--file`; whoever is elsewhere commands neither, and is told what there is."""
    a, b, elsewhere = tmp_path / "a", tmp_path / "b", tmp_path / "elsewhere"
    elsewhere.mkdir()
    here = {"XDG_RUNTIME_DIR": str(tmp_path)}
    toml = '[worker]\nfunction = "tests.workers:until_end"\n'
    with (
        Program(toml, directory=a, args=("--embedded",), env=here) as first,
        Program(toml, directory=b, args=("--embedded",), env=here) as second,
    ):
        ports = [broker_port(unit) for unit in (first, second)]
        for unit in (first, second):
            unit.wait_logged("link.up", link="hears")
        names = [f"{name}@{socket.gethostname()}"[:64] for name in "ab"]
        for folder, name, port in zip((a, b), names, ports, strict=True):
            url = f"redis://127.0.0.1:{port}/0"
            for cwd, words in ((folder, ()), (elsewhere, ("--file", f"{folder}/statusd.toml"))):
                done = statusd("status", "-v", *words, cwd=cwd, env=here)
                assert [row.split()[0] for row in done.stdout.splitlines()[1:]] == [name]
                file = f"{folder}/statusd.toml"
                assert f"broker {url} (the running embedded broker of {file})" in done.stderr

        for verb in ("send end", "status", "history a"):
            refused = statusd(*verb.split(), cwd=elsewhere, env=here)
            assert (refused.returncode, refused.stdout) == (78, "")
            for folder, name, port in zip((a, b), names, ports, strict=True):
                assert f"port {port}: {folder}/statusd.toml ({name})" in refused.stderr
            assert "choose one: --url redis://127.0.0.1:" in refused.stderr
        done = statusd("send", "end", "--wait", cwd=b, env=here)

        assert second.wait_exit(10) == 0
        assert names[1] in done.stdout
        assert first.exit_code() is None
        refused = statusd("send", "end", cwd=b, env=here)
        looked = statusd("status", cwd=b, env=here)
        assert (refused.returncode, looked.returncode, names[0] in looked.stdout) == (78, 0, True)
        only = f"no embedded broker runs for {b}: this is the running embedded broker of {a}"
        assert only in looked.stderr
        assert first.exit_code() is None


@pytest.mark.fault("J24")
def test_the_doctor_looks_at_the_broker_that_runs_here(tmp_path: Path) -> None:
    """As the other verbs do, and says which: without settings, and with some that name none."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "job.toml").write_text('[worker]\nfunction = "tests.workers:until_end"\n')
    theirs = {"XDG_RUNTIME_DIR": str(tmp_path), "STATUSD_REDIS__PASSWORD": "of-another-broker"}
    with demo(tmp_path / "demo", tmp_path) as unit:
        url = f"redis://127.0.0.1:{broker_port(unit)}/0"
        unit.wait_logged("link.up", link="hears")
        for words in ((), ("job.toml",)):
            done = statusd("doctor", "--json", *words, cwd=elsewhere, env=theirs)
            found = {(one["about"], one["what"]) for one in json.loads(done.stdout)}

            how = f"the running embedded broker of {unit.directory}/statusd.toml, the only one"
            how += f"; none is of {elsewhere}"
            assert ("broker", f"{url} is looked at: found by {how}") in found
            assert ("broker", f"{url} answers") in found
            assert any("heard by 1" in what for _, what in found)
            assert (done.returncode, done.stderr) == (0, "")
            levels = {one["level"] for one in json.loads(done.stdout) if one["about"] == "settings"}
            assert levels == ({"ok"} if words else {"unknown"})
        other = statusd("doctor", "--url", f"redis://127.0.0.1:{free_port()}", env=theirs)

        assert other.returncode == 1
        assert "Connection refused" in other.stdout
