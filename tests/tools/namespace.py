"""A network namespace with one cable to it, that can be pulled: packets are lost, nobody is told.

See ip-netns(8) and veth(4). It takes the rights of root; without them, tests are skipped.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import Self

_numbers = itertools.count(1)


class Namespace:
    """A network behind a cable; as a context manager it is made, and taken away again.

    This side has ``198.51.100.1``, the far one ``198.51.100.2`` (RFC 5737: nobody's addresses), and
    there is no way out of it. One at a time.
    """

    near, far = "198.51.100.1", "198.51.100.2"

    def __init__(self) -> None:
        self._name = f"statusd-{os.getpid()}-{next(_numbers)}"
        self._cable = f"sd{os.getpid() % 100_000}"

    @staticmethod
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
        for words in (["link", "del", self._cable], ["netns", "del", self._name]):
            subprocess.run(["ip", *words], capture_output=True, check=False, timeout=10)

    def __enter__(self) -> Self:
        try:
            _ip("netns", "add", self._name)
            _ip("link", "add", self._cable, "type", "veth", "peer", "far", "netns", self._name)
            _ip("addr", "add", f"{self.near}/30", "dev", self._cable)
            _ip("link", "set", self._cable, "up")
            self._far("addr", "add", f"{self.far}/30", "dev", "far")
            self._far("link", "set", "far", "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _far(self, *words: str) -> None:
        _ip("-netns", self._name, *words)


def _ip(*words: str) -> None:
    """Run ip(8).

    Raises:
        PermissionError: it failed, with its own words.
    """
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=10)
    if done.returncode:
        raise PermissionError(done.stderr.strip() or f"ip {' '.join(words)} failed")
