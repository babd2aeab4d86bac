"""The lifecycle's states as the worker sees them: by their numbers, which stand on the board.

What type checkers know of them stands here as well, for no cost to the user's process.
``worker.state == "PUASED"`` is an error of mypy's (with ``strict_equality``, a part of
``--strict``) where the states are the built-in ones: of `Worker` as it is. With states of its own a
function says which: ``Worker[Scan]`` for an Enum, ``Worker[str]`` for any names, ``Worker[Any]``.
A checker takes a state that was compared to stay what it was found to be, in spite of the time that
goes by: whoever looks twice takes what `wait` and `ack` return, or says ``Worker[str]``.
"""

from __future__ import annotations

import enum

__all__ = ["Generic", "StateT_co", "States"]

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Generic, Literal, Protocol

    from typing_extensions import TypeVar  # typing's has defaults from 3.13 on

    BuiltIn = Literal["INIT", "READY", "RUNNING", "PAUSED", "BACKOFF", "FAILED", "ENDING", "END"]
    StateT_co = TypeVar("StateT_co", covariant=True, default=BuiltIn)
    OwnT = TypeVar("OwnT", default=BuiltIn)

    class Members(Protocol[StateT_co]):
        """What stands for each state in the user's code, by its number."""

        def __getitem__(self, number: int) -> StateT_co:
            """Return that of one number."""
else:
    StateT_co = None

    class Generic:
        """In place of typing's, whose import every worker would pay for: it holds nothing."""

        def __class_getitem__(cls, _: object) -> type:
            return cls


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
