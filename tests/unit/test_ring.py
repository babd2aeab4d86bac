"""Tests of `statusd.supervision.ring`: the last of what was printed, bounded, over all runs."""

from __future__ import annotations

import pytest

from statusd.supervision.lines import LONGEST_LINE
from statusd.supervision.ring import MOST_BYTES, MOST_LINES, Place, Ring


def ring(*printed: bytes) -> Ring:
    """Return what has taken these from the standard output of run 1, each by a read."""
    made = Ring(wall=lambda: 5.0)
    for data in printed:
        made.take(1, 0, data)
    return made


def texts(ring: Ring, most: int = MOST_LINES, start: Place | None = None) -> list[bytes]:
    """Return the texts of the newest lines."""
    return [line.text for line in ring.between(start or Place(), ring.place, most)[0]]


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ((b"a\nb\n",), [b"a", b"b"]),
        ((b"a", b"b\n"), [b"ab"]),
        ((b"a\nb", b"c\nd"), [b"a", b"bc"]),
        ((b"\n\n",), [b"", b""]),
        ((b"a\r\nb\r\n",), [b"a", b"b"]),
        ((b"\r 1%", b"\r 2%", b"\r100%\n"), [b"100%"]),
        ((b" 1%\r 2%\r", b"      \r", b"done\n"), [b"done"]),
        ((*[b"\r" + b"#" * 3000] * 9, b"\n"), [b"#" * 3000]),  # longer than a line, all its states
        ((b"\x1b[2J\xff\n",), [b"\x1b[2J\xff"]),
    ],
)
def test_a_line_is_what_a_terminal_would_show_in_the_end(
    printed: tuple[bytes, ...], expected: list[bytes]
) -> None:
    """However it was read; a bar is its last state, and what has no end isn't there yet."""
    assert texts(ring(*printed)) == expected


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ((b"a\n",), None),
        ((b"a\nmore? ",), b"more? "),
        ((b"\r 1%", b"\r 2%"), b" 2%"),
        ((b" 1%\r", b" 2%\r"), b" 2%"),
        ((b"\r 2%", b"\r    \r"), None),
        ((b"\xc3",), None),
    ],
)
def test_what_has_no_end_stands(printed: tuple[bytes, ...], expected: bytes | None) -> None:
    """As it is now; half a character isn't there, nor a bar that was cleared."""
    stands = ring(*printed).standing()

    assert (stands and (stands.text or None)) == expected


def test_the_oldest_go_first_and_are_counted() -> None:
    """By lines, whatever their runs; by bytes; each line says its run, stream and time."""
    made = Ring(wall=lambda: 5.0)
    for number in range(MOST_LINES + 10):
        made.take(1 + number // 1000, number % 2, b"%d\n" % number)

    lines, before = made.between(Place(), made.place, MOST_LINES)

    assert (len(lines), before) == (MOST_LINES, 10)
    assert lines[0] == (5.0, 1, "stdout", b"10", 0)
    assert lines[-1] == (5.0, 3, "stderr", b"2009", 0)
    assert made.size[1] <= MOST_LINES + 1


@pytest.mark.parametrize("size", [1, 80, 5000, 65536])
def test_a_flood_is_bounded(size: int) -> None:
    """In bytes, with whatever lines; and in what is made for each of them."""
    made = ring(*[b"x" * (size - 1) + b"\n"] * (3 * MOST_BYTES // size if size > 100 else 9000))

    kept, lines = made.size

    assert kept <= MOST_BYTES + 65536
    assert lines <= MOST_LINES + 1


def test_what_never_ends_is_cut() -> None:
    """A line without an end becomes several; one that was read whole is cut, and says so."""
    endless = ring(*[b"x" * 1000] * 20)
    whole = ring(b"y" * 10000 + b"\n")

    assert [len(text) for text in texts(endless)] == [LONGEST_LINE] * 2
    (line,) = whole.between(Place(), whole.place, 5)[0]
    assert (len(line.text), line.cut) == (LONGEST_LINE, 10000 - LONGEST_LINE)


def test_somebody_reads_on_where_he_was() -> None:
    """Of each stream; up to a place; the newest of them, and how many come before."""
    made = ring(b"1\n2\n3\n")
    made.take(1, 1, b"e1\ne2\n")
    here = made.place
    made.take(1, 0, b"4\n5\n")
    made.take(2, 1, b"e3\n")

    assert texts(made, start=here) == [b"4", b"5", b"e3"]
    assert texts(made, 2, here) == [b"5", b"e3"]
    assert made.between(here, made.place, 2)[1] == 1
    assert [line.text for line in made.between(Place(1, 0), here, 9)[0]] == [
        *(b"2", b"3", b"e1", b"e2")
    ]
    errors, before = made.between(Place(), made.place, 2, "stderr")
    assert ([line.text for line in errors], before) == ([b"e2", b"e3"], 1)
    assert made.between(Place(99, 99), made.place, 9) == ([], 0)


def test_a_runs_last_words_are_a_line() -> None:
    """Also without a newline; the next run begins with a line of its own."""
    made = ring()
    first, second = made.stream(1, "stdout"), made.stream(2, "stdout")

    first.take(b"torn")
    first.end()
    first.end()
    second.take(b"new\n")

    lines, _ = made.between(Place(), made.place, 9)
    assert [(line.run, line.text) for line in lines] == [(1, b"torn"), (2, b"new")]


def test_nobody_is_told_unless_he_wants_to_know() -> None:
    """Then by one call a read."""
    made, told = ring(b"1\n"), []
    made.heard = lambda: told.append(made.place.stdout)

    made.take(1, 0, b"2\n3\n")
    made.heard = None
    made.take(1, 0, b"4\n")

    assert told == [3]
