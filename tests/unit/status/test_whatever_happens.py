"""Tests of `statusd.core.status`: whatever happens, the rules hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.core.events import (
    Effect,
    Event,
    Leave,
    Save,
    Timer,
)
from statusd.core.lifecycle import BUILT_IN
from statusd.core.unit import Memory
from tests.unit.histories import Story, answers, only
from tests.unit.status.sets import CHANGES, UP

LIVELY = (
    *("start", "pause", "resume", "stop", "reset", "RUNNING", "PAUSED", "READY"),
    *("start#a", "pause#b", "stop#c", "reset#e", "start#b"),
    *("[ready]", "[ready]", "[ready]", "[sees]", "[sees]", "[saw]", "[asks pause]"),
    *("[exits 1]", "[gone]", "[gone]", "(backoff)", "(backoff)", "+1"),
)

RARE = (
    *("end", "end#d", "force#h", "status", "status#f", "FAILED", "xyzzy", "{}#a", "{}#g"),
    *("[unreached SIGTERM]", "[unreached SIGKILL]", "[unreached SIGKILL]"),
    *("[asks end]", "[exits 0]", "[not started]", "(ready)", "(follow)", "(stop)", "(kill)"),
    *("[old ready]", "[old sees]", "[old exits 1]", "[old gone]", "[old asks end]"),
    *("SIGTERM", "+61"),
)

TOKENS = (*LIVELY, *LIVELY, *LIVELY, *RARE)

Turn = tuple[str, tuple[str, int, str], list[Effect]]
"""What happened; state, number and goal before; what followed."""


class Life(Story):
    """A story of which only what can happen happens: nobody is ready who was not started."""

    def __init__(self, tokens: list[str]) -> None:
        super().__init__(budget=1)
        self.turns: list[Turn] = []
        self.broken: list[str] = []
        for token in ("boot", *tokens):
            if self.can_happen(token):
                before = (self.state, self.status.seq, self.goal)
                memory = self.status.memory()
                self.turns.append((token, before, self.step(token)))
                self.look(memory)

    def can_happen(self, token: str) -> bool:
        """Tell whether the daemon's shell could report this now."""
        worker = self.status.worker
        if token.startswith("("):
            return Timer(token[1:-1]) in self.armed
        if not token.startswith("[") or token.startswith("[old"):
            return True
        if token == "[gone]":
            return worker.exited
        if token.startswith("[unreached"):
            return worker.alive and (worker.doomed or self.state == "ENDING")
        is_new = worker.seen == worker.shown and self.state == "INIT"
        return worker.run in self.living and (token != "[not started]" or is_new)

    def look(self, memory: Memory) -> None:
        """Note what must hold after every single turn; ``memory`` is what was kept before it."""
        token, _, effects = self.turns[-1]
        if self.status.memory() != memory and Save() not in effects:
            self.broken.append(f"what must survive {token} is not saved")
        worker = self.status.worker
        if self.state in UP[1:] and (worker.exited or not worker.alive):
            self.broken.append(f"{self.state} with a dead worker")
        if self.overlapped:
            self.broken.append("two runs overlap")
        if self.state == "END" and self.living:
            self.broken.append("END with a living worker")
        if self.state == "END" and self.status.memory().open:
            self.broken.append("END with an open command")


def check_refusals(life: Life) -> Iterator[str]:
    """A command that is not obeyed changes neither state nor number, and causes nothing else."""
    for token, (_, seq, _), effects in life.turns:
        own = answers(effects)[-1:] if token[0] not in "[(+S" and token != "boot" else []
        for answer in own:
            refused = answer["verdict"] in ("refused", "invalid", "noop", "expired")
            if refused or "repeat" in answer:
                changes = only(effects, *CHANGES)
                if changes not in ([], [Save()]) or answer["seq"] > seq:
                    yield f"{token} was {answer['verdict']}, but: {changes}"


def check_answers(life: Life) -> Iterator[str]:
    """A command is answered at once, and has one final verdict, or is open and has none."""
    finals: dict[str, list[str]] = {}
    for token, _, effects in life.turns:
        if token[0] not in "[(+S" and token != "boot" and not answers(effects):
            yield f"{token} was not answered"
        for answer in answers(effects):
            final = answer["verdict"] not in ("accepted", "postponed") and "repeat" not in answer
            if "id" in answer:
                finals.setdefault(answer["id"], []).extend([answer["verdict"]] * final)
    open_ids = {command.id for command in life.status.memory().open}
    for command_id, verdicts in finals.items():
        if len(verdicts) != (0 if command_id in open_ids else 1):
            yield f"{command_id} has the final verdicts {verdicts}"


def check_done(life: Life) -> Iterator[str]:
    """Done is said of what was seen, of the ready worker, and of the end."""
    for token, _, effects in life.turns:
        for answer in answers(effects):
            if answer["verdict"] != "done" or "repeat" in answer or answer["command"] == "status":
                continue
            if token not in ("[sees]", "[ready]") and answer["state"] != "END":
                yield f"{token}: {answer['command']} is done, but nobody saw it"


def check_chain(life: Life) -> Iterator[str]:
    """Events follow the lifecycle, one from the other, numbered without a gap; none after END."""
    rows = {(str(row.source), row.trigger, str(row.dest)) for row in BUILT_IN.rows}
    state, seq = "INIT", 0
    for effect in only(life.effects, Event):
        event = effect.fields
        step = (event["old"], event["trigger"], event["new"])
        if step not in rows and not (effect.is_remark and event["old"] == event["new"]):
            yield f"{step} is no transition"
        if (event["old"], event["seq"]) != (state, seq + 1) or state == "END":
            yield f"{step} with number {event['seq']} came after {state} with {seq}"
        state, seq = event["new"], event["seq"]
    if state != life.state:
        yield f"the state is {life.state}, but the last event led to {state}"


def check_end(life: Life) -> Iterator[str]:
    """After END nothing is asked of anybody but to answer; before, nobody leaves."""
    for token, (state, _, _), effects in life.turns:
        if state == "END" and only(effects, *CHANGES) not in ([], [Save()]):
            yield f"{token} moved something after END"
        if only(effects, Leave) and (state == "END" or life.state != "END"):
            yield f"{token} let the daemon leave"


def check_goal(life: Life) -> Iterator[str]:
    """Only a command sets the goal."""
    goals = [goal for _, (_, _, goal), _ in life.turns] + [life.goal]
    for (token, (_, _, goal), _), after in zip(life.turns, goals[1:], strict=True):
        if (token[0] in "[(+S" or token == "boot") and goal != after:
            yield f"{token} changed the goal from {goal} to {after}"


@pytest.mark.fault("S16", "M13")
@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=40))
def test_whatever_happens_the_rules_hold(tokens: list[str]) -> None:
    """Refusals change nothing, END absorbs, no state lies about a dead worker, and so on."""
    life = Life(tokens)

    checks = (check_refusals, check_answers, check_done, check_chain, check_end, check_goal)
    broken = [*life.broken, *(one for check in checks for one in check(life))]
    assert broken == []
