"""What one setting may be: each kind of value, and what is said to another one.

The kinds are notes for `judge`; whoever reads settings that were judged elsewhere needs no library.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from statusd.core.errors import ConfigError
from statusd.core.suggestions import nearest
from statusd.wire.listen import parse_listen
from statusd.wire.url import parse_url

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_MOST_CHANNEL = 256
"""As of ``reply_to``."""


# ---- notes, which pydantic asks for its own words ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """A value that ``judge`` returns, be it another one, or refuses with ValueError.

    Args:
        judge: gets it when it has its type.
    """

    judge: Callable[[Any], Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(self.judge, handler(source))


@dataclass(frozen=True, slots=True)
class Read:
    """A value that is what ``read`` makes of what is written.

    Args:
        read: gets whatever it is, before its type is looked at; may raise ValueError.
    """

    read: Callable[[Any], Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(self.read, handler(source))


class _Narrowed:
    """A note that says more of the type itself."""

    __slots__ = ()

    def narrows(self) -> dict[str, Any]:
        """Return what pydantic's core is told of it."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema: Any = handler(source)
        return schema | self.narrows()  # type: ignore[no-any-return]  # a dict of theirs, by its "type"


@dataclass(frozen=True, slots=True)
class Within(_Narrowed):
    """A number that is no less, and no more."""

    least: float
    most: float

    def narrows(self) -> dict[str, Any]:
        return {"ge": self.least, "le": self.most}


@dataclass(frozen=True, slots=True)
class Finite(_Narrowed):
    """A number that is one, and not beyond all of them."""

    def narrows(self) -> dict[str, Any]:
        return {"allow_inf_nan": False}


@dataclass(frozen=True, slots=True)
class Whole(_Narrowed):
    """A number that is written as one: no text of digits, no 1.0."""

    def narrows(self) -> dict[str, Any]:
        return {"strict": True}


@dataclass(frozen=True, slots=True)
class Matching(_Narrowed):
    """A text of that pattern."""

    pattern: str

    def narrows(self) -> dict[str, Any]:
        return {"pattern": self.pattern}


# ---- what they say -------------------------------------------------------------------------------


def _url(value: str) -> str:
    try:
        parse_url(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


def _listen(value: str) -> str:
    try:
        return value and str(parse_listen(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


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


def _signal(value: str) -> str:
    name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
    if name not in signal.Signals.__members__:
        near = nearest(name, tuple(signal.Signals.__members__))
        raise ValueError(f"{value} is no signal" + (f", did you mean {near}?" if near else ""))
    if name == "SIGKILL":
        raise ValueError("SIGKILL tells nothing: nobody survives it")
    return name


def _umask(value: object) -> object:
    if value == "":
        return -1
    if isinstance(value, str) and re.fullmatch("[0-7]{1,4}", value):
        return int(value, 8)
    if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 0o777:
        return value
    raise ValueError('a umask is octal, as in umask = "027"')


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


# ---- the kinds -----------------------------------------------------------------------------------

Seconds = Annotated[float, Within(0, 86400 * 365), Finite()]
Url = Annotated[str, Judged(_url)]
Listening = Annotated[str, Judged(_listen), Read(_port)]
Channel = Annotated[str, Judged(_channel)]
Function = Annotated[str, Judged(_function)]
Arguments = Annotated[tuple[str, ...], Read(_command)]
Signal = Annotated[str, Judged(_signal)]
Umask = Annotated[int, Read(_umask)]
Output = Annotated[str, Judged(_output)]
VariableName = Annotated[str, Judged(_variable_name)]
Namespace = Annotated[str, Matching(r"^[A-Za-z0-9._-]{1,64}$")]
Name = Annotated[str, Matching(r"^[A-Za-z0-9._@-]{0,64}$")]
Tag = Annotated[str, Matching(r"^[A-Za-z0-9._@-]{1,64}$")]
