"""``statusd logs NAME``: what workers have printed, and what they print, from anywhere.

A worker's line goes to the terminal as text that does nothing there; its colours are left out, any
other command of a terminal's is shown as it is written.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from statusd.cli import EXIT_NOBODY, EXIT_UNAVAILABLE, EXIT_USAGE, broker, complain, out, zones
from statusd.core.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from statusd.fleet.log_follower import LogItem
    from statusd.wire.address import Address

NEWEST, MOST = 100, 2000
"""So many lines of each unit are shown if nobody says how many; and at most."""
EXIT_REFUSED, EXIT_SILENT = 3, 4
"""Somebody can't tell his output; else somebody says nothing."""
_COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95", "92", "94")
"""Of names."""
_DIM = "2"
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
"""What a terminal is told of colours; `shown` makes the rest harmless."""
_NOTES = ("silent", "refused", "lost", "ended")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("name", nargs="+", metavar="GLOB", help="the unit, or several")
    parser.add_argument(
        "-n", type=int, metavar="N", help="the last N lines of each; default: 100, with a time all"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="and what comes, until Ctrl-C")
    parser.add_argument(
        "--since",
        metavar="SPAN|TIME",
        help="only from then on: 5m, 2h, 3d ago; a time (ISO 8601, local if it has no offset)",
    )
    parser.add_argument("--stderr", action="store_true", help="standard error alone")
    parser.add_argument("-t", "--times", action="store_true", help="the time before each line")
    parser.add_argument("--json", action="store_true", help="a JSON object a line, times in UTC")
    zones.add_arguments(parser)
    broker.add_socket(parser)
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd logs counter
  statusd logs counter -f
  statusd logs 'gpu-*' -f --stderr
  statusd logs counter --since 10m --json
  statusd logs counter --socket

Each unit keeps its worker's last 2,000 lines (256 KiB), over all its runs, until its daemon ends. \
Of what comes, at most 200 lines or 64 KiB a second of a unit are sent; how many were left out is \
said where they are missing.

exit codes: 0 shown, 3 somebody's output doesn't come by statusd, 4 somebody is silent, 5 no such \
unit, 64 not a span or a time, 69 no broker, 130 Ctrl-C"""


def main(arguments: argparse.Namespace) -> int:
    """Show the lines."""
    since = zones.since(arguments.since, datetime.now(UTC)) if arguments.since else ""
    if arguments.since and not since:
        complain(f"--since {arguments.since!a} is none of these: 5m, 2h, 3d, 2026-11-23T12:00")
        return EXIT_USAGE
    lines = arguments.n if arguments.n is not None else (MOST if since else NEWEST)
    if not 0 <= lines <= MOST:
        complain(f"-n {lines}: a unit keeps its last {MOST} lines")
        return EXIT_USAGE
    asked = {"lines": lines, "since": since, "follow": arguments.follow}
    asked["stream"] = "stderr" if arguments.stderr else ""
    address, namespace, how = None, arguments.namespace or "statusd", ""
    if arguments.socket is None:
        address, namespace, how = broker.find(arguments)
        if arguments.verbose:
            complain(f"broker {address} ({how})")
    screen = Screen(arguments)
    try:
        for item in _items(arguments, address, namespace, asked):
            screen.show(item)
    except Unavailable as error:
        complain(broker.unreachable(error, how) if how else str(error))
        return EXIT_UNAVAILABLE
    except ConfigError as error:
        complain(str(error))
        return EXIT_USAGE
    finally:
        screen.close()
    if screen.missing:
        where = broker.place(address, namespace) if address else f"namespace {namespace!a} here"
        complain(f"no unit {' or '.join(map(ascii, screen.missing))} in the {where}")
    return screen.code or (EXIT_NOBODY if screen.missing else 0)


def _items(
    arguments: argparse.Namespace, address: Address | None, namespace: str, asked: dict[str, Any]
) -> Iterator[LogItem]:
    if address is None:
        from statusd.fleet import host_logs
        from statusd.fleet.log_follower import Wanted

        yield from host_logs.logs(Wanted(arguments.name, **asked), namespace, arguments.socket)
        return
    from statusd.fleet.fleet import Fleet

    with Fleet(address, namespace=namespace) as fleet:
        yield from fleet.logs(arguments.name, **asked)


class Screen:
    """Shows what comes.

    Args:
        arguments: how.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.missing: list[str] = []
        """Who was asked for and isn't there."""
        self.code = 0
        self._runs: dict[str, int] = {}
        """Whose lines were shown, and the run of the last one."""
        self._as_json, self._times = arguments.json, arguments.times
        self._in_zone = zones.of(arguments)
        self._shows_names = len(arguments.name) > 1 or any(set("*?[") & set(arguments.name[0]))
        self._follows = arguments.follow
        self._bar = out.PassingLine()
        self._bars: dict[str, tuple[str, str]] = {}
        """Stream and text of what has no end yet."""

    def show(self, item: LogItem) -> None:
        """Show a line, or what is to be known beside the lines."""
        name = item["name"]
        self._note_code(item)
        if self._as_json:
            out.say_json(item, flush=True)
        elif "standing" in item:
            self._show_standing(name, item["standing"])
        else:
            self._bar.remove()
            if "line" in item:
                self._show_line(item)
            else:
                self._show_note(item)
            self._show_bars()

    def _note_code(self, item: LogItem) -> None:
        if "refused" in item:
            self.code = EXIT_REFUSED
        elif "silent" in item and not self._follows:  # else he is waited for
            self.code = self.code or EXIT_SILENT
        elif "nobody" in item:
            self.missing.append(item["name"])

    def _show_line(self, item: LogItem) -> None:
        name, run = item["name"], item["run"]
        if self._bars.get(name, ("", ""))[0] == item["stream"]:  # what stood has got its end
            del self._bars[name]
        before = self._runs.get(name, 0)
        if run != before:
            if before or run > 1:
                out.say_pieces(*self._whose(name), out.Cell(f"run {run}", _DIM), flush=True)
            self._runs[name] = run
        text = _plain(item["line"])
        cut = [out.Cell(f" ... {item['cut']:,} bytes more", _DIM)] if item.get("cut") else []
        at = [out.Cell(f"{self._in_zone(item['at'])}  ", _DIM)] if self._times else []
        out.say_pieces(*self._whose(name), *at, out.Cell(text), *cut, flush=True)

    def _show_note(self, item: LogItem) -> None:
        if "left_out" in item:
            count = item["left_out"]
            text = f"... {count:,} {'line' if count == 1 else 'lines'} left out"
            out.say_pieces(*self._whose(item["name"]), out.Cell(text, _DIM), flush=True)
            return
        for key in filter(item.__contains__, _NOTES):
            complain(f"{item['name']}: {item[key]}" if item["name"] else item[key])

    def _show_standing(self, name: str, standing: LogItem | None) -> None:
        """Show what has no end yet: a bar that changes; in the end, as it is."""
        if standing is None:
            self._bars.pop(name, None)
            self._bar.remove()
        elif self._follows:
            self._bars.pop(name, None)
            self._bars[name] = standing["stream"], _plain(standing["line"])
        else:
            self._show_line({"name": name, "at": "", **standing})
        self._show_bars()

    def _show_bars(self) -> None:
        """Show the bar of who has one; of several units, the one that has changed last."""
        for name, (_, text) in list(self._bars.items())[-1:]:
            self._bar.show("".join(cell.text for cell in self._whose(name)) + text)

    def _whose(self, name: str) -> list[out.Cell]:
        """Return what stands before a line where there are several units."""
        if not self._shows_names:
            return []
        colour = _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]
        return [out.Cell(name, colour), out.Cell(" | ")]

    def close(self) -> None:
        """Leave no bar behind that changes no more."""
        self._bar.remove()


def _plain(line: str) -> str:
    """Return a line without colours; whatever else it holds is made harmless where it is shown."""
    return _SGR.sub("", line).replace("\t", "    ")
