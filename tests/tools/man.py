"""``make man``: writes the manual page statusd(1), from the parsers as they are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from statusd.cli import VERBS, parser

FILE = Path("service/man/statusd.1")

_HEAD = """\
.\\" Made by `make man` of the command line's own parsers: change those.
.TH STATUSD 1 "" "statusd {version}" "User Commands"
.SH NAME
statusd \\- a status for any long\\-running job, commanded from anywhere over Redis
.SH SYNOPSIS
.B statusd
.I VERB
.RI [ OPTION ]...
.br
.B statusd \\-\\-version
.RB [ \\-\\-json ]
.SH DESCRIPTION
One daemon runs one job, keeps one honest state for it from INIT to END, obeys words that arrive on
Redis channels, and answers every one of them.
"""
_TAIL = """\
.SH FILES
.TP
.I ./statusd.toml
.TQ
.I ~/.config/statusd/statusd.toml
.TQ
.I /etc/statusd/statusd.toml
The settings, looked for in this order where no file is given; a stranger's is refused.
.TP
.I ~/.local/state/statusd/
What survives the daemon, a file a unit:
.I state_directory
says where else.
.TP
.I $XDG_RUNTIME_DIR/statusd/
The sockets of this host's daemons, and where an embedded broker listens, with its password;
.I ~/.local/state/statusd/run/
if somebody else has taken that place.
.SH ENVIRONMENT
.TP
.BI STATUSD_ TABLE __ KEY
Wins over the settings' file:
.BR STATUSD_REDIS__URL ,
.BR STATUSD_WORKER__STOP_TIMEOUT_S .
.TP
.B NO_COLOR
Nothing is coloured.
.TP
.B FORCE_COLOR
Coloured, and drawn as for a terminal, also into a pipe.
.TP
.B COLUMNS
How wide the terminal is, if it doesn't say.
.SH SIGNALS
SIGTERM and SIGINT are END for
.BR "statusd run" ;
a second one kills the worker at once, with a third one the daemon leaves at once. SIGHUP reads the
settings again.
.SH EXIT STATUS
Each verb names its own above. All of them: 64 for a command line that is none, 74 if what was to
be printed can't be written, 78 for settings that are wrong, 130 after Ctrl\\-C, 141 if nobody reads
any more.
.SH SEE ALSO
.BR redis\\-cli (1),
.BR systemd.service (5)
"""


def page() -> str:
    """Return the page, in the macros of man(7)."""
    from importlib.metadata import version

    whole = parser(*VERBS)
    verbs = next(a for a in whole._actions if isinstance(a, argparse._SubParsersAction))
    rows = [_HEAD.format(version=version("statusd")).rstrip(), ".SH VERBS"]
    for name, below in verbs.choices.items():
        rows += [f".SS statusd {name}", *_verb(below)]
    return "\n".join([*rows, _TAIL])


def _verb(verb: argparse.ArgumentParser) -> Iterator[str]:
    yield from (".nf", ".B " + _escaped(_usage(verb)), ".fi", ".PP")
    yield _escaped(verb.description or "")
    for action in verb._actions:
        if action.dest != "help" and action.help != argparse.SUPPRESS:
            yield from (".TP", _called(verb, action), _escaped(action.help or ""))
    yield from _epilog(verb.epilog or "")


def _usage(verb: argparse.ArgumentParser) -> str:
    positional = [verb._get_formatter()._format_args(a, a.dest) for a in verb._actions
                  if not a.option_strings]  # fmt: skip
    return " ".join([verb.prog, "[OPTION]...", *positional])


def _called(verb: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return ``-c CHANNEL, --channel CHANNEL``: options bold, what stands for something not."""
    wants = ""
    if action.nargs != 0:
        default = action.dest.upper() if action.option_strings else action.dest
        wants = _escaped(verb._get_formatter()._format_args(action, default))
    if not action.option_strings:
        return f"\\fI{wants}\\fR"
    options = [f"\\fB{_escaped(option)}\\fR" for option in action.option_strings]
    return ", ".join(options) + (f" \\fI{wants}\\fR" if wants else "")


def _epilog(text: str) -> Iterator[str]:
    """Yield examples as they stand, and the rest as paragraphs."""
    yield ".PP"
    is_kept = False
    for row in text.splitlines():
        keep = row.startswith(" ")
        if keep != is_kept:
            yield ".EX" if keep else ".EE"
            is_kept = keep
        yield _escaped(row) if row else ".PP"
        if row.endswith(":") and not keep:
            yield ".PP"
    if is_kept:
        yield ".EE"


def _escaped(text: str) -> str:
    """Return ``text`` so that nothing in it is taken for a macro, and ``-`` can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{safe}" if safe.startswith(".") else safe


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(page(), encoding="utf-8")
