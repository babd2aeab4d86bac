"""A word that nobody knows: it is sent, for units may come that know it, and warned of.

The words of the built-in lifecycle cost nothing; for any other the units' documents are read.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from statusd.cli import complain
from statusd.core.errors import Unavailable
from statusd.core.vocabulary import EVERYBODYS

if TYPE_CHECKING:
    from statusd.fleet.response_collector import UnitInfo
    from statusd.wire.client import Client


def may_be(word: str) -> bool:
    """Tell whether units are to be asked about ``word``."""
    return word.lower() not in EVERYBODYS


def warn(word: str, client: Client, namespace: str) -> None:
    """Look into the documents, and warn; a broker that says nothing of them is no trouble."""
    from statusd.fleet.operations import status

    with contextlib.suppress(Unavailable):  # it is sent: what can be said of it is by the way
        complain_of(word, client.run(status(namespace)))


def complain_of(word: str, units: list[UnitInfo]) -> None:
    """Warn of a word that no unit's lifecycle has, if each of them says which it has."""
    from statusd.core.suggestions import meant
    from statusd.fleet.targets import vocabulary

    known = vocabulary(units)
    if known and word.lower() not in map(str.lower, known):
        near = meant(word, known)
        hint = f", did you mean {near}?" if near else ""
        complain(f"no unit there knows the word {word!a}{hint}; it is sent nevertheless")
