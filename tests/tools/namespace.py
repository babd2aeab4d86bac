"""A network namespace with one cable to it, that can be pulled: packets are lost, nobody is told.

See ip-netns(8) and veth(4). It takes the rights of root; without them, tests are skipped.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Self

from tests.tools.processes import OWNER, SESSION, Process

_PLACE = Path("/run/netns")
_PREFIX = "statusd-"
_NOBODYS = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")
"""Networks for documentation (RFC 5737): nobody on a real one has an address of those."""

_numbers = itertools.count(1)


class Namespace:
    """A network behind a cable; as a context manager it is made, and taken away again.

    This side has the address ``near``, the far one ``far``, which no other namespace has at that
    time, and there is no way out of it.
    """

    def __init__(self) -> None:
        self._name = f"{_prefix(SESSION)}{next(_numbers)}"
        self.near = self.far = ""

    @staticmethod
    @functools.cache
    def why_not() -> str:
        """Return why there can't be one here; empty if there can."""
        if shutil.which("ip") is None:
            return "ip(8) isn't installed"
        try:
            with Namespace():
                return ""
        except PermissionError as error:
            return f"no network namespace of our own: {error}"

    @property
    def inside(self) -> list[str]:
        """The words that run a command on the far side, for `Broker`."""
        return ["ip", "netns", "exec", self._name]

    def pull(self) -> None:
        """Pull the cable: packets vanish, both ways; no connection hears of it."""
        self._far("link", "set", "far", "down")

    def plug(self) -> None:
        """Plug it in again."""
        self._far("link", "set", "far", "up")

    def close(self) -> None:
        """Take it away; a second call does nothing."""
        _remove(self._name)

    def __enter__(self) -> Self:
        try:
            _ip("netns", "add", self._name)
            cable, near, far = self._lay_cable()
            _ip("addr", "add", f"{near}/30", "dev", cable)
            _ip("link", "set", cable, "up")
            self._far("addr", "add", f"{far}/30", "dev", "far")
            self._far("link", "set", "far", "up")
        except BaseException:
            self.close()
            raise
        self.near, self.far = str(near), str(far)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lay_cable(self) -> tuple[str, IPv4Address, IPv4Address]:
        """Return its name on this side, and the addresses of both ends.

        The number in the name is that of the addresses: who has made the one, has the others.

        Raises:
            PermissionError: it can't be made, or each that there could be is there.
        """
        networks = (part for all_ in _NOBODYS for part in IPv4Network(all_).subnets(new_prefix=30))
        for number, network in enumerate(networks):
            cable = f"{_PREFIX}{number}"
            words = ("link", "add", cable, "type", "veth", "peer", "far", "netns", self._name)
            try:
                _ip(*words)
            except FileExistsError:
                continue
            return cable, network[1], network[2]
        raise PermissionError("each of the cables that there can be is laid")

    def _far(self, *words: str) -> None:
        _ip("-netns", self._name, *words)


def networks() -> list[str]:
    """Return the names of the namespaces that tests have made, of whichever session."""
    names = os.listdir(_PLACE) if _PLACE.is_dir() else []
    return [name for name in names if owner_of(name)]


def owner_of(name: str) -> str:
    """Return who has made the namespace ``name``; empty if no test has."""
    found = OWNER.match(name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else None
    return found[0] if found is not None else ""


def remove_networks(session: str) -> None:
    """Take away the namespaces of a session, and kill what lives in them."""
    for name in networks():
        if name.startswith(_prefix(session)):
            _remove(name)


def _prefix(session: str) -> str:
    return f"{_PREFIX}{session.replace('/', '-')}-"


def _remove(name: str) -> None:
    """Take a namespace away with its cable, which would else stay until all in it has ended."""
    for pid in _try("netns", "pids", name).split():
        process = Process.of(int(pid))
        if process is not None:
            process.kill()
    _try("-netns", name, "link", "del", "far")
    _try("netns", "del", name)


def _ip(*words: str) -> None:
    """Run ip(8).

    Raises:
        FileExistsError: what is to be made is there already.
        PermissionError: it failed, with its own words.
    """
    done = _run(*words)
    if done.returncode and "File exists" in done.stderr:
        raise FileExistsError(done.stderr.strip())
    if done.returncode:
        raise PermissionError(done.stderr.strip() or f"ip {' '.join(words)} failed")


def _try(*words: str) -> str:
    """Run ip(8), and return what it printed, also if there is nothing (any more) to do it to."""
    return _run(*words).stdout


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
        env=os.environ | {"LC_ALL": "C"},
    )
