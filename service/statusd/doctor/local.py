"""This machine, as the unit needs it: folders, secrets, ports, and who starts it again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from statusd.core.errors import ConfigError
from statusd.daemon.metrics import load
from statusd.daemon.wiring import origin, state_directory
from statusd.doctor.findings import Finding, error, ok, unknown, warning
from statusd.private import Untrusted, check_private_directory
from statusd.settings.models import Settings
from statusd.unit.claim import another
from statusd.unit.lease_holder import LeaseHolder
from statusd.wire.local import places, runtime_directory

LEAST_FREE = 16 * 1024 * 1024
"""With less left on the disk the state file may not be written some day."""
STATE_CURE = "set state_directory, or let the service manager make it (StateDirectory=statusd)"
SYSTEMCTL_S = 5.0
SYSTEMD = Path("/run/systemd/system")
"""sd_booted(3): the folder is there if systemd runs the machine."""
PROPERTIES = (
    *("Id", "LoadState", "ActiveState"),
    *("Type", "WatchdogUSec", "Restart", "RestartPreventExitStatus"),
)


def examine(settings: Settings, file: Path | None) -> Iterator[Finding]:
    """Yield what is to be said of this machine.

    Args:
        settings: the unit's; file: where they came from.
    """
    yield from of_daemon(settings, file, file)
    yield from of_unit(settings, file)


def of_daemon(settings: Settings, file: Path | None, runs: Path | None) -> Iterator[Finding]:
    """Yield what is to be said of it for a daemon, whatever units it has.

    Args:
        settings: the daemon's; file: where they came from.
        runs: the file, or the folder, that a service would run.
    """
    try:
        yield folder("state", state_directory(settings), STATE_CURE)
    except ConfigError as failure:
        yield error("state", str(failure), STATE_CURE)
    yield runtime()
    yield from secrets(settings, file)
    yield from http(settings)
    yield from service_manager(runs)


def of_unit(settings: Settings, file: Path | None, *, label: str = "") -> Iterator[Finding]:
    """Yield what is to be said of it for one unit.

    Args:
        label: begins what is said: which unit it is, of several.
    """
    with contextlib.suppress(ConfigError):  # no such directory: told of the daemon
        if whose := another(state_directory(settings), settings.name, origin(settings, file)):
            yield error("state", f"{label}{whose}", 'name = "..."')


def runtime() -> Finding:
    """Judge the place of the sockets; without one a unit lives as well."""
    place = runtime_directory()
    with contextlib.suppress(OSError):
        try:
            check_private_directory(places()[0])
        except Untrusted as doubt:
            return warning("runtime", f"{doubt.what}; {place} takes its place", doubt.cure)
    found = folder("runtime", place, "set RUNTIME_DIRECTORY or XDG_RUNTIME_DIR")
    if found.cure:
        return warning("runtime", f"{found.what}: no commands past the broker", found.cure)
    return found


def lives_here(holder: LeaseHolder) -> bool:
    """Tell whether that daemon is one of this machine, and alive."""
    return holder.host == socket.gethostname() and Path(f"/proc/{holder.pid}").exists()


def folder(about: str, path: Path, cure: str) -> Finding:
    """Judge whether a folder can be written, or made; it is not made."""
    there = next((place for place in (path, *path.absolute().parents) if place.exists()), path)
    if not there.is_dir():
        return error(about, f"{there} is no folder", cure)
    if not os.access(there, os.W_OK | os.X_OK):
        what = f"{path} can't be written" if there == path else f"{path} can't be made in {there}"
        return error(about, what, cure)
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        return error(about, f"{path}: {free // 1024} KiB are left there", "make room on that disk")
    return ok(about, f"{path} can be {'written' if there == path else 'made'}")


def secrets(settings: Settings, file: Path | None) -> Iterator[Finding]:
    """Yield who may read the passwords but shouldn't."""
    redis = settings.redis
    held = [Path(name) for name in (redis.password_file, redis.sentinel_password_file) if name]
    in_url = "@" in redis.url and ":" in redis.url.partition("//")[2].rpartition("@")[0]
    if file is not None and (redis.password or redis.sentinel_password or in_url):
        held.append(file)
    for path in held:
        try:
            mode = path.stat().st_mode
        except OSError as failure:
            yield error("secrets", f"{path}: {failure.strerror}", "let the unit's user read it")
            continue
        if mode & 0o004:
            yield warning("secrets", f"{path}: everybody may read it", f"chmod o= {path}")
        else:
            yield ok("secrets", f"{path}: not everybody may read it")


def http(settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said of the endpoint for health and metrics."""
    where = settings.http.where()
    if where is None:
        return
    try:
        load("registry")
    except ConfigError as failure:
        yield error("http", str(failure), "pip install 'statusd[metrics]'")
        return
    if where.is_private:
        yield ok("http", f"{where}: for this machine alone")
    else:
        cure = 'listen = "127.0.0.1:PORT" behind a proxy, unless the network is trusted'
        yield warning("http", f"{where}: whoever reaches it sees the metrics", cure)


# ---- the service manager -------------------------------------------------------------------------


def service_manager(runs: Path | None) -> Iterator[Finding]:
    """Yield whether somebody starts the daemon again, and knows when it is ready or stuck."""
    about = "service"
    if os.environ.get("NOTIFY_SOCKET"):
        yield ok(about, "a service manager listens to this process")
    elif not SYSTEMD.is_dir():
        cure = "a container's restart policy, or any supervisor"
        yield unknown(about, "no systemd here: who starts the unit again is not known", cure)
    else:
        yield from _units_of_systemd(runs)


def _units_of_systemd(runs: Path | None) -> Iterator[Finding]:
    """Judge what runs, of the machine's units and this user's own; or else what is installed."""
    names = _services(runs)
    try:
        loaded = [("systemctl", unit) for unit in _loaded("systemctl", names)]
    except (OSError, subprocess.SubprocessError) as failure:
        yield unknown("service", f"systemctl: {failure}", "ask as root")
        return
    of_user = "systemctl --user"
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # no login, no such manager
        loaded += ((of_user, unit) for unit in _loaded(of_user, names))
    for manager, unit in [one for one in loaded if _runs(one[1])] or loaded:
        yield from judge(unit, manager)
    if not loaded:
        cure = "install systemd/ as its README says, or without root as docs/running.md says; "
        cure += "or ignore this, if something else starts it"
        yield warning("service", f"systemd knows none of {', '.join(names)}", cure)


def _services(runs: Path | None) -> list[str]:
    """Return which services may run settings, or a folder of them."""
    if runs is None:
        return ["statusd.service"]
    if runs.is_dir():
        return ["statusd-host.service", f"statusd@{runs.resolve().name}.service"]
    return ["statusd.service", f"statusd@{runs.stem}.service"]


def _loaded(manager: str, names: list[str]) -> list[dict[str, str]]:
    """Return those of the units that a service manager knows.

    Raises:
        OSError, subprocess.SubprocessError: it can't be asked.
    """
    words = [*manager.split(), "show", f"--property={','.join(PROPERTIES)}", *names]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=SYSTEMCTL_S)
    return [unit for unit in units(done.stdout) if unit.get("LoadState") == "loaded"]


def _runs(unit: Mapping[str, str]) -> bool:
    return unit.get("ActiveState") in ("active", "reloading")


def units(text: str) -> list[dict[str, str]]:
    """Return the properties of each unit, as ``systemctl show`` has printed them."""
    blocks = (block for block in text.split("\n\n") if block.strip())
    return [dict(line.split("=", 1) for line in b.splitlines() if "=" in line) for b in blocks]


def judge(unit: Mapping[str, str], manager: str = "systemctl") -> Iterator[Finding]:
    """Yield what is missing in one unit of systemd, and how its ``manager`` is told."""
    about, name = "service", unit.get("Id", "?")
    wanted = {
        "Type=notify": unit.get("Type", "").startswith("notify"),
        "WatchdogSec=30s": unit.get("WatchdogUSec", "0") not in ("", "0", "infinity")
        or not _runs(unit),  # systemd says it of what runs alone
        "Restart=on-failure": unit.get("Restart", "no") != "no",
        "RestartPreventExitStatus=78": bool(
            re.search(r"\b78\b", unit.get("RestartPreventExitStatus", ""))
        ),
    }
    missing = [directive for directive, is_there in wanted.items() if not is_there]
    if missing:
        cure = f"{manager} edit {name}: [Service] {' '.join(missing)}"
        yield warning(about, f"{name}: without {', '.join(missing)}", cure)
    else:
        so = "is watched, and" if _runs(unit) else "isn't running; it is"
        yield ok(about, f"{name}: it {so} started again when it fails")
