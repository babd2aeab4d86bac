"""The lifecycle's states as the worker sees them: by their numbers, which stand on the board."""

from __future__ import annotations

import enum

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class States:
    """All states of one run.

    ``all`` is the Enum of them, and ``members`` what stands for each in the user's code; ``works``
    and ``leaves`` tell what each asks for, and ``ending`` is the number of ENDING.

    Args:
        names, parts, own: as `Worker` gets them.
    """

    def __init__(self, names: Sequence[str], parts: str, own: Any) -> None:
        made: Any = enum.StrEnum  # the states are known at run time only; prints its name
        self.names, self.parts, self.own = tuple(names), parts, own
        self.all: Any = own or made("State", {name: name for name in names})
        known = self.all.__members__
        self.members: tuple[Any, ...] = tuple(known.get(n, known["END"]) for n in names)
        self.ending = self.names.index("ENDING")
        self.works = tuple(letter == "r" for letter in parts)
        self.leaves = tuple(letter == "e" for letter in parts)
