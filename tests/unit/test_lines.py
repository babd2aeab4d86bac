r"""Tests of `statusd.supervision.lines`: newlines, carriage returns, and what has neither."""

from __future__ import annotations

import pytest

from statusd.supervision.lines import BAR_S, LONGEST_LINE, MOMENT_S, STANDS_S, Lines, whole_signs


def passed_on(*pieces: bytes) -> list[bytes]:
    """Return the lines of a stream that comes in such pieces, all at the same time."""
    lines = Lines()
    whole = b"".join(lines.take(piece, 0.0) for piece in pieces) + lines.end()
    assert whole == b"" or whole.endswith(b"\n")
    return whole.split(b"\n")[:-1]


def played(*pieces: tuple[float, bytes], until_s: float = 60.0) -> list[tuple[float, bytes]]:
    """Return what is passed on of pieces that come at such times, and when; it has no end."""
    lines, said = Lines(), []
    for at, piece in [*pieces, (until_s, b"")]:
        while (due := lines.due()) is not None and due < at:
            said.append((due, lines.overdue(due)))
            assert said[-1][1]  # else nobody would be asked again
        if piece:
            said.append((at, lines.take(piece, at)))
    return [(round(at, 3), line) for at, whole in said for line in whole.split(b"\n")[:-1]]


@pytest.mark.fault("J14")
@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"one\ntwo\n\nend", [b"one", b"two", b"", b"end"]),
        (b"one\r\n\r\ntwo\r\r\nend\r\n", [b"one", b"", b"two", b"end"]),
        (b"one\n\rtwo\n\rend", [b"one", b"two", b"end"]),
        (b"a\r 1%\r 50%\r100%\nb\n", [b"100%", b"b"]),
        (b"a\n 1%\r 50%\r100%\r", [b"a", b"100%"]),
        (b"a\n 1%\r 50%\r100%\r\nb", [b"a", b"100%", b"b"]),
        (b"\r\r\r1%\r\r\r2%   \r\r\r", [b"2%   "]),
        (b"\r1%\r2%\r     \rdone\n", [b"done"]),
        (b"\r1%\r2%\r     \rnext\rlast", [b"last"]),
        (b"\r1%\r2%\r     \r", []),
        (b"\r1%\r\x1b[K\nb", [b"b"]),
        (b"\r1%\r   \r\nb\n", [b"b"]),
        (b"\r0: 1%\n\r1: 1%\x1b[A\r0: 2%\n\r1: 2%\x1b[A\n", [b"0: 1%", b"0: 2%", b"1: 2%\x1b[A"]),
        (b"   \n\r\n", [b"   ", b""]),
        (b"\r", []),
    ],
)
def test_a_carriage_return_replaces_what_stands(data: bytes, lines: list[bytes]) -> None:
    """The last state is the line, one that was cleared is none; however it is torn by reads."""
    assert passed_on(data) == lines
    assert passed_on(*(bytes([byte]) for byte in data)) == lines
    for at in range(len(data)):
        assert passed_on(data[:at], data[at:]) == lines


@pytest.mark.fault("J14")
def test_what_stands_without_a_newline_comes_after_a_moment() -> None:
    """A prompt is a line of its own; so is what follows, and its newline says nothing more."""
    prompt = (1.0, b"Password: ")

    assert played(prompt) == [(1.0 + MOMENT_S, b"Password: ")]
    assert played(prompt, (9.0, b"\n")) == [(1.0 + MOMENT_S, b"Password: ")]
    assert played(prompt, (9.0, b"\r"), (9.0, b"\nb\n"))[1:] == [(9.0, b"b")]
    assert played(prompt, (9.0, b"thanks\n\n"))[1:] == [(9.0, b"thanks"), (9.0, b"")]
    assert played((1.0, b"a line"), (1.2, b" that is slow\n")) == [(1.2, b"a line that is slow")]


@pytest.mark.fault("J14")
def test_dots_come_while_they_grow() -> None:
    """They may stand for a while, and none is lost."""
    dots = [(n * 0.3, b".") for n in range(20)]

    said = played(*dots)

    assert said[0][0] == STANDS_S
    assert b"".join(line for _, line in said) == b"." * 20
    assert len(said) == 3


@pytest.mark.fault("J14")
@pytest.mark.parametrize("bar", [b"\r%d%%", b"%d%%\r"])
def test_a_bar_is_shown_now_and_then(bar: bytes) -> None:
    """Soon after it has begun, every few seconds, and its end; no state twice."""
    states = [(n * 0.09, bar % n) for n in range(120)]

    said = played(*states, (12.0, bar % 120), (12.0, b"\n"))

    at = [MOMENT_S, MOMENT_S + BAR_S, MOMENT_S + 2 * BAR_S]
    assert [when for when, _ in said] == [*at, 12.0]
    assert [line for _, line in said] == [b"5%", b"61%", b"116%", b"120%"]


@pytest.mark.fault("J14")
def test_a_bar_that_stands_still_is_shown_once() -> None:
    """Neither time nor its newline shows it again; the next bar begins its own time."""
    first = [(0.0, b"\r1%"), (0.1, b"\r2%"), (20.0, b"\n")]

    assert played(*first) == [(MOMENT_S, b"2%")]
    assert played(*first, (20.1, b"\r1%\r7%"))[1:] == [(20.1 + MOMENT_S, b"7%")]
    second = [(1.0, b"\n\r1%"), (1.1, b"\r7%")]
    assert played(*first[:2], *second) == [(MOMENT_S, b"2%"), (1.0 + MOMENT_S, b"7%")]
    assert played(*first[:2], (20.0, b" done\n"))[1:] == [(20.0, b"2% done")]


@pytest.mark.fault("J14")
def test_a_character_is_not_torn() -> None:
    """Neither by a moment that comes in its middle nor where a long line is cut."""
    euro = "€".encode()

    assert played((0.0, b"5 " + euro[:2]), (3.0, euro[2:] + b"\n")) == [(0.5, b"5 "), (3.0, euro)]
    for offset in range(4):
        said = passed_on(b"x" * offset + euro * LONGEST_LINE)
        assert b"".join(said) == b"x" * offset + euro * LONGEST_LINE
        assert {line.decode().strip("x€") for line in said} == {""}
        assert max(map(len, said)) <= LONGEST_LINE


@pytest.mark.fault("J14")
@pytest.mark.parametrize("sign", ["x", "é", "€", "\U0001f600"], ids=ascii)
def test_a_whole_character_at_the_end_stands_and_half_of_one_does_not(sign: str) -> None:
    """Of one byte to four."""
    whole = f"5 {sign}".encode()

    assert whole_signs(whole) == whole
    assert {whole_signs(whole[:length]) for length in range(3, len(whole))} <= {b"5 "}


def test_the_last_line_of_a_full_block_waits_for_the_next_one() -> None:
    """A program that collects its output doesn't say anything by where a block ends."""
    block = (b"a line\n" * 600)[:4096]

    assert played((0.0, block), (9.0, b" line\nb\n"))[-2:] == [(9.0, b"a line"), (9.0, b"b")]


def test_what_stands_is_bounded() -> None:
    """A line without an end is passed on in pieces; a bar of any length keeps its state alone."""
    lines = Lines()
    for _ in range(100):
        lines.take(b"x" * 65536, 0.0)
        assert len(lines.end()) <= LONGEST_LINE + 1
    for _ in range(1000):
        lines.take(b"\r" + b"y" * 1000, 0.0)
    assert lines.end() == b"y" * 1000 + b"\n"
