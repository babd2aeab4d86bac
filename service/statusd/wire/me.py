"""Who we say that we are, in the ``by`` of a command."""

from __future__ import annotations

import getpass
import os
import socket

from statusd.core.text import shown


def whoami() -> str:
    """Return ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        user = str(os.getuid())
    return shown(f"{user}@{socket.gethostname()}", None)[:128]
