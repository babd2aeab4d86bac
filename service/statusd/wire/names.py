"""What a unit's things are called in Redis (design section 4), and Redis' own glob patterns."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import NamedTuple

NAMESPACE = "statusd"
"""The namespace when nobody says."""
USUAL = "statusd"
"""What a settings file is usually called, without its ending."""


class Names(NamedTuple):  # like `address.Tls`: `statusd send` needs it
    """Every channel and key of one unit.

    Args:
        namespace: the prefix of them all.
        name: the unit's name; braces keep its keys on one slot of a Cluster.
    """

    namespace: str
    name: str = ""

    @property
    def control(self) -> str:
        """The channel of commands to the whole namespace."""
        return f"{self.namespace}:control"

    @property
    def verdicts(self) -> str:
        """The channel of every verdict."""
        return f"{self.namespace}:verdicts"

    @property
    def events(self) -> str:
        """The channel of every event."""
        return f"{self.namespace}:events"

    @property
    def canary(self) -> str:
        """The channel on which the unit hears itself, to prove that it hears."""
        return f"{self.namespace}:canary:{{{self.name}}}"

    @property
    def logs(self) -> str:
        """The channel on which the unit is asked for what its worker prints."""
        return f"{self.namespace}:logs:{{{self.name}}}"

    @property
    def commands(self) -> str:
        """The stream of durable commands to the whole namespace."""
        return f"{self.namespace}:commands"

    @property
    def cursor(self) -> str:
        """The key that says how far the unit has read `commands`."""
        return f"{self.namespace}:cursor:{{{self.name}}}"

    @property
    def history(self) -> str:
        """The stream of the unit's events; an entry's id is the event's."""
        return f"{self.namespace}:history:{{{self.name}}}"

    @property
    def owner(self) -> str:
        """The key that says which daemon holds the unit's name."""
        return f"{self.namespace}:owner:{{{self.name}}}"

    @property
    def roster(self) -> str:
        """The hash of all units there were: name -> boot, left or not, last seen."""
        return f"{self.namespace}:roster"

    @property
    def status(self) -> str:
        """The key of the unit's status document."""
        return f"{self.namespace}:status:{{{self.name}}}"

    @property
    def lifecycle(self) -> str:
        """The key of what states the unit has, and what leads from one to another."""
        return f"{self.namespace}:lifecycle:{{{self.name}}}"

    @property
    def put_aside(self) -> str:
        """The key to which a history is renamed that nothing can be added to any more."""
        return f"{self.namespace}:unreadable:history:{{{self.name}}}"

    @property
    def roster_put_aside(self) -> str:
        """The same of a roster that is none."""
        return f"{self.namespace}:unreadable:{{{self.roster}}}"

    @property
    def commands_put_aside(self) -> str:
        """The same of a stream of commands whose ids are used up."""
        return f"{self.namespace}:unreadable:{{{self.commands}}}"


def is_pattern(channel: str) -> bool:
    """Tell whether ``channel`` is a glob pattern, to be heard with PSUBSCRIBE."""
    return any(sign in channel for sign in "*?[")


def default_name(file: Path | None) -> str:
    """Return the name of a unit that has none: its settings' file @ the host.

    For a ``statusd.toml``, as any project may have one, it is the file's folder @ the host.
    """
    if file is None or file.stem != USUAL:
        return former_name(file)
    return _at_host(spelt(settings_path(file).parent.name) or USUAL)


def typed_name(job: str) -> str:
    """Return the name of a unit whose job was typed: its module, or its program, @ the host."""
    return _at_host(spelt(job) or USUAL)


def spelt(text: str) -> str:
    """Return ``text`` as it may stand in a unit's name; empty if nothing of it may."""
    return re.sub(r"[^A-Za-z0-9._@-]", "-", text).lstrip("-")


def former_name(file: Path | None) -> str:
    """Return the name that older versions derived: of two projects of a host often the same."""
    return _at_host(file.stem if file is not None else USUAL)


def settings_path(file: Path) -> Path:
    """Return where a settings file is, however its folder was reached."""
    return Path(os.path.realpath(file.parent)) / file.name


def shared_file(folder: Path) -> Path:
    """Return where a folder of units has what they share, if it has such a file."""
    return folder / f"{USUAL}.toml"


def _at_host(base: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@-]", "-", f"{base}@{socket.gethostname()}")[:64]
