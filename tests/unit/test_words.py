"""Tests of `statusd.core.words`: every word in every state, as design sections 3 and 4 have it."""

import enum
import re
from dataclasses import replace

import pytest
from transitions import MachineError

from statusd.core.capabilities import Capabilities
from statusd.core.conditions import Condition
from statusd.core.lifecycle import BUILT_IN, Lifecycle, Part, Row, State, Who
from statusd.core.machine import Model
from statusd.core.words import Decision, DecisionKind, compile_states, compile_table

# How to read a field:
#   a trigger (start, end ...): it is fired      later: kept for the end of INIT or BACKOFF
#   same: no-op, we are there already            no: refused
#   ask: answered at once                        kill: the worker is killed
#   -: no word at all
MEANINGS = """
 word     | INIT    READY   RUNNING PAUSED  BACKOFF FAILED  ENDING  END
----------+---------------------------------------------------------------
 start    | later   start   same    no      later   no      no      no
 pause    | later   no      pause   same    later   no      no      no
 resume   | later   no      same    resume  later   no      no      no
 stop     | later   same    stop    stop    later   no      no      no
 reset    | same    no      no      no      reset   reset   no      no
 end      | end     end     end     end     end     end     same    same
----------+---------------------------------------------------------------
 INIT     | same    no      no      no      reset   reset   no      no
 READY    | later   same    stop    stop    later   no      no      no
 RUNNING  | later   start   same    resume  later   no      no      no
 PAUSED   | later   no      pause   same    later   no      no      no
 BACKOFF  | no      no      no      no      same    no      no      no
 FAILED   | no      no      no      no      no      same    no      no
 ENDING   | end     end     end     end     end     end     same    same
 END      | end     end     end     end     end     end     same    same
----------+---------------------------------------------------------------
 ready    | later   same    stop    stop    later   no      no      no
----------+---------------------------------------------------------------
 status   | ask     ask     ask     ask     ask     ask     ask     ask
 ping     | ask     ask     ask     ask     ask     ask     ask     ask
 force    | no      no      no      no      no      no      kill    no
 launch   | same    same    same    same    same    same    same    same
----------+---------------------------------------------------------------
 crash    | -       -       -       -       -       -       -       -
 retry    | -       -       -       -       -       -       -       -
 fail     | -       -       -       -       -       -       -       -
 exited   | -       -       -       -       -       -       -       -
 to_END   | -       -       -       -       -       -       -       -
 __class__| -       -       -       -       -       -       -       -
 trigger  | -       -       -       -       -       -       -       -
"""
# `ready` is the worker's trigger, which is no word; what is left of it is the name of the state.

GOALS = """
 start RUNNING, resume RUNNING, RUNNING RUNNING, pause PAUSED, PAUSED PAUSED, stop READY,
 READY READY, end END, ENDING END, END END, reset -, launch -, INIT -, BACKOFF -, FAILED -
"""

ALLOWED = """
 INIT: end
 READY: start end
 RUNNING: pause stop end
 PAUSED: resume stop end
 BACKOFF: reset end
 FAILED: reset end
 ENDING:
 END:
"""

WORKER_MAY = """
 INIT: ready end
 READY: end
 RUNNING: pause stop end
 PAUSED: stop end
 BACKOFF: end
 FAILED: end
 ENDING:
 END:
"""

TABLE = compile_table(BUILT_IN)


def read(meanings: str) -> dict[tuple[str, str], str]:
    """Return (state, word) -> meaning."""
    lines = [line.replace("|", " ").split() for line in meanings.splitlines() if "|" in line]
    states = lines[0][1:]
    return {(state, line[0]): line[n] for line in lines[1:] for n, state in enumerate(states, 1)}


def read_lists(lists: str) -> dict[str, list[str]]:
    """Return state -> triggers."""
    lines = [line.split(":") for line in lists.strip().splitlines()]
    return {state.strip(): triggers.split() for state, triggers in lines}


def decide(state: str, word: str) -> Decision | None:
    """Return what ``word`` means in ``state`` by the compiled table."""
    return TABLE.decisions[State[state]].get(word.lower())


def meaning(decision: Decision | None) -> str:
    """Return ``decision`` in the words of the table above."""
    if decision is None:
        return "-"
    if decision.kind is DecisionKind.FIRE:
        return decision.trigger
    shown = {
        DecisionKind.POSTPONE: "later",
        DecisionKind.NOOP: "same",
        DecisionKind.REFUSE: "no",
        DecisionKind.ASK: "ask",
    }
    return shown.get(decision.kind, "kill")


WRITTEN = read(MEANINGS)


def test_every_word_means_in_every_state_what_the_table_says() -> None:
    """The table above is written by hand from the design, and is the program's."""
    compiled = {(state, word): meaning(decide(state, word)) for state, word in WRITTEN}

    assert compiled == WRITTEN


def test_the_table_above_is_whole() -> None:
    """It has all states, and every word that the program knows."""
    known = {word for row in TABLE.decisions.values() for word in row}

    assert {state for state, _ in WRITTEN} == set(State.__members__)
    assert known <= {word.lower() for _, word in WRITTEN}
    assert {frozenset(row) for row in TABLE.decisions.values()} == {frozenset(known)}


def test_a_word_asks_for_one_goal_wherever_it_is_obeyed() -> None:
    """A refused word asks for none, nor does one that asks for no steady state."""
    pairs = dict(pair.split() for pair in GOALS.replace("\n", " ").split(","))

    found = {
        (state, word): str(TABLE.decisions[State[state]][word.lower()].goal or "-")
        for state in State.__members__
        for word in pairs
    }

    assert found == {
        (state, word): "-" if WRITTEN[state, word] == "no" else pairs[word] for state, word in found
    }


def test_a_fired_word_says_where_it_leads() -> None:
    """`dest` is where a real Machine goes when the trigger is fired, and anyone may fire it."""
    who = {(row.trigger, row.source): row.who for row in BUILT_IN.rows}
    model = Model(BUILT_IN)
    for state in State:
        for decision in TABLE.decisions[state].values():
            if decision.kind is DecisionKind.FIRE:
                model.state = state

                reached = model.fire(decision.trigger)

                assert (state, decision.word, reached) == (state, decision.word, decision.dest)
                assert Who.ANYONE in who[decision.trigger, state]


def test_what_is_not_fired_would_be_refused_by_the_machine_or_is_not_for_everybody() -> None:
    """A trigger that the table keeps from anyone is illegal there, or somebody else's."""
    who = {(row.trigger, row.source): row.who for row in BUILT_IN.rows}
    model = Model(BUILT_IN)
    for state in State:
        for trigger in sorted({row.trigger for row in BUILT_IN.rows}):
            model.state = state
            decision = TABLE.decisions[state].get(trigger)
            is_fired = decision is not None and decision.trigger == trigger
            if is_fired:
                continue

            if (trigger, state) in who:
                assert Who.ANYONE not in who[trigger, state], (state, trigger)
            else:
                with pytest.raises(MachineError):
                    model.fire(trigger)
                assert model.state is state


def test_what_is_not_judged_leads_where_the_machine_goes() -> None:
    """Each trigger in each state of it: the way in the table is the Machine's, or there is none."""
    model, known = Model(BUILT_IN), compile_states(BUILT_IN, TABLE)
    for state in State:
        for trigger in sorted({row.trigger for row in BUILT_IN.rows}):
            model.state = state
            way = known[state].ways.get(trigger)

            if way is not None:
                assert model.fire(trigger) is way.state, (state, trigger)
            else:
                with pytest.raises(MachineError):
                    model.fire(trigger)


def test_what_must_be_judged_is_left_to_the_machine() -> None:
    """A condition, or two ways by one trigger."""
    condition = Condition("is_free", lambda _: True)
    s, anyone = State, Who.ANYONE
    guarded = Row("calibrate", s.READY, s.RUNNING, anyone, (condition,))
    forked = [Row("go", s.READY, dest, anyone) for dest in (s.RUNNING, s.PAUSED)]
    lifecycle = replace(BUILT_IN, rows=(*BUILT_IN.rows, guarded, *forked))

    ways = compile_states(lifecycle, compile_table(lifecycle))[s.READY].ways

    assert {"calibrate", "go"}.isdisjoint(ways)
    assert ways["start"].state is s.RUNNING


@pytest.mark.fault("S05", "S09")
def test_the_machine_has_no_way_of_its_own() -> None:
    """``to_END``, which would skip every rule, doesn't exist (S09), and nothing is queued (S05)."""
    model = Model(BUILT_IN)
    machine = model.machine

    assert {name for name in machine.events if name.startswith("to")} == set()
    assert not hasattr(model, "to_END")
    assert machine.has_queue is False


def test_the_machine_begins_in_init() -> None:
    """The model holds the Enum's member, not its name."""
    model = Model(BUILT_IN)

    assert model.state is State.INIT


def test_case_is_ignored() -> None:
    """However a word is typed, it is called by its own name."""
    typed = ["start", "START", "Start", "sTaRt"]

    found = [decide("READY", word) for word in typed]

    assert found == 4 * [
        Decision(DecisionKind.FIRE, "start", "start", State.RUNNING, State.RUNNING)
    ]


class Door(enum.Enum):
    """The states of somebody else's lifecycle, with a trigger spelt like one of them."""

    SHUT = 0
    AJAR = 1
    OPEN = 2
    INIT = 3
    BACKOFF = 4
    FAILED = 5
    ENDING = 6
    END = 7


def test_a_trigger_that_is_illegal_leaves_its_word_to_the_state_of_that_name() -> None:
    """`open` is fired where it can be; in AJAR the word means the state, and `push` leads there."""
    rows = [
        ("open", Door.SHUT, Door.OPEN),
        ("touch", Door.SHUT, Door.AJAR),
        ("push", Door.AJAR, Door.OPEN),
        ("shut", Door.OPEN, Door.SHUT),
    ]
    door = Lifecycle(
        states=Door,
        rows=tuple(Row(*row, Who.ANYONE) for row in rows),
        parts=dict.fromkeys(Door, Part.WORKS),
        steady=frozenset({Door.SHUT, Door.AJAR, Door.OPEN}),
        faults=frozenset(),
        home=Door.SHUT,
    )

    decisions = compile_table(door).decisions

    found = {state.name: decisions[state]["open"].trigger for state in list(Door)[:3]}
    assert found == {"SHUT": "open", "AJAR": "push", "OPEN": ""}
    assert decisions[Door.OPEN]["open"].kind is DecisionKind.NOOP
    assert decisions[Door.AJAR]["shut"].kind is DecisionKind.REFUSE


def test_words_are_known_by_their_canonical_spelling() -> None:
    """Triggers in lower case, states as the Enum has them; this is what `did_you_mean` offers."""
    assert set(TABLE.vocabulary) == {
        *("status", "ping", "force"),
        *("start", "pause", "resume", "stop", "reset", "end"),
        *State.__members__,
        "launch",
    }


def test_what_anyone_may_fire_is_listed() -> None:
    """In the order of the lifecycle's table; it stands in refusals and in the status document."""
    allowed = {state.name: list(triggers) for state, triggers in TABLE.allowed.items()}

    assert allowed == read_lists(ALLOWED)


def test_the_list_of_the_allowed_is_what_is_fired() -> None:
    """Nothing is offered that would be refused, and nothing that works is hidden."""
    fired: dict[str, set[str]] = {state: set() for state in State.__members__}
    for (state, _), what in WRITTEN.items():
        fired[state] |= {what} - {"later", "same", "no", "ask", "kill", "-"}

    assert fired == {state: set(triggers) for state, triggers in read_lists(ALLOWED).items()}


def test_what_the_worker_may_fire_is_listed() -> None:
    """A worker may pause, stop and end itself, and say that it is ready; never start itself."""
    listed = {state.name: set(triggers) for state, triggers in TABLE.worker_may.items()}

    assert listed == {state: set(may) for state, may in read_lists(WORKER_MAY).items()}


def test_a_goal_is_one_step_from_home() -> None:
    """From READY: `start` or `pause`; READY itself needs no step, and END is never restored."""
    assert dict(TABLE.restore) == {State.RUNNING: ("start",), State.PAUSED: ("pause",)}


def test_a_reason_is_given_when_nothing_happens() -> None:
    """It is a sentence for whoever typed the word."""
    sentences = {
        ("READY", "resume"): "resume is not allowed in READY: it is for PAUSED, here it is start",
        ("PAUSED", "start"): "start is not allowed in PAUSED: it is for READY, here it is resume",
        ("FAILED", "stop"): (
            "stop is not allowed in FAILED: it is for RUNNING, PAUSED; "
            "here reset leads to INIT, end to END"
        ),
        ("READY", "failed"): (
            "FAILED is not allowed in READY: here start leads to RUNNING, end to END"
        ),
        ("RUNNING", "start"): "already RUNNING",
        ("INIT", "start"): "INIT now; start follows when it is over",
        ("READY", "force"): "force is only for ENDING, and the state is READY: send end first",
    }

    reasons = {pair: TABLE.decisions[State[pair[0]]][pair[1]].reason for pair in sentences}

    assert reasons == sentences


@pytest.mark.parametrize("state", list(State), ids=str)
def test_what_a_refusal_says_to_type_is_allowed_there(state: State) -> None:
    """Of every word: what is named is a word of that state, and leads where it is said to."""
    final = BUILT_IN.final_of
    for decision in TABLE.decisions[state].values():
        leads = re.findall(r"(\w+) (?:leads )?to ([A-Z]+)", decision.reason)
        same = re.findall(r"here it is (\w+)$", decision.reason)
        if decision.kind is not DecisionKind.REFUSE or decision.word == "force":
            continue
        assert decision.reason.startswith(f"{decision.word} is not allowed in {state}")
        assert {word for word, _ in leads} in ({*TABLE.allowed[state]}, set())
        assert bool(leads) + bool(same) == bool(TABLE.allowed[state])
        for word, dest in leads:
            told = TABLE.decisions[state][word].dest
            assert told is not None
            assert final(told).name == dest
        for word in same:
            told, elsewhere = TABLE.decisions[state][word].dest, decision.word
            assert told is not None
            assert any(
                row[elsewhere.lower()].kind is DecisionKind.FIRE
                and row[elsewhere.lower()].dest is told
                for row in TABLE.decisions.values()
            )


def test_nothing_that_is_obeyed_needs_a_reason() -> None:
    """The event says it."""
    reasons = {
        decision.reason
        for row in TABLE.decisions.values()
        for decision in row.values()
        if decision.kind in (DecisionKind.FIRE, DecisionKind.ASK, DecisionKind.FORCE)
    }

    assert reasons == {""}


def test_what_a_lifecycle_means_is_compiled_once() -> None:
    """For all units that have it; another lifecycle, or what a worker can be told, is another."""
    mute = Capabilities(frozenset())
    other = replace(BUILT_IN, worker_states="job:States")

    assert compile_table(BUILT_IN) is compile_table(BUILT_IN, Capabilities()) is TABLE
    assert compile_table(BUILT_IN, mute) is compile_table(BUILT_IN, Capabilities(frozenset()))
    assert compile_table(BUILT_IN, mute) != TABLE
    assert compile_table(other) is not TABLE
    assert compile_table(other) == TABLE
