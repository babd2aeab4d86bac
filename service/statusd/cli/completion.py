"""``statusd completion SHELL``: what makes a shell complete, made of the parsers as they are.

The script knows verbs and options by itself. For names, channels, tags and words it asks
``statusd completion --list KIND``, which takes two round trips to the broker, and lists what is
built in if there is none.

What is listed comes from strangers, and a shell runs what looks like a command to it: so it is held
back at both ends. Here whatever isn't harmless is left out; and the scripts take each line as a
text, look at it once more, and expand nothing (as ``compgen -W`` and zsh's ``eval`` would).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from statusd.cli import EXIT_USAGE, VERBS, complain, out, parser
from statusd.cli.files import settings_file

if TYPE_CHECKING:
    from shtab import CompleteType

    from statusd.fleet.response_collector import UnitInfo

SHELLS = ("bash", "zsh", "tcsh")
TIMEOUT_S = 0.5
"""A completion that takes longer is worse than none."""

FILES = ("FILE", "OUT", "PATH")
SETTINGS: CompleteType = {
    "bash": "_statusd_glob_settings",
    "zsh": "_statusd_settings",
    "tcsh": "f:*.toml",
}
"""How a file of settings is completed: a folder of jobs has a program beside each."""
KINDS = {
    "WORD": "words",
    "NAME": "names",
    "GLOB": "names",
    "CHANNEL": "channels",
    "TAG": "tags",
    "STATE": "states",
}
"""What an argument is called in the help -> what is listed for it."""
_KINDS = sorted(set(KINDS.values()))
KEYS = {"words": "allowed", "channels": "channels", "tags": "tags"}
"""What is listed -> where it stands in a status document."""
_HARMLESS = re.compile(r"[A-Za-z0-9._@:*][A-Za-z0-9._@:*-]{0,127}")
"""What is listed at all: nothing that means something to a shell, and no option.

Names, channels and tags come from whoever may write to the broker. The star is of channels; the
scripts quote it.
"""
_ALWAYS = ("end", "force", "ping", "status")
_BUILT_IN = ("pause", "reset", "resume", "start", "stop")


_BASH = """\
_statusd_list() {  # KIND WORD: what of that kind begins with the word, quoted
  local LC_ALL=C line
  while IFS= read -r line; do
    [[ $line == -* || -n ${line//[A-Za-z0-9._@:*-]/} ]] && continue
    [[ $line == "$2"* ]] && printf '%q\\n' "$line"
  done < <(statusd completion --list "$1" 2>/dev/null)
}
_statusd_glob_settings() {  # by its name bash knows that these are files, and quotes them
  compgen -f -X '!*.toml' -- "$1"
  compgen -d -- "$1"
}
""" + "".join(f'_statusd_{kind}() {{ _statusd_list {kind} "$1"; }}\n' for kind in _KINDS)
_ZSH = """\
_statusd_list() {  # KIND: what there is of it; compadd quotes
  local LC_ALL=C line
  local -a found
  while IFS= read -r line; do
    [[ $line == -* || -n ${line//[A-Za-z0-9._@:*-]/} ]] && continue
    found+=("$line")
  done < <(statusd completion --list "$1" 2>/dev/null)
  compadd -a found
}
_statusd_settings() { _path_files -g '*.toml *(-/)'; }
""" + "".join(f"_statusd_{kind}() {{ _statusd_list {kind}; }}\n" for kind in _KINDS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument("shell", nargs="?", choices=SHELLS, metavar="SHELL", help=_or(SHELLS))
    parser.add_argument(
        "--list", choices=_KINDS, metavar="KIND", help=f"what the script asks for: {_or(_KINDS)}"
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
        out.say(*filter(_HARMLESS.fullmatch, _found(arguments.list)))
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
    preamble = {"bash": _BASH, "zsh": _ZSH}.get(arguments.shell, "")
    script = shtab.complete(whole, arguments.shell, preamble=preamble)
    out.say(*script.rstrip("\n").split("\n"))
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
    if action.type is settings_file:
        return SETTINGS
    if called in FILES or action.type is Path:
        return shtab.FILE
    kind = KINDS.get(called)
    if not kind:
        return None
    function = f"_statusd_{kind}"
    return {"bash": function, "zsh": function, "tcsh": f"`statusd completion --list {kind}`"}


# ---- what there is -------------------------------------------------------------------------------


def _found(kind: str) -> list[str]:
    """Return what can be typed; nothing is complained of, for it would stand in a command line."""
    from statusd.core.errors import StatusdError

    try:
        units = _units()
    except StatusdError:
        units = []
    documents = [unit.document for unit in units]
    if kind == "names":
        return [unit.name for unit in units]
    if kind == "states":
        return sorted({document["state"] for document in documents if "state" in document})
    told = sorted({text for document in documents for text in document.get(KEYS[kind], ())})
    return sorted({*_ALWAYS, *(told or _BUILT_IN)}) if kind == "words" else told


def _units() -> list[UnitInfo]:
    """Return every unit that there is or was.

    No settings of the present folder are read: whose it is isn't known, and to complete a line is
    no reason to talk with a broker that they name.
    """
    from statusd.cli import broker
    from statusd.cli.files import believed_file
    from statusd.fleet.fleet import Fleet

    nothing = argparse.Namespace(url=None, file=believed_file(is_here=False), namespace=None)
    address, namespace, _ = broker.find(nothing, looks_around=False)
    with Fleet(address, namespace=namespace, timeout_s=TIMEOUT_S) as fleet:
        return fleet.status()
