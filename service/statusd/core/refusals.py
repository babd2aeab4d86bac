"""What is said of a word that isn't allowed now: what it is for, and what to type instead."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping

from statusd.core.lifecycle import Lifecycle

MOST = 6
"""So many states, or words, are named; a large lifecycle has dozens."""

Legal = Callable[[enum.Enum], Mapping[str, enum.Enum]]
"""Returns trigger -> target for what anyone may fire in a state."""


class Refusals:
    """Says why words are refused.

    Args:
        lifecycle: whose words they are.
        legal: what may be fired where.
    """

    def __init__(self, lifecycle: Lifecycle, legal: Legal) -> None:
        self._final = lifecycle.final_of
        self._legal = legal
        self._of: dict[str, dict[str, None]] = {}
        """Word -> the states in which it changes something."""
        for source in lifecycle.members():
            for trigger, dest in legal(source).items():
                for word in (trigger, dest.name):
                    self._of.setdefault(word, {})[source.name] = None

    def text(
        self, word: str, state: enum.Enum, targets: Iterable[enum.Enum], allowed: Collection[str]
    ) -> str:
        """Return why ``word`` is refused in ``state``: that it is, and what would not be.

        Args:
            targets: where it leads elsewhere.
            allowed: the words that change something in ``state``.
        """
        told = f"{word} is not allowed in {state.name}"
        legal, of = self._legal(state), self._of.get(word, {})
        here = {trigger: self._final(legal[trigger]).name for trigger in allowed}
        ends = {self._final(target).name for target in targets}
        same = next((trigger for trigger, dest in here.items() if {dest} == ends), "")
        if of:
            told += f": it is for {_joined(of)}"
        if same:
            return f"{told}{', ' if of else ': '}here it is {same}"
        if here:
            (first, dest), *rest = here.items()
            leads = [f"{first} leads to {dest}", *(f"{other} to {to}" for other, to in rest)]
            told += f"{'; ' if of else ': '}here {_joined(leads)}"
        return told


def _joined(texts: Collection[str]) -> str:
    shown = list(texts)[:MOST]
    return ", ".join([*shown, "..."] if len(texts) > MOST else shown)
