"""A user's lifecycle, from the `transitions` library's own words: states and transitions.

Every mistake is found, not the first; each knows where it stands and what would be right. Rules of
this room: INIT, BACKOFF, FAILED, ENDING and END belong to every lifecycle, and the daemon alone
leads through them; the rest is the user's.
"""

from __future__ import annotations

from collections.abc import Sequence

from statusd.core.errors import StatusdError
from statusd.core.lifecycle import Lifecycle
from statusd.lifecycles import soundness
from statusd.lifecycles.assembly import assemble, rows_of
from statusd.lifecycles.reader import Reader
from statusd.lifecycles.written import Find, Mistake


class BadLifecycle(StatusdError):
    """A lifecycle that can't be run, with all its mistakes."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(mistake.text for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def define(states: object, transitions: object, find: Find) -> Lifecycle:
    """Return the lifecycle that ``states`` and ``transitions`` describe.

    Args:
        states: an Enum class, or a list of names, of an Enum's members, or of tables with ``name``,
            ``kind``, ``worker``, ``timeout_s``, ``on_timeout``, ``restore``.
        transitions: a list of tables with ``trigger``, ``source``, ``dest``, ``conditions``,
            ``unless``, ``who``, or of lists ``[trigger, source, dest]``.
        find: returns what ``module:name`` names; raises ValueError if there is no such thing.

    Raises:
        BadLifecycle: with all mistakes.
    """
    reader = Reader(find)
    reader.read_states(states)
    reader.read_transitions(transitions)
    reader.check_start()
    if reader.mistakes:
        raise BadLifecycle(reader.mistakes)
    written = reader.written()
    lifecycle = assemble(written)
    places = {state.name: state.path for state in written.states.values()}
    rows = [(row, way.path) for way in written.ways for row in rows_of(way, lifecycle)]
    mistakes = [Mistake(*mistake) for mistake in soundness.mistakes(lifecycle, rows, places)]
    if mistakes:
        raise BadLifecycle(mistakes)
    return lifecycle
