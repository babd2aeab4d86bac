"""What is to be typed next: said by those who have begun something."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path

from statusd.cli.waiting import words_on
from statusd.core.words import compile_table
from statusd.settings.models import Settings


def ourselves() -> str:
    """Return how this program is called from here."""
    beside = Path(sys.executable).with_name("statusd")
    if beside.is_file():
        with contextlib.suppress(ValueError):
            return str(beside.relative_to(Path.cwd()))
    return "statusd"


def after_run(settings: Settings, port: int, naming: str = "") -> list[str]:
    """Return what is said when an embedded broker listens.

    Args:
        naming: what names that broker, where verbs wouldn't find it by themselves.
    """
    option = "" if port == 6379 else f" -p {port}"
    channel = next(iter(settings.control.channels), f"{settings.redis.namespace}:control")
    namespace = settings.redis.namespace
    where = "" if port == 6379 else " (6379 is taken)"
    to_type = [
        f"export REDISCLI_AUTH=$(cat {shlex.quote(settings.redis.password_file)})",
        f"redis-cli{option} SUBSCRIBE {namespace}:verdicts {namespace}:events",
        *(f"redis-cli{option} PUBLISH {channel} {word}" for word in _words_to_try(settings)),
        f"cd {shlex.quote(str(Path.cwd()))}",
        f"{ourselves()} status{naming}",
        f"{ourselves()} send END --wait{naming}",
    ]
    told = f"A broker listens on 127.0.0.1:{port}{where}. In another terminal, type:"
    return [told, "", *(f"    {line}" for line in to_type), ""]


def _words_to_try(settings: Settings) -> list[str]:
    """Return a few words that lead on, one after the other: triggers and names of states."""
    lifecycle = settings.states()
    table = compile_table(lifecycle, settings.capabilities())
    return words_on(lifecycle, table, lifecycle.states[settings.first_goal()], 3)
