"""Connecting to a socket in a folder of any length: its name has 107 bytes, unix(7)."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def connect(sock: socket.socket, path: Path) -> None:
    """Connect ``sock`` to the socket at ``path``, by its name in its open folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
