"""Tests of `statusd.core.messages`: what anybody may send, and what becomes of it."""

from __future__ import annotations

import json
import time
from codecs import BOM_UTF8
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statusd.core.answers import Answer
from statusd.core.errors import SHOWN_BYTES, BadMessage
from statusd.core.messages import (
    EVERYBODY,
    MAX_BYTES,
    Command,
    Target,
    parse,
    to_json,
)

FULL_WIDTH = "\N{FULLWIDTH LATIN CAPITAL LETTER E}ND"
GREEK = "\N{GREEK CAPITAL LETTER EPSILON}ND"


def obj(**fields: Any) -> bytes:
    """Return a JSON object with the word ``end`` in it."""
    return json.dumps({"command": "end"} | fields).encode()


def refusal(payload: bytes) -> BadMessage:
    """Return the error that ``payload`` is answered with."""
    with pytest.raises(BadMessage) as caught:
        parse(payload, "redis:c")
    return caught.value


def outcome(payload: bytes) -> str:
    """Return the word that ``payload`` says, or what is wrong with it, or ``silence``."""
    try:
        command = parse(payload, "redis:c")
    except BadMessage as error:
        return error.reason
    return "silence" if command is None else command.word


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.fault("M03")
def test_blanks_and_one_newline_around_a_word_are_tolerated() -> None:
    """What a shell, an editor or ``redis-cli -x`` adds without being asked (M03)."""
    payloads = [b"END", b" END", b"END ", b"\tEND\t ", b"END\n", b"END\r\n", b" END \n"]
    payloads += [b"END\n ", b"END \r\n", b"END\n\t"]

    heard = {payload: outcome(payload) for payload in payloads}

    assert heard == dict.fromkeys(payloads, "END")


def test_a_word_is_kept_as_it_was_typed() -> None:
    """Case is no matter of the parser; letters, digits, ``-`` and ``_`` are all it needs."""
    words = ["end", "End", "END", "to_END", "a-b", "R2D2", "x" * 64]

    assert [outcome(word.encode()) for word in words] == words


def test_a_word_knows_where_it_came_from_and_nothing_else() -> None:
    """Everything that only an object can say is empty."""
    assert parse(b"pause\n", "redis:mychannel", 12.5) == Command("pause", "redis:mychannel", 12.5)


NO_WORDS = [
    *(b"", b" ", b"\n", b"END\n\n", b"\nEND", b"END\r", b"END\0", b"\0END", b"EN\0D", b"EN D"),
    *(b"END\x0b", b"END\xc2\xa0", b"\xff", b"END\xff", b"END\xef\xbb\xbf", b"\x1b[31mEND"),
    *(FULL_WIDTH.encode(), GREEK.encode(), "END\u200b".encode(), BOM_UTF8, BOM_UTF8 * 2 + b"END"),
    *(b"x" * 65, b"1END", b"_END", b"-end", b"end;", b"'end'", b"$END", b"end()"),
    *(b'""', b'" "', b'"\\ud800"', b'"END\\n\\n"', b'"EN\\u0000D"', b'"\\"END\\""', b'"{}"'),
    *(b'"%s"' % (b"x" * 65), '"\N{LATIN SMALL LETTER E WITH ACUTE}nd"'.encode()),
    *(b"[]", b"7", b"[" * 10_000),
]


@pytest.mark.fault("M01", "M03", "M04")
def test_what_is_neither_a_word_nor_an_object_is_refused() -> None:
    """Never guessed at: no Unicode folding, no second newline, no NUL (M01, M03, M04)."""
    heard = {payload: outcome(payload) for payload in NO_WORDS}

    assert heard == dict.fromkeys(NO_WORDS, "not a word and not a JSON object")


@pytest.mark.fault("J16")
def test_a_json_string_is_the_word_in_it() -> None:
    """As ``json.dumps("PAUSE")`` and ``JSON.stringify`` write it, also of a line (J16)."""
    payloads = [b'"END"', b' "END" \n', b'"\\u0045ND"', b'"END\\n"', b'" END\\r\\n"', b'"END\\t"']

    heard = {payload: outcome(payload) for payload in payloads}

    assert heard == dict.fromkeys(payloads, "END")
    assert parse(b'"END"', "redis:c", 12.5) == Command("END", "redis:c", 12.5)


@pytest.mark.fault("J16")
def test_a_json_string_that_is_none_is_told_so() -> None:
    """No control character stands in one as it is, and nothing stands behind it (J16)."""
    payloads = [b'"END', b'"EN\nD"', b'"END" "END"', b'"\\x45ND"', b'"\xff"']

    heard = [outcome(payload) for payload in payloads]

    assert [text.partition(":")[0] for text in heard] == ["not valid JSON"] * len(payloads)


@pytest.mark.fault("J16")
@pytest.mark.parametrize("said", [b"END", b" END\n", b'"END"', b'{"command": "END"}'])
def test_the_mark_of_utf_8_at_the_beginning_says_nothing(said: bytes) -> None:
    """Editors and shells write it before anything (J16)."""
    assert outcome(BOM_UTF8 + said) == outcome(said) == "END"


@pytest.mark.fault("J16")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("said", ["END", "END\r\n", '{"command": "END"}'])
def test_utf_16_is_called_by_its_name(said: str, encoding: str) -> None:
    """With its mark and without: what to change is the sender's encoding (J16)."""
    assert outcome(said.encode(encoding)) == "UTF-16, and UTF-8 is wanted"


@pytest.mark.fault("M09")
def test_what_is_too_long_is_not_even_looked_at() -> None:
    """And only its beginning is kept (M09)."""
    too_long = [
        *(b"END" + b" " * MAX_BYTES, obj(by="x" * MAX_BYTES), b"\xff" * 10**6),
        *(b"[" * 100_000, b'{"a":' * 100_000),
    ]

    errors = [refusal(payload) for payload in too_long]

    assert {error.reason for error in errors} == {"longer than 16384 bytes"}
    assert [error.raw for error in errors] == [payload[:SHOWN_BYTES] for payload in too_long]


def test_the_longest_command_is_heard() -> None:
    """The limit is inclusive."""
    assert outcome(b"END" + b" " * (MAX_BYTES - 3)) == "END"


# ---- objects -------------------------------------------------------------------------------------


def test_an_object_can_say_everything() -> None:
    """The very example of the design."""
    payload = b"""{"command": "pause", "id": "01JD", "by": "ops@desk",
     "target": {"name": "gpu-*", "tag": ["gpu", "fast"], "state": ["RUNNING"]},
     "reply_to": "statusd:reply:7f3a", "expires": "2026-11-23T12:00:00Z", "boot": 1795400000000,
     "run": 3, "args": {"n": 3, "x": 0.5, "name": "M 31 \\u2026", "fast": true, "none": null}}"""

    command = parse(payload, "redis:mychannel", 12.5)

    assert command == Command(
        word="pause",
        source="redis:mychannel",
        received=12.5,
        id="01JD",
        by="ops@desk",
        target=Target(("gpu-*",), ("gpu", "fast"), ("RUNNING",)),
        reply_to="statusd:reply:7f3a",
        expires="2026-11-23T12:00:00Z",
        boot=1795400000000,
        run=3,
        args={"n": 3, "x": 0.5, "name": "M 31 …", "fast": True, "none": None},
    )


def test_only_the_command_is_required() -> None:
    """An object with nothing else says as much as a word, and is for everybody."""
    command = parse(b' {"command":"end"}\r\n', "redis:c")

    assert command == Command("end", "redis:c")
    assert command is not None
    assert command.target is EVERYBODY


NO_OBJECTS = [
    (b"{}", 'a JSON object needs "command"'),
    (b'{"id": "a"}', 'a JSON object needs "command"'),
    (b"{", "not valid JSON: "),
    (b'{"command": "end"', "not valid JSON: "),
    (b'{"command": "end"} x', "not valid JSON: Extra data"),
    (b'{"command": "end"}{"command": "end"}', "not valid JSON: Extra data"),
    (b"{'command': 'end'}", "not valid JSON: "),
    (b'{"command": "end",}', "not valid JSON: "),
    (b'{"command": "end" /* now */}', "not valid JSON: "),
    (b'{"command": "e\nnd"}', "not valid JSON: "),
    (b'{"command": "end", "by": "\xff"}', "not valid JSON: not UTF-8"),
    (b'{"command": "start", "command": "end"}', "not valid JSON: a key stands twice"),
    (b'{"command": "end", "args": {"n": 1, "n": 2}}', "not valid JSON: a key stands twice"),
    (b'{"command": "end", "args": {"n": NaN}}', "not valid JSON: NaN is not a finite"),
    (b'{"command": "end", "args": {"n": Infinity}}', "not valid JSON: Infinity is not a finite"),
    (b'{"command": "end", "args": {"n": -Infinity}}', "not valid JSON: -Infinity is not a"),
    (b'{"command": "end", "args": {"n": 1e999999}}', "not valid JSON: 1e999999 is not a finite"),
    (b'{"command": "end", "run": ' + b"9" * 5000 + b"}", "not valid JSON: Exceeds the limit"),
    (b'{"command": "end", "boot": ' + b"9" * 4000 + b"}", '"boot" must be a number'),
]


@pytest.mark.fault("M06", "M07")
def test_what_is_not_quite_an_object_is_refused() -> None:
    """JSON as RFC 8259 has it, strictly, with every key once and every number finite (M06, M07)."""
    heard = {payload: outcome(payload)[: len(reason)] for payload, reason in NO_OBJECTS}

    assert heard == dict(NO_OBJECTS)


@pytest.mark.fault("M05")
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    """At every depth, whoever gives up first: Python's own limit must not get through (M05)."""
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    for depth in (4, 10, 100, 300, *range(450, 520, 10), 600, 700, 800, 900, 990, 1100, 2000):
        deep = b'{"command": "end", "args": ' + opening * depth + b"1" + closing * depth + b"}"

        reasons = [outcome(deep), outcome(deep[: len(deep) // 2])]

        assert [reason.startswith(("not valid JSON", "nested")) for reason in reasons] == [
            True,
            True,
        ], (depth, reasons)


@pytest.mark.fault("M05", "M06")
def test_no_message_takes_long_to_refuse() -> None:
    """Nobody may hold up a daemon with a message that is hard to read: all are read in one go."""
    room = MAX_BYTES - 30
    hard = [
        b'{"' + b'\\"' * (room // 2),
        b'{"command": "' + b"\\" * room,
        b"{" + b'"' * room,
        b'{"command": ' + b"[" * room,
        b'{"command": ' + b"-" * room,
        b'{"command": ' + b"1" * room + b"}",
        b'{"command": "end", "by": ' + b" " * room,
        b'{"command": "end", "args": {' + b'"":0,' * (room // 5),
        b'{"expires": "' + b"0" * room + b'"}',
        b'{"' + b"x" * room + b'": 1}',
        b"{" + b",".join(b'"%d":[]' % n for n in range(room // 10)) + b"}",
    ]

    for payload in hard:
        began = time.process_time()
        refusal(payload)

        assert time.process_time() - began < 0.2, payload[:40]


def test_the_nearest_key_is_named_for_an_unknown_one() -> None:
    """A slip of the fingers must not be a command that silently means something else."""
    slips = {"comand": "command", "ID": "id", "replyto": "reply_to", "arg": "args"}

    heard = {key: outcome(obj(**{key: "x"})) for key in slips}

    assert heard == {
        key: f"unknown key {key!r}, did you mean {guess!r}?" for key, guess in slips.items()
    }


def test_an_unknown_key_is_shown_safely() -> None:
    """Forty characters of it, in ASCII."""
    assert refusal(obj(**{"\ud800\x1b" + "z" * 100: 1})).reason == (
        r"unknown key '\ud800\x1b" + "z" * 38 + "'"
    )


WRONG: dict[str, list[Any]] = {
    "command": ["", " end", "end\n", "e nd", "x" * 65, FULL_WIDTH, "é", 7, None, True, ["end"], {}],
    "id": ["", " ", "a b", "a\n", "é", "x" * 129, 7, None, False, ["a"], {}],
    "by": ["a\nb", "\x1b[2J", "\ud800", "x" * 129, 7, None, ["a"], {}],
    "target": [
        *("all", 7, None, ["a"], True),
        *({"nam": "a"}, {"name": 7}, {"name": None}, {"name": ""}, {"name": [""]}),
        *({"name": [7]}, {"name": {"a": 1}}, {"tag": [["a"]]}, {"state": True}),
        *({"name": "x" * 129}, {"name": ["a"] * 101}, {"name": "a\n"}, {"tag": "\ud800"}),
    ],
    "reply_to": ["", "a b", "a\r\nQUIT", "é", "x" * 257, 7, None, ["a"], {}],
    "expires": [
        "",
        "soon",
        "2026-11-23",
        "2026-11-23T12:00:00",
        "2026-13-01T00:00:00Z",
        7,
        None,
        [],
    ],
    "boot": [-1, 0.5, 1.0, "7", True, None, 2**63, [7], {}],
    "run": [-1, 0.5, 1.0, "7", True, None, 2**63, [7], {}],
    "args": [
        *("a=1", 7, None, ["a"], True),
        *({"a": [1]}, {"a": {}}, {"a": "\ud800"}, {"a\n": 1}, {"\ud800": 1}, {"x" * 129: 1}),
        *({"a": "x" * 4096}, {"a": "é" * 1000}),
    ],
}


def test_every_value_has_to_be_of_its_kind() -> None:
    """Nothing is converted, nothing is ignored; the complaint names the key."""
    accepted = [
        (key, value, outcome(obj(**{key: value})))
        for key, values in WRONG.items()
        for value in values
        if not outcome(obj(**{key: value})).startswith(f'"{key}" must be ')
    ]

    assert accepted == []


RIGHT: dict[str, list[Any]] = {
    "command": ["end", "E", "x" * 64],
    "id": ["a", "~", "x" * 128],
    "by": ["", "Jos\u00e9 \u2603", "x" * 128],
    "target": [{}, {"name": "*"}, {"name": ["a", "b"], "tag": "c"}, {"state": ["END"]}],
    "reply_to": ["a", "statusd:reply:1", "x" * 256],
    "expires": ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.5+05:30", "0001-01-01T00:00:00+14:00"],
    "boot": [0, 2**63 - 1],
    "run": [0, 2**63 - 1],
    "args": [{}, {"": ""}, {"a": 10**300}, {"a": 1e308, "b": "\x00\n"}, {"a": "x" * 4088}],
}


def test_the_edges_of_what_is_allowed_are_allowed() -> None:
    """The shortest and the longest, the smallest and the largest."""
    refused = [
        (key, value, outcome(obj(**{key: value})))
        for key, values in RIGHT.items()
        for value in values
        if outcome(obj(**{key: value})) != (value if key == "command" else "end")
    ]

    assert refused == []


def test_every_time_that_is_accepted_can_be_compared() -> None:
    """Whoever judges `expires` needs a number."""
    times = [datetime.fromisoformat(time).timestamp() for time in RIGHT["expires"]]

    assert times[:2] == [1795435200.0, 1795415400.5]
    assert times[2] < 0


# ---- never answer an answer ----------------------------------------------------------------------


def test_what_a_unit_says_is_no_command() -> None:
    """Whatever else stands in it: two units that hear each other must not begin to talk."""
    sayings = [
        b'{"verdict": "done", "id": "a", "name": "counter"}',
        b'{"event": "7-2", "old": "READY", "new": "RUNNING", "trigger": "start"}',
        b'{"verdict": null}',
        b'{"event": 7}',
        b'{"command": "end", "verdict": "refused"}',
        b'{"command": "end", "event": ""}',
        b'{"command": 7, "bogus": 1, "verdict": {}}',
    ]

    assert [outcome(saying) for saying in sayings] == ["silence"] * 7


# ---- what is left of a bad message ---------------------------------------------------------------


READABLE = [
    (
        obj(id="a", reply_to="statusd:reply:1", bogus=1),
        {"id": "a", "reply_to": "statusd:reply:1", "command": "end"},
    ),
    (b'{"id": "a", "by": "me"}', {"id": "a"}),
    (obj(id="a", run="7"), {"id": "a", "command": "end"}),
    (obj(command="e nd", id="a"), {"id": "a"}),
    (obj(id=7), {"command": "end"}),
    (obj(id="a b", reply_to="c"), {"reply_to": "c", "command": "end"}),
    (b'{"id": "a", "n": NaN}', {}),
]


def test_a_bad_message_keeps_what_could_be_read() -> None:
    """So that its sender can be answered; nothing in it is of the wrong kind."""
    kept = [(payload, refusal(payload).fields) for payload, _ in READABLE]

    assert kept == READABLE


def test_a_bad_message_says_what_is_wrong_in_one_line() -> None:
    """Its text is its reason, and its bytes are cut."""
    error = refusal(b"no word" * 100)

    assert str(error) == error.reason == "not a word and not a JSON object"
    assert error.raw == (b"no word" * 100)[:200]


# ---- targets -------------------------------------------------------------------------------------


TARGETS = [
    (Target(), True),
    (Target(name=("gpu-1",)), True),
    (Target(name=("gpu-*",)), True),
    (Target(name=("gpu-?",)), True),
    (Target(name=("gpu-[0-4]",)), True),
    (Target(name=("gpu-[!0-4]",)), False),
    (Target(name=("gpu",)), False),
    (Target(name=("GPU-1",)), False),
    (Target(name=("*pu",)), False),
    (Target(name=("cpu-*", "gpu-*")), True),
    (Target(tag=("fast",)), True),
    (Target(tag=("slow", "fast")), True),
    (Target(tag=("fas*",)), False),
    (Target(tag=("slow",)), False),
    (Target(state=("RUNNING",)), True),
    (Target(state=("READY", "PAUSED")), False),
    (Target(state=("running",)), False),
    (Target(("gpu-*",), ("fast",), ("RUNNING",)), True),
    (Target(("gpu-*",), ("slow",), ("RUNNING",)), False),
    (Target(("gpu-*",), ("fast",), ("READY",)), False),
    (Target(("cpu-*",), ("fast",), ("RUNNING",)), False),
]


def test_a_target_is_for_who_fits_it_in_every_respect() -> None:
    """Names by glob pattern, case counting; tags and states as they are; one of each list."""
    unit = ("gpu-1", frozenset({"fast", "demo"}), "RUNNING")

    assert [(target, target.is_for(*unit)) for target, _ in TARGETS] == TARGETS


def test_a_unit_without_tags_is_nobody_with_a_tag() -> None:
    """But it is one of everybody."""
    assert not Target(tag=("fast",)).is_for("a", frozenset(), "READY")
    assert EVERYBODY.is_for("a", frozenset(), "READY")


# ---- plain words ---------------------------------------------------------------------------------


PLAIN = [
    (b"pause\n", True),
    (b'{"command": "pause"}', True),
    (b'{"command": "pause", "by": "ops"}', True),
    (b'{"command": "pause", "target": {}}', True),
    (b'{"command": "pause", "id": "a"}', False),
    (b'{"command": "pause", "target": {"name": "*"}}', False),
    (b'{"command": "pause", "reply_to": "statusd:reply:1"}', False),
    (b'{"command": "pause", "expires": "2026-11-23T12:00:00Z"}', False),
    (b'{"command": "pause", "boot": 0}', False),
    (b'{"command": "pause", "run": 0}', False),
    (b'{"command": "pause", "args": {"n": 1}}', False),
]


def test_a_plain_word_says_nothing_that_has_to_be_judged() -> None:
    """Only what is plain may be counted instead of answered singly."""
    commands = [(payload, parse(payload, "redis:c")) for payload, _ in PLAIN]

    assert [(payload, command and command.is_plain) for payload, command in commands] == PLAIN


# ---- the rest ------------------------------------------------------------------------------------


def test_two_kinds_of_verdict_are_not_the_last() -> None:
    """Accepted and postponed are followed by another one."""
    assert {answer.value for answer in Answer if not answer.is_final} == {"accepted", "postponed"}


def test_verdicts_are_called_as_the_design_calls_them() -> None:
    """The values stand on the wire."""
    assert {answer.value for answer in Answer} == {
        *("accepted", "postponed", "done", "noop", "refused", "invalid", "expired", "failed")
    }


@pytest.mark.fault("M08")
def test_json_is_one_line_of_ascii() -> None:
    """Whatever stands in its texts, also what no encoder can encode (M08)."""
    assert to_json({"a": "é\n\x1b\ud800", "b": [1, None]}) == (
        r'{"a":"\u00e9\n\u001b\ud800","b":[1,null]}'
    )


def test_what_is_no_number_is_no_json() -> None:
    """NaN would be refused by every other reader."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"a": float("nan")})


# ---- whatever comes ------------------------------------------------------------------------------

KEYS = st.sampled_from([*WRONG, "verdict", "comand", ""]) | st.text(st.characters(), max_size=4)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from([value for values in RIGHT.values() for value in values]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)


def check_parse(payload: bytes) -> None:
    """Parse ``payload``; nothing but a command, None or `BadMessage` may come of it."""
    parsed: Command | BadMessage | None
    try:
        parsed = parse(payload, "redis:c")
    except BadMessage as error:
        parsed = error

    if isinstance(parsed, BadMessage):
        assert parsed.reason.isprintable()
        assert set(parsed.fields) <= {"id", "reply_to", "command"}
    else:
        assert parsed is None or parsed.word.isascii()


@pytest.mark.fault("M01")
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
@example(b"END\n")
@example(b"{" * 1000)
def test_any_bytes_are_a_command_or_a_bad_message(payload: bytes) -> None:
    """No other error ever gets through, for whoever parses has nobody to catch it."""
    check_parse(payload)
    check_parse(b"{" + payload + b"}")
    check_parse(b'{"command": "' + payload + b'"}')


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_object_is_a_command_or_a_bad_message(fields: dict[str, Any]) -> None:
    """And what is accepted can be told on as JSON, whatever its sender put into it."""
    check_parse(json.dumps(fields).encode())
    check_parse(obj(**fields))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(RIGHT)), st.data())
def test_what_is_accepted_can_be_told_on(key: str, data: st.DataObject) -> None:
    """An event with its args, name and id is valid JSON on the other side, and the same."""
    value = data.draw(st.dictionaries(KEYS, VALUES, max_size=3) if key == "args" else VALUES)
    try:
        command = parse(obj(**{key: value}), "redis:c")
    except BadMessage:
        return

    assert command is not None
    told = {"id": command.id, "by": command.by, "args": dict(command.args)}
    assert json.loads(to_json(told)) == told
