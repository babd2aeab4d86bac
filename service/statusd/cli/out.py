"""The only way to a terminal, a pipe or a page: nothing foreign does anything there.

Units' names, states, texts and reasons, the broker's own words, names of files and hosts: all of it
was written by somebody else, and all of it goes through `shown` here, at the last moment, so that
no verb can forget it. The rest of the command line writes nowhere (tests/unit/test_out.py).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from statusd.core.text import shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text


def lose_nothing(*streams: TextIO | None) -> None:
    """Have those of all signs written out that a stream's encoding lacks, whoever writes there.

    Without it `argparse` and rich would raise an error for one, and in a C locale so would we.
    """
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Untaken(OSError):
    """Standard output takes nothing more, and somebody still reads it: it is a file, say."""


@contextlib.contextmanager
def taking() -> Iterator[None]:
    """Have an error in writing to a stream told from one in writing to a file of ours.

    Raises:
        Untaken: it takes nothing.
        BrokenPipeError: its reader has gone.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Untaken(error.errno, error.strerror) from None


def say(*lines: str, to: TextIO | None = None, flush: bool = False) -> None:
    """Write ``lines``, each of which stays one; on standard output, if nothing else is said."""
    stream = sys.stdout if to is None else to
    if stream is None:  # it was closed when we were started
        return
    with taking():
        stream.write("".join(f"{shown(line, None)}\n" for line in lines))
        if flush:
            stream.flush()


def say_pieces(*pieces: Cell, flush: bool = False) -> None:
    """Write one line of pieces, each in its colour (ECMA-48) where a terminal shows some."""
    if not has_colours():
        say("".join(piece.text for piece in pieces), flush=flush)
        return
    line = "".join(
        f"\x1b[{text.style}m{shown(text.text, None)}\x1b[0m"
        if text.style
        else shown(text.text, None)
        for text in pieces
    )
    with taking():
        sys.stdout.write(f"{line}\n")
        if flush:
            sys.stdout.flush()


def has_colours() -> bool:
    """Tell whether standard output is a terminal that shows colours, and nobody has said no."""
    if sys.stdout is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def say_json(value: Any, indent: int | None = None, *, flush: bool = False) -> None:
    """Write ``value`` as JSON: exactly what it is, in printable ASCII alone."""
    # JSON lets DEL stand as it is; in a text it may be written like any other sign.
    text = json.dumps(value, indent=indent, allow_nan=False).replace("\x7f", "\\u007f")
    say(*text.split("\n"), flush=flush)


def ask(question: str) -> str:
    """Return the line that somebody types in answer.

    Raises:
        EOFError: Ctrl-D.
    """
    return input(shown(question, None))


def excepthook(_: type[BaseException], error: BaseException, __: object) -> None:
    """Show a traceback: a bug of ours, but what its error says may be foreign."""
    from statusd import logs

    say("Traceback (most recent call last):", *logs.trace(error), to=sys.stderr)


def _written(text: str) -> str:
    """Return ``text`` as it will stand on standard output, so that its length is known."""
    if text.isascii():
        return text
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # while something is live
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding, "replace")


# ---- tables --------------------------------------------------------------------------------------


def width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: two for 温, none for an accent."""
    if text.isascii():
        return len(text)  # without the import of rich, which costs more than all the rest
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, most: int) -> str:
    """Return ``text`` in at most ``most`` columns; what is cut off it shows as a ``…``."""
    if width(text) <= most:
        return text
    end = _written("…")
    end = end if len(end) <= min(1, most) else ""
    if text.isascii():
        return text[: most - len(end)] + end
    from rich.cells import set_cell_size

    return set_cell_size(text, most - len(end)).rstrip() + end


class Cell(NamedTuple):
    """One cell of a table: foreign text, and a style of ours."""

    text: str
    style: str = ""


def cell(value: object, style: str = "") -> Cell:
    """Return ``value`` as a cell: one line, cut where nobody reads on."""
    return Cell(shown(value), style)


Row = Sequence[Cell]


def lines(rows: Iterable[Row], heads: Sequence[str] = (), right: Iterable[str] = ()) -> list[str]:
    """Return rows for a pipe: columns two blanks apart, and nothing padded at the end.

    Args:
        heads: of the columns; right: those whose cells stand at the right.
    """
    texts = [list(heads)] if heads else []
    texts += [[_written(cell.text) for cell in row] for row in rows]
    sizes = [max(map(width, column)) for column in zip(*texts, strict=True)]
    at_right = [bool(heads) and heads[at] in right for at in range(len(sizes))]
    return ["  ".join(map(_padded, row, sizes, at_right)).rstrip() for row in texts]


def _padded(text: str, size: int, is_at_right: bool) -> str:
    blanks = " " * (size - width(text))
    return f"{blanks}{text}" if is_at_right else f"{text}{blanks}"


def table(
    rows: Iterable[Row], heads: Sequence[str], right: Iterable[str] = (), *, folds: bool = False
) -> Table:
    """Return the same for a terminal.

    Args:
        heads: of the columns; empty ones for a table that needs none.
        folds: what doesn't fit into a column goes on in the next line; else it is cut.
    """
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, show_header=any(heads), header_style="bold")
    cut: Literal["ellipsis", "crop"] = "ellipsis" if len(_written("…")) == 1 else "crop"
    for head in heads:
        side: Literal["left", "right"] = "right" if head in right else "left"
        overflow: Literal["fold", "ellipsis", "crop"] = "fold" if folds else cut
        is_whole = not folds or head is heads[0]
        drawn.add_column(head, justify=side, overflow=overflow, no_wrap=is_whole)
    for row in rows:
        drawn.add_row(*(text(*cell) for cell in row))
    return drawn


def text(value: str, style: str = "") -> Text:
    """Return ``value`` as one line of rich's: no markup, and nothing of the terminal's."""
    from rich.text import Text

    return Text(_written(shown(value, None)), style=style)


# ---- a terminal ----------------------------------------------------------------------------------


class Harmless:
    """Something to be drawn, without what isn't printable in it, however it got there."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield its pieces; the terminal's own commands are for rich to write, not for them."""
        from rich.segment import Segment

        for piece, style, control in console.render(self._drawn, options):
            if not control:
                yield Segment("\n".join(shown(part, None) for part in piece.split("\n")), style)


def size() -> tuple[int, int]:
    """Return width and height of the terminal; nothing of it if standard output is none."""
    is_forced = bool(os.environ.get("FORCE_COLOR"))
    if not is_forced and (sys.stdout is None or not sys.stdout.isatty()):
        return 0, 0  # without the import of rich, which costs more than all the rest
    found = _console()
    return (found.width, found.height) if found.is_terminal else (0, 0)


def draw(drawn: RenderableType) -> None:
    """Draw on the terminal."""
    with taking():
        _console().print(Harmless(drawn))


def live(*, screen: bool = False) -> Live:
    """Return what draws on the terminal again and again; see `redraw`."""
    from rich.live import Live

    return Live(console=_console(), screen=screen, auto_refresh=False)


def redraw(live: Live, drawn: RenderableType) -> None:
    """Draw in place of what was drawn last."""
    with taking():
        live.update(Harmless(drawn), refresh=True)


class PassingLine:
    """A line on standard error that takes its own place again and again, and leaves nothing.

    Without a terminal there, or on one that can't move its cursor, nothing is ever shown.
    """

    def __init__(self) -> None:
        stream = sys.stderr
        can = stream is not None and stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self._stream = stream if can else None
        self._is_there = False

    def __bool__(self) -> bool:
        return self._stream is not None

    def show(self, line: str) -> None:
        """Show it in the place of the one before, cut to the width of the terminal."""
        if self._stream is None:
            return
        from rich.cells import set_cell_size

        width = os.get_terminal_size(self._stream.fileno()).columns or 80
        told = set_cell_size(shown(line, None), max(1, width - 1)).rstrip()
        self._write(f"\r\x1b[K{told}")
        self._is_there = True

    def remove(self) -> None:
        """Leave no trace of it; something else is written there now."""
        if self._is_there:
            self._write("\r\x1b[K")
            self._is_there = False

    def _write(self, text: str) -> None:
        assert self._stream is not None
        with contextlib.suppress(OSError):  # the terminal has gone: nobody looks
            self._stream.write(text)
            self._stream.flush()


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)
