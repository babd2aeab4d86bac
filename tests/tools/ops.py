"""What `make ops-check` stands on: tools from the distribution, one Debian tree, and our wheels.

The tree is made once, below ``$STATUSD_OPS`` (/var/tmp/statusd-ops), and never written to again. It
is a machine to boot as well as what images are made from: there is no registry.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAB = Path(os.environ.get("STATUSD_OPS", "/var/tmp/statusd-ops"))
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,procps,redis-server"
COMMANDS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap"}
ENGINE = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "catatonit": "catatonit",
    "debootstrap": "debootstrap",
}

_FOR_OLDER = ("async-timeout>=4.0.3",)
"""What redis-py needs before Python 3.11.3: pip asks our own Python, not the tree's."""


class CannotRun(Exception):
    """Here it can't be tried, and why."""


def run(
    words: Sequence[str], *, timeout_s: float = 600, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, at low priority, and return what it said."""
    return subprocess.run(
        ["nice", "-n", "10", *words],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=env,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def demand(commands: Mapping[str, str]) -> None:
    """See to it that commands are there; missing ones are installed, by package.

    Raises:
        CannotRun: we aren't root, or they can't be had.
    """
    if os.geteuid() != 0:
        raise CannotRun("needs root")
    missing = [package for command, package in commands.items() if shutil.which(command) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise CannotRun(f"needs {', '.join(missing)}, and there is no apt-get")
    done = run(["apt-get", "install", "-y", "--no-install-recommends", *missing])
    if done.returncode:
        raise CannotRun(f"apt-get could not install {', '.join(missing)}: {done.stderr[-200:]}")


@contextmanager
def _locked(name: str) -> Iterator[None]:
    LAB.mkdir(parents=True, exist_ok=True)
    with (LAB / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def tree() -> Path:
    """Return a Debian tree, made when there is none yet (two minutes).

    Raises:
        CannotRun: it can't be made.
    """
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if line
    )
    codename = release.get("VERSION_CODENAME", "").strip('"')
    made = LAB / f"tree-{codename}"
    with _locked("lock"):
        if not made.with_suffix(".done").exists():
            _debootstrap(codename, made)
            made.with_suffix(".done").touch()
    return made


def _debootstrap(codename: str, target: Path) -> None:
    listed = run(
        [
            *("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"),
            "Created-By: Packages",
        ]
    ).stdout.split("\n")
    mirrors = [line.split()[1] for line in listed if line.startswith(f"{codename} ")]
    if not mirrors:
        raise CannotRun(f"apt has no source for {codename or 'this system'}")
    shutil.rmtree(target, ignore_errors=True)
    words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", codename, str(target)]
    done = run([*words, mirrors[0]])
    if done.returncode:
        raise CannotRun(f"debootstrap: {done.stdout[-200:]}")
    (target / "etc/machine-id").write_text("")


def wheels(there: Path, root: Path, *more: str) -> None:
    """Bring our wheel, and all that it needs for the Python of the tree ``root``, to ``there``.

    Raises:
        CannotRun: the index can't be reached.
    """
    version = next((root / "usr/bin").glob("python3.[0-9]*")).name.removeprefix("python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    machine = os.uname().machine
    platforms = [f"--platform=manylinux{tag}_{machine}" for tag in ("2014", "_2_17", "_2_28")]
    for words in (
        ["wheel", "--no-deps", "-w", str(there), str(ROOT)],
        [
            *("download", "-d", str(there), "--find-links", str(there), "--only-binary=:all:"),
            *(f"--python-version={version}", "--implementation=cp", *platforms),
            *("-c", str(ROOT / "constraints.txt"), "statusd[web]", *_FOR_OLDER, *more),
        ],
    ):
        done = run([*pip, *words])
        if done.returncode:
            raise CannotRun(f"pip {words[0]}: {done.stderr[-500:]}")
