"""The examples: each copied as it stands, run and commanded by the lines of its own README."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.commands import changes, redis_cli, statusd, typed
from tests.tools import Broker, Process, environment, killing, wait_until
from tests.tools.file_server import FileServer
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

    def typed(self, line: str) -> str:
        """Return what such a line prints."""
        return typed(line, self.environment, self.folder)

    def typing(self, line: str) -> subprocess.Popen[bytes]:
        """Begin such a line, which waits for something."""
        return subprocess.Popen(line, shell=True, cwd=self.folder, env=self.environment)

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

    # `slurm` is run by test_batch.py
    assert folders == LEADS_TO.keys() | {"attached", "downloader", "notebook", "slurm"}
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


@pytest.mark.parametrize("name", sorted([*LEADS_TO, "downloader"]))
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


SIZE, RANGE = 30_000, 1_000


def test_the_downloads_obey_their_readme_and_go_on_where_they_were(tmp_path: Path) -> None:
    """PAUSE asks for no more ranges, END leaves a part; over both runs no byte is fetched twice."""
    first, (look, pause, resume, end) = readme("downloader")
    assert first == ["statusd run --embedded"]
    files = {f"/{name}.raw": os.urandom(SIZE) for name in "abcd"}
    with FileServer(files) as web:
        folder = downloads(tmp_path, web)
        web.let(20)
        with running("downloader", tmp_path) as example:
            wait_until(lambda: len(web.asked) == 23, 15, "three at once that wait")
            wait_until(lambda: "20,000/120,000" in example.typed(look), 15, "bytes, of all files")
            with example.typing(pause) as paused:
                example.wait("PAUSED")
                web.let(3)
                assert paused.wait(10) == 0  # which says that every task has seen it
            assert len(web.asked) == 23
            example.type(resume)
            wait_until(lambda: len(web.asked) == 26, 15, "three more")
            example.type(end)
            example.wait("ENDING")
            web.let(3)
            assert example.process.wait(10) == 0
        assert "0 of 4 files are whole" in example.output()
        assert sum(part.stat().st_size for part in folder.glob("*.part")) == 26 * RANGE
        web.let(200)
        with running("downloader", tmp_path, "END") as again:
            assert again.process.wait(10) == 0

    assert {f"/{file.name}": file.read_bytes() for file in folder.glob("*.raw")} == files
    assert sorted(web.asked) == [(path, at) for path in files for at in range(0, SIZE, RANGE)]
    assert not list(folder.glob("*.part"))


def downloads(directory: Path, web: FileServer) -> Path:
    """Copy the downloader, with what ``web`` has as its list, to be fetched in small ranges."""
    folder = shutil.copytree(EXAMPLES / "downloader", directory / "downloader")
    (folder / "urls.txt").write_text("\n".join(["# a remark", *web.urls]), encoding="utf-8")
    variables = f'environment = {{ RANGE = "{RANGE}", no_proxy = "*" }}'
    with (folder / "statusd.toml").open("a", encoding="utf-8") as settings:
        settings.write(f"{variables}\n")
    return folder


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
    leads_to = ["PAUSED", "RUNNING", "RUNNING", "END"]

    with attached("attached", "python scan.py", broker, tmp_path) as it:
        it.wait("RUNNING")
        for line, state in zip(lines, leads_to, strict=True):
            it.type(line)
            it.wait(state)
        assert it.process.wait(10) == 0

    assert "points, and the program goes on" in it.output()


def test_the_notebook_is_commanded_by_its_cells_and_from_a_terminal(
    broker: Broker, tmp_path: Path
) -> None:
    """Its cells in order, in one process as of a kernel; what a cell says of others is so."""
    first, lines = readme("notebook")
    assert first == ["jupyter lab scan.ipynb"]
    kernel = f"python -c {shlex.quote(KERNEL)} scan.ipynb"

    with attached("notebook", kernel, broker, tmp_path) as it:
        for cell in ("attach", "scan"):
            it.run(cell)
        it.wait("RUNNING")
        for line, state in zip(lines, ["RUNNING", "PAUSED", "RUNNING"], strict=True):
            it.type(line)
            it.wait(state)
        for cell, state in {"pause": "PAUSED", "look": "PAUSED", "resume": "RUNNING"}.items():
            it.run(cell)
            it.wait(state)
        it.run("end")
        it.wait("END")
        assert it.process.wait(10) == 0

    told = it.output()
    assert "{'notebook': 'done'}" in told
    there, in_the_end = (int(count) for count in re.findall(r"(\d+) points, ", told))
    assert 0 < there < in_the_end < 5000


KERNEL = """
import json, sys
cells = {cell["id"]: cell for cell in json.load(open(sys.argv[1]))["cells"]}
waiting = [name for name, cell in cells.items() if cell["cell_type"] == "code"]
for line in sys.stdin:
    assert waiting.pop(0) == line.strip(), line
    exec("".join(cells[line.strip()]["source"]), globals())
    print(f"cell {line.strip()} is run", flush=True)
    if not waiting:
        break
"""
"""Runs the next cell of a notebook for each line that it reads, which names it; then it ends."""


def test_the_notebook_is_one() -> None:
    """Of format 4.5: cells with names of their own; no output is kept in it."""
    notebook = json.loads((EXAMPLES / "notebook" / "scan.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]

    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", cell["id"]) for cell in cells)
    assert {tuple(sorted(cell)) for cell in cells if cell not in code} == {
        ("cell_type", "id", "metadata", "source")
    }
    assert {tuple(sorted(cell)) for cell in code} == {
        ("cell_type", "execution_count", "id", "metadata", "outputs", "source")
    }
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]


class Attached:
    """A copy of an example that is its own main process, in a folder of its own."""

    def __init__(self, name: str, line: str, broker: Broker, directory: Path) -> None:
        self._folder = shutil.copytree(EXAMPLES / name, directory / name)
        paths = [redis_cli(directory, broker.port), Path(sys.prefix, "bin"), os.environ["PATH"]]
        self._environment = environment(directory) | {
            "PATH": ":".join(map(str, paths)),
            "STATUSD_REDIS__URL": broker.url,
            "STATUSD_LOG__LEVEL": "info",
        }
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                shlex.split(line),
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def type(self, line: str) -> None:
        """Run what a user types in a terminal."""
        typed(line, self._environment, self._folder)

    def run(self, cell: str) -> None:
        """Run the next cell, which has this name, to its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{cell}\n".encode())
        self.process.stdin.flush()
        wait_until(lambda: f"cell {cell} is run" in self.output(), 15, f"{cell}: {self.output()}")

    def output(self) -> str:
        """Return all that it printed."""
        return self._log.read_text(encoding="utf-8")

    def wait(self, state: str) -> None:
        """Wait until it has come to ``state`` and stays there."""
        wait_until(lambda: changes(self._log)[-1:] == [state], 15, f"{state} in {self.output()}")


@contextmanager
def attached(name: str, line: str, broker: Broker, directory: Path) -> Iterator[Attached]:
    """Run an example that attaches, and see to it that nothing is left."""
    it = Attached(name, line, broker, directory)
    assert it.process.stdin is not None
    with it.process, killing(it.process):
        yield it
