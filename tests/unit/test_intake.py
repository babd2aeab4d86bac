"""From messages to inputs: the status is bothered only by what may change something."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from statusd.core import events as ev
from statusd.core.status import Status
from statusd.core.unit import Identity
from statusd.unit.intake import Intake


class Broker:
    """What an intake asks of a broker."""

    def __init__(self) -> None:
        self.arrived = asyncio.get_running_loop().time()

    def time(self) -> float:
        """Return the broker's wall clock."""
        return 1_800_000_000.0

    def heard_at(self) -> float:
        """Return when what is told has arrived."""
        return self.arrived


class Rig:
    """An intake with a real Status in READY, and a list of what it has passed on."""

    def __init__(self) -> None:
        self.status = Status(Identity("unit", boot=7))
        self.taken: list[ev.Input] = []
        self.begun: list[int] = []
        self.broker = Broker()
        self.intake = Intake(
            self.status,
            submit=self.taken.append,
            began=lambda: self.begun.append(len(self.taken)),
            broker=self.broker,  # type: ignore[arg-type]  # as much of it as is asked for
            look_again=lambda: None,
            loop=asyncio.get_running_loop(),
        )
        for happened in (ev.Booted(), ev.WorkerReady(1), ev.WorkerAcknowledged(1, 1, 1)):
            self.status.handle(happened, 0.0)

    def hear(self, payload: bytes, channel: bytes = b"mychannel") -> list[ev.Input]:
        """Hear one message and return what it led to."""
        before = len(self.taken)
        self.intake.hear(channel, payload)
        return self.taken[before:]


def with_intake(test: Callable[[Rig], None]) -> None:
    """Run a test on a loop: an intake has a clock."""

    async def live() -> None:
        test(Rig())

    asyncio.run(live())


def test_a_word_that_may_change_something_is_a_command() -> None:
    """With its channel as its source."""

    def story(rig: Rig) -> None:
        (happened,) = rig.hear(b"START")

        assert isinstance(happened, ev.Commanded)
        assert (happened.command.word, happened.command.source) == ("START", "redis:mychannel")

    with_intake(story)


def test_a_word_that_is_known_already_is_judged_anew() -> None:
    """It is read once; what it means, the state of the moment says."""

    def story(rig: Rig) -> None:
        for now, word in enumerate((b"start", b"pause", b"resume", b"pause")):
            (happened,) = rig.hear(word)
            rig.status.handle(happened, float(now))

        assert rig.hear(b"pause") == []
        assert [verdict.kind for verdict in rig.intake.answers()] == ["noop"]
        assert rig.hear(b"resume")[0] != rig.hear(b"resume", b"other")[0]

    with_intake(story)


def test_words_that_change_nothing_are_counted() -> None:
    """Each spelling and channel apart, told once with how often it was heard."""

    def story(rig: Rig) -> None:
        for _ in range(3):
            assert rig.hear(b"resume") == []
        assert rig.hear(b"resume", b"other") == []

        told = [(v.fields["source"], v.fields.get("count", 1)) for v in rig.intake.answers()]

        assert told == [("redis:mychannel", 3), ("redis:other", 1)]
        assert rig.intake.answers() == []

    with_intake(story)


def test_answers_from_elsewhere_are_dropped() -> None:
    """Another namespace's verdict is no junk either."""

    def story(rig: Rig) -> None:
        assert rig.hear(b'{"verdict": "done"}') == []
        assert rig.hear(b'{"event": "1-1"}') == []
        assert rig.intake.answers() == []

    with_intake(story)


def test_junk_is_answered_in_sum_and_with_an_id_singly() -> None:
    """The first one's reason, and how many more."""

    def story(rig: Rig) -> None:
        for payload in (b"\xff", b"xyzzy", b"{"):
            assert rig.hear(payload) == []
        (summed,) = rig.intake.answers()
        (single,) = rig.hear(b'{"command": 7, "id": "a"}')

        assert (summed.fields["verdict"], summed.fields["count"]) == ("invalid", 3)
        assert isinstance(single, ev.InvalidMessage)
        assert single.error.fields == {"id": "a"}

    with_intake(story)


def test_at_the_end_all_that_was_held_back_is_answered() -> None:
    """Junk is answered once a second; nobody will ask again."""

    def test(rig: Rig) -> None:
        for _ in range(4):
            rig.intake.hear(b"mychannel", b"xyzzy")
            rig.intake.answers()

        (rest,) = rig.intake.last_answers()

        assert rest.fields["count"] == 3
        assert rig.intake.answers() == []

    with_intake(test)


def test_expires_is_compared_with_the_brokers_clock() -> None:
    """2027-01-15T08:00:00Z, by the fake of it."""

    def story(rig: Rig) -> None:
        late = rig.hear(b'{"command": "start", "expires": "2027-01-15T07:59:59Z"}')
        early = rig.hear(b'{"command": "start", "expires": "2027-01-15T09:00:01+01:00"}')

        assert [x.expired for x in late + early if isinstance(x, ev.Commanded)] == [True, False]

    with_intake(story)


def test_a_change_makes_every_word_be_looked_at_anew() -> None:
    """What was quiet in READY may be a command in RUNNING."""

    def story(rig: Rig) -> None:
        assert rig.hear(b"pause") == []
        rig.status.handle(rig.hear(b"start")[0], 0.0)

        assert len(rig.hear(b"pause")) == 1
        (refused,) = rig.intake.answers()
        assert (refused.fields["verdict"], refused.fields["state"]) == ("refused", "READY")

    with_intake(story)


def test_while_something_waits_to_be_decided_no_word_is_judged_before_it() -> None:
    """What changes nothing now may change something after it."""

    def story(rig: Rig) -> None:
        assert rig.hear(b"resume") == []

        rig.intake.is_behind = True

        assert len(rig.hear(b"RESUME")) == 1

    with_intake(story)


@pytest.mark.fault("J09")
@pytest.mark.parametrize("word", [b"resume", b"pause", b"READY", b"nonsense", b"{"])
def test_an_answer_is_never_older_than_its_word(word: bytes) -> None:
    """What changes nothing is judged without an input: the status last heard the time long ago."""

    def story(rig: Rig) -> None:
        began = asyncio.get_running_loop().time()
        rig.broker.arrived = began
        rig.hear(word)
        rig.hear(word)

        (told,) = rig.intake.answers()

        most = (asyncio.get_running_loop().time() - began) * 1000
        assert 0 <= told.fields["ms"] <= most + 0.1

    with_intake(story)


@pytest.mark.fault("J09")
def test_a_word_that_is_counted_alone_is_as_old_as_what_it_came_with() -> None:
    """The hot path doesn't ask for the time; whoever reads from the broker knows it."""

    def story(rig: Rig) -> None:
        rig.hear(b"resume")
        rig.intake.answers()
        rig.hear(b"resume")
        rig.broker.arrived -= 3.0

        (told,) = rig.intake.answers()

        assert 3000 <= told.fields["ms"] < 4000

    with_intake(story)


def test_that_something_was_heard_is_told_once() -> None:
    """Until whoever looks after it has looked: he need not look at those who have heard nothing."""

    def story(rig: Rig) -> None:
        assert rig.begun == []
        rig.hear(b"resume")
        rig.hear(b"resume")
        assert len(rig.begun) == 1

        rig.intake.is_quiet = True
        rig.hear(b"resume")
        assert len(rig.begun) == 2

    with_intake(story)


@pytest.mark.parametrize(
    "more",
    [
        *({"id": "a"}, {"target": {"name": "other"}}, {"reply_to": "mychannel"}),
        *({"expires": "2026-11-23T12:00:00Z"}, {"boot": 6}, {"run": 0}, {"args": {"n": 3}}),
    ],
    ids=lambda more: str(*more),
)
@pytest.mark.parametrize("word", ["resume", "xyzzy"])
def test_what_is_more_than_a_word_is_never_only_counted(word: str, more: dict[str, Any]) -> None:
    """Who says for whom it is, until when, or whom to tell, is judged in full, also by strangers'
    channels; the word alone changes nothing, or is none.
    """

    def story(rig: Rig) -> None:
        assert rig.hear(word.encode()) == []

        (happened,) = rig.hear(json.dumps({"command": word, **more}).encode())

        assert isinstance(happened, ev.Commanded)
        assert (happened.command.word, happened.meant) == (word, None)

    with_intake(story)


def test_what_a_word_means_is_looked_up_once_unless_something_comes_before_it() -> None:
    """Then it may mean something else."""

    def story(rig: Rig) -> None:
        for _ in ("read", "known already"):
            (happened,) = rig.hear(b"start")
            assert isinstance(happened, ev.Commanded)
            assert happened.meant is rig.status.commands.look_up("start")
        rig.intake.is_behind = True
        assert [one.meant for one in rig.hear(b"start") if isinstance(one, ev.Commanded)] == [None]

    with_intake(story)


@pytest.mark.fault("J22")
@pytest.mark.parametrize("kind", ["verdict", "event"])
def test_an_answer_that_can_not_be_read_is_not_answered(kind: str) -> None:
    """Too long, too deep, or cut off: it is heard by a pattern that covers another namespace."""

    def test(rig: Rig) -> None:
        deep: Any = "x"
        for _ in range(9):
            deep = [deep]
        begin = json.dumps({kind: "invalid", "id": "a"}, separators=(",", ":"))[:-1]
        for more in (f',"reason":"{"x" * 20_000}"}}', f',"status":{json.dumps(deep)}}}', ""):
            answer = f"{begin}{more}".encode()
            assert rig.hear(answer, b"other:verdicts") == []
            assert rig.intake.hear_local(answer) is None
        assert rig.intake.last_answers() == []
        assert rig.intake.invalid == 0

        rig.hear(b'{"verdicts": 1}')
        assert rig.intake.invalid == 1

    with_intake(test)
