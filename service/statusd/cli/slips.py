"""What may have been meant by a verb that there is none of: a word to send, or another verb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from statusd.core.suggestions import meant, nearest
from statusd.core.vocabulary import BUILT_IN_WORDS, EVERYBODYS

ELSEWHERE = {
    **dict.fromkeys(("log", "tail", "output"), "`statusd logs NAME`"),
    "events": "`statusd watch` or `statusd history NAME`",
    **dict.fromkeys(("list", "ls", "ps"), "`statusd status`"),
    "top": "`statusd status --watch`",
    "validate": "`statusd check`",
}
"""What other programs call what is called otherwise here."""


def suggestion(typed: str, verbs: Iterable[str]) -> str:
    """Return what to type instead, with a comma before it; empty if nobody knows."""
    found = _found(typed, tuple(verbs))
    return f", did you mean {found}?" if found else ""


def _found(typed: str, verbs: tuple[str, ...]) -> str:
    words = (*BUILT_IN_WORDS, *_words_here())
    if typed.lower() in EVERYBODYS or typed in words:
        return f"`statusd send {typed}`"
    if typed.lower() in ELSEWHERE:
        return ELSEWHERE[typed.lower()]
    if verb := nearest(typed, verbs):
        return verb
    word = meant(typed, words)
    return f"`statusd send {word}`" if word else ""


def _words_here() -> list[str]:
    """Return the words of the lifecycle in the settings that verbs find here, as they stand there.

    Nothing is judged, nobody is asked, and what can't be read has none.
    """
    import tomllib

    from statusd.cli.files import believed_file
    from statusd.reading import read_words

    file = believed_file()
    if file is None:
        return []
    try:
        table = tomllib.loads(read_words(file)).get("lifecycle")
    except (OSError, ValueError):
        return []
    return [*_of(table)] if isinstance(table, dict) else []


def _of(lifecycle: Mapping[str, Any]) -> Iterator[str]:
    """Yield its triggers and states, as far as they stand there as such."""
    for key, name in (("transitions", "trigger"), ("states", "name")):
        rows = lifecycle.get(key)
        for row in rows if isinstance(rows, list) else ():
            word = row.get(name) if isinstance(row, dict) else row
            if isinstance(word, str):
                yield word
