"""What a unit waits for that has nothing to go for: said once, to whoever sits at the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from statusd.core.lifecycle import Lifecycle
from statusd.core.words import Table, compile_table

if TYPE_CHECKING:
    import enum

    from statusd.core.status import Status
    from statusd.settings.models import Settings


def words_on(lifecycle: Lifecycle, table: Table, state: enum.Enum, most: int) -> list[str]:
    """Return words that lead on from ``state``, one after the other; a trigger, then states."""
    words: list[str] = []
    for _ in range(most):
        ways = [table.decisions[state][trigger.lower()] for trigger in table.allowed[state]]
        on = [way for way in ways if way.dest not in (None, lifecycle.ending)]
        if not on or on[0].dest is None:
            break
        state = lifecycle.final_of(on[0].dest)
        words.append(state.name if words else on[0].trigger)
    return words


class Waiting:
    """Says what a unit waits for when it is there for the first time, and has no goal beyond.

    Args:
        settings: of the unit.
        naming: what names its broker, if verbs don't find it by themselves: `` --file job.toml``.
        say: says a line.
    """

    def __init__(self, settings: Settings, naming: str, say: Callable[[str], None]) -> None:
        lifecycle = settings.states()
        table = compile_table(lifecycle, settings.capabilities())
        words = words_on(lifecycle, table, lifecycle.home, 1)
        self._line = f"waits for `{words[0]}`: statusd send {words[0]}{naming}" if words else ""
        self._say = say

    def look(self, status: Status) -> None:
        """Say it, if it is so."""
        if self._line and status.state is status.lifecycle.home:  # a goal beyond leads on at once
            line, self._line = self._line, ""
            self._say(line)
