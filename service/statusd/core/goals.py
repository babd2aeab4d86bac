"""Which states a unit can take up by itself after a start, and which of them it does."""

from __future__ import annotations

import enum

from statusd.core.capabilities import Capabilities
from statusd.core.lifecycle import Lifecycle, Part
from statusd.core.words import compile_table


class Goals:
    """The goals of one lifecycle, for a worker that can be told what ``capabilities`` says."""

    def __init__(self, lifecycle: Lifecycle, capabilities: Capabilities) -> None:
        self._lifecycle = lifecycle
        self._capabilities = capabilities
        self._restore = compile_table(lifecycle, capabilities).restore

    def possible(self) -> list[enum.Enum]:
        """Return the states that can be taken up after a start, in the lifecycle's order."""
        return [state for state in self._lifecycle.members() if self._is_possible(state)]

    def first(self, stored: str = "", default: str = "") -> enum.Enum:
        """Return where to go after a start.

        Args:
            stored: the goal of the last daemon; empty for none. Starting the daemon is itself a
                request: an END of the last time is over.
            default: where to go if there is none that can be taken up; empty for `own`.
        """
        members = self._lifecycle.states.__members__
        goal = members.get(stored)
        if goal is not None and self._is_possible(goal):
            return goal
        return members[default] if default else self.own()

    def own(self) -> enum.Enum:
        """Return home, or the first work of a program that can't be told to wait there."""
        home, parts = self._lifecycle.home, self._lifecycle.parts
        if self._is_possible(home):
            return home
        return next((goal for goal in self._restore if parts[goal] is Part.WORKS), home)

    def _is_possible(self, goal: enum.Enum) -> bool:
        home, start = self._lifecycle.home, self._lifecycle.start
        if goal is home:
            return not self._capabilities.objection(self._lifecycle, start, home)
        return goal in self._restore
