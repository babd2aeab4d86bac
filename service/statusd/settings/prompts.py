"""Whether a unit has a use for the words that signals and its deadline stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from statusd.core.suggestions import meant
from statusd.core.words import DAEMONS, RESERVED, DecisionKind, Table, compile_table
from statusd.lifecycles.load import Source
from statusd.settings.models import Settings
from statusd.settings.values import signal_name

_DOES = (DecisionKind.FIRE, DecisionKind.POSTPONE, DecisionKind.FORCE)
"""What becomes of a word that something is done for, in one state at least."""


def prompt_mistakes(settings: Settings, source: Source) -> Iterator[str]:
    """Yield which of them its lifecycle, or its worker, would never obey."""
    table = compile_table(settings.states(), settings.capabilities())
    for name, word in settings.daemon.signals.items():
        if fault := _fault(word, table):
            yield f"{source.place(('daemon', 'signals', _as_written(name, source)))}: {fault}"
    word = settings.worker.deadline_word
    if (settings.worker.deadline or settings.says("worker", "deadline_word")) and (
        fault := _fault(word, table)
    ):
        yield f"{source.place(('worker', 'deadline_word'))}: {fault}"
    if settings.daemon.requeue_exit == 75 and settings.worker.on_failed == "exit":
        text = '75 is that of on_failed = "exit": with another code, 85 say, they are told apart'
        yield f"{source.place(('daemon', 'requeue_exit'))}: {text}"


def _fault(word: str, table: Table) -> str:
    """Return why a word would be of no use; empty if it isn't."""
    known = [row[word.lower()] for row in table.decisions.values() if word.lower() in row]
    if not known:
        near = meant(word, table.vocabulary)
        hint = f", did you mean {near}?" if near else ""
        return f"{word} is no word of the unit{hint}"
    if any(decision.kind in _DOES for decision in known):
        return ""
    if word.lower() in (*RESERVED, *DAEMONS):
        return f"{word} changes nothing: a word is wanted that leads to another state"
    reason = next((decision.reason for decision in known if "can't be told" in decision.reason), "")
    return f"{word} is never obeyed" + (f": {reason}" if reason else "")


def _as_written(name: str, source: Source) -> str:
    """Return a signal's name as the file spells it."""
    for content in source.written:
        table = content.get("daemon")
        signals = table.get("signals") if isinstance(table, Mapping) else None
        for key in signals if isinstance(signals, Mapping) else ():
            if signal_name(key) == name:
                return str(key)
    return name
