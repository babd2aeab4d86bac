"""The image with a real engine: built, run as tightly as can be, and with somebody's own worker."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools import Process, wait_until
from tests.tools.engine import PYTHON, VERSION, Container, Engine
from tests.tools.ops import ROOT
from tests.tools.processes import descendants

pytestmark = pytest.mark.timeout(900)

TIGHT = ("--read-only", "--cap-drop=all", "--security-opt", "no-new-privileges")
MIB = 1024 * 1024
JOB = """\
import os
import time


def main(worker):
    for step in worker.while_running():
        worker.progress(step, int(os.environ.get("COUNT", "9")), "mine")
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    """The image, built from the Dockerfile as it is, but for the Python that is here."""
    began = time.monotonic()
    # podman falls back on its local images for a short name only if it has no registry to ask.
    engine.podman("tag", PYTHON, f"localhost/python:{VERSION}-slim")
    engine.build(ROOT, "localhost/statusd", PYTHON_VERSION=VERSION)
    sizes = [int(engine.inspect(name, "{{.Size}}")) for name in (PYTHON, "localhost/statusd")]
    print(f"\n     built in {time.monotonic() - began:.0f} s", end="")
    print(f"\n     the image adds {(sizes[1] - sizes[0]) / MIB:.1f} MiB to its base", end="")
    assert sizes[1] - sizes[0] < 40 * MIB
    return "localhost/statusd"


@pytest.fixture(scope="module")
def broker(engine: Engine) -> Container:
    """A broker in a network of its own, which the units share."""
    return engine.run("ops-broker", PYTHON, "--network", "none", "--", "redis-server", "--save", "")


@pytest.fixture
def unit(engine: Engine, image: str, broker: Container) -> Iterator[Container]:
    """The image as it is, run tightly."""
    started = engine.run("ops-unit", image, *TIGHT, "--network", f"container:{broker.name}")
    yield started
    engine.podman("rm", "-f", "-t", "0", "--ignore", started.name)


def is_well(container: Container) -> None:
    """Wait until it is healthy."""
    wait_until(container.is_healthy, 30, f"health; {container.log()}")


def test_what_the_image_says_of_itself(engine: Engine, image: str) -> None:
    """User by number, no shell before anything, labels, no pip."""
    found = json.loads(engine.inspect(image, "{{json .Config}}"))

    assert found["User"] == "10001:10001"
    assert (found["Entrypoint"], found["Cmd"][0]) == (["statusd"], "run")
    health = json.loads(engine.inspect(image, "{{json .HealthCheck}}"))
    assert health["Test"] == ["CMD", "statusd", "health"]
    labels = {key.rpartition(".")[2]: value for key, value in found["Labels"].items()}
    assert (labels["title"], labels["licenses"]) == ("statusd", "Apache-2.0")
    files = engine.podman("run", "--rm", "--entrypoint", "ls", image, "/opt/statusd/bin").stdout
    assert "pip" not in files


def test_it_runs_tightly(unit: Container, broker: Container) -> None:
    """Nothing to write to, no capability, process 1; healthy also while the broker is away."""
    is_well(unit)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{unit.pid}/status").read_text().splitlines()
    )
    assert status["NSpid"].split()[-1] == "1"
    assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")
    assert unit.execute("statusd", "send", "start", "--socket").split()[1] == "done"

    os.kill(broker.pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: '"link": "hears"' in unit.log() and "link.lost" in unit.log(), 30, "the loss"
        )
        assert unit.is_healthy()
        assert unit.state("Status") == "running"
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_it_buries_and_stops(unit: Container) -> None:
    """Orphans fall to it, none stays a zombie; it ends in time, with 0."""
    is_well(unit)
    unit.execute("sh", "-c", "for n in 1 2 3; do (sleep 0.1 &) ; done")

    def zombies() -> list[int]:
        found = map(Process.of, descendants(unit.pid))
        return [process.pid for process in found if process and process.state == "Z"]

    wait_until(lambda: not zombies(), 15, "the orphans to be buried")
    began = time.monotonic()
    unit.stop()
    print(f"\n     stop: {(time.monotonic() - began) * 1000:.0f} ms", end="")
    assert unit.state("ExitCode") == "0"


def test_a_hang_is_unhealthy(unit: Container) -> None:
    """The loop says nothing; the one line tells why."""
    is_well(unit)
    os.kill(unit.pid, signal.SIGSTOP)
    try:
        assert not unit.is_healthy()
    finally:
        os.kill(unit.pid, signal.SIGCONT)
    is_well(unit)


def test_wrong_settings_are_78(engine: Engine, image: str) -> None:
    """In a line; no engine would mend that by trying again."""
    done = engine.podman("run", "--rm", "--env", "STATUSD_NAMME=x", image, is_fine=False)

    assert done.returncode == 78
    assert "did you mean STATUSD_NAME?" in done.stderr


SECRETS = {"redis-password": "0123456789abcdef", "web-token": "fedcba9876543210"}
"""File in config/compose -> what stands in it."""
FAILING = 'name = "bad"\n[worker]\ncommand = ["false"]\nrestart = "never"\n'


def test_a_folder_of_units_runs_in_one_container(
    engine: Engine, image: str, broker: Container, tmp_path: Path
) -> None:
    """One that fails, or has ended, makes it no ill one; a new file is a reload away."""
    folder = tmp_path / "units"
    shutil.copytree(ROOT / "config" / "compose" / "many" / "units", folder)
    (folder / "bad.toml").write_text(FAILING)
    options = ("--volume", f"{folder}:/etc/statusd/units:ro", *TIGHT)
    network = ("--network", f"container:{broker.name}")
    run = ("--", "run", "/etc/statusd/units")
    units = engine.run("ops-units", image, *options, *network, *run)

    def states() -> dict[str, str]:
        told = json.loads(units.execute("statusd", "health", "/etc/statusd/units", "--json"))
        return {unit["name"]: unit["state"] for unit in told["daemons"][0]["units"]}

    is_well(units)
    working = dict.fromkeys(("camera", "laser", "pump"), "RUNNING")
    wait_until(lambda: states() == {**working, "bad": "FAILED"}, 30, f"them; {units.log()}")
    assert units.is_healthy()

    text = (folder / "laser.toml").read_text(encoding="utf-8").replace("laser", "lamp")
    (folder / "lamp.toml").write_text(text, encoding="utf-8")
    (folder / "bad.toml").unlink()
    said = units.execute("statusd", "reload", "/etc/statusd/units")
    assert re.search(r"^bad +ends\b.*^lamp +begins", said, re.M | re.S)
    wait_until(lambda: states() == {**working, "lamp": "RUNNING"}, 30, "the new one")

    units.execute("statusd", "send", "end", "--socket", "--yes", "--wait")
    wait_until(lambda: not states(), 15, "all to have ended")
    assert units.is_healthy()
    units.stop()
    assert units.state("ExitCode") == "0"


FLEET = """\
import sys, urllib.request
asked = urllib.request.Request("http://127.0.0.1:9460/api/units")
asked.add_header("Authorization", "Bearer " + sys.argv[1])
print(urllib.request.urlopen(asked, timeout=5).read().decode())
"""
"""Asks the server for the fleet, as a script would that has its token."""


def test_the_image_shows_the_fleet_to_browsers(
    engine: Engine, image: str, broker: Container, unit: Container, tmp_path: Path
) -> None:
    """Tightly, by a token from a file; it is asked for its health as compose.yaml asks it."""
    secret, token = tmp_path / "web-token", SECRETS["web-token"]
    secret.write_text(f"{token}\n")
    secret.chmod(0o644)
    options = (*TIGHT, "--volume", f"{secret}:/run/web-token:ro", "--no-healthcheck")
    network = ("--network", f"container:{broker.name}")
    words = ("--", "web", "--listen", "0.0.0.0:9460")
    variables = {"STATUSD_WEB__TOKEN_FILE": "/run/web-token"}
    web = engine.run("ops-web", image, *options, *network, *words, **variables)
    found = re.search(r'- "(import urllib.*)"$', (ROOT / "compose.yaml").read_text("utf-8"), re.M)
    assert found is not None
    asks = ("exec", web.name, "python", "-c", found[1])

    is_well(unit)
    wait_until(lambda: engine.podman(*asks, is_fine=None).returncode == 0, 30, web.log())
    wait_until(lambda: '"READY"' in web.execute("python", "-c", FLEET, token), 30, web.log())
    engine.podman("exec", web.name, "python", "-c", FLEET, "x" * 20, is_fine=False)
    assert token not in Path(f"/proc/{web.pid}/cmdline").read_text() + web.log()
    web.stop()
    assert web.state("ExitCode") == "0"
    engine.podman(*asks, is_fine=False)


def snippets() -> list[str]:
    """Return the Dockerfiles that docs/containers.md shows."""
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    return re.findall(r"^```dockerfile\n(.*?)^```$", page, re.M | re.S)


@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_of_ones_own_runs_as_the_page_shows(
    number: int, engine: Engine, image: str, tmp_path: Path
) -> None:
    """As the page shows it: four lines; and with a package of its own."""
    text = snippets()[number]
    assert number or len(text.splitlines()) == 4
    job = ("import six  # noqa: F401\n" if number else "") + JOB
    (tmp_path / "Dockerfile").write_text(text)
    (tmp_path / "job.py").write_text(job)
    (tmp_path / "statusd.toml").write_text('goal = "RUNNING"\n[worker]\nfunction = "job:main"\n')

    engine.build(tmp_path, "localhost/ops-own")
    with_own = engine.run("ops-own", "localhost/ops-own", *TIGHT)

    is_well(with_own)
    wait_until(
        lambda: "mine" in with_own.execute("statusd", "status", "--socket"), 15, "its progress"
    )
    with_own.stop()
    assert with_own.state("ExitCode") == "0"


OVERRIDE = """\
services:
  valkey: {network_mode: host}
  unit: {network_mode: host, extra_hosts: ["valkey:127.0.0.1"]}
  web: {network_mode: host, extra_hosts: ["valkey:127.0.0.1"]}
"""


class Compose:
    """The project's compose.yaml, run by podman-compose in a network namespace of its own."""

    def __init__(self, engine: Engine, directory: Path, *more: str) -> None:
        beside = Path(sys.executable).parent
        tool = shutil.which("podman-compose", path=f"{beside}:{os.environ['PATH']}")
        if tool is None:
            pytest.skip("podman-compose isn't installed: pip install podman-compose")
        self._engine = engine
        self._directory = directory
        files = [word for file in ("compose.yaml", *more, "host.yaml") for word in ("-f", file)]
        self._words = [tool, "--in-pod=false", "-p", "ops", *files]
        shutil.copy(ROOT / "compose.yaml", directory)
        shutil.copytree(ROOT / "config" / "compose", directory / "config" / "compose")
        (directory / "host.yaml").write_text(OVERRIDE)
        for name, secret in SECRETS.items():
            (directory / "config" / "compose" / name).write_text(f"{secret}\n")

    def __call__(self, *words: str) -> str:
        """Run one of its commands."""
        done = subprocess.run(
            [*self._engine.inside, *self._words, *words],
            cwd=self._directory,
            env=self._engine.env,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture
def apart(engine: Engine) -> Iterator[None]:
    """Let the engine work in a network namespace where every port is free."""
    script = "ip link set lo up; echo; exec sleep 600"
    with subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        held.stdout.readline()
        engine.inside = ["nsenter", f"--net=/proc/{held.pid}/ns/net"]
        yield
        engine.inside = []
        held.kill()


@pytest.mark.usefixtures("apart")
def test_the_compose_file_runs_a_job_to_its_end(engine: Engine, image: str, tmp_path: Path) -> None:
    """The file as it is, but for its network: the broker is well, the job works and ends."""
    compose = Compose(engine, tmp_path)
    compose("up", "--detach", "--no-build")
    try:
        valkey, unit = Container(engine, "ops_valkey_1"), Container(engine, "ops_unit_1")
        is_well(valkey)
        is_well(unit)
        wait_until(lambda: "link.up" in unit.log(), 30, f"the link; {unit.log()}")
        status = unit.execute("statusd", "status", "sample", "--socket")
        assert re.search(r"^state +RUNNING$", status, re.M)
        command_line = Path(f"/proc/{valkey.pid}/cmdline").read_text()
        assert "0123456789abcdef" not in command_line + valkey.log() + unit.log()

        # The end of the container may cut off whoever has asked for it in there.
        engine.podman("exec", unit.name, "statusd", "send", "end", "--socket", is_fine=None)
        wait_until(lambda: unit.state("Status") == "exited", 15, "END")
        assert unit.state("ExitCode") == "0"
    finally:
        compose("down", "--volumes")


@pytest.mark.usefixtures("apart", "image")
def test_the_compose_file_runs_three_units_of_one_daemon(engine: Engine, tmp_path: Path) -> None:
    """From a folder, in place of the one unit; END of all leaves the container to be reloaded."""
    compose = Compose(engine, tmp_path, "config/compose/many.yaml")
    compose("up", "--detach", "--no-build")
    try:
        unit = Container(engine, "ops_unit_1")
        is_well(unit)
        wait_until(lambda: "link.up" in unit.log(), 30, f"the link; {unit.log()}")
        said = unit.execute("statusd", "send", "pause", "--socket")
        paused = re.findall(r"^(\w+) +done +RUNNING -> PAUSED", said, re.M)
        assert sorted(paused) == ["camera", "laser", "pump"]
        unit.stop()
        assert unit.state("ExitCode") == "0"
    finally:
        compose("down", "--volumes")


@pytest.mark.usefixtures("apart", "image")
def test_the_compose_file_shows_the_fleet_to_browsers(engine: Engine, tmp_path: Path) -> None:
    """With the profile alone; tightly, by a token from a file, which is seen nowhere."""
    compose = Compose(engine, tmp_path)
    compose("--profile", "web", "up", "--detach", "--no-build")
    try:
        unit, web = Container(engine, "ops_unit_1"), Container(engine, "ops_web_1")
        is_well(unit)
        is_well(web)
        token = SECRETS["web-token"]

        def states() -> dict[str, str]:
            told = json.loads(web.execute("python", "-c", FLEET, token))
            return {one["name"]: one["state"] for one in told["units"]}

        wait_until(lambda: states() == {"sample": "RUNNING"}, 30, f"the fleet; {web.log()}")
        status = Path(f"/proc/{web.pid}/status").read_text()
        assert re.search(r"^CapEff:\t0+$", status, re.M)
        seen = Path(f"/proc/{web.pid}/cmdline").read_text() + web.log()
        assert not any(secret in seen for secret in SECRETS.values())
        web.stop()
        assert web.state("ExitCode") == "0"
    finally:
        compose("--profile", "web", "down", "--volumes")


def test_the_example_for_kubernetes_runs_as_it_is(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    """The example as it is, by `podman kube play`: it runs, and is healthy without a broker."""
    text = (ROOT / "config" / "kubernetes" / "statusd.yaml").read_text(encoding="utf-8")
    file = tmp_path / "statusd.yaml"
    file.write_text(text)
    played = engine.podman("kube", "play", "--network", "host", str(file), is_fine=None)
    if played.returncode:
        pytest.skip(f"podman kube play: {played.stderr.strip()[-300:]}")
    try:
        names = engine.podman("ps", "-a", "--format", "{{.Names}}").stdout.split()
        unit = Container(engine, next(n for n in names if n.endswith("-statusd")))
        wait_until(lambda: '"new": "RUNNING"' in unit.log(), 30, f"RUNNING; {unit.log()}")
        assert "the loop turns" in unit.execute("statusd", "health")
    finally:
        engine.podman("kube", "down", str(file), is_fine=None)
