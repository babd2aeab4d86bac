"""What the chapters on `statusd.core.status` share: some effects and states, and a quiet word."""

from __future__ import annotations

from statusd.core.answers import Verdict
from statusd.core.events import (
    Arm,
    Disarm,
    Event,
    Leave,
    Save,
    Show,
    StartWorker,
    StopWorker,
)
from statusd.core.messages import Command
from statusd.core.status import Status

CHANGES = (Event, Show, StartWorker, StopWorker, Arm, Disarm, Save, Leave)
"""What a command that is not obeyed must never cause."""

UP = ("INIT", "READY", "RUNNING", "PAUSED")
"""The states in which a worker lives."""


def quiet(status: Status, command: Command) -> Verdict | None:
    """Return the verdict to a word that changes nothing now, else None."""
    meant = status.commands.look_up(command.word)
    return status.commands.quiet(command, meant) if meant is not None else None
