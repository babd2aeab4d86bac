"""Tests of `statusd.lifecycles.definition` and `soundness`: what is read, what is wrong."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statusd.core import events as ev
from statusd.core.conditions import Request
from statusd.core.lifecycle import Deadline, Lifecycle, Part, Who
from statusd.core.words import DecisionKind, compile_table
from statusd.lifecycles.definition import BadLifecycle, define
from tests.unit.histories import Story
from tests.unit.lives import lifecycles

READY = {"trigger": "ready", "source": "INIT", "dest": "RUNNING"}
END = {"trigger": "end", "source": "*", "dest": "END"}
SMALLEST = (["INIT", "RUNNING", "END"], [READY, END])


def no(_: Request) -> bool:
    """not today"""
    return False


def undocumented(_: Request) -> bool:
    return False


def broken(_: Request) -> bool:
    """Fail."""
    raise KeyError("exposure")


FUNCTIONS = {"job:no": no, "job:broken": broken, "job:number": 3}


def find(name: str) -> object:
    """Find what the tests name."""
    if name not in FUNCTIONS:
        raise ValueError(f"can't import {name}")
    return FUNCTIONS[name]


def complaints(states: Any, transitions: Any) -> list[str]:
    """Return each mistake as ``place: text``."""
    with pytest.raises(BadLifecycle) as caught:
        define(states, transitions, find)
    return [f"{'.'.join(map(str, m.path))}: {m.text}" for m in caught.value.mistakes]


def with_states(*more: Any) -> list[Any]:
    return ["INIT", "RUNNING", *more, "END"]


def way(trigger: str, source: Any, dest: str, **more: Any) -> dict[str, Any]:
    return {"trigger": trigger, "source": source, "dest": dest, **more}


TO_AND_FRO = [READY, way("park", "RUNNING", "PARKED"), way("go", "PARKED", "RUNNING"), END]
PARKED = {"name": "PARKED"}
ACTING = {"name": "MOVING", "kind": "acting", "timeout_s": 9, "on_timeout": "stay"}
MOVES = [
    READY,
    way("move", "RUNNING", "MOVING"),
    way("stay", "MOVING", "RUNNING"),
    way("moved", "MOVING", "PARKED", who="worker"),
    way("go", "PARKED", "RUNNING"),
    END,
]

MISTAKES: dict[str, tuple[Any, Any, str]] = {
    "no list of states": ("INIT", [], "states: must be a list of states, from INIT to END"),
    "no list of transitions": (
        ["INIT", "RUNNING", "END"],
        {},
        "transitions: must be a list of transitions",
    ),
    "no INIT": (
        ["RUNNING", "END"],
        [READY, END],
        "states: INIT is missing: every lifecycle begins with it",
    ),
    "no END": (
        ["INIT", "RUNNING"],
        [READY, END],
        "states: END is missing: every lifecycle ends with it",
    ),
    "a state twice": (with_states("RUNNING"), [READY, END], "states.2: RUNNING stands twice"),
    "states that differ in case": (
        with_states("Running"),
        [READY, END],
        "states.2: RUNNING and Running differ in case only, and words ignore case",
    ),
    "a name that is none": (
        with_states("2nd"),
        [READY, END],
        "states.2.name: '2nd' is not a name: a letter, then letters, digits, - and _, at most 64",
    ),
    "a state without a name": (
        with_states({"kind": "steady"}),
        [READY, END],
        "states.2: a state needs a name",
    ),
    "a reserved word": (
        with_states("Status"),
        [READY, END],
        "states.2.name: Status is a word of statusd itself: choose another name",
    ),
    "an unknown option": (
        with_states(PARKED | {"timeout": 3}),
        TO_AND_FRO,
        "states.2.timeout: unknown key timeout, did you mean timeout_s?",
    ),
    "an option of a state that isn't the user's": (
        [{"name": "INIT", "timeout_s": 3}, "RUNNING", "END"],
        [READY, END],
        "states.0.timeout_s: INIT is the daemon's own state; worker.ready_timeout_s bounds it",
    ),
    "a kind that is none": (
        with_states(PARKED | {"kind": "calm"}),
        TO_AND_FRO,
        "states.2.kind: kind is one of steady, acting, fault, not 'calm'",
    ),
    "a worker that sleeps": (
        with_states(PARKED | {"worker": "sleeps"}),
        TO_AND_FRO,
        "states.2.worker: worker is one of works, waits, not 'sleeps'",
    ),
    "a deadline without a trigger": (
        with_states(PARKED | {"timeout_s": 3}),
        TO_AND_FRO,
        "states.2: timeout_s needs on_timeout: the trigger to be fired then",
    ),
    "a trigger without a deadline": (
        with_states(PARKED | {"on_timeout": "go"}),
        TO_AND_FRO,
        "states.2: on_timeout needs timeout_s: after how many seconds?",
    ),
    "a deadline that is no time": (
        with_states(PARKED | {"timeout_s": 0, "on_timeout": "go"}),
        TO_AND_FRO,
        "states.2.timeout_s: timeout_s must be a number of seconds over 0",
    ),
    "a deadline whose trigger leads nowhere": (
        with_states(PARKED | {"timeout_s": 3, "on_timeout": "fly"}),
        TO_AND_FRO,
        "states.2: on_timeout: no transition fly leads out of PARKED; there are go, end",
    ),
    "acting for ever": (
        with_states({"name": "MOVING", "kind": "acting"}),
        MOVES,
        "states.2: an acting state needs timeout_s and on_timeout: it may never be finished",
    ),
    "acting, and two ways look like the one on": (
        with_states(ACTING, PARKED, "ASIDE"),
        [
            *MOVES,
            way("aside", "MOVING", "ASIDE", who="worker"),
            way("back", "ASIDE", "RUNNING"),
        ],
        'states.2: MOVING is acting: one transition with who = "worker" must lead on from it,'
        " and there are 2",
    ),
    "acting, and two faults look like the way on": (
        with_states(ACTING, {"name": "HOT", "kind": "fault"}, {"name": "WET", "kind": "fault"}),
        [
            *(READY, END, way("move", "RUNNING", "MOVING"), way("stay", "MOVING", "RUNNING")),
            *(way(to.lower(), "MOVING", to, who="worker") for to in ("HOT", "WET")),
            way("dry", ["HOT", "WET"], "RUNNING"),
        ],
        'states.2: MOVING is acting: one transition with who = "worker" must lead on from it,'
        " and there are 2",
    ),
    "acting, and nobody can say that it is done": (
        with_states(ACTING),
        [*MOVES[:3], END],
        'states.2: MOVING is acting: one transition with who = "worker" must lead on from it,'
        " and there are 0",
    ),
    "no way out of INIT": (
        ["INIT", "RUNNING", "END"],
        [END],
        "transitions: one transition with the trigger ready must lead out of INIT:"
        " the worker's start",
    ),
    "ready from elsewhere": (
        with_states("PARKED"),
        [*TO_AND_FRO[1:], way("ready", ["INIT", "PARKED"], "RUNNING")],
        "transitions.3.source: ready leads out of INIT, and out of no other state",
    ),
    "ready under a condition": (
        *(with_states(), [READY | {"conditions": "job:no"}, END]),
        "transitions.0: the worker is ready or it isn't: no conditions on ready",
    ),
    "ready into a fault": (
        with_states({"name": "BROKEN", "kind": "fault"}),
        [way("ready", "INIT", "BROKEN"), way("go", "BROKEN", "RUNNING"), END],
        "transitions.0: ready must lead to a steady state, and BROKEN is none:"
        ' let the worker prepare in INIT, with ready = "notified"',
    ),
    "ready to END": (
        with_states(),
        [way("ready", "INIT", "END"), END],
        "transitions.0: ready must lead to a state to live in",
    ),
    "another way out of INIT": (
        with_states("PARKED"),
        [*TO_AND_FRO, way("skip", "INIT", "PARKED")],
        "transitions.4.source: skip can't lead out of INIT:"
        " the worker isn't ready for anything yet",
    ),
    "a transition that is none": (
        with_states(),
        [READY, END, 3],
        "transitions.2: a transition is a table with trigger, source and dest",
    ),
    "a transition without a target": (
        with_states(),
        [READY, END, {"trigger": "go", "source": "RUNNING"}],
        "transitions.2: a transition needs a dest",
    ),
    "a transition without a trigger": (
        with_states(),
        [READY, END, {"source": "RUNNING", "dest": "END"}],
        "transitions.2: a transition needs a trigger",
    ),
    "a misspelt key of a transition": (
        with_states(),
        [READY, END | {"sorce": "*"}],
        "transitions.1.sorce: unknown key sorce, did you mean source?",
    ),
    "a callback": (
        with_states(),
        [READY, END | {"before": "job:no"}],
        "transitions.1.before: unknown key before: trigger, source, dest, conditions, unless, who",
    ),
    "an unknown state": (
        with_states(),
        [READY, END, way("go", "RUNING", "END")],
        "transitions.2.source: 'RUNING' is no state, did you mean RUNNING?",
    ),
    "an unknown target": (
        with_states(),
        [READY, END, way("go", "RUNNING", "Q")],
        "transitions.2.dest: 'Q' is no state: INIT, RUNNING, END",
    ),
    "a way out of END": (
        with_states(),
        [READY, END, way("rise", "END", "RUNNING")],
        "transitions.2.source: nothing leads out of END",
    ),
    "a way out of FAILED": (
        with_states(),
        [READY, END, way("rise", "FAILED", "RUNNING")],
        "transitions.2.source: what leads out of FAILED is the daemon's: retry, reset,"
        " and the way to END",
    ),
    "a way into INIT": (
        with_states(),
        [READY, END, way("again", "RUNNING", "INIT")],
        "transitions.2.dest: the daemon alone leads to INIT: it tells of the process",
    ),
    "a trigger of the daemon's": (
        with_states("PARKED"),
        [*TO_AND_FRO, way("crash", "RUNNING", "PARKED")],
        "transitions.4.trigger: crash is a trigger of the daemon's own: choose another name",
    ),
    "nobody": (
        with_states(),
        [READY, END | {"who": "daemon"}],
        'transitions.1.who: \'daemon\' is nobody: "anyone", "worker", or both',
    ),
    "a condition that can't be found": (
        with_states(),
        [READY, END | {"conditions": "job:yes"}],
        "transitions.1.conditions: can't import job:yes",
    ),
    "a condition that is no function": (
        with_states(),
        [READY, END | {"unless": ["job:number"]}],
        "transitions.1.unless: 'job:number' is no function: write \"module:name\"",
    ),
    "the same trigger twice": (
        with_states("PARKED"),
        [*TO_AND_FRO, way("go", "PARKED", "END")],
        "transitions.4: go leads out of PARKED twice: to RUNNING and to ENDING",
    ),
    "two ways for one word": (
        with_states("PARKED"),
        [*TO_AND_FRO, way("run", "PARKED", "RUNNING")],
        "transitions.4: go and run both lead from PARKED to RUNNING:"
        " the word RUNNING would have two meanings",
    ),
    "triggers that differ in case": (
        with_states("PARKED", "LOST"),
        [*TO_AND_FRO, way("lose", "RUNNING", "LOST"), way("GO", "LOST", "PARKED")],
        "transitions.5.trigger: go and GO differ in case only, and words ignore case",
    ),
    "a trigger spelt like another state": (
        with_states("PARKED", "LOST"),
        [*TO_AND_FRO, way("lose", "RUNNING", "LOST"), way("parked", "LOST", "RUNNING")],
        "transitions.5.trigger: the trigger parked is spelt like the state PARKED,"
        " but leads to RUNNING: choose another name",
    ),
    "an unreachable state": (
        with_states("PARKED"),
        [READY, way("go", "PARKED", "RUNNING"), END],
        "states.2: nothing leads to PARKED",
    ),
    "a dead end": (
        with_states("PARKED"),
        [READY, way("park", "RUNNING", "PARKED"), END | {"source": "RUNNING"}],
        "states.2: nothing leads out of PARKED",
    ),
    "a circle without END": (
        with_states("PARKED", "LOST"),
        [
            READY,
            END | {"source": "RUNNING"},
            way("park", "RUNNING", "PARKED"),
            way("lose", "PARKED", "LOST"),
            way("find", "LOST", "PARKED"),
        ],
        "states.3: no way leads from LOST to END",
    ),
    "no END for anybody": (
        with_states(),
        [READY],
        'transitions: nobody can lead it to END: { trigger = "end", source = "*", dest = "END" }'
        " is the usual way",
    ),
    "no work": (
        ["INIT", "IDLE", "END"],
        [way("ready", "INIT", "IDLE"), END],
        'states: the worker works in no state: say worker = "works" for one',
    ),
    "a way back that nobody can go": (
        with_states(PARKED | {"restore": ["fly"]}),
        TO_AND_FRO,
        "states.2.restore: nobody can fire fly in RUNNING",
    ),
    "a way back to somewhere else": (
        with_states(PARKED | {"restore": ["park", "go"]}),
        TO_AND_FRO,
        "states.2.restore: these triggers lead to RUNNING, not to PARKED",
    ),
    "a way back into a fault": (
        with_states(PARKED | {"restore": ["park"], "kind": "fault"}),
        TO_AND_FRO,
        "states.2.restore: PARKED is no goal: only a steady state that is no fault is restored",
    ),
}


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_a_mistake_is_named_with_its_place_and_cure(mistake: str) -> None:
    """In words for whoever wrote the lifecycle."""
    states, transitions, expected = MISTAKES[mistake]

    assert expected in complaints(states, transitions)


def test_all_mistakes_are_found_at_once() -> None:
    """Three in three places, and none that only follows from them."""
    states = with_states(PARKED | {"kind": "calm"})
    transitions = [*TO_AND_FRO, way("fly", "SKY", "RUNNING"), way("", "PARKED", "RUNNING")]

    assert len(complaints(states, transitions)) == 3


def test_too_many_states_are_refused() -> None:
    """The board has 8 bits for the state."""
    names = [f"S{number}" for number in range(250)]

    assert complaints(["INIT", *names, "END"], [])[0] == "states: 252 states, and 200 is the most"


def test_the_examples_above_are_sound_without_their_mistake() -> None:
    """So each mistake is what it is called, and nothing else."""
    for states, transitions in (
        SMALLEST,
        (with_states("PARKED"), TO_AND_FRO),
        (with_states(ACTING, "PARKED"), MOVES),
    ):
        define(states, transitions, find)


# ---- what is read ----------------------------------------------------------------------------


class Camera(enum.Enum):
    """A user's own states."""

    INIT = 1
    RUNNING = 2
    PARKED = 3
    END = 4


def test_an_enum_and_the_library_s_own_words_are_understood() -> None:
    """Members, lists instead of tables, a list of sources; the Enum is told to the worker."""
    life = define(
        Camera,
        [
            ["ready", Camera.INIT, Camera.RUNNING],
            ["park", Camera.RUNNING, Camera.PARKED],
            ["go", Camera.PARKED, Camera.RUNNING],
            {"trigger": "end", "source": [Camera.RUNNING, Camera.PARKED], "dest": Camera.END},
        ],
        find,
    )

    assert [s.name for s in life.members()] == [
        *("INIT", "RUNNING", "PARKED", "BACKOFF", "FAILED", "ENDING", "END")
    ]
    assert life.worker_states == f"{Camera.__module__}:Camera"
    assert life.home.name == "RUNNING"


@pytest.mark.fault("S12")
def test_an_alias_is_a_mistake() -> None:
    """In an Enum, B = 1 beside A = 1 isn't a state of its own (S12)."""

    class Twice(enum.Enum):
        INIT = 1
        RUNNING = 2
        WORKING = 2
        END = 3

    assert complaints(Twice, [READY, END])[0] == (
        "states: WORKING is only another name of RUNNING: give it a value"
    )


def test_the_daemon_s_part_is_in_every_lifecycle() -> None:
    """A worker that dies, is started again, is given up, and ends: by the daemon."""
    life = define(*SMALLEST, find)

    daemons = {
        f"{row.trigger} {row.source.name} {row.dest.name}"
        for row in life.rows
        if row.who == Who.DAEMON
    }
    assert daemons == {
        *("crash INIT BACKOFF", "crash RUNNING BACKOFF", "retry BACKOFF INIT"),
        *("fail INIT FAILED", "fail RUNNING FAILED", "fail BACKOFF FAILED"),
        "exited ENDING END",
    }
    assert [life.parts[state] for state in life.members()[:3]] == [
        *(Part.WAITS, Part.WORKS, Part.ENDS)
    ]


def test_every_source_means_every_state_with_a_worker() -> None:
    """``*`` is INIT too where it leads to END, and never the target itself."""
    life = define(
        with_states({"name": "BROKEN", "kind": "fault"}),
        [READY, way("break", "*", "BROKEN"), END],
        find,
    )

    sources = [(row.trigger, row.source.name) for row in life.rows if Who.WORKER in row.who]
    assert sources == [
        *(("ready", "INIT"), ("break", "RUNNING")),
        *(("end", "INIT"), ("end", "RUNNING"), ("end", "BROKEN")),
    ]


def test_the_same_state_again_is_a_transition_too() -> None:
    """``dest = "="``: an event, and new args; the state's name as a word changes nothing."""
    life = define(with_states(), [READY, END, way("update", "RUNNING", "=")], find)
    story = Story("boot [ready] [sees]", lifecycle=life)

    story.send("update", args={"speed": 3})

    assert (story.state, story.status.args) == ("RUNNING", {"speed": 3})
    decision = compile_table(life).decisions[life.states["RUNNING"]]["running"]
    assert decision.kind is DecisionKind.NOOP


def test_a_trigger_may_lead_elsewhere_for_the_worker() -> None:
    """Duplicates are by trigger, source and who."""
    states = with_states("PARKED", {"name": "BROKEN", "kind": "fault"})
    life = define(
        states,
        [
            *TO_AND_FRO,
            way("stop", "RUNNING", "BROKEN", who="worker"),
            way("halt", "BROKEN", "PARKED"),
            way("stop", "PARKED", "RUNNING", who="worker"),
            way("halt", "PARKED", "BROKEN", who="worker"),
        ],
        find,
    )
    story = Story("boot [ready] [sees]", lifecycle=life)

    story.play("park [sees] [asks halt] [sees] halt [sees]")

    assert story.states == ["INIT", "RUNNING", "PARKED", "BROKEN", "PARKED"]


def test_a_deadline_is_the_daemon_s_right() -> None:
    """Also if only the worker may fire that trigger otherwise."""
    life = define(
        with_states(PARKED | {"timeout_s": 3, "on_timeout": "go"}),
        [*TO_AND_FRO[:2], way("go", "PARKED", "RUNNING", who="worker"), END],
        find,
    )

    parked = life.states["PARKED"]
    assert life.deadlines == {parked: Deadline(3.0, "go")}
    assert [r.who for r in life.rows if r.trigger == "go"] == [Who.WORKER | Who.DAEMON]


# ---- property --------------------------------------------------------------------------------


def walk_to_end(life: Lifecycle, story: Story) -> None:
    """Follow allowed words and the worker's own triggers until ENDING, by the shortest way."""
    for _ in range(50):
        if story.state == "ENDING":
            return
        state = life.states[story.state]
        step = shortest(life, state)
        story.play(f"{step} [sees]" if step in story.status.allowed else f"[asks {step}] [sees]")
    raise AssertionError(f"no END from {story.states}")


def shortest(life: Lifecycle, state: enum.Enum) -> str:
    """Return the first trigger on a shortest way to ENDING that anyone or the worker may fire."""
    ways = [r for r in life.rows if r.who & (Who.ANYONE | Who.WORKER)]
    distance = {life.ending: 0}
    for far in range(len(life.members())):
        for row in ways:
            if distance.get(row.dest) == far:
                distance.setdefault(row.source, far + 1)
    here = [r for r in ways if r.source is state and distance.get(r.dest) == distance[state] - 1]
    return here[0].trigger


@pytest.mark.fault("S16")
@given(made=lifecycles(), data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_accepted_runs_to_end(made: tuple[Any, Any], data: st.DataObject) -> None:
    """From wherever allowed words have led it; and no state but END absorbs."""
    life = define(*made, find)
    story = Story("boot [ready] [sees]", lifecycle=life)
    for _ in range(data.draw(st.integers(0, 6))):
        words = [word for word in story.status.allowed if word != "end"]
        if not words or story.state == "ENDING":
            break
        story.play(f"{data.draw(st.sampled_from(words))} [sees]")
        if ev.Timer.STATE in story.armed and data.draw(st.booleans()):
            story.play("(state) [sees]")

    for state in life.members():
        leaves = any(r.source is state and r.dest is not state for r in life.rows)
        assert leaves == (state is not life.end)
    walk_to_end(life, story)
    story.play("[exits 0] [gone]")
    assert story.state == "END"


@given(made=lifecycles(), word=st.sampled_from(["SIGTERM", "[exits 1]", "[gone]"]))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_daemon_always_has_its_way(made: tuple[Any, Any], word: str) -> None:
    """A signal ends it and a death is seen, whatever the user's lifecycle allows."""
    story = Story("boot [ready] [sees]", lifecycle=define(*made, find))

    story.play({"[gone]": "[exits 1] [gone]"}.get(word, word))

    assert story.state == ("ENDING" if word == "SIGTERM" else "BACKOFF")
