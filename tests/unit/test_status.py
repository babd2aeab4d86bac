"""Tests of `statusd.core.status`: histories of one unit, in the words of `tests.unit.histories`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statusd.core.answers import Verdict
from statusd.core.errors import BadMessage
from statusd.core.events import (
    Arm,
    Commanded,
    Disarm,
    Effect,
    Event,
    EventHead,
    Force,
    InvalidMessage,
    Leave,
    Note,
    Passed,
    Save,
    Say,
    Show,
    StartWorker,
    StopWorker,
    Timer,
    WorkerAcknowledged,
)
from statusd.core.lifecycle import BUILT_IN
from statusd.core.messages import Command, Target, to_json
from statusd.core.policy import Policy, Restart
from statusd.core.status import Status
from statusd.core.unit import Memory, Stop
from statusd.unit.publisher import event_text
from tests.unit.histories import (
    STATES,
    WAYS,
    Story,
    answers,
    events,
    number,
    only,
    said,
    steps,
)
from tests.unit.test_words import WRITTEN

CHANGES = (Event, Show, StartWorker, StopWorker, Arm, Disarm, Save, Leave)
"""What a command that is not obeyed must never cause."""
UP = ("INIT", "READY", "RUNNING", "PAUSED")
"""The states in which a worker lives."""
LIVING = (*UP, "BACKOFF", "FAILED")
"""The states that a unit can be ended in."""

# ---- a whole life --------------------------------------------------------------------------------


def test_a_whole_life() -> None:
    """From INIT to END, each word accepted when it is obeyed and done when it was seen."""
    story = Story("boot [ready]")

    told = said(story.play("start [sees] pause [sees] resume [sees] stop [sees] end"))
    last = story.play("[exits 0] [gone]")

    assert told == [
        *("start accepted", "start done"),
        *("pause accepted", "pause done"),
        *("resume accepted", "resume done"),
        *("stop accepted", "stop done"),
        "end accepted",
    ]
    assert said(last) == ["end done"]
    assert only(last, Leave) == [Leave(0)]
    assert " ".join(story.states) == "INIT READY RUNNING PAUSED RUNNING READY ENDING END"


def test_boot_starts_the_first_worker() -> None:
    """In INIT, with a deadline for being ready; no transition, hence no event."""
    effects = Story().play("boot")

    assert effects == [StartWorker(1, number("INIT"), 0, {}), Arm(Timer.READY, 30.0), Save()]


def test_a_new_daemon_goes_on_counting_runs() -> None:
    """A run's number is never used twice, and the worker gets the args of the last time."""
    effects = Story(memory=Memory(run=7, args={"n": 3})).play("boot")

    assert only(effects, StartWorker) == [StartWorker(8, number("INIT"), 0, {"n": 3})]


def test_a_transition_is_shown_recorded_and_saved() -> None:
    """The worker hears of it first; then the world, and whoever asked for it."""
    effects = Story("boot [ready]").play("start")

    order = [type(effect).__name__ for effect in only(effects, Show, Event, Say, Arm)]
    assert order == ["Show", "Event", "Say", "Arm"]
    assert Save() in effects
    assert only(effects, Show) == [Show(1, number("RUNNING"), 2)]
    assert only(effects, Arm) == [Arm(Timer.FOLLOW, 600.0)]


def test_an_event_says_what_happened_and_who_made_it_happen() -> None:
    """With the sender's own id, name and args where there are some."""
    story = Story("boot [ready]")

    effects = story.send("RUNNING", id="01JD", by="ops@desk", args={"n": 3})

    assert events(effects) == [
        {
            "event": "7-2",
            "name": "counter",
            "boot": 7,
            "seq": 2,
            "run": 1,
            "old": "READY",
            "new": "RUNNING",
            "trigger": "start",
            "source": "redis:mychannel",
            "by": "ops@desk",
            "id": "01JD",
            "args": {"n": 3},
        }
    ]


def test_an_event_leaves_out_what_nobody_said() -> None:
    """A plain word has no id, no name and no args."""
    effects = Story("boot [ready]").play("start")

    assert set(events(effects)[0]) == {
        *("event", "name", "boot", "seq", "run", "old", "new", "trigger", "source")
    }


def test_events_are_a_chain() -> None:
    """Numbered without a gap, each begins where the last one ended, ids are boot and number."""
    story = Story(WAYS["FAILED"])

    story.play("reset [ready] start [sees] SIGTERM [exits 0] [gone]")

    chain = events(story.effects)
    assert [event["seq"] for event in chain] == list(range(1, len(chain) + 1))
    assert [event["event"] for event in chain] == [f"7-{event['seq']}" for event in chain]
    assert [event["old"] for event in chain] == [
        "INIT",
        *(event["new"] for event in chain[:-1]),
    ]
    assert chain[-1]["new"] == "END"


def test_the_first_event_names_the_last_one_of_the_last_boot() -> None:
    """So that a reader sees whether it missed something in between; the others needn't."""
    story = Story("boot [ready] start", memory=Memory(last_event="6-41"))

    assert [event.get("previous") for event in events(story.effects)] == ["6-41", None]
    assert story.status.memory().last_event == "7-2"


def test_the_first_boot_of_all_has_nothing_before_it() -> None:
    """No `previous` at all."""
    story = Story("boot [ready]")

    assert "previous" not in events(story.effects)[0]


# ---- done is what was seen -----------------------------------------------------------------------


@pytest.mark.fault("S06")
def test_done_waits_for_the_worker_to_see_it() -> None:
    """Neither the state that it saw before nor a run of the past will do."""
    story = Story("boot [ready]")

    accepted = story.play("start#a")
    stale = story.play("[saw] [old sees]")
    done = story.play("[sees]")

    assert said(accepted) == ["start accepted"]
    assert said(stale) == []
    assert said(done) == ["start done"]
    assert only(done, Disarm) == [Disarm(Timer.FOLLOW)]
    assert answers(done)[0] | {"ms": 0} == {
        "verdict": "done",
        "id": "a",
        "name": "counter",
        "boot": 7,
        "seq": 2,
        "command": "start",
        "source": "redis:mychannel",
        "state": "RUNNING",
        "ms": 0,
    }


def test_an_event_that_never_was_cannot_have_been_seen() -> None:
    """The board is the user's process's: what stands there may be wrong, but never done."""
    story = Story("boot [ready] start")

    effects = [
        *story.happen(WorkerAcknowledged(1, 3, number("RUNNING"))),
        *story.happen(WorkerAcknowledged(1, 2**32 - 1, 255)),
        *story.happen(WorkerAcknowledged(1, 2, 255)),
    ]

    assert effects == []
    assert said(story.play("[sees]")) == ["start done"]


def test_what_was_seen_is_told_once() -> None:
    """The same acknowledgement again is no news."""
    story = Story("boot [ready] start [sees]")

    assert story.play("[sees] [saw] [sees]") == []


def test_a_verdict_says_how_long_it_took() -> None:
    """In milliseconds since the command was received."""
    story = Story("boot [ready]")

    accepted = answers(story.play("start"))
    done = answers(story.play("+1.25 [sees]"))

    assert [answer["ms"] for answer in (*accepted, *done)] == [0.0, 1250.0]


@pytest.mark.fault("J09")
def test_what_is_answered_without_an_input_is_answered_at_once() -> None:
    """The status has last heard the time with its last input; that was before the word."""
    status = Story("boot [ready] +5 [sees]").status

    told = [
        quiet(status, Command("READY", "redis:c", 2000.0)),
        status.commands.unknown(Command("xyzzy", "redis:c", 3000.0)),
        status.commands.invalid(BadMessage("no command", b"?"), "redis:c", 4000.0),
    ]

    assert [verdict and verdict.ms for verdict in told] == [0.0, 0.0, 0.0]


def test_a_newer_command_takes_the_place_of_one_still_waiting() -> None:
    """The older one gets its final verdict; only the newer one can still be done."""
    story = Story("boot [ready] start")

    effects = story.play("pause")

    assert said(effects) == ["start failed", "pause accepted"]
    assert answers(effects)[0]["reason"] == "superseded by pause"
    assert said(story.play("[saw]")) == []
    assert said(story.play("[sees]")) == ["pause done"]


@pytest.mark.parametrize(
    ("happens", "trigger"), [("[asks stop]", "stop"), ("SIGTERM", "end"), ("end", "end")]
)
def test_whatever_moves_the_state_takes_the_place_of_a_waiting_command(
    happens: str, trigger: str
) -> None:
    """The worker's own idea, a signal, the end: the waiting command failed."""
    story = Story("boot [ready] start#a")

    effects = story.play(happens)

    assert said(effects)[0] == "start failed"
    assert answers(effects)[0]["reason"].split(":")[0] == f"superseded by {trigger}"
    assert "a" not in [command.id for command in story.status.memory().open]


def test_a_worker_that_does_not_follow_in_time() -> None:
    """The command failed; the state is what it is, and a late look says nothing more."""
    story = Story("boot [ready] start", ack_timeout_s=3.0)

    effects = story.play("(follow)")
    late = story.play("[sees]")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["reason"] == "the worker was not seen in RUNNING within 3 s"
    assert (story.state, events(effects)) == ("RUNNING", [])
    assert said(late) == []


def test_a_worker_that_follows_after_a_deadline_of_old_is_not_late() -> None:
    """The deadline is the newest command's."""
    story = Story("boot [ready] start +599 pause")

    assert story.armed[Timer.FOLLOW] == story.now + 600.0


def test_a_dead_worker_follows_nobody() -> None:
    """The waiting command failed, with the reason of the death."""
    story = Story("boot [ready] start#a")

    effects = story.play("[exits 3]")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["reason"] == "the worker died: exit code 3"


# ---- what changes nothing ------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_every_word_does_in_every_state_what_the_table_says(state: str) -> None:
    """The hand-written table, through the whole status; what is refused changes nothing."""
    for (where, word), meaning in WRITTEN.items():
        if where != state:
            continue
        story = Story(WAYS[state])
        before, goal = story.snapshot(), story.goal

        effects = story.send(word, id="x")

        verdict = answers(effects)[-1]["verdict"]
        expected = {"later": "postponed", "same": "noop", "no": "refused", "ask": "done"}
        expected |= {"-": "invalid", "kill": "accepted"}
        fired = [event["trigger"] for event in events(effects)]
        if meaning in expected:
            assert (word, verdict, fired) == (word, expected[meaning], [])
        else:
            assert (word, fired[0]) == (word, meaning)
            assert verdict == ("done" if story.state == "END" else "accepted")
        if meaning in ("no", "ask", "-"):
            assert only(effects, *CHANGES) == []
            assert (story.snapshot(), story.goal) == (before, goal)


def test_a_refusal_says_why_and_what_would_be_allowed() -> None:
    """The very example of the design; nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.send("resume", id="01JD", received=999.9996)

    assert effects == [Say(only(effects, Say)[0].verdict)]
    assert answers(effects) == [
        {
            "verdict": "refused",
            "id": "01JD",
            "name": "counter",
            "boot": 7,
            "seq": 1,
            "command": "resume",
            "source": "redis:mychannel",
            "state": "READY",
            "reason": "resume is not allowed in READY",
            "allowed": ["start", "end"],
            "ms": 0.4,
        }
    ]
    assert story.snapshot() == before


@pytest.mark.fault("S11")
def test_an_unknown_word_is_invalid_and_the_nearest_known_one_is_named() -> None:
    """Nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.play("strat")

    assert said(effects) == ["strat invalid"]
    assert answers(effects)[0]["did_you_mean"] == "start"
    assert answers(effects)[0]["allowed"] == ["start", "end"]
    assert story.snapshot() == before


def test_a_word_like_no_other_has_no_nearest() -> None:
    """A wild guess helps nobody."""
    assert "did_you_mean" not in answers(Story("boot").play("xyzzy"))[0]


def test_a_command_for_somebody_else_is_met_with_silence() -> None:
    """By name, tag or state; whatever else is wrong with it is none of our business."""
    story = Story("boot [ready]")
    before = story.snapshot()
    others = [
        Target(name=("gpu-*",)),
        Target(tag=("camera",)),
        Target(state=("RUNNING", "PAUSED")),
        Target(name=("counter",), tag=("demo",), state=("INIT",)),
    ]

    effects = [
        effect
        for n, target in enumerate(others)
        for word in ("start", "resume", "xyzzy", "status")
        for effect in story.send(
            word, id=f"{word}{n}", target=target, reply_to="elsewhere", boot=1, expired=True
        )
    ]

    assert effects == []
    assert story.snapshot() == before


def test_a_command_for_us_among_others_is_obeyed() -> None:
    """One pattern, one tag, one state has to fit, of each kind that is asked for."""
    for target in [
        Target(name=("gpu-*", "count*")),
        Target(tag=("camera", "gpu")),
        Target(state=("READY",)),
        Target(name=("counter",), tag=("demo",), state=("READY",)),
    ]:
        effects = Story("boot [ready]").send("start", target=target)

        assert said(effects) == ["start accepted"], target


def test_a_silence_leaves_no_trace() -> None:
    """The same id may come again for us, and is new then."""
    story = Story("boot [ready]")
    story.send("start", id="a", target=Target(state=("RUNNING",)))

    assert said(story.send("start", id="a", target=Target(state=("READY",)))) == ["start accepted"]


@pytest.mark.fault("M12")
@pytest.mark.parametrize(
    ("fence", "reason"),
    [
        ({"boot": 6}, "it is for boot 6, and this is boot 7"),
        ({"run": 1}, "it is for run 1, and this is run 2"),
        ({"boot": 7, "run": 1}, "it is for run 1, and this is run 2"),
    ],
)
def test_a_command_for_the_past_is_refused(fence: dict[str, Any], reason: str) -> None:
    """An END that was meant for the last run must not end this one (M12)."""
    story = Story("boot [exits 1] [gone] (backoff) [ready]")
    before = story.snapshot()

    effects = story.send("end", **fence)

    assert said(effects) == ["end refused"]
    assert answers(effects)[0]["reason"] == reason
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_a_command_for_this_very_run_is_obeyed() -> None:
    """Boot and run are ours."""
    story = Story("boot [exits 1] [gone] (backoff) [ready]")

    assert said(story.send("end", boot=7, run=2)) == ["end accepted"]


def test_a_reply_can_be_had_on_the_namespaces_reply_channels_alone() -> None:
    """Any other is invalid; nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.send("start", id="a", reply_to="mychannel")

    assert said(effects) == ["start invalid"]
    assert answers(effects)[0]["reason"] == '"reply_to" must begin with statusd:reply:'
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_nothing_is_ever_sent_to_a_foreign_reply_channel() -> None:
    """Not the complaint about it, nor the same complaint a second time."""
    story = Story("boot [ready]")

    first = story.send("start", id="a", reply_to="mychannel")
    second = story.send("start", id="a", reply_to="mychannel")
    repeated = story.send("resume", id="b") + story.send("resume", id="b", reply_to="mychannel")

    channels = {say.verdict.reply_to for say in only(first + second + repeated, Say)}
    assert channels == {""}


def test_every_verdict_of_a_command_goes_to_its_reply_channel() -> None:
    """The first and the last."""
    story = Story("boot [ready]")

    effects = story.send("start", reply_to="statusd:reply:7f3a") + story.play("[sees]")

    assert [say.verdict.reply_to for say in only(effects, Say)] == 2 * ["statusd:reply:7f3a"]


def test_an_expired_command_is_not_obeyed() -> None:
    """Nothing has changed, the goal neither."""
    story = Story("boot [ready]")
    before = story.snapshot()

    effects = story.send("start", expires="2026-11-23T12:00:00Z", expired=True)

    assert said(effects) == ["start expired"]
    assert answers(effects)[0]["reason"] == "it was good until 2026-11-23T12:00:00Z"
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_a_command_that_will_expire_is_obeyed() -> None:
    """`expires` is no matter of the status but for the text."""
    story = Story("boot [ready]")

    assert said(story.send("start", expires="2026-11-23T12:00:00Z")) == ["start accepted"]


def test_a_question_is_answered_in_every_state() -> None:
    """`status` with the status document; neither changes anything."""
    for state in STATES:
        for word, document in [("status", True), ("ping", False)]:
            story = Story(WAYS[state])
            before = story.snapshot()

            effects = story.play(word)

            assert said(effects) == [f"{word} done"]
            assert [(type(effect), getattr(effect, "document", None)) for effect in effects] == [
                (Say, document)
            ]
            assert answers(effects)[0]["state"] == state
            assert story.snapshot() == before


def test_a_no_op_tells_whether_the_worker_was_seen_there() -> None:
    """`observed` is false as long as it is on its way."""
    story = Story("boot [ready] start [sees] pause")

    on_its_way = answers(story.play("pause"))
    arrived = answers(story.play("[sees] pause"))

    assert [answer.get("observed") for answer in on_its_way] == [False]
    assert [(answer["verdict"], answer.get("observed")) for answer in arrived] == [
        ("done", None),
        ("noop", None),
    ]


# ---- the same command again ----------------------------------------------------------------------


@pytest.mark.fault("M11")
def test_the_same_id_again_is_answered_but_not_obeyed_again() -> None:
    """It gets the verdict that stands in the book, and the state stays."""
    story = Story("boot [ready]")

    first = said(story.play("start#a start#a"))
    second = said(story.play("[sees] start#a"))
    third = story.play("pause#b [sees] start#a")

    assert first == ["start accepted", "start accepted again"]
    assert second == ["start done", "start done again"]
    assert said(third) == ["pause accepted", "pause done", "start done again"]
    assert answers(third)[-1]["state"] == "RUNNING"
    assert answers(third)[-1]["seq"] == 2
    assert story.state == "PAUSED"


@pytest.mark.fault("M11")
def test_a_repeated_end_ends_once() -> None:
    """While the worker is leaving, and when all is over (M11)."""
    story = Story("boot [ready] end#a")

    again = story.play("end#a")
    over = story.play("[exits 0] [gone] end#a")

    assert (said(again), only(again, *CHANGES)) == (["end accepted again"], [])
    assert said(over) == ["end done", "end done again"]
    assert story.states.count("ENDING") == 1


def test_a_refused_id_stays_refused() -> None:
    """Also when the word would be allowed by now: the sender was told no."""
    story = Story("boot [ready] pause#a start [sees]")
    before = story.snapshot()

    effects = story.play("pause#a")

    assert said(effects) == ["pause refused again"]
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_the_recorded_verdict_speaks_of_the_recorded_word() -> None:
    """An id used twice with different words: the unit must not say that the second was done."""
    story = Story("boot [ready] start#a [sees]")

    effects = story.play("end#a")

    assert story.state == "RUNNING"
    assert said(effects) == ["start done again"]


def test_a_recorded_refusal_still_says_what_was_allowed() -> None:
    """The same id again gets the recorded verdict, whole."""
    story = Story("boot [ready]")

    (first,) = answers(story.play("resume#a"))
    (again,) = answers(story.play("resume#a"))

    assert again == first | {"repeat": True}


def test_a_plain_word_is_new_each_time() -> None:
    """It has no id to be known by."""
    story = Story("boot [ready] start [sees]")

    assert said(story.play("pause [sees] resume [sees] pause [sees]")) == [
        *("pause accepted", "pause done"),
        *("resume accepted", "resume done"),
        *("pause accepted", "pause done"),
    ]


# ---- messages that are no commands ---------------------------------------------------------------


def test_a_bad_message_with_an_id_is_answered_singly() -> None:
    """With as much of it as could be read; nothing has changed."""
    story = Story("boot [ready]")
    before = story.snapshot()
    error = BadMessage(
        'unknown key "wort"', b"{}", {"id": "a", "command": "end", "reply_to": "statusd:reply:1"}
    )

    effects = story.happen(InvalidMessage(error, "redis:mychannel", story.now))

    assert said(effects) == ["end invalid"]
    assert answers(effects)[0]["id"] == "a"
    assert answers(effects)[0]["reason"] == 'unknown key "wort"'
    assert only(effects, Say)[0].verdict.reply_to == "statusd:reply:1"
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


def test_a_bad_message_cannot_choose_a_foreign_reply_channel() -> None:
    """It is answered on the namespace's channel only."""
    error = BadMessage("no", b"{}", {"id": "a", "reply_to": "mychannel"})

    effects = Story("boot").happen(InvalidMessage(error, "redis:mychannel"))

    assert [say.verdict.reply_to for say in only(effects, Say)] == [""]


def test_a_bad_message_is_shown_safely() -> None:
    """Forty bytes of it at most; as JSON it is one line of printable ASCII."""
    error = BadMessage("no", b"\x1b[2J\xff\n" + 100 * b"a")

    verdict = Story("boot").status.commands.invalid(error, "redis:c", 0.0)

    assert verdict.fields["command"] == "\x1b[2J\\xff\n" + 34 * "a"
    assert to_json(verdict.fields).isprintable()
    assert to_json(verdict.fields).isascii()


def test_a_bad_message_cannot_close_somebody_elses_command() -> None:
    """Its id is in use: a command gets one final verdict, and stays open until then."""
    story = Story("boot [ready] start#a")
    error = BadMessage("no", b"{}", {"id": "a", "command": "start"})

    story.happen(InvalidMessage(error, "redis:mychannel", story.now))

    assert [command.id for command in story.status.memory().open] == ["a"]
    story.play("[sees]")
    final = [
        answer
        for answer in answers(story.effects)
        if answer.get("id") == "a" and answer["verdict"] != "accepted" and "repeat" not in answer
    ]
    assert [answer["verdict"] for answer in final] == ["done"]


# ---- quiet words ---------------------------------------------------------------------------------


def quiet(status: Status, command: Command) -> Verdict | None:
    """Return the verdict to a word that changes nothing now, else None."""
    meant = status.commands.look_up(command.word)
    return status.commands.quiet(command, meant) if meant is not None else None


def test_a_quiet_word_is_one_that_changes_nothing() -> None:
    """What it would be answered is what it is answered in full; all others are not quiet."""
    for state in STATES:
        story = Story(WAYS[state])
        for word in sorted({word for _, word in WRITTEN}):
            command = Command(word, "redis:mychannel", story.now)
            before = story.snapshot()

            verdict = quiet(story.status, command)

            assert story.snapshot() == before
            meaning = WRITTEN[state, word]
            if verdict is None:
                assert meaning not in ("no",), word
            else:
                assert meaning in ("no", "same"), word
                assert story.happen(Commanded(command)) == [Say(verdict)]
                assert story.snapshot() == before


def test_a_no_op_that_sets_the_goal_is_not_quiet() -> None:
    """It changes something."""
    story = Story("boot [ready] start [sees] [asks pause] [sees]")

    assert quiet(story.status, Command("pause", "redis:c")) is None
    assert quiet(story.status, Command("PAUSED", "redis:c")) is None
    story.play("pause")
    assert quiet(story.status, Command("pause", "redis:c")) is not None


# ---- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", UP)
def test_end_waits_for_the_worker_to_be_gone(state: str) -> None:
    """It is told, it leaves, its group is gone: then END, and `end` is done."""
    story = Story(WAYS[state])

    told = story.play("end")
    left = story.play("[exits 0]")
    over = story.play("[gone]")

    assert steps(told) == [f"{state} end ENDING"]
    assert [show.number for show in only(told, Show)] == [number("ENDING")]
    assert Arm(Timer.STOP, 5.0) in told
    assert (said(told), said(left), said(over)) == (["end accepted"], [], ["end done"])
    assert left == []
    assert steps(over) == ["ENDING exited END"]
    assert only(over, Leave) == [Leave(0)]
    assert story.armed.keys().isdisjoint({Timer.STOP, Timer.KILL})
    assert story.goal == "END"


@pytest.mark.parametrize("state", ["BACKOFF", "FAILED"])
def test_end_is_done_at_once_where_nothing_lives(state: str) -> None:
    """No worker, no waiting."""
    story = Story(WAYS[state])

    effects = story.play("end#a")

    assert steps(effects) == [f"{state} end ENDING", "ENDING exited END"]
    assert said(effects) == ["end done"]
    assert only(effects, Leave) == [Leave(0)]
    assert story.status.memory().open == ()


@pytest.mark.parametrize("state", ["BACKOFF", "FAILED"])
def test_end_waits_for_what_is_left_of_a_dead_worker(state: str) -> None:
    """A grandchild may still hold a device: END would be a lie."""
    story = Story("boot [exits 1]", budget=5 if state == "BACKOFF" else 0)

    told = story.play("end")
    over = story.play("[gone]")

    assert (story.states[-3:-1], said(told)) == ([state, "ENDING"], ["end accepted"])
    assert (steps(over), said(over)) == (["ENDING exited END"], ["end done"])


def test_a_worker_that_ignores_end_is_terminated_then_killed() -> None:
    """Each in its time; END comes when nothing of it lives, not before."""
    story = Story("boot [ready] start [sees] end#a", stop_timeout_s=4.0, kill_timeout_s=1.5)

    asked = story.play("[sees] (stop)")
    forced = story.play("(kill)")
    died = story.play("[exits -9]")
    over = story.play("[gone]")

    assert asked == [StopWorker(1, Force.TERMINATE), Arm(Timer.KILL, 1.5)]
    assert forced == [StopWorker(1, Force.KILL)]
    assert died == []
    assert (steps(over), said(over)) == (["ENDING exited END"], ["end done"])
    assert events(over)[0]["reason"] == "exit code -9"
    assert only(over, Leave) == [Leave(0)]


def test_a_worker_that_dies_of_the_end_has_ended() -> None:
    """Whatever its exit code, nobody tries again."""
    story = Story("boot [ready] end")

    effects = story.play("[exits 1] [gone]")

    assert steps(effects) == ["ENDING exited END"]
    assert only(effects, StartWorker) == []


def test_force_kills_a_worker_that_is_ending() -> None:
    """`end` and `force` are both done when nothing of it lives."""
    story = Story("boot [ready] end#a")

    effects = story.play("force#b")
    over = story.play("[exits -9] [gone]")

    assert only(effects, Event, Show, StopWorker) == [StopWorker(1, Force.KILL)]
    assert said(effects) == ["force accepted"]
    assert said(over) == ["end done", "force done"]


def test_force_is_among_the_allowed_while_it_is() -> None:
    """In the list and in refusals; in ENDING alone, and not for a program that isn't ours."""
    story, attached = Story("boot [ready] start"), Story("boot [ready]", attached=True)
    before = story.status.allowed
    effects = story.play("end xyzzy start")
    attached.play("end")

    assert "force" not in before
    assert story.status.allowed == ("force",)
    assert [one["allowed"] for one in answers(effects)[-2:]] == [["force"], ["force"]]
    assert attached.status.allowed == ()


def test_force_needs_an_end_before_it() -> None:
    """Nothing has changed."""
    for state in (*LIVING, "END"):
        story = Story(WAYS[state])
        before = story.snapshot()

        effects = story.play("force")

        assert said(effects) == ["force refused"]
        assert only(effects, *CHANGES) == []
        assert story.snapshot() == before


def test_end_is_a_no_op_while_ending() -> None:
    """Everything else but `force` is refused there; nothing has changed."""
    story = Story("boot [ready] end")
    before = story.snapshot()

    effects = story.play("end END start reset PAUSED")

    assert said(effects) == [
        *("end noop", "END noop"),
        *("start refused", "reset refused", "PAUSED refused"),
    ]
    assert only(effects, *CHANGES) == []
    assert story.snapshot() == before


@pytest.mark.fault("S16", "M13")
def test_nothing_leads_out_of_the_end() -> None:
    """Neither commands nor signals nor what is heard of the worker, early or late."""
    story = Story(WAYS["END"])
    before = story.snapshot()

    effects = story.play("start reset RUNNING end SIGTERM SIGINT boot")
    effects += story.play("[ready] [sees] [asks end] [exits 0] [exits 1] [gone] [not started]")

    assert only(effects, *CHANGES) == []
    assert (story.state, story.snapshot()) == ("END", before)


def test_a_signal_ends_the_unit_gracefully_from_every_state() -> None:
    """As `end` would, but the goal stays: the next daemon takes it up again."""
    for state in LIVING:
        for signal in ["SIGTERM", "SIGINT"]:
            story = Story(WAYS[state])
            goal = story.goal

            effects = story.play(signal)
            over = story.play("[exits 0] [gone]") if story.living else []

            assert steps(effects + over) == [f"{state} end ENDING", "ENDING exited END"]
            assert events(effects)[0]["source"] == f"signal:{signal}"
            assert only(effects, StopWorker) == []
            assert only(effects + over, Leave) == [Leave(0)]
            assert (story.goal, story.status.memory().goal) == (goal, goal)


def test_a_signal_before_the_boot_ends_the_unit_unborn() -> None:
    """No worker is started any more."""
    story = Story()

    effects = story.play("SIGTERM boot")

    assert steps(effects) == ["INIT end ENDING", "ENDING exited END"]
    assert only(effects, StartWorker) == []
    assert only(effects, Leave) == [Leave(0)]


def test_a_second_signal_kills() -> None:
    """Whoever presses Ctrl+C twice means it; it is logged, and no transition."""
    story = Story("boot [ready] SIGINT")
    before = story.snapshot()

    effects = story.play("SIGTERM")

    assert effects == [
        Note("worker.forced", {"source": "signal:SIGTERM"}),
        StopWorker(1, Force.KILL),
    ]
    assert story.snapshot() == before


def test_a_signal_after_a_commanded_end_kills() -> None:
    """It is the second word of the kind."""
    story = Story("boot [ready] end")

    assert only(story.play("SIGTERM"), StopWorker) == [StopWorker(1, Force.KILL)]


# ---- the worker finishes -------------------------------------------------------------------------


def test_a_worker_that_leaves_in_running_has_finished() -> None:
    """The unit ends by itself, and the goal stays."""
    story = Story(WAYS["RUNNING"])

    left = story.play("[exits 0]")
    over = story.play("[gone]")

    assert steps(left + over) == ["RUNNING end ENDING", "ENDING exited END"]
    assert (events(left)[0]["source"], events(left)[0]["reason"]) == (
        "worker",
        "the worker finished",
    )
    assert only(left, Show) == []
    assert only(over, Leave) == [Leave(0)]
    assert story.goal == "RUNNING"


@pytest.mark.parametrize("word", ["pause", "stop"])
def test_a_worker_that_never_saw_the_pause_has_finished(word: str) -> None:
    """What counts is the state that it was seen in."""
    story = Story(f"{WAYS['RUNNING']} {word}")

    effects = story.play("[exits 0] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]
    assert said(effects) == [f"{word} failed"]


def test_a_worker_that_was_seen_in_running_after_the_pause_came_has_finished() -> None:
    """Its look at RUNNING was reported late: the last state it took in was one to work in."""
    story = Story("boot [ready] start pause")

    story.play("[saw] [exits 0] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]


@pytest.mark.fault("W18")
@pytest.mark.parametrize("state", ["INIT", "READY", "PAUSED"])
def test_a_worker_that_leaves_before_it_should_has_crashed(state: str) -> None:
    """Nobody said start, or the pause was seen: an exit code of 0 is no excuse."""
    story = Story(f"{WAYS[state]} [sees]")

    effects = story.play("[exits 0]")

    assert steps(effects) == [f"{state} crash BACKOFF"]


def test_a_worker_that_never_saw_running_has_not_finished() -> None:
    """It left before it could read the word."""
    story = Story("boot [ready] start")

    effects = story.play("[exits 0]")

    assert steps(effects) == ["RUNNING crash BACKOFF"]


@pytest.mark.fault("J06")
@pytest.mark.parametrize("way", ["boot", "boot [ready]", "boot [ready] [sees]"])
def test_a_function_that_returns_with_a_goal_to_work_has_finished(way: str) -> None:
    """However far it had come: it says itself that it did its work, and is not started again."""
    story = Story(way, goal="RUNNING")

    effects = story.play("[returns] [gone]")

    assert story.states[-2:] == ["ENDING", "END"]
    assert events(effects)[0]["reason"] == "the worker finished"
    assert only(effects, StartWorker) == []
    assert story.goal == "RUNNING"


@pytest.mark.fault("J06")
@pytest.mark.parametrize("way", ["boot", "boot [ready]", "boot [ready] start pause [sees]"])
def test_a_function_that_returns_without_such_a_goal_has_crashed(way: str) -> None:
    """Nobody wanted it to work."""
    effects = Story(way).play("[returns]")

    assert steps(effects)[-1].endswith("crash BACKOFF")


@pytest.mark.fault("J06")
def test_under_restart_always_a_function_that_returns_is_started_again() -> None:
    """As after every end."""
    effects = Story("boot [ready]", goal="RUNNING", restart=Restart.ALWAYS).play("[returns]")

    assert steps(effects) == ["RUNNING crash BACKOFF"]


def test_a_new_run_has_seen_nothing_yet() -> None:
    """That the last worker was seen in RUNNING is no excuse for this one."""
    story = Story(f"{WAYS['RUNNING']} [exits 1] [gone] (backoff) [ready]")

    effects = story.play("[exits 0]")

    assert [event["run"] for event in events(effects)] == [2]
    assert steps(effects) == ["RUNNING crash BACKOFF"]


def test_under_restart_always_nothing_is_ever_finished() -> None:
    """An exit code of 0 in RUNNING is followed by a new start."""
    story = Story(WAYS["RUNNING"], restart=Restart.ALWAYS)

    effects = story.play("[exits 0] [gone] (backoff)")

    assert steps(effects) == ["RUNNING crash BACKOFF", "BACKOFF retry INIT"]


@pytest.mark.parametrize("state", UP)
def test_under_restart_never_a_crash_is_final(state: str) -> None:
    """FAILED at once, from every state."""
    story = Story(WAYS[state], restart=Restart.NEVER)

    effects = story.play("[exits 1] [gone]")

    assert steps(effects) == [f"{state} fail FAILED"]
    assert only(effects, StartWorker) == []
    assert Timer.BACKOFF not in story.armed


def test_under_restart_never_a_worker_can_finish() -> None:
    """The end of its work is no failure."""
    story = Story(WAYS["RUNNING"], restart=Restart.NEVER)

    story.play("[exits 0] [gone]")

    assert story.state == "END"


# ---- crash, back-off, retry ----------------------------------------------------------------------


@pytest.mark.parametrize("state", UP)
def test_a_crash_is_followed_by_a_back_off(state: str) -> None:
    """What is left of the worker is killed, and the next try is announced."""
    story = Story(WAYS[state])

    effects = story.play("[exits 1]")

    assert steps(effects) == [f"{state} crash BACKOFF"]
    assert events(effects)[0]["source"] == "daemon"
    assert events(effects)[0]["reason"] == "exit code 1; next try in 0.9 s"
    assert only(effects, Show) == []
    assert only(effects, StopWorker) == [StopWorker(1, Force.KILL)]
    assert only(effects, Arm) == [Arm(Timer.BACKOFF, 0.875)]


@pytest.mark.parametrize("order", ["[gone] (backoff)", "(backoff) [gone]"])
def test_the_next_try_waits_for_the_back_off_and_for_the_last_of_the_group(order: str) -> None:
    """In either order: two runs never overlap."""
    story = Story(f"{WAYS['RUNNING']} [exits 1]")
    first, second = order.split()

    too_early = story.play(first)
    effects = story.play(second)

    assert too_early == []
    assert steps(effects) == ["BACKOFF retry INIT"]
    assert only(effects, StartWorker) == [StartWorker(2, number("INIT"), 4, {})]
    assert not story.overlapped


def test_the_next_try_takes_up_the_goal_again() -> None:
    """A unit that was told to run runs again, by the daemon's doing."""
    story = Story(f"{WAYS['RUNNING']} [exits 1] [gone] (backoff)")

    effects = story.play("[ready]")

    assert steps(effects) == ["INIT ready READY", "READY start RUNNING"]
    assert [event["source"] for event in events(effects)] == ["worker", "daemon"]
    assert events(effects)[1]["reason"] == "goal RUNNING"
    assert said(effects) == []


def test_the_back_off_of_the_last_crash_says_nothing_about_the_next() -> None:
    """After a second crash the second back-off has to be waited for."""
    story = Story("boot [exits 1] (backoff) [gone] [exits 1]")

    effects = story.play("[gone]")

    assert (effects, story.state) == ([], "BACKOFF")


def test_back_offs_double_from_crash_to_crash() -> None:
    """With a jitter that comes from outside: none at all, here."""
    story = Story("boot", draw=lambda: 1.0, backoff_s=(2.0, 9.0))

    story.play("[exits 1] [gone] (backoff)" * 4)

    waits = [arm.after_s for arm in only(story.effects, Arm) if arm.timer is Timer.BACKOFF]
    assert waits == [2.0, 4.0, 8.0, 9.0]


def test_a_budget_used_up_is_a_failure() -> None:
    """Five tries within the window were granted; the sixth death is one too many."""
    story = Story("boot" + 5 * " [exits 1] [gone] (backoff)")

    effects = story.play("[exits 1]")

    assert story.states.count("BACKOFF") == 5
    assert steps(effects) == ["INIT fail FAILED"]
    assert events(effects)[0]["reason"] == "exit code 1"
    assert only(effects, StopWorker) == [StopWorker(6, Force.KILL)]
    assert only(effects, Leave) == []
    assert only(story.play("[gone]"), *CHANGES) == []


def test_deaths_that_are_far_apart_never_use_up_the_budget() -> None:
    """A worker that lived longer than the window was healthy."""
    story = Story("boot" + 20 * " [ready] +61 [exits 1] [gone] (backoff)")

    waits = {arm.after_s for arm in only(story.effects, Arm) if arm.timer is Timer.BACKOFF}
    assert (story.state, waits) == ("INIT", {0.875})


def test_a_failed_unit_that_is_to_leave_leaves_when_nothing_lives_any_more() -> None:
    """With 75, so that a service manager knows that trying again may help."""
    story = Story("boot", budget=0, exit_on_failed=True)

    failed = story.play("[exits 1]")
    over = story.play("[gone]")

    assert (steps(failed), only(failed, Leave)) == (["INIT fail FAILED"], [])
    assert over == [Leave(75)]


def test_a_failed_unit_without_a_worker_leaves_at_once() -> None:
    """There is nothing to wait for."""
    story = Story("boot", budget=0, exit_on_failed=True)

    effects = story.play("[not started]")

    assert (story.state, only(effects, Leave)) == ("FAILED", [Leave(75)])


def test_a_worker_that_is_not_ready_in_time_is_killed() -> None:
    """It counts as a crash; that it says ready now is too late."""
    story = Story("boot", ready_timeout_s=2.0)

    effects = story.play("(ready)")
    late = story.play("[ready]")

    assert steps(effects) == ["INIT crash BACKOFF"]
    assert events(effects)[0]["reason"] == "not ready within 2 s; next try in 0.9 s"
    assert [show.number for show in only(effects, Show)] == [number("BACKOFF")]
    assert only(effects, StopWorker) == [StopWorker(1, Force.DUMP)]
    assert only(story.play("(stop) (kill)"), StopWorker) == [
        StopWorker(1, Force.TERMINATE),
        StopWorker(1, Force.KILL),
    ]
    assert (late, story.state) == ([], "BACKOFF")
    assert steps(story.play("[exits -9] (backoff) [gone]")) == ["BACKOFF retry INIT"]


def test_a_worker_that_is_ready_has_no_deadline_for_it_any_more() -> None:
    """The timer is disarmed."""
    story = Story("boot")

    effects = story.play("[ready]")

    assert only(effects, Disarm) == [Disarm(Timer.READY)]


def test_a_worker_that_cannot_be_started_is_tried_again() -> None:
    """There is nobody to kill, and the reason is the system's."""
    story = Story("boot")

    effects = story.play("[not started]")

    assert steps(effects) == ["INIT crash BACKOFF"]
    assert events(effects)[0]["reason"] == "no such file; next try in 0.9 s"
    assert only(effects, StopWorker) == []
    assert only(story.play("(backoff)"), StartWorker) == [StartWorker(2, number("INIT"), 2, {})]


def test_an_end_finds_a_worker_that_could_not_be_started() -> None:
    """ENDING has nothing to wait for then."""
    story = Story("boot end")

    effects = story.play("[not started]")

    assert (steps(effects), said(effects)) == (["ENDING exited END"], ["end done"])


@pytest.mark.fault("W21")
def test_what_a_run_of_the_past_does_is_only_noted() -> None:
    """It must not be taken for the present one's deed."""
    for deed in ["ready", "asks end", "exits 0", "exits 1", "gone", "not started"]:
        story = Story(f"{WAYS['RUNNING']} [exits 1] [gone] (backoff) [ready] [sees]")
        before = story.snapshot()

        effects = story.play(f"[old {deed}]")

        assert effects == [Note("worker.outdated", {"run": 1})]
        assert story.snapshot() == before


def test_a_worker_dies_once() -> None:
    """The same exit reported twice is one death."""
    story = Story("boot [ready] [exits 1]")
    before = story.snapshot()

    effects = story.play("[exits 1] [exits 0]")

    assert effects == []
    assert story.snapshot() == before


# ---- reset ---------------------------------------------------------------------------------------


def test_reset_begins_anew_and_takes_up_the_goal_again() -> None:
    """From FAILED: a new run, and done when that one is ready."""
    story = Story(f"{WAYS['FAILED']}", memory=Memory(goal="RUNNING"))

    effects = story.play("reset#a")
    ready = story.play("[ready]")

    assert steps(effects) == ["FAILED reset INIT"]
    assert only(effects, StartWorker) == [StartWorker(7, number("INIT"), 12, {})]
    assert said(effects) == ["reset accepted"]
    assert said(ready) == ["reset done"]
    assert steps(ready) == ["INIT ready READY", "READY start RUNNING"]
    assert story.status.memory().open == ()


def test_reset_clears_the_budget() -> None:
    """Five more tries, the first back-off short again."""
    story = Story(f"{WAYS['FAILED']} reset")

    effects = story.play("[exits 1] [gone] (backoff)" * 5 + "[exits 1]")

    assert steps(effects).count("INIT crash BACKOFF") == 5
    assert only(effects, Arm)[0] == Arm(Timer.BACKOFF, 0.875)
    assert story.state == "FAILED"


def test_a_retry_does_not_clear_the_budget() -> None:
    """Only a person's word does."""
    story = Story("boot [exits 1] [gone] (backoff)")

    effects = story.play("[exits 1]")

    assert only(effects, Arm) == [Arm(Timer.BACKOFF, 1.75)]


def test_reset_cuts_the_back_off_short() -> None:
    """Nobody has to wait who knows that the trouble is over."""
    story = Story(WAYS["BACKOFF"])

    effects = story.play("reset")

    assert steps(effects) == ["BACKOFF reset INIT"]
    assert only(effects, StartWorker) == [StartWorker(2, number("INIT"), 2, {})]
    assert Timer.BACKOFF not in story.armed


@pytest.mark.parametrize("budget", [5, 0])
def test_reset_waits_for_the_last_of_the_old_worker(budget: int) -> None:
    """From BACKOFF and from FAILED: INIT at once, the new run when nothing of the old one lives."""
    story = Story("boot [exits 1]", budget=budget)

    early = story.play("reset")
    effects = story.play("[gone]")

    assert (story.state, only(early, StartWorker)) == ("INIT", [])
    assert [start.run for start in only(effects, StartWorker)] == [2]
    assert not story.overlapped


@pytest.mark.parametrize("budget", [5, 0])
def test_a_reset_is_not_undone_by_the_death_of_the_old_worker(budget: int) -> None:
    """It was late and is being killed: that it dies now is no crash of the new run."""
    story = Story("boot (ready) reset", budget=budget)

    effects = story.play("[exits -9] [gone]")

    assert (steps(effects), said(effects)) == ([], [])
    assert story.state == "INIT"
    assert [start.run for start in only(effects, StartWorker)] == [2]


def test_after_a_reset_the_old_worker_cannot_be_ready() -> None:
    """It was late and is being killed: READY is for the new run to reach."""
    story = Story("boot (ready) reset")

    effects = story.play("[ready]")

    assert (steps(effects), story.state) == ([], "INIT")


def test_a_reset_is_not_undone_by_a_deadline_of_the_old_worker() -> None:
    """The time to be ready was the dead run's; what is left of it is merely waited for."""
    story = Story("boot [exits 1] reset")

    effects = story.happen(Passed(Timer.READY))

    assert (steps(effects), said(effects), story.state) == ([], [], "INIT")


def test_a_reset_whose_worker_dies_has_failed() -> None:
    """The new run crashed before it was ready."""
    story = Story(f"{WAYS['FAILED']} reset")

    effects = story.play("[exits 1]")

    assert said(effects) == ["reset failed"]
    assert story.state == "BACKOFF"


# ---- the worker asks -----------------------------------------------------------------------------


def test_a_worker_may_ask_for_some_transitions() -> None:
    """The event says that it was the worker; the goal stays."""
    for state, trigger, new in [
        ("INIT", "ready", "READY"),
        ("RUNNING", "pause", "PAUSED"),
        ("RUNNING", "stop", "READY"),
        ("PAUSED", "stop", "READY"),
        ("RUNNING", "end", "ENDING"),
    ]:
        story = Story(WAYS[state])
        goal = story.goal

        effects = story.play(f"[asks {trigger}]")

        assert steps(effects) == [f"{state} {trigger} {new}"]
        assert events(effects)[0]["source"] == "worker"
        assert story.goal == goal, trigger


def test_a_worker_may_not_ask_for_others() -> None:
    """It is noted, and nothing has changed."""
    for state, trigger in [
        ("READY", "start"),
        ("READY", "pause"),
        ("PAUSED", "resume"),
        ("RUNNING", "crash"),
        ("RUNNING", "to_END"),
        ("RUNNING", "__class__"),
        ("ENDING", "end"),
        ("END", "exited"),
    ]:
        story = Story(WAYS[state])
        before = story.snapshot()

        effects = story.play(f"[asks {trigger}]")

        assert effects == [Note("worker.trigger_refused", {"trigger": trigger, "state": state})]
        assert story.snapshot() == before


def test_a_worker_that_has_left_asks_for_nothing() -> None:
    """What it wrote before may be read late: in BACKOFF, it must not end the unit."""
    story = Story(f"{WAYS['RUNNING']} [exits 1]")
    before = story.snapshot()

    effects = story.play("[asks end]")

    assert [type(effect) for effect in effects] == [Note]
    assert story.snapshot() == before


def test_a_worker_is_ready_once() -> None:
    """In any other state than INIT it is no news."""
    story = Story(WAYS["RUNNING"])
    before = story.snapshot()

    effects = story.play("[ready]")

    assert effects == []
    assert story.snapshot() == before


# ---- the goal ------------------------------------------------------------------------------------


def test_a_command_sets_the_goal() -> None:
    """When it is accepted or postponed; it is to be saved."""
    for state, word, goal in [
        ("READY", "start", "RUNNING"),
        ("READY", "RUNNING", "RUNNING"),
        ("RUNNING", "pause", "PAUSED"),
        ("PAUSED", "resume", "RUNNING"),
        ("RUNNING", "stop", "READY"),
        ("RUNNING", "READY", "READY"),
        ("RUNNING", "end", "END"),
        ("INIT", "start", "RUNNING"),
        ("BACKOFF", "PAUSED", "PAUSED"),
    ]:
        story = Story(WAYS[state])

        effects = story.play(word)

        assert (story.goal, story.status.memory().goal) == (goal, goal)
        assert Save() in effects, word


def test_nothing_else_sets_the_goal() -> None:
    """No signal, no finished worker, no crash, no worker's wish, no refused word."""
    for way, happens in [
        ("RUNNING", "[asks pause]"),
        ("RUNNING", "[asks stop]"),
        ("RUNNING", "[asks end]"),
        ("RUNNING", "[exits 0] [gone]"),
        ("RUNNING", "[exits 1] [gone] (backoff) [ready]"),
        ("RUNNING", "SIGTERM"),
        ("RUNNING", "SIGINT [exits 0] [gone]"),
        ("RUNNING", "resume"),
        ("RUNNING", "status ping force xyzzy"),
        ("FAILED", "reset [ready]"),
        ("FAILED", "start PAUSED"),
    ]:
        story = Story(WAYS[way])
        goal = story.goal

        story.play(happens)

        assert story.goal == goal, happens


def test_a_no_op_can_set_the_goal() -> None:
    """The worker paused itself; now the user wants it to stay so."""
    story = Story(f"{WAYS['RUNNING']} [asks pause] [sees]")
    goal = story.goal

    effects = story.play("pause")

    assert (goal, story.goal) == ("RUNNING", "PAUSED")
    assert said(effects) == ["pause noop"]
    assert only(effects, *CHANGES) == [Save()]


def test_an_end_while_a_signal_ends_the_unit_is_remembered() -> None:
    """A no-op that sets the goal, here as well."""
    story = Story(f"{WAYS['RUNNING']} SIGTERM")

    story.play("end")

    assert story.goal == "END"


def test_the_default_goal_is_where_a_new_unit_goes_by_itself() -> None:
    """With the daemon as the one who did it."""
    story = Story("boot [ready]", goal="RUNNING")

    assert story.states == ["INIT", "READY", "RUNNING"]
    assert events(story.effects)[-1]["source"] == "daemon"


@pytest.mark.parametrize(
    ("goal", "way"), [("RUNNING", "start RUNNING"), ("PAUSED", "pause PAUSED"), ("READY", "")]
)
def test_an_older_goal_is_restored_in_one_step(goal: str, way: str) -> None:
    """PAUSED too: the worker never runs on the way there."""
    story = Story("boot", memory=Memory(goal=goal), goal="RUNNING")

    effects = story.play("[ready]")

    assert steps(effects) == ["INIT ready READY", *([f"READY {way}"] if way else [])]
    assert story.goal == goal


def test_a_goal_of_end_is_over_when_the_daemon_is_started_again() -> None:
    """Starting it is a request; a line in the log says what was dropped."""
    story = Story(memory=Memory(goal="END"), goal="RUNNING")

    effects = story.play("boot")

    assert only(effects, Note) == [Note("goal.dropped", {"goal": "END", "new": "RUNNING"})]
    assert (story.goal, story.state) == ("RUNNING", "INIT")


def test_any_other_goal_is_not_worth_a_line() -> None:
    """It is simply taken up."""
    effects = Story(memory=Memory(goal="PAUSED")).play("boot")

    assert only(effects, Note) == []


@pytest.mark.fault("S13")
def test_a_goal_that_no_lifecycle_knows_is_forgotten() -> None:
    """The state file is from another version, or somebody wrote into it (S13)."""
    story = Story("boot", memory=Memory(goal="garbage"), goal="RUNNING")

    assert story.goal == "RUNNING"


# ---- postponed -----------------------------------------------------------------------------------


def test_a_command_before_the_worker_is_ready_is_postponed() -> None:
    """It is obeyed as soon as the worker is ready, in the name of its sender."""
    story = Story("boot")

    effects = story.send("start", id="a", by="ops@desk")
    ready = story.play("[ready]")
    seen = story.play("[sees]")

    assert (said(effects), steps(effects)) == (["start postponed"], [])
    assert steps(ready) == ["INIT ready READY", "READY start RUNNING"]
    cause = {key: events(ready)[1][key] for key in ("source", "by", "id", "reason")}
    assert cause == {
        "source": "redis:mychannel",
        "by": "ops@desk",
        "id": "a",
        "reason": "postponed until now",
    }
    assert (said(ready), said(seen)) == ([], ["start done"])


def test_of_two_postponed_commands_the_newer_one_counts() -> None:
    """The older one is refused; to be paused, the worker need not run first."""
    story = Story("boot start#a")

    effects = story.play("pause#b")
    rest = story.play("[ready] [sees]")

    assert said(effects) == ["start refused", "pause postponed"]
    assert answers(effects)[0]["reason"] == "superseded by pause"
    assert steps(rest) == ["INIT ready READY", "READY pause PAUSED"]
    assert said(rest) == ["pause done"]


def test_a_postponed_command_that_wants_no_step_is_done_when_ready_is_seen() -> None:
    """`stop` in INIT: READY is all it asked for."""
    story = Story("boot stop")

    assert (said(story.play("[ready]")), said(story.play("[sees]"))) == ([], ["stop done"])
    assert story.states == ["INIT", "READY"]


def test_a_postponed_command_that_wants_no_step_still_brings_its_args() -> None:
    """They reach the worker with the state, as any command's."""
    story = Story("boot")
    story.send("READY", args={"n": 3})

    effects = story.play("[ready]")

    assert [show.args for show in only(effects, Show)][-1] == {"n": 3}


def test_an_end_takes_the_place_of_a_postponed_command() -> None:
    """It is refused, and nothing of it is left."""
    for way in ["boot", "boot [exits 1]"]:
        for ending in ["end", "END", "SIGTERM"]:
            story = Story(f"{way} start#a")

            effects = story.play(ending)

            assert said(effects)[0] == "start refused"
            assert answers(effects)[0]["reason"] == "superseded by end"
            assert "a" not in [command.id for command in story.status.memory().open]


def test_a_command_in_the_back_off_waits_for_the_next_run() -> None:
    """Through `retry` and INIT, until there is a worker to obey it."""
    story = Story("boot [ready] [exits 1]")

    effects = story.play("start [gone] (backoff) [ready] [sees]")

    assert said(effects) == ["start postponed", "start done"]
    assert story.state == "RUNNING"


def test_a_postponed_command_outlives_a_crash() -> None:
    """The worker died before it was ready: the next one will obey."""
    story = Story("boot start")

    assert said(story.play("[exits 1] [gone] (backoff)")) == []
    assert said(story.play("[ready] [sees]")) == ["start done"]


def test_a_postponed_command_fails_with_the_last_try() -> None:
    """There will be no worker to obey it."""
    story = Story("boot start#a", budget=0)

    effects = story.play("[exits 1]")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["reason"] == "the worker died: exit code 1"
    assert story.status.memory().open == ()


def test_a_postponed_command_survives_a_reset() -> None:
    """Both are done in the end."""
    story = Story(f"{WAYS['BACKOFF']} start reset")

    assert said(story.play("[ready] [sees]")) == ["reset done", "start done"]


def test_a_refused_word_leaves_the_postponed_one_alone() -> None:
    """Only a word that sets a goal takes its place."""
    story = Story("boot start")

    effects = story.play("FAILED xyzzy status force")

    assert "start refused" not in said(effects)
    assert said(story.play("[ready] [sees]")) == ["start done"]


# ---- args ----------------------------------------------------------------------------------------


def test_args_reach_the_worker_with_the_state() -> None:
    """And are kept for the runs to come."""
    story = Story("boot [ready]")

    effects = story.send("start", args={"exposure": 300})
    restarted = story.play("[sees] [exits 1] [gone] (backoff)")

    assert only(effects, Show) == [Show(1, number("RUNNING"), 2, {"exposure": 300})]
    assert story.status.memory().args == {"exposure": 300}
    assert only(restarted, StartWorker)[0].args == {"exposure": 300}


def test_a_command_without_args_leaves_the_old_ones() -> None:
    """Pause and resume must not forget what was to be done."""
    story = Story("boot [ready]")
    story.send("start", args={"exposure": 300})

    effects = story.play("pause")

    assert only(effects, Show) == [Show(1, number("PAUSED"), 3, None)]
    assert story.status.memory().args == {"exposure": 300}


def test_new_args_take_the_place_of_the_old_ones() -> None:
    """Whole, not key by key."""
    story = Story("boot [ready]")
    story.send("start", args={"exposure": 300, "filter": "V"})

    story.send("pause", args={"exposure": 60})

    assert story.status.memory().args == {"exposure": 60}


def test_args_of_a_command_that_is_not_obeyed_are_forgotten() -> None:
    """Refused, invalid, or nothing to do: the worker never heard of them."""
    for word in ["resume", "xyzzy", "stop"]:
        story = Story("boot [ready]")
        before = story.snapshot()

        effects = story.send(word, args={"n": 3})

        assert only(effects, *CHANGES) == []
        assert story.snapshot() == before


@pytest.mark.parametrize("newer", ["pause", "end", "start"])
def test_args_of_a_displaced_command_are_forgotten(newer: str) -> None:
    """It was refused: no later run may be told what this one never heard."""
    story = Story("boot", memory=Memory(args={"n": 1}))
    story.send("start", args={"n": 2})

    effects = story.play(newer)

    assert said(effects)[0] == "start refused"
    assert story.status.memory().args == {"n": 1}


def test_args_of_an_end_are_told_but_not_kept() -> None:
    """They go with the goal, and END is over when the next daemon starts."""
    story = Story("boot [ready]", memory=Memory(args={"n": 1}))

    effects = story.send("end", args={"why": "moving"})

    assert only(effects, Show) == [Show(1, number("ENDING"), 2, {"why": "moving"})]
    assert events(effects)[0]["args"] == {"why": "moving"}
    assert story.status.memory().args == {"n": 1}


def test_args_of_a_reset_reach_the_new_worker() -> None:
    """Its event says so."""
    story = Story(WAYS["FAILED"])

    effects = story.send("reset", args={"n": 2})

    assert events(effects)[0]["args"] == {"n": 2}
    assert only(effects, StartWorker)[0].args == {"n": 2}


def test_args_of_a_postponed_command_come_with_its_transition() -> None:
    """The worker was started before they were known."""
    story = Story("boot")
    story.send("start", args={"n": 3})

    effects = story.play("[ready]")

    assert only(effects, Show)[-1] == Show(1, number("RUNNING"), 2, {"n": 3})


# ---- from daemon to daemon -----------------------------------------------------------------------


def test_commands_without_a_final_verdict_are_remembered() -> None:
    """By their ids; a plain word has nobody who waits."""
    for history, open_ids in [
        ("boot start#a", ["a"]),
        ("boot [ready] start#a", ["a"]),
        ("boot [ready] start#a [sees]", []),
        ("boot [ready] end#a", ["a"]),
        ("boot [ready] end#a force#b", ["a", "b"]),
        ("boot [ready] resume#a status#b xyzzy#c", []),
        ("boot [ready] start", []),
    ]:
        story = Story(history)

        assert [command.id for command in story.status.memory().open] == open_ids, history


def test_every_change_of_what_must_survive_is_saved() -> None:
    """Else the next daemon answers a command that was answered, or forgets one that wasn't."""
    turns = [
        ("boot", "start#a"),
        ("boot [ready]", "start#a"),
        ("boot [ready] start#a", "[sees]"),
        ("boot [ready] start#a", "(follow)"),
        ("boot [ready] start#a", "[exits 1]"),
        ("boot [ready] start#a", "[asks stop]"),
        ("boot [ready] end#a", "force#b"),
        ("boot [ready] end#a", "[gone]"),
        ("boot [exits 1] [gone] reset#a", "[ready]"),
        ("boot [ready] start [sees]", "[asks pause]"),
        ("boot [ready] start [sees]", "SIGTERM"),
        ("boot [ready] start [sees]", "[exits 1]"),
        (WAYS["BACKOFF"], "(backoff)"),
    ]
    unsaved = []

    for history, turn in turns:
        story = Story(history)
        memory = story.status.memory()
        effects = story.play(turn)
        assert story.status.memory() != memory, turn
        if Save() not in effects:
            unsaved.append((history, turn))

    assert unsaved == []


def test_what_the_last_daemon_left_open_is_answered() -> None:
    """Each command failed, for a restart is no obedience; asked again, the answer is the same."""
    left = Story("boot [ready] start#a").status.memory()
    story = Story(memory=left)

    effects = story.play("boot")
    again = story.play("start#a")

    assert said(effects) == ["start failed"]
    assert answers(effects)[0]["id"] == "a"
    assert answers(effects)[0]["reason"] == "the daemon was restarted"
    assert said(again) == ["start failed again"]
    assert story.status.memory().open == ()


def test_a_memory_is_the_same_on_the_other_side() -> None:
    """What one daemon leaves, the next one has: goal, args, run and last event."""
    story = Story("boot [ready]")
    story.send("start", args={"n": 3})
    story.play("[sees] SIGTERM [exits 0] [gone]")

    left = story.status.memory()
    taken_up = Story(memory=left).status.memory()

    assert taken_up == left
    assert left == Memory("RUNNING", {"n": 3}, 1, "7-4", ())


@pytest.mark.fault("J08")
def test_what_nobody_has_answered_yet_is_left_to_the_next() -> None:
    """Also by a daemon that never began: its name was taken, or it was killed before."""
    left = Memory(open=(Command("pause", "redis:c", 990.0, id="a"),))
    story = Story(memory=left)

    turned_back = story.status.memory()
    story.play("boot")

    assert turned_back.open == left.open
    assert story.status.memory().open == ()


# ---- whatever happens ----------------------------------------------------------------------------

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


# ---- hangs, and the end in stages ----------------------------------------------------------------


def test_a_hang_is_a_crash() -> None:
    """With its own reason; the worker is asked for its stack, told to leave, and then made to."""
    story = Story("boot [ready] start [sees]")

    effects = story.play("[hangs]")

    assert steps(effects) == ["RUNNING crash BACKOFF"]
    assert events(effects)[0]["reason"] == "hung: no progress for 12 s; next try in 0.9 s"
    assert only(effects, StopWorker) == [StopWorker(1, Force.DUMP)]
    assert only(story.play("(stop)"), StopWorker) == [StopWorker(1, Force.TERMINATE)]
    assert only(story.play("(kill)"), StopWorker) == [StopWorker(1, Force.KILL)]
    assert steps(story.play("(backoff)")) == []  # not before it is gone
    assert steps(story.play("[exits -9] [gone]")) == ["BACKOFF retry INIT"]


@pytest.mark.parametrize("history", ["end", "[exits 1]", "[exits 1] [gone]"])
def test_who_is_leaving_does_not_hang(history: str) -> None:
    """It was noticed too late."""
    story = Story(f"boot [ready] start [sees] {history}")
    before = story.snapshot()

    story.play("[hangs]" if "gone" not in history else "[old hangs]")

    assert story.snapshot() == before


def test_the_stages_of_an_end_are_told() -> None:
    """What was said last, what comes next, and when; nothing once it is gone."""
    story = Story("boot [ready] end", stop_timeout_s=5, kill_timeout_s=2)
    began = story.now

    assert story.status.supervision.stop == Stop("END said", "SIGTERM", began + 5)
    story.play("(stop)")
    assert story.status.supervision.stop == Stop("SIGTERM sent", "SIGKILL", began + 7)
    story.play("(kill)")
    assert story.status.supervision.stop == Stop("SIGKILL sent")
    story.play("[exits -9] [gone]")
    assert story.status.supervision.stop is None


@pytest.mark.parametrize("state", ["BACKOFF", "FAILED"])
def test_no_timer_of_an_old_worker_outlives_it(state: str) -> None:
    """It is gone before its SIGTERM was due: the next run must not get it."""
    budget = 5 if state == "BACKOFF" else 0
    story = Story("boot [ready] start [sees] [hangs] [exits -9] [gone]", budget=budget)

    assert story.state == state
    assert {Timer.STOP, Timer.KILL} & story.armed.keys() == set()


def test_an_end_during_a_hang_does_not_begin_anew() -> None:
    """The worker is being stopped already, and faster than an end would stop it."""
    story = Story("boot [ready] start [sees] [hangs]")
    due = story.armed[Timer.STOP]

    story.play("end")

    assert story.state == "ENDING"
    assert story.armed[Timer.STOP] == due
    assert steps(story.play("[exits -9] [gone]")) == ["ENDING exited END"]


def test_new_patience_counts_from_now_on() -> None:
    """A reload changes policy and tags together, and nothing else."""
    story = Story("boot [ready]")
    before = story.snapshot()

    story.status.take_over(Policy(stop_timeout_s=99), frozenset({"new"}))

    assert story.snapshot() == before
    assert story.send("end", target=Target(tag=("demo",))) == []
    assert only(story.play("end"), Arm) == [Arm(Timer.STOP, 99)]


def test_reset_while_the_old_worker_lives_waits_for_it() -> None:
    """INIT, but no second run: it begins when nothing of the first is left."""
    story = Story("boot [ready] start [sees] [hangs] reset")

    assert story.state == "INIT"
    assert not only(story.effects[-20:], StartWorker)[1:]
    assert only(story.play("[exits -9]"), StartWorker) == []
    assert len(only(story.play("[gone]"), StartWorker)) == 1
    assert not story.overlapped


# ---- the hot path --------------------------------------------------------------------------------


@settings(deadline=None)
@given(*5 * [st.text(max_size=8)], st.integers(0, 2**40))
def test_an_events_text_is_that_of_its_fields(
    name: str, source: str, by: str, reason: str, trigger: str, seq: int
) -> None:
    """Made by a template, it is what `json` would have made, whatever stands in it."""
    change = EventHead(name, 7, 1, "A%sB", "C", trigger, source)
    at = "2026-11-23T12:00:00.000Z"

    for more in ({}, {"by": by, "args": {"n": 1.5}, "reason": reason}):
        event = Event(change, seq, more)
        assert event_text(event, at) == to_json({**event.fields, "at": at})
