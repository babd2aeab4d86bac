"""What somebody may have meant by a name that isn't known: never the opposite of what he wrote.

A guess is only ever shown, and never acted on. Rule of this file: a slip of the pen is looked for
by the letters, and ``unpause`` has nearly those of ``pause``; so a negation is no slip.
"""

from __future__ import annotations

_NEGATIONS = ("un", "de", "dis", "in", "non", "no", "not")
_SEPARATORS = "-_ "
_OPPOSITES = (
    *(("start", "stop"), ("startup", "shutdown"), ("up", "down"), ("on", "off"), ("in", "out")),
    *(("en", "de"), ("en", "dis"), ("at", "de"), ("im", "ex"), ("min", "max"), ("open", "close")),
)
"""How two words that mean the contrary may begin, or end, when all the rest of them is the same."""
_NEAR = 0.6
"""So much alike are a name and a slip of it, as `difflib` counts."""
_ALIKE = 0.8
"""So much alike is a word, without its negation, what is negated."""

_SYNONYMS = {
    "start": ("begin", "go", "launch"),
    "pause": ("hold", "suspend", "freeze"),
    "resume": ("unpause", "continue", "cont", "unhold", "unsuspend", "unfreeze", "proceed"),
    "end": ("stop", "quit", "exit", "shutdown", "kill", "terminate", "finish", "abort", "halt"),
}
"""What other programs call the built-in lifecycle's words."""


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Return the one of ``known`` that ``name`` is most likely a slip of, or an empty text.

    If that is its opposite, no other one is meant either.
    """
    from difflib import get_close_matches

    typed, spelt = name.lower(), {one.lower(): one for one in sorted(known)}
    found = get_close_matches(typed, spelt, n=1, cutoff=_NEAR)
    return spelt[found[0]] if found and not is_opposite(typed, found[0]) else ""


def meant(word: str, vocabulary: tuple[str, ...]) -> str:
    """Return the word of a lifecycle that somebody may have meant, or an empty text.

    What other programs call one of its words comes before what has the same letters.
    """
    typed = word.lower().replace("-", "").replace("_", "")
    ours = next((known for known, others in _SYNONYMS.items() if typed in others), None)
    found = (known for known in vocabulary if known.lower() == ours)
    return max(found, default="") or nearest(word, vocabulary)  # rather end than END


def is_opposite(one: str, other: str) -> bool:
    """Tell whether two names in lower case mean the contrary, as far as their letters tell it."""
    return (
        _denies(one, other)
        or _denies(other, one)
        or any(_is_pair(one, other, *pair) for pair in _OPPOSITES)
    )


def _denies(one: str, other: str) -> bool:
    """Tell whether ``one`` is a negation before something that is ``other``, or nearly.

    That is so if it is more like it without that beginning: ``iput`` is a slip of ``input``.
    """
    rests = (
        one.removeprefix(negation).lstrip(_SEPARATORS)
        for negation in _NEGATIONS
        if one.startswith(negation) and not other.startswith(negation)
    )
    return any(_likeness(rest, other) > _likeness(one, other) for rest in rests)


def _is_pair(one: str, other: str, plus: str, minus: str) -> bool:
    return any(
        (a.startswith(plus) and minus + a.removeprefix(plus) == b)
        or (a.endswith(plus) and a.removesuffix(plus) + minus == b)
        for a, b in ((one, other), (other, one))
    )


def _likeness(one: str, other: str) -> float:
    """Return how much alike they are, up to 1; 0 if that is less than `_ALIKE`."""
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(None, one, other)
    likeness = matcher.ratio() if matcher.real_quick_ratio() >= _ALIKE else 0.0
    return likeness if likeness >= _ALIKE else 0.0
