"""Testing by history: a publisher numbers, a journal listens, and `check` compares.

It knows nothing of what a unit should have decided; only what no history may ever show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from tests.tools.journal import Heard, Journal, Said, is_final
from tests.tools.publisher import Publisher, Sent

__all__ = ["Heard", "Journal", "Publisher", "Said", "Sent", "check"]

END = "END"


def check(
    sent: Iterable[Sent],
    journal: Journal,
    *,
    units: Sequence[str],
    table: Collection[tuple[str, str, str]] | None = None,
    must_answer: Collection[str] = (),
    allow_resent: bool = False,
) -> list[str]:
    """Return what is wrong with the history that ``journal`` heard, a sentence each.

    Args:
        sent: every numbered command; answers to others are checked too, but for what was asked.
        units: the names of all units that may speak.
        table: the legal transitions, each (old, trigger, new); None for any.
        must_answer: the ids that every unit must have answered with a final verdict.
        allow_resent: an exact copy of an earlier message is no doubling. A unit that lost its link
            before the broker's reply can't know whether it was heard, and says it again.
    """
    heard = _without_copies(journal.heard()) if allow_resent else journal.heard()
    asked = {command.id: command for command in sent}
    wrong = [f"something garbled was said: {data[:80]!r}" for data in journal.garbled]
    names = {str(one.said.get("name")) for one in heard}
    wrong += [f"{name} spoke, but is no unit of this test" for name in sorted(names - {*units})]
    for unit in units:
        own = [one for one in heard if one.said.get("name") == unit]
        verdicts = [one for one in own if one.kind == "verdict" and not one.said.get("repeat")]
        wrong += _check_verdicts(unit, verdicts, asked, must_answer)
        events = _grouped([one for one in own if one.kind == "event"], "boot")
        for boot, series in events.items():
            wrong += _check_events(f"{unit} in boot {boot}", series, journal.losses, table)
    return wrong


# ---- verdicts --------------------------------------------------------------------------------


def _check_verdicts(
    unit: str, verdicts: list[Heard], asked: dict[str, Sent], must_answer: Collection[str]
) -> Iterator[str]:
    by_id = _grouped([one for one in verdicts if one.said.get("id")], "id")
    for command_id, answers in by_id.items():
        yield from _check_answers(f"{unit} on {command_id}", answers, asked.get(str(command_id)))
    for command_id in must_answer:
        if not any(is_final(answer.said) for answer in by_id.get(command_id, ())):
            yield f"{unit} gave no final verdict on {command_id}"


def _check_answers(who: str, answers: list[Heard], command: Sent | None) -> Iterator[str]:
    words = [str(answer.said.get("verdict")) for answer in answers]
    finals = [word for word, answer in zip(words, answers, strict=True) if is_final(answer.said)]
    if len(finals) > 1:
        yield f"{who}: {len(finals)} final verdicts: {', '.join(finals)}"
    elif finals and words[-1] != finals[0]:
        yield f"{who}: {words[-1]} came after the final {finals[0]}"
    if command is None:
        return
    if answers[0].at < command.at:
        yield f"{who}: answered {command.at - answers[0].at:.3f} s before it was sent"
    for word in {str(answer.said.get("command", command.word)) for answer in answers}:
        if word != command.word:
            yield f"{who}: {command.word} was sent, {word} was answered"


# ---- events ----------------------------------------------------------------------------------


def _check_events(
    who: str,
    events: list[Heard],
    losses: Sequence[float],
    table: Collection[tuple[str, str, str]] | None,
) -> Iterator[str]:
    for event in events:
        yield from _check_event(who, event.said, table)
    for earlier, later in pairwise(events):
        deaf = any(earlier.at <= loss <= later.at for loss in losses)
        yield from _check_step(who, earlier.said, later.said, deaf)


def _check_event(
    who: str, event: Said, table: Collection[tuple[str, str, str]] | None
) -> Iterator[str]:
    expected = f"{event.get('boot')}-{event.get('seq')}"
    if event.get("event") != expected:
        yield f"{who}: event {event.get('event')} should have the id {expected}"
    step = (str(event.get("old")), str(event.get("trigger")), str(event.get("new")))
    shown = f"{step[0]} --{step[1]}--> {step[2]}"
    if step[0] == END:
        yield f"{who}: event {expected} leaves {END}: {shown}"
    if table is not None and step not in table:
        yield f"{who}: event {expected} is no transition of the lifecycle: {shown}"


def _check_step(who: str, earlier: Said, later: Said, deaf: bool) -> Iterator[str]:
    """Compare neighbours; if the journal was ``deaf`` in between, some may be missing there."""
    before, after = int(earlier.get("seq", 0)), int(later.get("seq", 0))
    if after != before + 1 and not (deaf and after > before):
        yield f"{who}: event {before} was followed by event {after}"
    elif after == before + 1 and later.get("old") != earlier.get("new"):
        yield (
            f"{who}: event {before} led to {earlier.get('new')}, "
            f"but event {after} begins in {later.get('old')}"
        )


# ---- small change ----------------------------------------------------------------------------


def _grouped(heard: Iterable[Heard], key: str) -> dict[object, list[Heard]]:
    groups: defaultdict[object, list[Heard]] = defaultdict(list)
    for one in heard:
        groups[one.said.get(key)].append(one)
    return groups


def _without_copies(heard: Iterable[Heard]) -> list[Heard]:
    unlike: list[Heard] = []
    seen: set[str] = set()
    for one in heard:
        copy_of = f"{one.kind} {sorted(one.said.items())}"
        if copy_of not in seen:
            seen.add(copy_of)
            unlike.append(one)
    return unlike
