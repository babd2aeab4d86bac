"""Tests of `statusd.unit.unit`: what is said when, and what has to wait, in histories of words."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from statusd.core import events as ev
from statusd.core.messages import Command
from statusd.core.unit import Memory
from statusd.unit.cursor import Delivery
from statusd.unit.kept import Kept
from statusd.unit.lease_holder import LeaseHolder
from statusd.unit.stream_position import StreamPosition
from statusd.unit.unit import EXIT_BUG
from tests.unit.worlds import Broker, Loop, World, play_out

WORKING = "boot [ready] start [sees] +1 disk"


def kinds(lines: list[Any]) -> list[str]:
    """Return what lines are about: a verdict, an event, the history, document or cursor.

    The lifecycle goes with the first document, and says nothing of what happens.
    """
    known = {
        "statusd:verdicts": "verdict",
        "statusd:events": "event",
        "statusd:history:{unit}": "history",
        "statusd:status:{unit}": "document",
        "statusd:cursor:{unit}": "cursor",
    }
    told = [str(line[1]) for line in lines]
    return [known[key] for key in told if key != "statusd:lifecycle:{unit}"]


def handled(world: World) -> int:
    """Return how many inputs the status has decided on."""
    return world.unit.reporter.counts.handled


def test_every_effect_is_performed() -> None:
    """Each kind has its place in the table that the unit looks it up in."""
    assert World().unit._performers().keys() == set(get_args(ev.Effect))


# ---- what is urgent, and what isn't --------------------------------------------------------------


def test_a_verdict_is_said_at_once_and_the_document_a_little_later() -> None:
    """Whoever asked waits for the one; nobody for the other."""
    world = World(WORKING)
    world.new()

    world.play("pause [sees]")
    assert kinds(world.new()) == ["history", "event", "verdict", "verdict"]
    world.play("+0.02")

    assert kinds(world.new()) == ["document"]
    assert world.said()[-2:] == ["pause accepted", "pause done"]


def test_what_a_worker_was_told_is_said_with_its_answer_or_soon() -> None:
    """One that sees it at once is told of in one piece; one in a step keeps nobody waiting."""
    world = World(WORKING)
    before = len(world.broker.writes)

    world.play("pause [sees]")
    assert [*map(len, world.broker.writes[before:])] == [4]
    world.play("+1 resume")
    before = len(world.broker.writes)
    world.play("+0.001")
    assert [kinds(write) for write in world.broker.writes[before:]] == [
        ["history", "event", "verdict"]
    ]
    world.play("+1 [sees]")
    assert world.said()[-1] == "resume done"


def test_what_comes_together_is_written_once() -> None:
    """Three transitions within a few milliseconds: one document, one write of the state file."""
    world = World(WORKING)
    before, saves = len(world.documents()), len(world.disk.saves)

    world.play("pause [sees] resume [sees] pause [sees] +0.02")

    (document,) = world.documents()[before:]
    assert (document["state"], document["observed"]) == ("PAUSED", True)
    assert len(world.disk.saves) == saves + 1
    assert world.disk.saves[-1][1] is False  # nobody waits for it


def test_a_document_waits_for_the_worker_to_be_seen_but_not_for_long() -> None:
    """It isn't written twice for one transition, and a worker that never looks doesn't delay it."""
    world = World(WORKING)
    before = len(world.documents())

    world.play("pause +0.02")
    assert world.documents()[before:] == []
    world.play("[sees] +0.02")
    (seen,) = world.documents()[before:]
    assert (seen["state"], seen["observed"]) == ("PAUSED", True)

    world.play("resume +0.05")
    unseen = world.documents()[-1]
    assert (unseen["state"], unseen["observed"]) == ("RUNNING", False)


def test_a_worker_that_was_faster_is_told_in_the_same_write() -> None:
    """It has taken in its state before the verdict was sent: ``done`` goes with ``accepted``."""
    world = World("boot [ready] start [sees]")
    before = len(world.broker.writes)
    world.unit.intake.hear(b"mychannel", b"pause")
    world.play("[saw]")

    world.unit.flush()

    (write,) = world.broker.writes[before:]
    assert kinds(write) == ["history", "event", "verdict", "verdict"]
    assert world.said()[-2:] == ["pause accepted", "pause done"]


def test_words_that_change_nothing_are_answered_once() -> None:
    """However many came together."""
    world = World(WORKING)

    world.play("resume*3")

    assert (world.said()[-1], world.verdicts()[-1]["count"]) == ("resume noop", 3)
    assert handled(world) == handled(World(WORKING))


# ---- what must be on the disk before it is said --------------------------------------------------


def test_what_a_durable_command_leads_to_waits_for_the_disk() -> None:
    """Nothing is shown, nothing is said, and nothing that comes after it is decided."""
    world = World(WORKING)
    world.new()
    shown = len(world.workers[-1].shown)

    world.play("~pause#d resume")
    assert (world.new(), len(world.workers[-1].shown), world.disk.saves[-1][1]) == ([], shown, True)
    (entry,) = world.disk.saves[-1][0].memory.open
    assert (entry.id, world.disk.saves[-1][0].place.id) == ("d", "1-0")
    world.play("disk")

    assert world.said()[-3:] == ["pause accepted", "resume accepted", "pause failed"]
    assert world.state == "RUNNING"


def test_the_cursor_says_what_the_disk_has_and_never_more() -> None:
    """It follows the write, and not what was read."""
    world = World(WORKING)
    world.new()

    world.play("~pause#d")
    assert "cursor" not in kinds(world.new())
    world.play("disk +0.001")

    lines = world.new()
    assert kinds(lines)[-1] == "cursor"
    assert '"id":"1-0"' in str(lines[-1][2])
    assert world.disk.place.id == "1-0"


def test_a_disk_that_is_too_slow_is_not_waited_for_and_that_is_said() -> None:
    """After half a second it is obeyed; the verdict says that a successor wouldn't know."""
    world = World(WORKING)

    world.play("~pause#d +0.49")
    assert world.state == "PAUSED"  # decided, and not told
    assert world.said()[-1] == "start done"
    world.play("+0.02")

    assert world.said()[-1] == "pause accepted"
    assert world.verdicts()[-1]["kept"] is False
    cursor = [line for line in world.new() if line[1] == "statusd:cursor:{unit}"][-1]
    assert '"obeyed":"1-0"' in str(cursor[2])


def test_a_last_verdict_waits_until_no_successor_could_give_another() -> None:
    """The command is open in the file: if we were killed, the next daemon would answer it."""
    world = World(WORKING)
    world.play("~pause#d disk")

    world.play("[sees]")
    assert world.said()[-1] == "pause accepted"
    assert world.disk.saves[-1][1] is True
    (held,) = world.disk.saves[-1][0].unsent
    assert '"verdict":"done"' in str(held[2])
    world.play("disk")

    assert world.said()[-1] == "pause done"
    assert world.disk.content.memory.open == ()


def test_a_disk_in_trouble_keeps_nobody_waiting() -> None:
    """What waits for it is said, and what comes says that it isn't kept; until it is again."""
    world = World(WORKING)
    world.play("~pause#d disk")
    world.disk.trouble = "No space left on device"

    world.play("[sees] disk")
    assert (world.said()[-1], world.verdicts()[-1]["kept"]) == ("pause done", False)
    world.play("+1")
    assert world.documents()[-1]["trouble"] == "nothing is kept: No space left on device"

    world.disk.trouble = ""
    world.play("resume#e disk [sees] +1 disk")
    assert "kept" not in world.verdicts()[-1]
    assert world.documents()[-1]["trouble"] == ""


UNHEARD = {
    "mychannel": "mychannel: it isn't heard: NOPERM",
    "statusd:control": "statusd:control: it isn't heard: NOPERM",
    "of another unit": "",
}


@pytest.mark.parametrize(("channel", "trouble"), UNHEARD.items())
def test_a_unit_tells_which_of_its_channels_it_may_not_hear(channel: str, trouble: str) -> None:
    """As long as the broker refuses it; what only others hear is their trouble."""
    world = World(WORKING)

    world.broker.refused[channel] = "NOPERM"
    world.unit.link_changed()
    world.play("+0.02")
    assert world.documents()[-1]["trouble"] == trouble

    world.broker.refused.clear()
    world.unit.link_changed()
    world.play("+0.02")
    assert world.documents()[-1]["trouble"] == ""


def test_entries_for_others_only_move_the_place() -> None:
    """That is kept soon, nobody waits for it, and the cursor doesn't say it before it is."""
    world = World(f"{WORKING} ~pause#d disk [sees] disk +1 disk")
    world.new()

    world.unit.happened(Delivery((), StreamPosition("9-0", 9)))
    world.unit.store.say_place_anew()
    world.unit.flush()
    (cursor,) = world.new()
    assert '"id":"1-0"' in str(cursor[2])
    world.play("+0.02")
    assert world.disk.saves[-1][1] is False
    world.play("disk")

    assert world.disk.place.id == "9-0"
    assert '"id":"9-0"' in str(world.new()[-1][2])


# ---- what the last daemon has left ---------------------------------------------------------------


def test_what_was_left_unsent_goes_first_and_is_kept_until_it_was_sent() -> None:
    """In the file of this daemon as well, as long as the broker hasn't had the last of it."""
    line = ("PUBLISH", "statusd:verdicts", '{"name":"unit","command":"end","verdict":"done"}')
    world = World("", left=Kept(Memory(run=3), unsent=(line,)))
    world.broker.is_up = False

    world.play("boot +0.02")
    assert list(world.disk.saves[-1][0].unsent) == [line]
    world.broker.is_up = True
    world.unit.flush()
    world.play("+0.02")

    assert world.broker.sent[0] == line
    assert list(world.disk.saves[-1][0].unsent) == []


def test_a_verdict_is_kept_until_all_of_it_was_sent() -> None:
    """It goes to all, and to its sender's own channel: only then has the broker had it."""
    store = World(WORKING).unit.store
    lines = (("PUBLISH", "statusd:verdicts", "{}"), ("PUBLISH", "statusd:reply:x", "{}"))
    store._unsent = lines

    store.was_sent(lines[0], b"OK")
    assert store._unsent == lines
    store.was_sent(lines[1], b"OK")

    assert len(store._unsent) == 0


def test_open_commands_of_the_last_daemon_are_answered() -> None:
    """They failed with it."""
    left = Kept(Memory(run=3, open=(Command("pause", "redis:c", 900.0, id="a"),)))
    world = World("boot disk", left=left)

    assert world.said() == ["pause failed"]
    assert world.workers[-1].run == 4


def test_an_end_of_the_last_time_is_over() -> None:
    """Starting the daemon is itself a request: a stored goal END is dropped, with a log line."""
    world = World("boot [ready]", left=Kept(Memory(goal="END", run=3)))

    assert (world.state, world.unit.status.goal.name) == ("READY", "READY")
    assert ("goal.dropped", {"goal": "END", "new": "READY"}) in world.logged


def test_the_first_event_of_a_boot_names_its_predecessor() -> None:
    """History goes on across a restart, with a higher boot; the first of all has none."""
    first = World("boot [ready] +0.001")
    again = World("boot [ready] start +0.001", left=Kept(Memory(last_event="6-9")))

    assert "previous" not in first.events()[0]
    assert [event.get("previous") for event in again.events()] == ["6-9", None]


# ---- a worker that hangs -------------------------------------------------------------------------


def looked_after(world: World, *beats: int) -> list[str]:
    """Let the worker beat so often at each look, a second apart; return the triggers since."""
    before = len(world.events())
    for count in beats:
        world.workers[-1].beats += count
        world.play("+1")
        world.unit.look()
    return [event["trigger"] for event in world.events()[before:]]


def test_a_worker_that_beats_no_more_hangs() -> None:
    """Within the time and the next look; it is asked for its stack and told to go."""
    world = World(WORKING, hang_timeout_s=2.0)

    assert looked_after(world, 3, 3, 3, 3) == []
    assert looked_after(world, 0, 0, 0) == ["crash"]
    assert world.workers[-1].signals[0] == "SIGQUIT"


@pytest.mark.parametrize("how", ["boot [ready] +1 disk [exits 1]", "boot +1 disk (ready)"])
def test_nothing_says_that_a_dead_worker_lives(how: str) -> None:
    """The document goes with the event of its death, not after it: what is read then is true."""
    before, _, death = how.rpartition(" ")
    if death == "1]":
        before, death = before.removesuffix(" [exits"), "[exits 1]"
    world = World(before)
    writes = len(world.broker.writes)

    world.play(death)

    (write,) = world.broker.writes[writes:]
    assert kinds(write) == ["history", "event", "document"]
    assert world.documents()[-1]["state"] == world.state == "BACKOFF"


@pytest.mark.parametrize(
    "history", ["boot [ready] +1", "boot [ready] start [sees] pause [sees] +1"]
)
def test_who_waits_because_he_was_told_to_does_not_hang(history: str) -> None:
    """In READY, or PAUSED and acknowledged, however long it takes."""
    world = World(history, hang_timeout_s=0.1)
    if "pause" not in history:
        world.play("[sees]")

    assert looked_after(world, 1, *20 * [0]) == []


def test_the_log_tells_things_in_their_order() -> None:
    """What is logged at once comes after what was said before it, though that is noted later."""
    world = World("boot [ready] resume [exits 1]")

    names = [name for name, _ in world.logged if name != "state.changed"]

    assert names == ["worker.started", "command.answered", "worker.signalled"]


def test_who_never_beats_does_not_hang() -> None:
    """A loop that says nothing of its turns can't be judged by them."""
    world = World(WORKING, hang_timeout_s=0.1)

    assert looked_after(world, *20 * [0]) == []


# ---- outages -------------------------------------------------------------------------------------


def test_a_gap_is_untold_until_the_history_has_it() -> None:
    """It stands in the state file as long as only we know of it."""
    world = World("boot link [ready] +1 disk")
    world.broker.is_up = False

    world.play("cut +1 link +0.02")
    deaf = world.disk.saves[-1][0].deaf
    assert deaf is not None
    assert deaf.reason == "closed"
    world.broker.is_up = True
    world.unit.flush()
    world.play("+0.02")

    assert world.disk.saves[-1][0].deaf is None
    assert [line for line in world.broker.sent if '"trigger":"gap"' in str(line[-1])]


# ---- the end, and what ends it -------------------------------------------------------------------


def test_the_last_words_hold_document_and_roster_and_the_name_is_free() -> None:
    """In this order: whoever takes the name has heard all of us."""
    world = World(f"{WORKING} end [exits 0] [gone]")
    assert world.codes == [0]

    play_out(world)

    last = world.broker.sent[-3:]
    assert [line[0] for line in last] == ["SET", "DEL", "HSET"]
    assert world.documents()[-1]["state"] == "END"
    assert '"left":true' in str(last[-1][3])


def test_what_can_not_be_said_is_kept_for_the_next_start() -> None:
    """Verdicts and events, not the document."""
    world = World(WORKING)
    world.broker.is_up = False
    world.play("end [exits 0] [gone]")

    play_out(world)

    kept = [str(line[1]) for line in world.disk.content.unsent]
    assert "statusd:verdicts" in kept
    assert "statusd:status:{unit}" not in kept


def test_what_comes_last_is_kept_before_the_unit_leaves() -> None:
    """Not a few milliseconds later: there is no later."""
    world = World(WORKING)
    world.play("end [exits 0] [gone]")
    assert world.disk.saves[-1][0].memory.goal == "RUNNING"

    play_out(world)

    assert (world.disk.content.memory.goal, world.disk.saves[-1][1]) == ("END", True)
    assert world.disk.content.memory.last_event == "7-4"


def test_a_lost_name_ends_the_unit_which_says_no_more() -> None:
    """The document and the roster are the other's now."""
    world = World(WORKING)
    documents = len(world.documents())

    world.unit._lease_lost(LeaseHolder(9, "elsewhere", 1))
    world.unit.lease.holder = LeaseHolder(9, "elsewhere", 1)
    world.play("[exits 0] [gone] +1")
    play_out(world)

    assert world.state == "END"
    assert len(world.documents()) == documents
    assert not [line for line in world.broker.sent if line[0] in ("DEL", "HSET")]


def test_a_bug_in_one_unit_is_no_other_units() -> None:
    """It ends, with 70; the other hears, obeys and answers."""
    loop = Loop()
    broker = Broker(loop)
    one, other = (
        World("boot [ready]", name=name, loop=loop, broker=broker) for name in ("one", "other")
    )

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    one.unit.status.handle = fails  # type: ignore[assignment, method-assign]  # a bug
    one.play("start")
    other.play("start [sees]")

    assert (one.codes, other.codes) == ([EXIT_BUG], [])
    assert other.state == "RUNNING"


def test_units_on_one_link_take_nothing_of_each_other() -> None:
    """Each has its own document, cursor and claim, however close they come."""
    loop = Loop()
    broker = Broker(loop)
    worlds = [World("boot [ready]", name=n, loop=loop, broker=broker) for n in ("one", "other")]
    broker.is_up = False

    for world in worlds:
        world.unit.beat()
        world.play("~start#x disk +0.05")
    broker.is_up = True
    broker.flush()

    keys = {str(line[1]) for line in broker.sent if line[0] == "SET"}
    for name in ("one", "other"):
        for what in ("status", "cursor", "owner"):
            assert f"statusd:{what}:{{{name}}}" in keys
    assert [world.documents()[-1]["state"] for world in worlds] == ["RUNNING", "RUNNING"]
