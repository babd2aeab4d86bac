"""One table of settings over another: what a unit's file says, over what its folder shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statusd.lifecycles.load import Source


class Layered(Source):
    """What one unit's file says, over what is shared.

    Args:
        own: its file; shared: of the folder.
        content: of both together.
    """

    def __init__(self, own: Source, shared: Source, content: Mapping[str, Any]) -> None:
        self.file, self.content = own.file, dict(content)
        self._own, self._shared = own, shared

    @property
    def written(self) -> tuple[Mapping[str, Any], ...]:
        """What stands in its file, and in the shared one."""
        return self._own.content, self._shared.content

    def place(self, path: tuple[str | int, ...]) -> str:
        """Return ``file:line: key``, in the file that says it."""
        is_shared = not has(self._own.content, path) and has(self._shared.content, path)
        return (self._shared if is_shared else self._own).place(path)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables as one; of what both say, ``above`` counts."""
    found = dict(below)
    for key, value in above.items():
        there = found.get(key)
        both = isinstance(value, Mapping) and isinstance(there, Mapping)
        found[key] = merged(there, value) if both else value  # type: ignore[arg-type]  # it is one
    return found


def has(content: Any, path: tuple[str | int, ...]) -> bool:
    """Tell whether something stands at ``path``."""
    for part in path:
        if isinstance(part, str):
            if not isinstance(content, Mapping) or part not in content:
                return False
        elif not isinstance(content, list) or part >= len(content):
            return False
        content = content[part]
    return True
