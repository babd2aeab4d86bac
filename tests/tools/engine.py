"""A container engine with a storage of its own and no registry: podman(1), buildah inside, runc.

What a Dockerfile takes from elsewhere is made here from the tree of `ops`, under the same name. It
needs no systemd, no control groups of its own, and no network but the host's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.tools.ops import ENGINE, LAB, CannotRun, demand, tree, wheels

VERSION = "3.11"
"""Of the Python in the tree, and so of the stand-in for the official image."""
PYTHON = f"docker.io/library/python:{VERSION}-slim"
VALKEY = "docker.io/valkey/valkey:8-alpine"
_PIP = """\
FROM localhost/tree
RUN python3 -m venv /usr/local/pip && ln -s /usr/local/pip/bin/pip /usr/local/bin/pip \\
 && ln -s /usr/bin/python3 /usr/local/bin/python \\
 && ln -s /usr/bin/redis-server /usr/local/bin/valkey-server \\
 && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
"""


class Engine:
    """Builds and runs; as a context manager it takes away at the end what it has started.

    Raises:
        CannotRun: it can't be had here, and why.
    """

    def __init__(self) -> None:
        demand(ENGINE)
        self.inside: list[str] = []
        """What stands before each command: words that lead into another namespace."""
        self.directory = Path(tempfile.mkdtemp(prefix="statusd-ops-"))
        self._store = LAB / "podman"
        (self._store / "tmp").mkdir(parents=True, exist_ok=True)
        self._configure()
        try:
            base = tree()
            self.wheels = self.directory / "wheels"
            self.wheels.mkdir()
            wheels(self.wheels, base, "setuptools>=77", "wheel", "six")
            (self.directory / "pip.conf").write_text(
                "[global]\nno-index = true\nfind-links = /wheels\nroot-user-action = ignore\n"
            )
            self._make_images(base)
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        store, files = self._store, self.directory
        (files / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/graph"\nrunroot = "{store}/run"\n'
        )
        # Limits that may be set without CAP_SYS_RESOURCE; no systemd, no journal, no bridges.
        (files / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
            'netns = "host"\nlog_driver = "k8s-file"\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        (files / "registries.conf").write_text("unqualified-search-registries = []\n")
        self.env = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(files / "storage.conf"),
            "CONTAINERS_CONF": str(files / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(files / "registries.conf"),
            "TMPDIR": str(store / "tmp"),
        }

    def _make_images(self, base: Path) -> None:
        if self.podman("image", "exists", "localhost/tree", is_fine=None).returncode != 0:
            tar = ["tar", "-C", str(base), "--exclude=./dev/*", "-cf", "-", "."]
            with subprocess.Popen(tar, stdout=subprocess.PIPE) as packed:
                done = subprocess.run(
                    ["podman", "import", "-q", "-", "localhost/tree"],
                    stdin=packed.stdout,
                    env=self.env,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode:
                raise CannotRun(f"podman import: {done.stderr[-300:]}")
        recipe = self.directory / "base"
        recipe.mkdir()
        (recipe / "Dockerfile").write_text(_PIP)
        self.build(recipe, PYTHON, VALKEY)

    def podman(
        self, *words: str, is_fine: bool | None = True, timeout_s: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run podman.

        Raises:
            AssertionError: it failed, or didn't and should have.
        """
        done = subprocess.run(
            [*self.inside, "podman", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self.env,
            check=False,
        )
        if is_fine is not None:
            said = f"podman {' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
            assert (done.returncode == 0) is is_fine, said
        return done

    def build(self, context: Path, *tags: str, **args: str) -> str:
        """Build the Dockerfile of a folder, without network; return what was printed."""
        return self.podman(
            *("build", "--format", "docker", "--isolation", "chroot", "--pull-never"),
            *("--network", "host", "--volume", f"{self.directory}/pip.conf:/etc/pip.conf:ro"),
            *("--volume", f"{self.directory}/wheels:/wheels:ro"),
            *(word for key, value in args.items() for word in ("--build-arg", f"{key}={value}")),
            *(word for tag in tags for word in ("--tag", tag)),
            str(context),
        ).stdout

    def inspect(self, name: str, what: str) -> Any:
        """Return what podman knows of an image or a container, by a template."""
        return self.podman("inspect", name, "--format", what).stdout.strip()

    def run(self, name: str, image: str, *words: str, **env: str) -> Container:
        """Start a container; it is removed when the engine is closed."""
        settings = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        cut = words.index("--") if "--" in words else len(words)
        options, arguments = words[:cut], words[cut + 1 :]
        self.podman("rm", "-f", "-t", "0", "--ignore", name)
        self.podman("run", "-d", "--name", name, *settings, *options, image, *arguments)
        return Container(self, name)

    def close(self) -> None:
        """Remove our containers; images stay for the next time."""
        for name in self.podman("ps", "-aq").stdout.split():  # some share another one's network
            self.podman("rm", "--force", "--time", "0", "--depend", "--ignore", name)
        self.podman("volume", "prune", "-f", is_fine=None)
        self._remove_groups()
        shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _remove_groups() -> None:
        root = Path("/sys/fs/cgroup")
        for group in (*root.glob("libpod_parent"), *root.glob("*/libpod_parent")):
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    continue  # somebody else's container

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Container:
    """A running container."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def state(self, what: str) -> str:
        """Return ``Status``, ``ExitCode``, ``Pid``."""
        return str(self._engine.inspect(self.name, f"{{{{.State.{what}}}}}"))

    @property
    def pid(self) -> int:
        """Its process 1, as seen from here."""
        return int(self.state("Pid"))

    def is_healthy(self) -> bool:
        """Run its HEALTHCHECK now."""
        return self._engine.podman("healthcheck", "run", self.name, is_fine=None).returncode == 0

    def execute(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Run a command in it."""
        return self._engine.podman("exec", self.name, *words).stdout

    def log(self) -> str:
        """Return what it has printed."""
        done = self._engine.podman("logs", self.name)
        return done.stdout + done.stderr

    def stop(self, timeout_s: int = 10) -> None:
        """Stop it as `docker stop` does."""
        self._engine.podman("stop", "-t", str(timeout_s), self.name)
