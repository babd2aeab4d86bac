"""``statusd graph``: the lifecycle as a picture, by itself or with a unit's present state.

Graphviz comes with the extra ``graph`` and is imported when a picture asks for it; Mermaid and DOT
are only text and need nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statusd.cli import (
    EXIT_CONFIG,
    EXIT_NOBODY,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    broker,
    complain,
    out,
)
from statusd.cli.files import find_file, settings_file
from statusd.core.bounds import Unreadable
from statusd.core.errors import Unavailable
from statusd.core.lifecycle import Lifecycle
from statusd.fleet import records
from statusd.lifecycles.dot import dot
from statusd.lifecycles.mermaid import mermaid
from statusd.private import room

if TYPE_CHECKING:
    from statusd.settings.folder import FolderUnit

EXIT_CANNOT_WRITE = 73
"""The picture can't be written there (EX_CANTCREAT of sysexits.h)."""

DOTS_PER_INCH = 120
"""Of a PNG: enough to read it on a screen, and to print it."""


class _NoGraph(Exception):
    """There is nothing to draw, or nothing to draw it with; ``code`` is the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "settings",
        nargs="?",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="the settings (TOML), or a folder with those of several units, as --file",
    )
    endings = " ".join(_WRITERS)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"a file that ends in one of {endings}"
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="of a folder: that unit's lifecycle, if not all have the same",
    )
    parser.add_argument("--unit", metavar="NAME", help="highlight the state of that unit")
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd graph                 Mermaid on standard output
  statusd graph -o scan.svg     the lifecycle of ./statusd.toml
  statusd graph --unit counter -o now.png
                                where it is now
  statusd graph units/ --name camera
                                that unit of a folder

exit codes: 0 drawn, 5 no such unit, 64 unknown ending, 69 no broker or no Graphviz, \
73 can't write, 78 bad settings"""


def main(arguments: argparse.Namespace) -> int:
    """Draw the lifecycle of the settings that `statusd run` would use."""
    write = _WRITERS.get(arguments.output.suffix.lower()) if arguments.output else _mermaid
    if write is None:
        endings = " ".join(_WRITERS)
        complain(f"{arguments.output}: its ending says what is drawn: one of {endings}")
        return EXIT_USAGE
    arguments.file = arguments.settings or arguments.file
    file = arguments.file or find_file("statusd graph")
    try:
        lifecycle = _lifecycle(arguments, file)
        current = _state_of(arguments, lifecycle, file) if arguments.unit else ""
        _put(write(lifecycle, current), arguments.output)
    except _NoGraph as error:
        complain(str(error))
        return error.code
    return 0


# ---- the unit ------------------------------------------------------------------------------------


def _lifecycle(arguments: argparse.Namespace, file: Path | None) -> Lifecycle:
    """Return the lifecycle of a file; or the one of a folder that is meant.

    Raises:
        ConfigError: with every mistake that was found.
        _NoGraph: it isn't told which unit of the folder is meant.
    """
    from statusd.cli.settings import find_folder
    from statusd.settings.load import load_lifecycle

    folder = find_folder(file)
    if folder is None and arguments.name is not None:
        raise _NoGraph("--name is for a folder: which of its units is meant", EXIT_USAGE)
    if folder is None:
        return load_lifecycle(file)
    chosen = arguments.unit if arguments.name is None else arguments.name
    units = [unit for unit in folder.units if chosen is None or _is_called(unit, chosen)]
    there = ", ".join(unit.settings.name for unit in folder.units)
    if not units:
        raise _NoGraph(f"no unit {chosen!a} in {folder.path}/: there is {there}", EXIT_NOBODY)
    if len({mermaid(unit.settings.states()) for unit in units}) > 1:
        text = f"not all units of {folder.path}/ have one lifecycle: name one by --name"
        raise _NoGraph(f"{text}: there is {there}", EXIT_USAGE)
    if arguments.unit is not None and len(units) == 1:
        arguments.unit = units[0].settings.name  # in Redis it has its whole name
    return units[0].settings.states()


def _is_called(unit: FolderUnit, name: str) -> bool:
    """Tell whether a unit of a folder is meant: by its name, that without its host, or its file."""
    whole = unit.settings.name
    return name in (whole, whole.partition("@")[0], unit.file.stem)


def _state_of(arguments: argparse.Namespace, lifecycle: Lifecycle, file: Path | None) -> str:
    document, place = _document(arguments)
    if document is None:
        text = f"no unit {arguments.unit!a} in the {place}: it isn't running there"
        raise _NoGraph(text, EXIT_NOBODY)
    try:
        state = records.document(document)["state"]
    except (Unreadable, KeyError):
        text = f"the status of {arguments.unit!a} is no status document of statusd"
        raise _NoGraph(text, EXIT_CONFIG) from None
    names = [member.name for member in lifecycle.members()]
    if state not in names:
        origin = file or "the built-in lifecycle"
        text = f"{arguments.unit!a} is {state!a}, which is not a state of {origin}"
        raise _NoGraph(f"{text}: {', '.join(names)}", EXIT_CONFIG)
    return str(state)


def _document(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Return the unit's status document as it stands in Redis, and where that is, in words."""
    from statusd.wire import shapes
    from statusd.wire.client import Client
    from statusd.wire.names import Names
    from statusd.wire.talk import ask

    address, namespace, how = broker.find(arguments)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    try:
        with Client(address, "statusd-graph") as client:
            key = Names(namespace, arguments.unit).status
            document = client.run(ask(shapes.data_or_none, "GET", key))
            return document, broker.place(address, namespace)
    except Unavailable as error:
        raise _NoGraph(broker.unreachable(error, how), EXIT_UNAVAILABLE) from None


# ---- the picture ---------------------------------------------------------------------------------


def _mermaid(lifecycle: Lifecycle, current: str) -> bytes:
    return mermaid(lifecycle, current).encode()


def _markdown(lifecycle: Lifecycle, current: str) -> bytes:
    return f"```mermaid\n{mermaid(lifecycle, current)}```\n".encode()


def _dot(lifecycle: Lifecycle, current: str) -> bytes:
    return dot(lifecycle, current).encode()


def _svg(lifecycle: Lifecycle, current: str) -> bytes:
    return _graphviz(dot(lifecycle, current), "svg")


def _png(lifecycle: Lifecycle, current: str) -> bytes:
    picture = _graphviz(dot(lifecycle, current), "png", dpi=str(DOTS_PER_INCH))
    if not _has_fonts():
        cure = "draw an .svg, or install some (apt: fonts-dejavu-core)"
        complain(f"this machine has no fonts, so nothing can be read in the PNG: {cure}")
    return picture


_WRITERS: dict[str, Callable[[Lifecycle, str], bytes]] = {
    ".mmd": _mermaid,
    ".md": _markdown,
    ".svg": _svg,
    ".png": _png,
    ".dot": _dot,
}


def _graphviz(source: str, form: str, **attributes: str) -> bytes:
    try:
        import pygraphviz
    except ImportError as error:
        text = f"a picture needs Graphviz ({error}): pip install 'statusd[graph]'"
        raise _NoGraph(f"{text}; .mmd, .md and .dot need nothing", EXIT_UNAVAILABLE) from None
    with _without_fontconfig():
        graph = pygraphviz.AGraph(string=source)
        graph.graph_attr.update(attributes)
        return bytes(graph.draw(format=form, prog="dot"))


def _has_fonts() -> bool:
    """Tell whether letters have shapes of their own: without fonts each is the same empty box.

    U+E000 is such a box everywhere, and a font in which all letters are equally wide is one, too.
    """
    labels = "".join(f'{at} [label="{sign * 9}"]' for at, sign in enumerate("iW\ue000"))
    plain = _graphviz(f"graph {{ {labels} }}", "plain").decode()
    widths = {line.split()[4] for line in plain.splitlines() if line.startswith("node ")}
    return len(widths) > 1


@contextlib.contextmanager
def _without_fontconfig() -> Iterator[None]:
    """Keep back what the C libraries say of fonts: their own age is no concern of the user's.

    Whatever else they say is told when they are done.
    """
    sys.stderr.flush()
    with open(os.memfd_create("graphviz"), "w+b") as said:
        stderr = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            for line in said:
                if not line.startswith(b"Fontconfig "):
                    out.say(line.decode("utf-8", "replace").rstrip("\n"), to=sys.stderr)


def _put(content: bytes, file: Path | None) -> None:
    """Print ``content``, or write it beside ``file`` and rename it: there is never half a file."""
    if file is None:
        out.say(*content.decode().rstrip("\n").split("\n"))
        return
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        cure = f": {room(error)}name another file" if room(error) else ""
        raise _NoGraph(f"{file}: {error.strerror}{cure}", EXIT_CANNOT_WRITE) from None
