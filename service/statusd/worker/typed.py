"""What type checkers know of a worker's states, for no cost to the user's process.

``worker.state == "PUASED"`` is an error of mypy's (with ``strict_equality``, a part of
``--strict``) where the states are the built-in ones: of `Worker` as it is. With states of its own a
function says which: ``Worker[Scan]`` for an Enum, ``Worker[str]`` for any names, ``Worker[Any]``.
A checker takes a state that was compared to stay what it was found to be, in spite of the time that
goes by: whoever looks twice takes what `wait` and `ack` return, or says ``Worker[str]``.
"""

from __future__ import annotations

__all__ = ["Generic", "StateT_co"]

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from typing import Generic, Literal, Protocol

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
