"""What one setting may be: each kind of value, and what is said to another one.

The kinds are notes for `judge`; whoever reads settings that were judged elsewhere needs no library.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import signal
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from statusd.core.errors import ConfigError
from statusd.core.fields import WORD
from statusd.core.signals import PROMPTS
from statusd.core.sizes import parse_size
from statusd.core.suggestions import nearest
from statusd.settings.deadline import written
from statusd.wire.listen import parse_listen
from statusd.wire.url import parse_url

_MOST_CHANNEL = 256
"""As of ``reply_to``."""
LEAST_MEMORY = 2**20
"""Who writes less than a MiB means another unit."""


# ---- notes, for `schema` -------------------------------------------------------------------------


class Note(NamedTuple):
    """What a kind of value says besides its type; one of these.

    Args:
        read: gets whatever is written, before its type is looked at, and returns what is meant.
        judge: gets it when it has its type, and returns it, or another one in its place.
            Both may raise ValueError, whose text is told.
        narrows: what pydantic's core is told of the type itself.
    """

    read: Callable[[Any], Any] | None = None
    judge: Callable[[Any], Any] | None = None
    narrows: tuple[tuple[str, Any], ...] = ()


def within(least: float, most: float, **more: bool) -> Note:
    """Return that a number is no less and no more; ``strict``: that it is written as one."""
    return Note(narrows=(("ge", least), ("le", most), *more.items()))


def matching(pattern: str) -> Note:
    """Return that a text is of that pattern."""
    return Note(narrows=(("pattern", pattern),))


# ---- what they say -------------------------------------------------------------------------------


def _url(value: str) -> str:
    try:
        parse_url(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


def _place(value: str) -> str:
    try:
        return str(parse_listen(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _listen(value: str) -> str:
    return value and _place(value)


def _port(value: object) -> object:
    """A port alone may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _channel(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a channel's name is printable ASCII without blanks")
    if len(value) > _MOST_CHANNEL:
        raise ValueError(f"a channel's name, or a pattern, has at most {_MOST_CHANNEL} characters")
    return value


def _function(value: str) -> str:
    name = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
    if value and not re.fullmatch(f"{name}:{name}", value, re.ASCII):
        raise ValueError('a function is written "package.module:name"')
    return value


def _command(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"a command is a list: {json.dumps(shlex.split(value))}")
    return value


def signal_name(value: str) -> str:
    """Return ``SIGUSR1`` of ``usr1``, be there such a signal or not."""
    return value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"


def _signal(value: str) -> str:
    name = signal_name(value)
    if name not in signal.Signals.__members__:
        near = nearest(name, tuple(signal.Signals.__members__))
        raise ValueError(f"{value} is no signal" + (f", did you mean {near}?" if near else ""))
    if name == "SIGKILL":
        raise ValueError("SIGKILL tells nothing: nobody survives it")
    return name


_TAKEN = {
    **dict.fromkeys(("SIGTERM", "SIGINT"), "it is END already"),
    "SIGHUP": "it has the settings read again",
    **dict.fromkeys(("SIGKILL", "SIGSTOP"), "no program hears of it"),
    **dict.fromkeys(("SIGTSTP", "SIGCONT", "SIGTTIN", "SIGTTOU"), "it is a shell's, for its jobs"),
    "SIGWINCH": "a terminal sends it whenever its size changes",
    "SIGQUIT": "it is for a core dump",
    **dict.fromkeys(("SIGCHLD", "SIGPIPE", "SIGXFSZ"), "statusd needs it itself"),
}
"""Signals that have a meaning already, and which."""


def _prompt(value: str) -> str:
    """Return the name of a signal that may stand for a word."""
    name = signal_name(value)
    if name in PROMPTS:
        return name
    known = ", ".join(one.removeprefix("SIG") for one in PROMPTS)
    if name in signal.Signals.__members__:
        why = _TAKEN.get(name, "it tells of a fault, or is for something else")
        raise ValueError(f"{value} can't stand for a word: {why}; {known} can")
    near = nearest(name, PROMPTS)
    hint = f", did you mean {near}?" if near else f": {known} can stand for a word"
    raise ValueError(f"{value} is no signal{hint}")


def _prompts(value: object) -> object:
    """Return what is written, if no signal stands there twice in two spellings."""
    names = [signal_name(key) for key in value] if isinstance(value, Mapping) else []
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ValueError(f"{twice} stands there twice, and can have one word")
    return value


def _word(value: str) -> str:
    if not WORD.fullmatch(value.encode("utf-8", "replace")):
        raise ValueError('a word is wanted, as `statusd send` takes it: "pause"')
    return value


def _code(value: int) -> int:
    if value in (64, 69, 70, 74, 78):
        raise ValueError(f"{value} says of `statusd run` that something is wrong: 85, or 75, say")
    return value


def _umask(value: object) -> object:
    if value == "":
        return -1
    if isinstance(value, str) and re.fullmatch("[0-7]{1,4}", value):
        return int(value, 8)
    if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 0o777:
        return value
    raise ValueError('a umask is octal, as in umask = "027"')


def _size(value: object) -> object:
    """A size of memory; a number, or a text that is one, is in bytes."""
    size = parse_size(value) if isinstance(value, str) and value else value
    if size == "":
        return 0
    if isinstance(size, bool) or not isinstance(size, int):
        raise ValueError('a size of memory is wanted: "2GiB", "500MB", or a number of bytes')
    if 0 < size < LEAST_MEMORY:
        raise ValueError(f'{size} bytes are too few for any worker: "2GiB"?')
    return size


def _output(value: str) -> str:
    if value in ("tagged", "inherit") or "/" in value:
        return value
    near = nearest(value, ("tagged", "inherit"))
    hint = f"did you mean {near}?" if near else f"a file's name has a slash in it: ./{value}"
    raise ValueError(f'"tagged", "inherit" or a file: {hint}')


def _variable_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(f"{value!r:.80} is no name for a variable")
    return value


def _host_name(value: str) -> str:
    name = value.strip("[]").lower()
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", value):
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            text = f"{value!r:.80} is no name of a host: without a scheme and without a port"
            raise ValueError(text) from None
    return name.removesuffix(".")


def _root_path(value: str) -> str:
    if not value or value == "/":
        return ""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", value):
        raise ValueError(f'{value!r:.80} is no path, as in "/statusd"')
    return value.rstrip("/")


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(
            f'{value!r:.80} is no address, as in "127.0.0.1" or "10.0.0.0/8"'
        ) from None


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{0,64}", value):
        raise ValueError(f"{value!r:.80} is no name of a header")
    if value.lower() in ("authorization", "cookie", "host", "origin"):
        raise ValueError(f"{value!r:.80} says something else: name one of the proxy's own")
    return value.lower()


# ---- the kinds -----------------------------------------------------------------------------------

Seconds = Annotated[float, within(0, 86400 * 365, allow_inf_nan=False)]
Url = Annotated[str, Note(judge=_url)]
Listening = Annotated[str, Note(judge=_listen), Note(read=_port)]
Place = Annotated[str, Note(judge=_place), Note(read=_port)]
Channel = Annotated[str, Note(judge=_channel)]
Function = Annotated[str, Note(judge=_function)]
Arguments = Annotated[tuple[str, ...], Note(read=_command)]
Signal = Annotated[str, Note(judge=_signal)]
Word = Annotated[str, Note(judge=_word)]
Prompts = Annotated[dict[Annotated[str, Note(judge=_prompt)], Word], Note(read=_prompts)]
ExitCode = Annotated[int, within(0, 255), Note(judge=_code)]
Deadline = Annotated[str, Note(read=written)]
Umask = Annotated[int, Note(read=_umask)]
Memory = Annotated[int, within(0, 2**62), Note(read=_size)]
Output = Annotated[str, Note(judge=_output)]
HostName = Annotated[str, Note(judge=_host_name)]
RootPath = Annotated[str, Note(judge=_root_path)]
Network = Annotated[str, Note(judge=_network)]
HeaderName = Annotated[str, Note(judge=_header_name)]
VariableName = Annotated[str, Note(judge=_variable_name)]
Namespace = Annotated[str, matching(r"^[A-Za-z0-9._-]{1,64}$")]
Name = Annotated[str, matching(r"^[A-Za-z0-9._@-]{0,64}$")]
Tag = Annotated[str, matching(r"^[A-Za-z0-9._@-]{1,64}$")]
