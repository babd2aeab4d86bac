"""What must be so before a trigger is fired, and what is known of who asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from statusd.core.messages import Scalar


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants a trigger to be fired, for a condition to judge.

    Args:
        trigger: its name; state: the name of the present state.
        source: where it came in, e.g. ``redis:mychannel`` or ``worker``.
        by: who the sender claims to be; empty if it doesn't say.
        args: what the command brings for the worker.
    """

    trigger: str
    state: str
    source: str
    by: str = ""
    args: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """A pure function that must agree before a trigger is fired (``conditions``, ``unless``).

    It judges commands and the worker's wishes, never the daemon: a signal and a deadline always
    get through.

    Args:
        name: of the function.
        function: called with a `Request`; no I/O, no side effects, no waiting.
        wanted: what it must return: True for ``conditions``, False for ``unless``.
    """

    name: str
    function: Callable[[Request], object]
    wanted: bool = True

    def objection(self, request: Request) -> str:
        """Return why ``request`` is refused, or an empty text.

        A function that raises refuses: nothing has changed, and the sender is told.
        """
        try:
            agrees = bool(self.function(request)) is self.wanted
        except Exception as error:  # the user's own code: whatever it raises, the answer is no
            return f"the condition {self.name} failed: {type(error).__name__}: {error}"[:300]
        if agrees:
            return ""
        lines = (self.function.__doc__ or "").strip().splitlines()
        words = f"{'' if self.wanted else 'unless '}{self.name}"
        return f"{words}: {lines[0]}" if lines else f"the condition {words} isn't met"
