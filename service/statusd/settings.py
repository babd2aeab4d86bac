"""Settings: TOML < environment (``STATUSD_*``, nested with ``__``) < flags. The only list of them.

Every mistake is found at once and named with file, line and key; nothing here shows a secret.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from statusd.core.errors import ConfigError
from statusd.core.messages import nearest
from statusd.core.policy import Policy, Restart
from statusd.wire.address import Address, parse_url, with_credentials
from statusd.wire.names import is_pattern

PREFIX = "STATUSD_"
_INJECTED = re.compile(r"STATUSD_(SERVICE_|PORT)")
"""Kubernetes injects these for a Service that is called statusd."""
_SECRET = "statusd_redis_password"
"""The name of a systemd credential, or of a file in /run/secrets, that holds the password."""

Seconds = Annotated[float, Field(ge=0, le=86400 * 365, allow_inf_nan=False)]
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _url(value: str) -> str:
    try:
        parse_url(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


def _channel(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a channel's name is printable ASCII without blanks")
    return value


def _function(value: str) -> str:
    name = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
    if not value:
        raise ValueError('missing: say function = "package.module:name"')
    if not re.fullmatch(f"{name}:{name}", value, re.ASCII):
        raise ValueError('a function is written "package.module:name"')
    return value


class Redis(BaseModel):
    """``[redis]``: the broker."""

    model_config = _STRICT
    url: Annotated[str, AfterValidator(_url)] = "redis://127.0.0.1:6379/0"
    username: str = ""
    password: str = Field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "statusd"


class Control(BaseModel):
    """``[control]``: where commands come in."""

    model_config = _STRICT
    channels: tuple[Annotated[str, AfterValidator(_channel)], ...] = ()


class Worker(BaseModel):
    """``[worker]``: what does the work, and how patient we are with it."""

    model_config = ConfigDict(**_STRICT, validate_default=True)  # an empty function is a mistake
    function: Annotated[str, AfterValidator(_function)] = ""
    ready: Literal["started", "notified"] = "started"
    ready_timeout_s: Seconds = 30
    ack_timeout_s: Seconds = 600
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    backoff_s: tuple[Seconds, Seconds] = (1, 30)
    budget: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    window_s: Seconds = 60
    on_failed: Literal["stay", "exit"] = "stay"
    stop_timeout_s: Seconds = 5
    kill_timeout_s: Seconds = 2

    @model_validator(mode="after")
    def _check(self) -> Worker:
        if self.backoff_s[0] > self.backoff_s[1]:
            first_s, longest_s = self.backoff_s
            raise ValueError(
                f"backoff_s: the first wait {first_s:g} is over the longest {longest_s:g}"
            )
        return self


class Log(BaseModel):
    """``[log]``: what is told, and how it looks."""

    model_config = _STRICT
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "logfmt", "json"] = "auto"


class Settings(BaseSettings):
    """All settings of one unit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{0,64}$")] = ""
    tags: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")], ...] = ()
    goal: Literal["READY", "RUNNING"] = "READY"
    state_directory: str = ""
    redis: Redis = Redis()
    control: Control = Control()
    worker: Worker = Worker.model_construct()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which comes as keyword arguments."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _check(self) -> Settings:
        inside = f"{self.redis.namespace}:"
        for channel in self.control.channels:
            if channel.startswith(inside) and not is_pattern(channel):
                text = f"control.channels: {channel!r} lies inside the namespace"
                raise ValueError(f"{text}; units hear {inside}control anyway")
        return self

    def address(self) -> Address:
        """Return the broker's address, with its credentials."""
        redis = self.redis
        address = with_credentials(
            parse_url(redis.url),
            username=redis.username,
            password=redis.password,
            password_file=redis.password_file or _secret_file(),
        )
        if address.tls is None:
            return address
        files = {name: getattr(redis, name) for name in ("ca_file", "cert_file", "key_file")}
        tls = address.tls._replace(**{name: file for name, file in files.items() if file})
        return address._replace(tls=tls)

    def policy(self) -> Policy:
        """Return how patient the unit is, for the core."""
        worker = self.worker
        return Policy(
            restart=Restart(worker.restart),
            backoff_s=worker.backoff_s,
            budget=worker.budget,
            window_s=worker.window_s,
            exit_on_failed=worker.on_failed == "exit",
            ready_timeout_s=worker.ready_timeout_s,
            ack_timeout_s=worker.ack_timeout_s,
            stop_timeout_s=worker.stop_timeout_s,
            kill_timeout_s=worker.kill_timeout_s,
        )


def _secret_file() -> str:
    """Return the file with the password that systemd or a container engine put there, if any."""
    for directory in (os.environ.get("CREDENTIALS_DIRECTORY", ""), "/run/secrets"):
        path = Path(directory, _SECRET)
        if directory and path.is_file():
            return str(path)
    return ""


def load(file: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of ``file`` and of the environment.

    Args:
        file: the TOML file; None if there is none.
        environ: looked through for misspelt names.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    text = _read(file) if file is not None else ""
    content = {"worker": {}, **_parse(text, file)}
    problems = list(_unknown_variables(environ))
    try:
        settings = Settings(**content)
    except ValidationError as error:
        unknown = "extra_forbidden"  # such a variable has been complained of already
        problems += (
            _describe(item, text, file, environ)
            for item in error.errors()
            if not (item["type"] == unknown and variable(_path(item)) in environ)
        )
        raise ConfigError(*problems) from None
    except ValueError as error:  # pydantic-settings: a variable that is no JSON where it must be
        raise ConfigError(*problems, str(error)) from None
    if problems:
        raise ConfigError(*problems)
    return settings if settings.name else settings.model_copy(update={"name": _name(file)})


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8") from None


def _parse(text: str, file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


def _name(file: Path | None) -> str:
    stem = file.stem if file is not None else "statusd"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", f"{stem}@{socket.gethostname()}")[:64]


# ---- mistakes --------------------------------------------------------------------------------


def _fields(
    model: type[BaseModel] = Settings, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, (*above, name))
        else:
            yield (*above, name)


def variable(path: tuple[str, ...]) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + "__".join(path).upper()


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = {variable(path) for path in _fields()} | {variable(path[:1]) for path in _fields()}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not _INJECTED.match(name):
            near = nearest(name, tuple(known))
            yield f"environment: unknown variable {name}" + (
                f", did you mean {near}?" if near else ""
            )


def _path(item: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in item["loc"] if not isinstance(part, int))


def _describe(item: Any, text: str, file: Path | None, environ: Mapping[str, str]) -> str:
    path = _path(item)
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        siblings = [p[len(path) - 1] for p in _fields() if p[: len(path) - 1] == path[:-1]]
        near = nearest(path[-1], tuple(dict.fromkeys(siblings)))
        message = "unknown key" + (f", did you mean {near}?" if near else "")
    key = ".".join(path)
    if path and variable(path) in environ:
        return f"environment: {variable(path)}: {message}"
    line = _line_of(text, path) or _line_named(text, message)
    where = f"{file}:{line}" if line else str(file or "settings")
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _line_named(text: str, message: str) -> int:
    """Return the line of the setting that ``message`` begins with (``table.key: ...``), or 0."""
    found = re.match(r"(\w+)\.(\w+)", message)
    return _line_of(text, found.groups()) if found else 0


def _line_of(text: str, path: tuple[str | Any, ...]) -> int:
    """Return the number of the line where a setting stands, or 0 if it isn't found.

    tomllib tells no lines; a table header and ``key =`` are enough for files like ours.
    """
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([\w.\"-]+)\s*\]", line)
        if header:
            table = header[1].split(".")
            if tuple(table) == tuple(path):
                return number
            continue
        key = re.match(r"\s*([\w.\"-]+)\s*=", line)
        if key and [*table, *key[1].replace('"', "").split(".")] == list(path):
            return number
    return 0
