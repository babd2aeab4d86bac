"""TCP ports of 127.0.0.1 that nobody else takes, also while nobody listens on them.

They are none of those that the kernel gives to whoever doesn't ask for a certain one: a client that
knocks again and again at the port of a dead broker would some day meet itself there. And each is
reserved, by a name in the kernel that is gone with us; other runs of these tests ask for it, too.
"""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from pathlib import Path

FIRST, LAST = 10_000, 65_535
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_reserved: dict[int, socket.socket] = {}


def free_port() -> int:
    """Return a port that nobody uses, and that is ours until `give_back`, or our end.

    Raises:
        OSError: there is none.
    """
    for port in itertools.chain.from_iterable(_candidates()):
        if _reserve(port):
            return port
    raise OSError("each port is in use")


def give_back(port: int) -> None:
    """Let others have a port of `free_port` again; any other one is nobody's business."""
    holder = _reserved.pop(port, None)
    if holder is not None:
        holder.close()


def _candidates() -> Iterator[list[int]]:
    """Return the ports that nobody is given by chance, from any one on, and then the others."""
    low, high = map(int, RANGE.read_text("ascii").split())
    below, above = range(FIRST, min(low, LAST + 1)), range(max(high + 1, FIRST), LAST + 1)
    for ports in ([*below, *above], [*range(max(low, FIRST), min(high, LAST) + 1)]):
        # pytest-randomly has every run draw the same
        first = random.SystemRandom().randrange(max(1, len(ports)))
        yield ports[first:] + ports[:first]


def _reserve(port: int) -> bool:
    """Reserve a port, if nobody has done so, nor uses it; tell whether that was so."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0statusd-tests-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    _reserved[port] = holder
    return True
