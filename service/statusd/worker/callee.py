"""What may be called as the work: ``def main(worker)`` or ``async def main(worker)``, no other.

The rule is one for the text of a module (`statusd check`) and for the function itself (its own
process): both say what they know of it here.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
"""What the flags of a code object tell (`inspect.CO_GENERATOR` and so on)."""
_VARARGS = 0x04


class Callee:
    """What is known of something that is to be called with the worker.

    Args:
        name: of it, as the settings have it.
        kind: ``function``, ``class``, ``generator`` (it has ``yield``), or what else it is.
        least, most: so many arguments it needs, and takes, by position.
        needs: the arguments that it needs by keyword.
        is_async: it is ``async def``.
    """

    def __init__(
        self,
        name: str,
        kind: str = "function",
        *,
        least: int = 1,
        most: float = 1,
        needs: Sequence[str] = (),
        is_async: bool = False,
    ) -> None:
        self.name, self.kind, self.is_async = name, kind, is_async
        self.least, self.most, self.needs = least, most, tuple(needs)

    def objection(self) -> str:
        """Return why it can't be the work, and what to write; empty if it can."""
        name, right = self.name, f"def {self.name.rpartition('.')[2]}(worker)"
        right = f"async {right}" if self.is_async else right
        if self.kind == "generator":
            return (
                f"{name} is a generator, for there is a yield in it: a call of it does nothing; "
                "do the work in it, in `for step in worker.while_running()`, and take the yield out"
            )
        if self.kind != "function":
            return f"{name} is {self.kind}, and a function is called: write {right}"
        if self.needs:
            return f"{name} wants {', '.join(self.needs)} by keyword: write {right}"
        if self.most < 1:
            return f"{name} takes no argument, and is given the worker: write {right}"
        if self.least > 1:
            return f"{name} wants {self.least} arguments, and is given the worker: write {right}"
        return ""


def of(name: str, found: Any) -> Callee:
    """Return what there is to know of ``found`` before it is called.

    Of what isn't written in Python, or has its arguments bound, nothing is known: it may be called.
    """
    if isinstance(found, type):
        return Callee(name, "a class")
    if not callable(found):
        return Callee(name, f"a value ({type(found).__name__})")
    if hasattr(found, "func") and hasattr(found, "keywords"):  # functools.partial
        return Callee(name, is_async=of(name, found.func).is_async)
    bound = 0
    if hasattr(found, "__func__"):  # a bound method
        found, bound = found.__func__, 1
    elif not hasattr(found, "__code__"):  # an object that can be called
        found, bound = type(found).__call__, 1
    code = getattr(found, "__code__", None)
    if code is None:
        return Callee(name)
    flags, defaults = code.co_flags, found.__defaults__ or ()
    optional = found.__kwdefaults__ or {}
    by_keyword = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    return Callee(
        name,
        "generator" if flags & (_GENERATOR | _ASYNC_GENERATOR) else "function",
        least=code.co_argcount - bound - len(defaults),
        most=float("inf") if flags & _VARARGS else code.co_argcount - bound,
        needs=[argument for argument in by_keyword if argument not in optional],
        is_async=bool(flags & (_COROUTINE | _ASYNC_GENERATOR)),
    )


def is_unfinished(found: Any) -> bool:
    """Tell whether what a call has returned is the work itself, not begun yet."""
    return any(hasattr(found, mark) for mark in ("cr_frame", "gi_frame", "ag_frame"))
