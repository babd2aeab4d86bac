"""``statusd completion SHELL``: what makes a shell complete, made of the parsers as they are.

The script knows verbs and options by itself. For names, channels, tags and words it asks
``statusd completion --list KIND``, which takes two round trips to the broker, and lists what is
built in if there is none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statusd.cli import EXIT_USAGE, VERBS, complain, parser

if TYPE_CHECKING:
    from shtab import CompleteType

SHELLS = ("bash", "zsh", "tcsh")
TIMEOUT_S = 0.5
"""A completion that takes longer is worse than none."""

FILES = ("FILE", "OUT", "PATH")
KINDS = {
    "WORD": "words",
    "NAME": "names",
    "GLOB": "names",
    "CHANNEL": "channels",
    "TAG": "tags",
    "STATE": "states",
}
"""What an argument is called in the help -> what is listed for it."""
_ALWAYS = ("end", "force", "ping", "status")
_BUILT_IN = ("pause", "reset", "resume", "start", "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("shell", nargs="?", choices=SHELLS, metavar="SHELL", help=_or(SHELLS))
    kinds = sorted(set(KINDS.values()))
    parser.add_argument(
        "--list", choices=kinds, metavar="KIND", help=f"what the script asks for: {_or(kinds)}"
    )
    parser.epilog = """\
examples:
  source <(statusd completion bash)
                    in this shell; for good: in ~/.bashrc
  statusd completion zsh > ~/.zfunc/_statusd
                    with fpath+=~/.zfunc before compinit
  statusd completion tcsh > ~/.statusd.tcsh
                    and: source ~/.statusd.tcsh

exit codes: 0 printed, 64 no shell given"""


def _or(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


def main(arguments: argparse.Namespace) -> int:
    """Print the script, or what it asks for."""
    if arguments.list:
        print(*_found(arguments.list), sep="\n")
        return 0
    if not arguments.shell:
        complain(f"for which shell? {_or(SHELLS)}")
        return EXIT_USAGE
    import shtab

    whole = parser(*VERBS)
    for action in _actions(whole):
        complete = _completion(action)
        if complete is not None:
            action.complete = complete  # type: ignore[attr-defined]  # shtab looks for it there
    print(shtab.complete(whole, arguments.shell))
    return 0


# ---- the script ----------------------------------------------------------------------------------


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


def _completion(action: argparse.Action) -> CompleteType | None:
    """Return how ``action`` is completed, by its type and by what the help calls it."""
    import shtab

    called = str(action.metavar or action.dest.upper())
    if action.choices is not None or action.nargs == 0:
        return None
    if called in FILES or action.type is Path:
        return shtab.FILE
    kind = KINDS.get(called)
    return shtab.cmd(f"statusd completion --list {kind} 2>/dev/null") if kind else None


# ---- what there is -------------------------------------------------------------------------------


def _found(kind: str) -> list[str]:
    """Return what can be typed; nothing is complained of, for it would stand in a command line."""
    from statusd.core.errors import StatusdError

    try:
        documents = _documents()
    except StatusdError:
        documents = {}
    if kind == "names":
        return sorted(documents)
    if kind == "states":
        return sorted({str(document["state"]) for document in documents.values() if document})
    if kind == "words":
        told = {word for document in documents.values() for word in document.get("allowed", ())}
        return sorted({*_ALWAYS, *(told or _BUILT_IN)})
    return sorted({text for document in documents.values() for text in document.get(kind, ())})


def _documents() -> dict[str, dict[str, Any]]:
    """Return name -> status document of every unit that there is or was."""
    from statusd.cli import broker
    from statusd.wire.dial import Dial
    from statusd.wire.names import Names

    nothing = argparse.Namespace(url=None, file=None, namespace=None)
    address, namespace, _ = broker.find(nothing)
    with Dial(address, "statusd-completion", TIMEOUT_S) as dial:
        names = [name.decode() for name in dial.call("HKEYS", Names(namespace).roster)]
        texts = dial.calls([("GET", Names(namespace, name).status) for name in names])
    return {name: json.loads(text) if text else {} for name, text in zip(names, texts, strict=True)}
