"""Tests of `statusd.supervision.tail`: the last words are the last, whole, and few."""

from __future__ import annotations

import pytest

from statusd.supervision.tail import HEAD_BYTES, KEPT_BYTES, Tail


def tail_of(data: bytes, piece: int = 65536) -> Tail:
    """Return what is kept of ``data`` that comes in pieces of that length."""
    tail = Tail()
    for at in range(0, len(data), piece):
        tail.take(data[at : at + piece])
    return tail


@pytest.mark.fault("J14")
@pytest.mark.parametrize("piece", [1, 7, 65536])
def test_a_bar_is_its_last_state(piece: int) -> None:
    """However long it was, it takes one line of the last words, and no other line's place."""
    bar = b"".join(b"\r%d%% %s" % (n, b"#" * 60) for n in range(1000))

    kept = tail_of(b"began\r\n" + bar + b"\nOSError: no film\n" + bar, piece)

    last = "999% " + "#" * 60
    assert kept.shown() == ("began", last, "OSError: no film", last)


@pytest.mark.fault("J14")
def test_a_long_line_keeps_both_ends() -> None:
    """What it begins with says what it is, what it ends with says why."""
    line = tail_of(b"ValueError: " + b"x" * 5000 + b" in line 7\n").shown()[0]

    assert len(line) == 300
    assert line.startswith("ValueError: xxx")
    assert line.endswith("xxx in line 7")
    assert "x … x" in line


@pytest.mark.fault("J14")
@pytest.mark.parametrize("piece", [1000, 65536])
@pytest.mark.parametrize("end", [b"", b"\n", b"\nat exit\n"])
@pytest.mark.parametrize("before", [b"frames\n" * 10, b"\r1% #####" * 3000 + b"\r"])
def test_a_line_longer_than_what_is_kept_keeps_its_beginning(
    before: bytes, end: bytes, piece: int
) -> None:
    """Also if it has no end yet, or stands in the place of a bar; what is kept is bounded."""
    text = before + b"ValueError: bad " + "€".encode() * 100_000 + b" why" + end

    lines = tail_of(text, piece).lines()

    line = lines[-1 if end != b"\nat exit\n" else -2]
    assert line.startswith("ValueError: bad €€€")
    assert line.endswith("€€€ why")
    assert "\\x" not in line
    assert sum(map(len, lines)) <= KEPT_BYTES + 2 * HEAD_BYTES


def test_what_is_kept_begins_with_a_whole_line() -> None:
    """Else its beginning could be anything."""
    lines = tail_of(b"".join(b"line %d\n" % n for n in range(100_000))).lines()

    assert lines[-1] == "line 99999"
    assert [int(line.removeprefix("line ")) for line in lines] == [*range(100_000)][-len(lines) :]
    assert 1000 < len(lines) < 2000


def test_nothing_reaches_a_terminal() -> None:
    """Whatever could do something to it is shown as Python writes it; a tab stays."""
    assert tail_of(b"\x1b[2J\x07\xff\tcaf\xc3\xa9\xe2\x80\xae\n").shown() == (
        r"\x1b[2J\x07\xff" + "\tcafé" + r"\u202e",
    )
