"""What an interpreter is typed for: `python a.py` is `a`, and not one unit with `python b.py`.

Rules of this file: nothing is opened or run; where it isn't certain what is meant, it is none, and
the unit is called as its program is.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple


class Script(NamedTuple):
    """What an interpreter runs.

    Args:
        name: of its file without the ending, or of its module.
        words: by which it is typed, without options: one may be a secret.
    """

    name: str
    words: tuple[str, ...]


class _Options(NamedTuple):
    """The letters of short options.

    Args:
        code: with these the program itself is an argument, and no file is run.
        value: what follows these is theirs; module: of the one that runs a module.
    """

    code: str
    value: str = ""
    module: str = ""


_PYTHON = _Options("c", "WX", "m")
_SHELL = _Options("c", "oO")
_KNOWN = {
    **dict.fromkeys(("python", "pypy", "ipython"), _PYTHON),
    **dict.fromkeys(("sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh"), _SHELL),
    **dict.fromkeys(("node", "nodejs"), _Options("ep", "rC")),
    "julia": _Options("eE", "LptJC"),
    "lua": _Options("e", "l"),
    "luajit": _Options("e", "l"),
    "octave": _Options(""),
    "perl": _Options("eE", "I"),
    "php": _Options("rBRE", "dc"),
    "Rscript": _Options("e"),
    "ruby": _Options("e", "rIC"),
    "tclsh": _Options(""),
}
_LONG_CODE = {"--eval", "--print"}
_LONG_VALUE = {"--import", "--init-file", "--load", "--loader", "--rcfile", "--require"}
_VERSION = re.compile(r"[\d.]+t?$")


def script(command: tuple[str, ...]) -> Script | None:
    """Return what ``command`` runs, if it is an interpreter with a module, or a file that is there.

    `env` in front of it, with its variables, is looked past.
    """
    words = [*command]
    if words and os.path.basename(words[0]) == "env":
        del words[0]
        while words and re.match(r"[A-Za-z_]\w*=", words[0]):
            del words[0]
    program = os.path.basename(words.pop(0)) if words else ""
    options = _KNOWN.get(program) or _KNOWN.get(_VERSION.sub("", program))
    found = _found(words, options) if options else None
    return found and Script(found.name, (command[0], *found.words))


def _found(words: list[str], options: _Options) -> Script | None:
    """Return the first file among the arguments of an interpreter, or the module in its place."""
    is_after_option = False
    while words:
        word = words.pop(0)
        if word == "-" or not word.startswith("-"):
            if os.path.isfile(word):
                return Script(os.path.splitext(os.path.basename(word))[0], (word,))
            if not is_after_option:
                return None  # a folder, say; or `-`, for what comes by standard input
            is_after_option = False
            continue
        is_after_option = True  # what stands behind one that isn't known may be its value
        if word.startswith("--"):
            letter, value = ("c" if word.partition("=")[0] in _LONG_CODE else ""), words
            del words[: word in _LONG_VALUE]
        else:
            letter, value = _telling(word[1:], options, words)
        if letter == "m":
            return Script(value[0], ("-m", value[0])) if value else None
        if letter == "c":
            return None
    return None


def _telling(letters: str, options: _Options, behind: list[str]) -> tuple[str, list[str]]:
    """Read joined short options: return ``m`` and the module, ``c`` for code, or nothing.

    A value is taken away, from behind them if they don't hold it themselves.
    """
    for at, letter in enumerate(letters):
        value = [letters[at + 1 :]] if letters[at + 1 :] else behind
        if letter in options.code:
            return "c", []
        if letter in options.module:
            return "m", value[:1]
        if letter in options.value:
            del value[:1]
            break
    return "", []
