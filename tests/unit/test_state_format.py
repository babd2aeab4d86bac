"""A state file is wholly what we would have written, or nothing of it is taken."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statusd.core import events as ev
from statusd.core.answers import Answer, Verdict
from statusd.core.bounds import Unreadable
from statusd.core.errors import Unavailable
from statusd.core.messages import Command
from statusd.core.unit import Memory
from statusd.supervision.worker_file import WorkerFile
from statusd.unit import state_format
from statusd.unit.history import History
from statusd.unit.kept import Kept
from statusd.unit.outages import Deaf
from statusd.unit.publisher import Publisher
from statusd.unit.said import as_said
from statusd.unit.state_file import StateFile
from statusd.unit.stream_position import StreamPosition
from statusd.wire.names import Names
from statusd.wire.outbox import Outbox
from statusd.worker import wrapper

NAMES = Names("statusd", "unit")
BOOT = 1795400000000
VERDICT = '{"verdict":"done","name":"unit"}'
EVENT = f'{{"event":"{BOOT}-9","name":"unit"}}'
LINES = (
    ("PUBLISH", "statusd:verdicts", VERDICT),
    ("PUBLISH", "statusd:reply:x", VERDICT),
    ("XADD", "statusd:history:{unit}", "MAXLEN", "~", 10_000, f"{BOOT}-9", "event", EVENT),
    ("PUBLISH", "statusd:events", EVENT),
)
FULL = Kept(
    Memory(
        goal="PAUSED",
        args={"run": 3, "dark": True, "text": "é", "none": None, "x": 0.5},
        run=7,
        last_event=f"{BOOT}-9",
        open=(Command("pause", "stream:5-1", 0.25, id="a", by="me", reply_to="statusd:reply:x"),),
    ),
    unsent=LINES,
    place=StreamPosition("5-1", 3, ("4-0", "5-1")),
    deaf=Deaf(1795400000.25, "closed by the broker"),
)
CONTENT: dict[str, Any] = json.loads(state_format.encode(FULL, BOOT, NAMES))


def read(content: object) -> tuple[Kept, int]:
    """Return what a file with that content keeps."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return state_format.read(text, NAMES, time.monotonic())


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Return a valid file with another value somewhere."""
    content = copy.deepcopy(CONTENT)
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


def test_all_that_is_kept_is_read_as_it_was() -> None:
    """Of every kind."""
    assert read(CONTENT) == (FULL, BOOT)


def test_what_a_unit_says_is_known_as_such() -> None:
    """Whoever changes the one must change the other: what is left unsent must be readable."""
    outbox = Outbox()
    nothing: Any = lambda *_: None  # noqa: E731  # whoever would be told
    history = History(outbox, NAMES, complain=nothing, mended=nothing, kept=nothing)
    publisher = Publisher(outbox, NAMES, history, str, float)
    change = ev.EventHead("unit", BOOT, 1, "READY", "RUNNING", "start", "redis:\x1b[0m")
    publisher.publish_event(ev.Event(change, 9, {"stderr": ["é\n"]}), "2026-11-27T00:00:00.000Z")
    fields = {"verdict": Answer.DONE.value, "name": "unit", "boot": BOOT, "reason": "\u2028"}
    publisher.publish_verdict(Verdict(fields, "statusd:reply:x"), {"status": {"name": "unit"}})

    lines = outbox.take(10)

    assert len(lines) == 4
    assert [as_said(line, NAMES, BOOT) for line in lines] == lines


FOREIGN = [
    ["FLUSHALL"],
    ["flushall"],
    [],
    "FLUSHALL",
    ["CONFIG", "SET", "dir", "/"],
    ["EVAL", "x", 0],
    ["DEL", "statusd:owner:{unit}"],
    ["PUBLISH", "mychannel", VERDICT],
    ["PUBLISH", "statusd:control", VERDICT, "x"],
    ["PUBLISH", "other:verdicts", VERDICT],
    ["PUBLISH", "statusd:verdicts", "pause"],
    ["PUBLISH", "statusd:verdicts", '{"verdict":"done","name":"other"}'],
    ["PUBLISH", "statusd:verdicts", '{"name":"unit","x":"\ud800"}'],
    ["PUBLISH", "statusd:verdicts", '{"name":"unit"' + " " * 2**21 + "}"],
    ["PUBLISH", "statusd:verdicts", 7],
    ["PUBLISH", "statusd:verdicts", None],
    ["PUBLISH", "statusd:reply:\r\nx", VERDICT],
    ["SET", "statusd:owner:{other}", "{}", "EX", 10],
    ["SET", "statusd:status:{unit}", "{}", "EX", 10],
    ["XADD", "statusd:history:{other}", "MAXLEN", "~", 10_000, "5-9", "event", EVENT],
    ["XADD", "statusd:history:{unit}", "MAXLEN", "~", 10_000, "*", "event", EVENT],
    ["XADD", "statusd:history:{unit}", "MAXLEN", "~", 10_000, f"{BOOT + 1}-1", "event", EVENT],
    ["XADD", "statusd:history:{unit}", "MAXLEN", "~", 10_000, "9" * 5000 + "-1", "event", EVENT],
    ["XADD", "statusd:commands", "MAXLEN", "~", 10_000, "5-9", "command", "end"],
]


@pytest.mark.fault("X31")
@pytest.mark.parametrize("line", FOREIGN, ids=lambda line: str(line)[:40])
def test_nobody_speaks_to_redis_through_us(line: object) -> None:
    """What the last daemon couldn't send is its own verdicts and events, and nothing else."""
    with pytest.raises(Unreadable):
        read(changed(("unsent",), [*LINES, line]))


@pytest.mark.fault("X31")
def test_a_history_is_cut_as_we_cut_it() -> None:
    """Whatever length somebody has written there."""
    emptied = ["XADD", "statusd:history:{unit}", "MAXLEN", "~", 0, f"{BOOT}-9", "event", EVENT]

    (line,) = read(changed(("unsent",), [emptied]))[0].unsent

    assert line == LINES[2]


@pytest.mark.parametrize(
    "line",
    [
        ["GET", "statusd:owner:{unit}"],
        ["HGET", "statusd:roster", "unit"],
        ["PTTL", "statusd:owner:{unit}"],
        ["SET", "statusd:owner:{unit}", "{}", "EX", 10],
        ["PUBLISH", "statusd:control", '{"command":"end"}'],
    ],
)
def test_what_older_versions_left_besides_is_not_said(line: list[Any]) -> None:
    """They asked it while they started; it means nothing to the next daemon."""
    assert read(changed(("unsent",), [line, *map(list, LINES)]))[0].unsent == LINES


HUGE = 10**400
NONSENSE: list[Any] = [
    None,
    "",
    "x",
    1.5,
    True,
    -1,
    2**64,
    HUGE,
    [],
    {},
    [[]],
    {"a": {}},
    "\ud800",
    "\x1b[0m",
]
PATHS: dict[tuple[str | int, ...], list[Any]] = {
    ("format",): NONSENSE,
    ("boot",): [*NONSENSE, 253402300799999],
    ("namespace",): [v for v in NONSENSE if v not in ("", "x")],
    ("goal",): [v for v in NONSENSE if v not in ("", "x")] + ["x" * 129],
    ("args",): [v for v in NONSENSE if v != {}] + [{"a": [1]}, {"a": "x" * 5000}, {"\x1b": 1}],
    ("run",): NONSENSE,
    ("last_event",): [v for v in NONSENSE if v != ""] + ["1", "1-", "-1", f"{2**64}-1", "1-1-1"],
    ("open",): [v for v in NONSENSE if v != []],
    ("open", 0): NONSENSE,
    ("open", 0, "word"): NONSENSE[:2] + NONSENSE[3:] + ["x" * 65, "a b"],
    ("open", 0, "source"): [v for v in NONSENSE if v not in ("", "x", "\x1b[0m")] + ["x" * 2049],
    ("open", 0, "received"): [v for v in NONSENSE if v != 1.5],
    ("open", 0, "id"): [v for v in NONSENSE if v not in ("", "x")] + ["x" * 129, "é"],
    ("open", 0, "by"): [v for v in NONSENSE if v not in ("", "x")] + ["x" * 129],
    ("open", 0, "reply_to"): [v for v in NONSENSE if v not in ("", "x")] + ["x" * 257],
    ("unsent",): [v for v in NONSENSE if v != []],
    ("unsent", 0): NONSENSE,
    ("cursor",): [v for v in NONSENSE if v is not None],
    ("cursor", "id"): [v for v in NONSENSE if v != ""] + [f"{2**64}-0", "9" * 5000],
    ("cursor", "added"): [v for v in NONSENSE if v is not None],
    ("cursor", "recent"): [v for v in NONSENSE if v != []] + [["5-1"] * 33, ["x"]],
    ("deaf",): [v for v in NONSENSE if v is not None],
    ("deaf", "since"): [v for v in NONSENSE if v != 1.5] + [1e15],
    ("deaf", "reason"): [None, 1.5, True, [], {}, "x" * 501],
}


def wrong() -> Iterator[Any]:
    """Yield a place in the file and a value that can't be there."""
    for path, values in PATHS.items():
        for value in values:
            name = ".".join(map(str, path))
            yield pytest.param(path, value, id=f"{name}={str(value)[:20]!a}")


@pytest.mark.fault("X31")
@pytest.mark.parametrize(("path", "value"), [*wrong()])
def test_a_value_that_can_not_be_there_makes_it_no_state_file(
    path: tuple[str | int, ...], value: object
) -> None:
    """Types, ranges, lengths, nesting: looked at before anything is converted."""
    with pytest.raises(Unreadable):
        read(changed(path, value))


@pytest.mark.fault("X31")
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format": 1, "format": 1}',
        b'{"boot": 1e999}',
        b'{"boot": NaN}',
        b'{"boot": ' + b"9" * 10_000 + b"}",
        b"\xff",
        b"",
        b" " * (state_format.MOST_BYTES + 1),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_json_of_ours_is_no_state_file(content: bytes) -> None:
    """However deep, long or ambiguous it is."""
    with pytest.raises(Unreadable):
        read(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a valid file in which something, somewhere, is another value, or some bytes are."""
    content = copy.deepcopy(CONTENT)
    for _ in range(draw(st.integers(1, 3))):
        place: Any = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 4)):
                place[key] = draw(JSON)
            else:
                del place[key]
            break
    text = bytearray(json.dumps(content).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text) - 1))
        text[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(text)


@pytest.mark.fault("X31")
@given(mutated())
@example(b"{}")
def test_any_file_is_a_memory_that_can_be_kept_or_none(text: bytes) -> None:
    """And what was read can be written, and be read again as the same: nothing grows wild in it."""
    try:
        memory, boot = read(text)
    except Unreadable:
        return

    kept = state_format.bounded(memory, NAMES)
    again, _ = read(state_format.encode(kept, boot + 1, NAMES))

    assert kept == memory
    assert again == memory
    for line in memory.unsent:
        assert line[:2] in {tuple(one[:2]) for one in LINES} or line[0] == "PUBLISH"


def test_another_namespace_has_its_own_stream_and_history() -> None:
    """What was to be said there, and how far it was read there, means nothing here."""
    memory, boot = state_format.read(
        json.dumps(CONTENT).encode(), Names("other", "unit"), time.monotonic()
    )

    assert (memory.memory.goal, memory.memory.run, boot) == ("PAUSED", 7, BOOT)
    assert (memory.unsent, memory.place, memory.deaf) == ((), StreamPosition(), None)


def test_a_flood_is_kept_in_part() -> None:
    """The newest: a file that nobody would read again is of no use."""
    line = ("PUBLISH", "statusd:verdicts", '{"name":"unit"' + " " * 100_000 + "}")
    commands = tuple(Command("force", "redis:c", 1.0, id=str(n)) for n in range(10_000))
    flood = Kept(Memory(open=commands), unsent=(*(line,) * 1000, LINES[0]))

    kept = state_format.bounded(flood, NAMES)
    text = state_format.encode(kept, BOOT, NAMES)

    assert len(text) < state_format.MOST_BYTES
    assert kept.memory.open == commands[-state_format.MOST_OPEN :]
    assert kept.unsent[-1] == LINES[0]
    assert 10 < len(kept.unsent) < 100
    assert read(text)[0].unsent == kept.unsent


@pytest.mark.fault("X31")
def test_a_daemon_refuses_the_file_and_says_what_to_do(tmp_path: Path) -> None:
    """It is left as it is."""
    file = tmp_path / "unit.json"
    file.write_text(json.dumps(changed(("unsent",), [["FLUSHALL"]])))
    before = file.read_bytes()

    async def live() -> None:
        state = StateFile(tmp_path, "unit")
        try:
            state.load()
        finally:
            await state.close()

    with pytest.raises(Unavailable, match=r"none of ours.*move it away or start with --fresh"):
        asyncio.run(live())
    assert file.read_bytes() == before


def worker_file(content: dict[str, Any], directory: Path) -> WorkerFile:
    """Return a worker file with that content."""
    file = WorkerFile(directory, "unit")
    file.path.write_text(json.dumps(content))
    return file


def whose() -> dict[str, Any]:
    """Return a valid content."""
    boot_id, pid_ns = wrapper.machine()
    known = {"format": 1, "run": 3, "pid": 4, "started": 5}
    return {**known, "boot_id": boot_id, "pid_ns": pid_ns}


@pytest.mark.fault("X31")
@pytest.mark.parametrize("key", ["run", "pid", "started"])
@pytest.mark.parametrize("value", [None, "4", 1.5, True, -1, HUGE, [], {}, 2**63])
def test_a_worker_file_with_nonsense_names_nobody(key: str, value: object, tmp_path: Path) -> None:
    """Nobody is looked for by it, and nobody signalled; also not the groups 0 and 1."""
    assert worker_file(whose(), tmp_path).load() is not None

    assert worker_file({**whose(), key: value}, tmp_path).load() is None


@pytest.mark.fault("X31")
@pytest.mark.parametrize("pid", [0, 1])
def test_a_worker_is_neither_our_group_nor_the_first_process(pid: int, tmp_path: Path) -> None:
    """Whoever is signalled with it would be somebody else."""
    assert worker_file({**whose(), "pid": pid}, tmp_path).load() is None


@pytest.mark.fault("X31")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"[" * 60_000),
        lambda path: path.write_bytes(b"x" * 100_000),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.symlink_to("/dev/zero"),
    ],
)
def test_what_is_no_worker_file_names_nobody(
    spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    """However deep, long, or no file at all."""
    file = WorkerFile(tmp_path, "unit")
    spoil(file.path)

    assert file.load() is None
