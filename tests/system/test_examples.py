"""The examples: each copied as it stands, run and commanded by the lines of its own README."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.commands import changes, redis_cli, statusd
from tests.tools import Broker, Process, environment, killing, wait_until
from tests.tools.output import as_read
from tests.tools.pages import blocks, shell_lines

EXAMPLES = Path("examples")

# The lines of each README -> the states that each leads to, the last one being where it stays.
LEADS_TO = {
    "acquisition": {
        "statusd send configure": "",
        "statusd send configure --arg exposure_s=0.05": "CONFIGURING CONFIGURED",
        "statusd send acquire": "ACQUIRING",
        "touch too_hot": "FAULT",
        "rm too_hot": "",
        "statusd send clear": "IDLE",
        "statusd send end": "ENDING END",
    },
    "image-pipeline": {
        "statusd status pipeline": "",
        "statusd send pause": "PAUSED",
        "statusd send resume": "RUNNING",
        "statusd send end": "ENDING END",
    },
    "shell-script": {
        "statusd send start": "RUNNING",
        "statusd send pause": "PAUSED",
        "statusd send start --arg step_s=0.05": "",
        "statusd send resume --arg step_s=0.05": "RUNNING",
        "statusd send end": "ENDING END",
    },
    "training": {
        "statusd send pause": "PAUSED",
        "statusd send resume": "RUNNING",
        "statusd send end": "ENDING END",
    },
    "unix-program": {
        "statusd send pause": "PAUSED",
        "statusd send resume": "RUNNING",
        "statusd send stop": "",
        "statusd send end": "ENDING END",
    },
}
FIRST = {"acquisition": "IDLE", "shell-script": "READY"}
"""Where they go by themselves, if not to RUNNING."""


class Example:
    """A copy of an example with its own broker, in a folder of its own."""

    def __init__(self, name: str, directory: Path) -> None:
        self.folder = directory / name
        if not self.folder.exists():
            shutil.copytree(EXAMPLES / name, self.folder)
        bin_directory = Path(sys.prefix, "bin")
        self.environment = environment(directory) | {
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(directory),
        }
        self._log = directory / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["statusd", "run", "--embedded"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def type(self, line: str) -> None:
        """Run what a user types in a second terminal."""
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self.environment, timeout=10, check=False
        )
        assert done.returncode == 0, line

    def output(self) -> str:
        """Return all that it printed."""
        return as_read(self._log.read_text(encoding="utf-8", errors="replace"))

    def states(self) -> list[str]:
        """Return the states it came to, in order."""
        lines = [line for line in self.output().splitlines() if '"state.changed"' in line]
        return [json.loads(line)["new"] for line in lines]

    def wait(self, state: str) -> None:
        """Wait until it has come to ``state`` and stays there."""
        wait_until(lambda: self.states()[-1:] == [state], 15, f"{state} in {self.output()}")

    def worker(self) -> int:
        """Return the pid of the newest worker."""
        lines = [line for line in self.output().splitlines() if '"worker.started"' in line]
        return int(json.loads(lines[-1])["pid"])


@contextmanager
def running(name: str, directory: Path, first: str = "") -> Iterator[Example]:
    """Run an example until it has come to its first state and hears."""
    example = Example(name, directory)
    try:
        example.wait(first or FIRST.get(name, "RUNNING"))
        wait_until(lambda: example.output().count('"link.up"') == 2, 10, "both links")
        yield example
    finally:
        example.process.send_signal(signal.SIGTERM)
        try:
            example.process.wait(10)
        except subprocess.TimeoutExpired:
            example.process.kill()
            raise


def readme(name: str) -> list[list[str]]:
    """Return the shell blocks of an example's README."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    return [shell_lines(block) for block in blocks(text, "sh")]


def test_every_example_is_listed_and_run() -> None:
    """In the README of the examples, and below."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}

    assert folders == LEADS_TO.keys() | {"attached", "slurm"}  # which test_batch.py runs
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"({name})" in listed for name in folders)


@pytest.mark.parametrize("name", sorted(LEADS_TO))
def test_an_example_does_what_its_readme_says(name: str, tmp_path: Path) -> None:
    """Line for line; what the README calls refused changes nothing; it ends with 0."""
    first, lines = readme(name)
    assert first[-1] == "statusd run --embedded"
    assert lines == list(LEADS_TO[name])

    with running(name, tmp_path) as example:
        for line in lines:
            before = example.states()
            example.type(line)
            leads_to = LEADS_TO[name][line].split()
            if leads_to:
                example.wait(leads_to[-1])
            assert example.states()[len(before) :] == leads_to

        assert example.process.wait(10) == 0


@pytest.mark.parametrize("name", sorted(LEADS_TO))
def test_an_example_has_no_mistakes(name: str, tmp_path: Path) -> None:
    """As `statusd check` says; and the picture that the README asks for is made."""
    shutil.copytree(EXAMPLES / name, tmp_path / name)

    done = statusd("check", cwd=tmp_path / name)
    drawn = statusd("graph", "-o", "scan.mmd", cwd=tmp_path / name)

    assert (done.returncode, done.stderr) == (0, "")
    assert drawn.returncode == 0
    assert "flowchart" in (tmp_path / name / "scan.mmd").read_text()


def test_the_acquisition_comes_back_with_its_exposure(tmp_path: Path) -> None:
    """The worker is killed while it acquires: configured again, and acquiring again."""
    with running("acquisition", tmp_path) as example:
        example.type("statusd send configure --arg exposure_s=0.05")
        example.wait("CONFIGURED")
        example.type("statusd send acquire")
        example.wait("ACQUIRING")
        killed = example.worker()

        os.kill(killed, signal.SIGKILL)

        wait_until(lambda: example.worker() != killed, 10, "another worker")
        example.wait("ACQUIRING")
        way = ["BACKOFF", "INIT", "IDLE", "CONFIGURING", "CONFIGURED", "ACQUIRING"]
        assert example.states()[-6:] == way


def test_the_script_counts_twice_as_fast(tmp_path: Path) -> None:
    """The args came through; and it says its last word when it was told to end."""
    with running("shell-script", tmp_path) as example:
        example.type("statusd send start --arg step_s=0.001")
        wait_until(lambda: "counted to 30" in example.output(), 10, "thirty steps")
        example.type("statusd send end")

        assert example.process.wait(10) == 0
    assert "run 1 | done at" in example.output()


def test_the_training_goes_on_where_it_was(tmp_path: Path) -> None:
    """PAUSE is done when the checkpoint is written; the next run begins with it."""
    with running("training", tmp_path) as example:
        checkpoint = example.folder / "checkpoint.json"
        example.type("statusd send pause")
        example.wait("PAUSED")
        example.type("statusd send end")
        example.process.wait(10)
        epoch = json.loads(checkpoint.read_text())["epoch"]
    with running("training", tmp_path) as again:
        wait_until(lambda: "training from epoch" in again.output(), 15, "its first words")

        assert f"training from epoch {epoch}\n" in again.output()
        assert epoch > 0


def test_the_pipeline_goes_on_where_it_was(tmp_path: Path) -> None:
    """END leaves the loops after an image; the next run makes the others, and finishes."""
    with running("image-pipeline", tmp_path) as example:
        raw = example.folder / "raw"
        wait_until(lambda: len(list(raw.glob("*.pgm"))) > 2, 15, "some images")
        example.type("statusd send end")
        assert example.process.wait(10) == 0
        exposed = {image.name: image.stat().st_mtime_ns for image in raw.iterdir()}
    assert "0 of 300 images are smooth" in example.output()
    settings = example.folder / "statusd.toml"
    quick = 'environment = { IMAGES = "40", EXPOSURE_S = "0.001" }'
    settings.write_text(f"{settings.read_text()}{quick}\n", encoding="utf-8")

    with running("image-pipeline", tmp_path, "END") as again:
        assert again.process.wait(10) == 0

    assert "40 of 40 images are smooth" in again.output()
    now = {image.name: image.stat().st_mtime_ns for image in raw.iterdir()}
    assert exposed.items() <= now.items()


def test_the_unix_program_stands_still(tmp_path: Path) -> None:
    """`ps` shows it stopped, and END comes through."""
    with running("unix-program", tmp_path) as example:
        example.type("statusd send pause")
        process = Process.of(example.worker())
        assert process is not None
        wait_until(lambda: process.state == "T", 15, "it to be stopped")
        example.type("statusd send end")

        assert example.process.wait(10) == 0
    assert '"reason": "killed by SIGTERM"' in example.output()


def test_the_attached_script_does_what_its_readme_says(broker: Broker, tmp_path: Path) -> None:
    """It is the main process, obeys each line, and goes on behind the block."""
    first, lines = readme("attached")
    assert first == ["python scan.py"]
    folder = shutil.copytree(EXAMPLES / "attached", tmp_path / "attached")
    paths = [
        str(redis_cli(tmp_path, broker.port)),
        str(Path(sys.prefix, "bin")),
        os.environ["PATH"],
    ]
    variables = environment(tmp_path) | {
        "PATH": ":".join(paths),
        "STATUSD_REDIS__URL": broker.url,
    }
    log = tmp_path / "log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            ["python", "scan.py"], cwd=folder, env=variables, stdout=out, stderr=out
        ) as it,
        killing(it),
    ):
        leads_to = ["RUNNING", "PAUSED", "RUNNING", "RUNNING", "END"]
        for line, state in zip(["true", *lines], leads_to, strict=True):
            subprocess.run(line, shell=True, cwd=folder, env=variables, timeout=10, check=True)
            wait_until(lambda s=state: changes(log)[-1:] == [s], 15, f"{state} by {line}")  # type: ignore[misc]  # mypy can't infer lambdas with defaults
        assert it.wait(10) == 0
    assert "points, and the program goes on" in log.read_text()
