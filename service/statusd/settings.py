"""Settings: TOML < environment (``STATUSD_*``, nested with ``__``) < flags. The only list of them.

Every mistake is found at once and named with file, line and key; nothing here shows a secret.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from statusd.core.errors import ConfigError
from statusd.core.lifecycle import BUILT_IN, Lifecycle, Part
from statusd.core.messages import nearest
from statusd.core.policy import Policy, Restart
from statusd.core.status import Status
from statusd.core.telling import Telling, cure
from statusd.core.unit import Identity
from statusd.environment_file import environment_of
from statusd.lifecycles import load as lifecycles
from statusd.lifecycles.load import Source
from statusd.reading import Unfit, opened
from statusd.wire.address import Address, parse_url, with_credentials
from statusd.wire.listen import Listen, parse_listen
from statusd.wire.names import default_name, is_pattern

PREFIX = "STATUSD_"
_INJECTED = re.compile(r"STATUSD_(SERVICE_|PORT|ARG)")
"""Kubernetes injects these for a Service that is called statusd, and we ourselves in a worker."""
_SECRET = "statusd_redis_password"
"""The name of a systemd credential, or of a file in /run/secrets, that holds the password."""

_REDIS_FILES = ("password_file", "sentinel_password_file", "ca_file", "cert_file", "key_file")
"""What of ``[redis]`` names a file that is read at each connect."""

_ATTACHED = ("ack_timeout_s", "hang_timeout_s", "stop_timeout_s")
"""What of ``[worker]`` is for a program that we are attached to."""

_MOST_CHANNEL = 256
"""As of ``reply_to``."""

Seconds = Annotated[float, Field(ge=0, le=86400 * 365, allow_inf_nan=False)]
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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


class Redis(BaseModel):
    """``[redis]``: the broker."""

    model_config = _STRICT
    url: Annotated[str, AfterValidator(_url)] = Field(
        default="redis://127.0.0.1:6379/0", repr=False
    )
    username: str = ""
    password: str = Field(default="", repr=False)
    password_file: str = ""
    sentinel_username: str = ""
    sentinel_password: str = Field(default="", repr=False)
    sentinel_password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "statusd"


class Control(BaseModel):
    """``[control]``: where commands come in."""

    model_config = _STRICT
    channels: tuple[Annotated[str, AfterValidator(_channel)], ...] = ()
    durable_s: Seconds = 3600


class Worker(BaseModel):
    """``[worker]``: what does the work, and how patient we are with it."""

    model_config = _STRICT
    function: Annotated[str, AfterValidator(_function)] = ""
    python: str = ""
    command: Annotated[tuple[str, ...], BeforeValidator(_command)] = ()
    input: Literal["none", "states"] = "none"
    signals: dict[str, Annotated[str, AfterValidator(_signal)]] = {}
    output: Annotated[str, AfterValidator(_output)] = "tagged"
    directory: str = ""
    environment: dict[Annotated[str, AfterValidator(_variable_name)], str] = {}
    environment_file: str = ""
    umask: Annotated[int, BeforeValidator(_umask)] = -1
    nice: Annotated[int, Field(ge=-20, le=19)] = 0
    ready: Literal["started", "notified"] = "started"
    ready_timeout_s: Seconds = 30
    ack_timeout_s: Seconds = 600
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    backoff_s: tuple[Seconds, Seconds] = (1, 30)
    budget: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    window_s: Seconds = 60
    on_failed: Literal["stay", "exit"] = "stay"
    hang_timeout_s: Seconds = 0
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


class LifecycleTable(BaseModel):
    """``[lifecycle]``: the user's own states; what stands in it is judged by `lifecycles`."""

    model_config = ConfigDict(frozen=True)
    file: str = ""
    states: Any = ()
    transitions: Any = ()


class Http(BaseModel):
    """``[http]``: health and metrics for whoever asks by HTTP; off unless it is asked for."""

    model_config = _STRICT
    listen: Annotated[str, AfterValidator(_listen), BeforeValidator(_port)] = ""

    def where(self) -> Listen | None:
        """Return where to listen; None for nowhere."""
        return parse_listen(self.listen) if self.listen else None


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
    goal: str = ""
    state_directory: str = ""
    redis: Redis = Redis()
    control: Control = Control()
    worker: Worker = Worker()
    lifecycle: LifecycleTable = LifecycleTable()
    http: Http = Http()
    log: Log = Log()
    _lifecycle: Lifecycle = PrivateAttr(default=BUILT_IN)
    _attached: bool = PrivateAttr(default=False)

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
            sentinel_username=redis.sentinel_username,
            sentinel_password=redis.sentinel_password,
            sentinel_password_file=redis.sentinel_password_file,
        )
        if address.tls is None:
            return address
        files = {name: getattr(redis, name) for name in ("ca_file", "cert_file", "key_file")}
        tls = address.tls._replace(**{name: file for name, file in files.items() if file})
        return address._replace(tls=tls)

    def states(self) -> Lifecycle:
        """Return the lifecycle: the user's own, or the built-in one."""
        return self._lifecycle

    def telling(self) -> Telling:
        """Return what the worker can be told, for the core."""
        worker = self.worker
        if not worker.command:
            return Telling()
        names = frozenset("ENDING" if name == "END" else name for name in worker.signals)
        return Telling(names, lines=worker.input == "states")

    def first_goal(self) -> str:
        """Return where the unit goes by itself when there is no older goal."""
        identity, goal = Identity(self.name), self.goal
        lifecycle, telling = self.states(), self.telling()
        return Status(identity, lifecycle=lifecycle, telling=telling, default_goal=goal).goal.name

    def policy(self) -> Policy:
        """Return how patient the unit is, for the core."""
        worker = self.worker
        return Policy(
            restart=Restart.NEVER if self._attached else Restart(worker.restart),
            backoff_s=worker.backoff_s,
            budget=worker.budget,
            window_s=worker.window_s,
            exit_on_failed=self._attached or worker.on_failed == "exit",
            ready_timeout_s=worker.ready_timeout_s,
            ack_timeout_s=worker.ack_timeout_s,
            hang_timeout_s=worker.hang_timeout_s,
            stop_timeout_s=worker.stop_timeout_s,
            kill_timeout_s=worker.kill_timeout_s,
            attached=self._attached,
        )


def _secret_file() -> str:
    """Return the file with the password that systemd or a container engine put there, if any."""
    for directory in (os.environ.get("CREDENTIALS_DIRECTORY", ""), "/run/secrets"):
        path = Path(directory, _SECRET)
        if directory and path.is_file():
            return str(path)
    return ""


def load(
    file: Path | None, environ: Mapping[str, str] = os.environ, *, attached: bool = False
) -> Settings:
    """Return the settings of ``file`` and of the environment, with their lifecycle.

    Args:
        file: the TOML file; None if there is none.
        environ: looked through for misspelt names.
        attached: nothing is to be started: the worker is the program that we are a child of.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    source = Source(file)
    problems = list(_unknown_variables(environ))
    settings = lifecycle = None
    try:
        settings = Settings(**source.content)
    except ValidationError as error:
        unknown = "extra_forbidden"  # such a variable has been complained of already
        problems += (
            _describe(item, source, environ)
            for item in error.errors()
            if not (item["type"] == unknown and variable(_path(item)) in environ)
        )
        settings = _salvage(source, error)
    except ValueError as error:  # pydantic-settings: a variable that is no JSON where it must be
        problems.append(_no_json(error))
    problems += (_attached_mistakes if attached else _worker_mistakes)(source, environ)
    try:
        lifecycle = _load_lifecycle(source, settings)
    except ConfigError as error:
        problems += error.problems
    if settings is not None and lifecycle is not None:
        settings = settings.model_copy(update={"name": settings.name or default_name(file)})
        settings._lifecycle, settings._attached = lifecycle, attached
        problems += _contradictions(settings, source)
    if settings is None or problems:
        raise ConfigError(*problems)
    return settings


def with_url(settings: Settings, url: str) -> Settings:
    """Return the settings with another broker."""
    redis = settings.redis.model_copy(update={"url": url})
    return settings.model_copy(update={"redis": redis})


def with_own_broker(settings: Settings, url: str, password_file: Path) -> Settings:
    """Return the settings with a broker of our own: what was meant for theirs isn't told to it."""
    credentials = {"username": "", "password": "", "password_file": str(password_file)}
    redis = settings.redis.model_copy(update={"url": url, **credentials})
    return settings.model_copy(update={"redis": redis})


def without_credentials(settings: Settings, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings without the users and passwords that don't stand in the environment."""
    held = ("username", "password", "password_file")
    names = (*held, *(f"sentinel_{name}" for name in held))
    dropped = {name: "" for name in names if variable(("redis", name)) not in environ}
    redis = settings.redis.model_copy(update=dropped)
    return settings.model_copy(update={"redis": redis})


def _salvage(source: Source, error: ValidationError) -> Settings | None:
    """Return the settings without those that are wrong, to ask the rest what else is wrong."""
    content = copy.deepcopy(source.content)
    for item in error.errors():
        *above, last = _path(item) or ("",)
        table: Any = content
        for key in above:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table.pop(last, None)
    try:
        return Settings(**content)
    except ValueError:
        return None


def load_lifecycle(file: Path | None) -> Lifecycle:
    """Return the lifecycle of ``file`` alone; the built-in one if it has none.

    Raises:
        ConfigError: with every mistake in it.
    """
    return lifecycles.load(Source(file))


def _load_lifecycle(source: Source, settings: Settings | None) -> Lifecycle:
    table = source.content.get("lifecycle", {})
    if settings is not None and settings.lifecycle.model_fields_set:
        chosen = settings.lifecycle.model_dump(exclude_unset=True)
        table = {**table, **chosen}
    return lifecycles.load(source, table)


def _worker_mistakes(source: Source, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the choice between a function and a command."""
    table = source.content.get("worker", {})
    if not isinstance(table, Mapping):
        return  # complained of already
    given = {
        key
        for key in ("function", "command")
        if table.get(key) or variable(("worker", key)) in environ
    }
    if not given:
        text = 'missing: say function = "package.module:name" or command = ["program", "argument"]'
        yield f"{source.place(('worker', 'function'))}: {text}"
    elif len(given) == 2:
        yield f"{source.place(('worker', 'command'))}: a function or a command, not both"


def _attached_mistakes(source: Source, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is set for a worker that we would have to start, and be free to kill."""
    table = source.content.get("worker", {})
    given = table if isinstance(table, Mapping) else {}  # complained of already
    for key in Worker.model_fields:
        if key in _ATTACHED:
            continue
        named = variable(("worker", key))
        text = "attach() starts nothing and kills nothing: the program itself is the worker"
        if key in given:
            yield f"{source.place(('worker', key))}: {text}"
        elif named in environ:
            yield f"environment: {named}: {text}"


# ---- contradictions --------------------------------------------------------------------------


def _contradictions(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what each setting allows and all of them together don't."""
    if not (settings.worker.command or settings.worker.function or settings._attached):
        return  # complained of already, and the rest depends on it
    if settings.worker.command:
        yield from _function_only(settings.worker, source, ("python",))
        yield from _signal_mistakes(settings, source)
    else:
        yield from _function_only(settings.worker, source, ("signals", "input"))
    yield from _goal_mistakes(settings, source)
    yield from _file_mistakes(settings.redis, source)
    if settings.worker.environment_file:
        try:
            environment_of(source.resolve(settings.worker.environment_file))
        except ConfigError as error:
            yield f"{source.place(('worker', 'environment_file'))}: {error}"


def _function_only(worker: Worker, source: Source, keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        if getattr(worker, key) != Worker.model_fields[key].default:
            kind = "function" if key == "python" else "command"
            yield f"{source.place(('worker', key))}: {key} is for a {kind}"


def _file_mistakes(redis: Redis, source: Source) -> Iterator[str]:
    """Yield which files can never be read; one that is missing may come before the broker does."""
    for key in _REDIS_FILES:
        path = getattr(redis, key)
        try:
            with opened(path) if path else contextlib.nullcontext():
                pass
        except Unfit as error:
            yield f"{source.place(('redis', key))}: {path}: {error.strerror}"
        except OSError:  # told at each connect
            pass


def _signal_mistakes(settings: Settings, source: Source) -> Iterator[str]:
    lifecycle, signals = settings.states(), settings.worker.signals
    names = lifecycle.states.__members__
    for name in signals:
        place = source.place(("worker", "signals", name))
        if name not in names:
            near = nearest(name, tuple(names))
            yield f"{place}: no state{f', did you mean {near}?' if near else ''}"
        elif name in ("INIT", "BACKOFF", "FAILED"):
            yield f"{place}: in {name} there is nobody to be signalled"
    if settings.worker.input == "states" or not signals.keys() <= names.keys():
        return
    parts = lifecycle.parts
    waits = [name for name in signals if parts[names[name]] is Part.WAITS]
    for name, state in names.items():
        if waits and parts[state] is Part.WORKS and name not in signals:
            text = f'{waits[0]} makes it wait, and nothing tells it {name}: add {name} = "SIG..."'
            yield f"{source.place(('worker', 'signals'))}: {text}"


def _goal_mistakes(settings: Settings, source: Source) -> Iterator[str]:
    lifecycle, telling = settings.states(), settings.telling()
    status = Status(Identity(settings.name), lifecycle=lifecycle, telling=telling)
    goals = status.possible_goals()
    names = [goal.name for goal in goals]
    home = lifecycle.home
    if settings.goal and settings.goal not in names:
        near = nearest(settings.goal, tuple(names))
        known = f"did you mean {near}?" if near else f"there are {', '.join(names) or 'none'}"
        untold = (
            telling.objection(lifecycle, lifecycle.start, home)
            if settings.goal == home.name
            else ""
        )
        why = untold or f"it can't be taken up by itself from {home.name}; {known}"
        yield f"{source.place(('goal',))}: {settings.goal}: {why}"
    elif status.goal not in goals:
        text = f"this program works from its start, and {home.name} asks it to wait"
        yield f"{source.place(('worker', 'command'))}: {text}: {cure(home)}"


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


def _no_json(error: ValueError) -> str:
    """Say which variable should be JSON, as lists and tables are; without its content."""
    named = re.search(r'field "(\w+)"', str(error))
    if named is None:  # whatever it is, it may show what it can't read
        return 'environment: lists and tables are JSON there: ["a", "b"]'
    inside = variable((named[1],))
    return f'environment: {inside} (or {inside}__...): a list or a table is JSON: ["a", "b"]'


_PLAINLY = {
    "tuple_type": 'a list is wanted: ["..."]',
    "dict_type": 'a table is wanted: { NAME = "..." }',
    "model_type": "a table is wanted",
    "model_attributes_type": "a table is wanted",
    "string_unicode": "it is not UTF-8",
    "string_type": 'a text is wanted, in quotes: "..."',
    "float_parsing": "a number is wanted",
    "float_type": "a number is wanted",
    "int_parsing": "a whole number is wanted",
    "int_type": "a whole number is wanted",
    "string_pattern_mismatch": "letters, digits and . _ - (in names @, too), at most 64",
}
"""The kind of a mistake -> in words that need no Python."""


def _path(item: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in item["loc"] if not isinstance(part, int))


def _describe(item: Any, source: Source, environ: Mapping[str, str]) -> str:
    path = _path(item)
    message = item["msg"].removeprefix("Value error, ").replace("Input should be '", "one of '")
    message = _PLAINLY.get(item["type"], message)
    if item["type"] == "extra_forbidden":
        siblings = [p[len(path) - 1] for p in _fields() if p[: len(path) - 1] == path[:-1]]
        near = nearest(path[-1], tuple(dict.fromkeys(siblings)))
        message = "unknown key" + (f", did you mean {near}?" if near else "")
    if path and variable(path) in environ:
        return f"environment: {variable(path)}: {message}"
    named = re.match(r"(\w+)\.(\w+): ", message)
    if named and not path:  # a question about the whole, and the message says where to look
        path, message = (named[1], named[2]), message[named.end() :]
    return f"{source.place(path)}: {message}"
