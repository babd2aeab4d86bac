"""The lifecycles of `config/lifecycles` that others have defined, lived through word by word.

Each is written down once more, as its own definition has it: who says what, where it leads. A walk
takes every one of these transitions, sees every state, and says every word everywhere.
"""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from statusd.core import events as ev
from statusd.core.lifecycle import Lifecycle, Who
from statusd.lifecycles.definition import define
from tests.unit.histories import Story, answers, only, said, steps

_PROCESS = {"INIT", "BACKOFF", "FAILED", "ENDING", "END"}
"""States of the process, which every lifecycle has; no definition of others knows them."""

PACKML = """\
reset           STOPPED COMPLETE                                        RESETTING
start           IDLE                                                    STARTING
hold            EXECUTE                                                 HOLDING
unhold          HELD                                                    UNHOLDING
suspend         EXECUTE                                                 SUSPENDING
unsuspend       SUSPENDED                                               UNSUSPENDING
stop            RESETTING IDLE STARTING EXECUTE COMPLETING COMPLETE     STOPPING
stop            HOLDING HELD UNHOLDING SUSPENDING SUSPENDED UNSUSPENDING STOPPING
abort           RESETTING IDLE STARTING EXECUTE COMPLETING COMPLETE     ABORTING
abort           HOLDING HELD UNHOLDING SUSPENDING SUSPENDED UNSUSPENDING ABORTING
abort           STOPPING STOPPED CLEARING                               ABORTING
clear           ABORTED                                                 CLEARING
!state_complete CLEARING STOPPING                                       STOPPED
!state_complete RESETTING                                               IDLE
!state_complete STARTING UNHOLDING UNSUSPENDING                         EXECUTE
!state_complete EXECUTE                                                 COMPLETING
!state_complete COMPLETING                                              COMPLETE
!state_complete HOLDING                                                 HELD
!state_complete SUSPENDING                                              SUSPENDED
!state_complete ABORTING                                                ABORTED
"""
ROS2 = """\
configure   unconfigured                  configuring
!success    configuring                   inactive
!failure    configuring                   unconfigured
cleanup     inactive                      cleaningup
!success    cleaningup                    unconfigured
!failure    cleaningup                    inactive
activate    inactive                      activating
!success    activating                    active
!failure    activating                    inactive
deactivate  active                        deactivating
!success    deactivating                  inactive
!failure    deactivating                  active
shutdown    unconfigured inactive active  shuttingdown
!success    shuttingdown                  finalized
!failure    shuttingdown                  finalized
!error      configuring cleaningup        errorprocessing
!error      activating active             errorprocessing
!error      deactivating shuttingdown     errorprocessing
!success    errorprocessing               unconfigured
!failure    errorprocessing               finalized
!error      errorprocessing               finalized
"""
CONSTELLATION = """\
initialize    NEW INITIALIZED SAFE ERROR                initializing
!initialized  initializing                              INITIALIZED
launch        INITIALIZED                               launching
!launched     launching                                 ORBIT
land          ORBIT                                     landing
!landed       landing                                   INITIALIZED
reconfigure   ORBIT                                     reconfiguring
!reconfigured reconfiguring                             ORBIT
start         ORBIT                                     starting
!started      starting                                  RUN
stop          RUN                                       stopping
!stopped      stopping                                  ORBIT
interrupt     ORBIT RUN                                 interrupting
!interrupted  interrupting                              SAFE
!failure      NEW INITIALIZED ORBIT RUN SAFE            ERROR
!failure      initializing launching landing starting   ERROR
!failure      stopping reconfiguring interrupting       ERROR
"""


class Way(NamedTuple):
    """A transition of a definition; ``is_own``: the worker's, else a command's."""

    trigger: str
    source: str
    dest: str
    is_own: bool


class Defined(NamedTuple):
    """What a definition says.

    Args:
        table: rows of trigger (``!``: the worker's own), sources, target.
        ends: the trigger to END, and where anybody may say it.
        states: how many it has.
    """

    table: str
    ends: str
    states: int

    def ways(self) -> Iterator[Way]:
        """Yield every transition, one a source."""
        for line in self.table.splitlines():
            trigger, *sources, dest = line.split()
            for source in sources:
                yield Way(trigger.removeprefix("!"), source, dest, trigger.startswith("!"))


DEFINED = {
    "packml": Defined(PACKML, "end *", 17),
    "ros2": Defined(ROS2, "destroy finalized", 10),
    "constellation": Defined(CONSTELLATION, "shutdown NEW INITIALIZED SAFE ERROR", 13),
}
NAMES = sorted(DEFINED)


@cache
def made(name: str) -> Lifecycle:
    """Return the lifecycle of that file."""
    file = Path(f"config/lifecycles/{name}.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))["lifecycle"]
    return define(table["states"], table["transitions"], print)


def token(way: Way) -> str:
    """Return how a history has it."""
    return f"[asks {way.trigger}]" if way.is_own else way.trigger


@cache
def routes(name: str) -> dict[str, tuple[Way, ...]]:
    """Return state -> the shortest way there from home."""
    found: dict[str, tuple[Way, ...]] = {made(name).home.name: ()}
    waiting = deque(found)
    while waiting:
        state = waiting.popleft()
        for way in DEFINED[name].ways():
            if way.source == state and way.dest not in found:
                found[way.dest] = (*found[state], way)
                waiting.append(way.dest)
    return found


def at(name: str, state: str) -> Story:
    """Return a story that has come to ``state``, and has seen each state on the way."""
    history = " ".join(f"{token(way)} [sees]" for way in routes(name)[state])
    story = Story(f"boot [ready] [sees] {history}", lifecycle=made(name))
    assert story.state == state
    return story


@pytest.mark.fault("J21")
@pytest.mark.parametrize("name", NAMES)
def test_the_file_has_the_transitions_of_the_definition_and_no_others(name: str) -> None:
    """But for what belongs to every unit: its process, the worker's start, and the way to END."""
    lifecycle = made(name)
    rows = {
        Way(row.trigger, row.source.name, row.dest.name, Who.ANYONE not in row.who)
        for row in lifecycle.rows
        if row.who & (Who.ANYONE | Who.WORKER) and not {row.source.name, row.dest.name} & _PROCESS
    }

    assert rows == set(DEFINED[name].ways())
    assert len(set(lifecycle.states.__members__) - _PROCESS) == DEFINED[name].states


@pytest.mark.fault("J21")
@pytest.mark.parametrize("name", NAMES)
def test_every_transition_leads_where_the_definition_says(name: str) -> None:
    """From every state, by a command or by the worker; and each state is reached so."""
    reached = set(routes(name))

    for way in DEFINED[name].ways():
        story = at(name, way.source)
        effects = story.play(token(way))
        assert steps(effects)[:1] == [f"{way.source} {way.trigger} {way.dest}"], way

    assert reached == set(made(name).states.__members__) - _PROCESS


@pytest.mark.fault("J21")
@pytest.mark.parametrize("name", NAMES)
def test_whatever_the_definition_does_not_have_is_refused(name: str) -> None:
    """Each command, and each trigger of the worker's, in each state that has no such way."""
    ways = list(DEFINED[name].ways())
    legal = {(way.trigger, way.source) for way in ways}
    for state in routes(name):
        story = at(name, state)
        seq = story.status.seq
        for trigger, is_own in {(way.trigger, way.is_own) for way in ways}:
            if (trigger, state) in legal:
                continue
            effects = story.play(f"[asks {trigger}]" if is_own else trigger)
            if is_own:
                assert [note.name for note in only(effects, ev.Note)] == ["worker.trigger_refused"]
            else:
                assert answers(effects)[0]["verdict"] in ("refused", "noop"), (state, trigger)
        assert (story.state, story.status.seq) == (state, seq)


@pytest.mark.fault("J21")
@pytest.mark.parametrize("name", NAMES)
def test_it_is_ended_where_its_definition_lets_it_be(name: str) -> None:
    """By its own word there and nowhere else; by a signal from everywhere."""
    word, *sources = DEFINED[name].ends.split()
    lifecycle = made(name)
    ends = {
        row.source.name
        for row in lifecycle.rows
        if row.trigger == word and row.dest is lifecycle.ending and Who.ANYONE in row.who
    }

    assert ends - _PROCESS == (set(routes(name)) if sources == ["*"] else set(sources))
    for state in routes(name):
        story = at(name, state)
        story.play("SIGTERM [exits 0] [gone]")
        assert story.state == "END", state


@pytest.mark.fault("J21")
@pytest.mark.parametrize(
    ("name", "state", "word", "own", "fault"),
    [
        ("packml", "EXECUTE", "abort", "state_complete", "ABORTED"),
        ("constellation", "RUN", "interrupt", "interrupted", "SAFE"),
    ],
)
def test_a_command_that_leads_to_a_fault_is_done_there(
    name: str, state: str, word: str, own: str, fault: str
) -> None:
    """It asked for just that, by its word or the state's name; the goal before it is given up."""
    story = at(name, state)
    assert (
        said(at(name, state).play(f"{fault}#a [sees] [asks {own}] [sees]"))[-1] == f"{fault} done"
    )

    told = said(story.play(f"{word}#b [sees] [asks {own}] [sees]"))

    assert told == [f"{word} accepted", f"{word} done"]
    assert (story.state, story.goal) == (fault, made(name).home.name)
    story.play("[exits 1] [gone] (backoff) [ready] [sees]")
    assert story.state == made(name).home.name


@pytest.mark.fault("J21")
def test_what_was_under_way_fails_when_the_worker_aborts() -> None:
    """`start` was to lead to EXECUTE, and ended up in a fault."""
    story = at("packml", "IDLE")

    assert said(story.play("start#a [sees] abort#b")) == [
        "start accepted",
        "start failed",
        "abort accepted",
    ]
    assert said(story.play("[sees] [asks state_complete] [sees]")) == ["abort done"]


@pytest.mark.fault("J21")
@pytest.mark.parametrize("own", ["failure", "error"])
def test_a_node_that_fails_to_activate_fails_the_word(own: str) -> None:
    """The way back, and the way to the errors' state, aren't where `activate` was to lead."""
    story = at("ros2", "inactive")

    assert said(story.play(f"activate#a [sees] [asks {own}] [sees]")) == [
        "activate accepted",
        "activate failed",
    ]
    assert said(at("ros2", "inactive").play("activate [sees] [asks success] [sees]"))[-1] == (
        "activate done"
    )


@pytest.mark.fault("J21")
def test_a_node_is_active_again_after_a_crash() -> None:
    """By configure and activate, each of which the worker has to carry out."""
    story = at("ros2", "active")

    story.play("[exits 1] [gone] (backoff) [ready] [sees] [asks success] [sees] [asks success]")

    assert story.states[-5:] == ["unconfigured", "configuring", "inactive", "activating", "active"]
