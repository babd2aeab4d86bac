"""The standard library's own modules, whatever lies in the user's folders by their names.

A `json.py` or `select.py` beside the user's program is found before the library's. Rules of the
worker's side: a function's process has all that it needs before the user's folders are looked into;
what is imported later is built into the interpreter, ours, or imported `WithLibraryFirst`.
"""

from __future__ import annotations

import os
import sys

_HOME = os.path.dirname(os.__file__)
_PLACES = [_HOME, os.path.join(_HOME, "lib-dynload")]


class WithLibraryFirst:
    """While it lasts, imports look into the standard library first.

    Nothing is hidden meanwhile: what other threads import is found where it was.
    """

    def __enter__(self) -> None:
        sys.path[:0] = _PLACES

    def __exit__(self, *_: object) -> None:
        for place in _PLACES:
            sys.path.remove(place)  # the first one: what others did to the path stays
