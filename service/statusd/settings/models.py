"""The settings as one typed object: what there is, what each may be, and what the parts ask of it.

The only list of them: TOML < environment (``STATUSD_*``, nested with ``__``) < flags. Nothing here
shows a secret.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from statusd.core.capabilities import Capabilities
from statusd.core.goals import Goals
from statusd.core.lifecycle import BUILT_IN, Lifecycle
from statusd.core.policy import Policy, Restart
from statusd.settings.values import (
    Arguments,
    Channel,
    Function,
    Listening,
    Name,
    Namespace,
    Output,
    Seconds,
    Signal,
    Tag,
    Umask,
    Url,
    VariableName,
)
from statusd.wire.address import Address, with_credentials
from statusd.wire.listen import Listen, parse_listen
from statusd.wire.names import is_pattern
from statusd.wire.url import parse_url

PREFIX = "STATUSD_"
_SECRET = "statusd_redis_password"
"""The name of a systemd credential, or of a file in /run/secrets, that holds the password."""
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


MOST_INSTANCES = 1000
"""So many units one file makes."""
FUNCTION_STOP_S, PROGRAM_STOP_S, SIGNAL_STOP_S = 60.0, 5.0, 5.0
"""From END to SIGTERM: for a function, for a program, and where a signal has asked for it."""


class Redis(BaseModel):
    """``[redis]``: the broker."""

    model_config = _STRICT
    url: Url = Field(default="redis://127.0.0.1:6379/0", repr=False)
    username: str = ""
    password: str = Field(default="", repr=False)
    password_file: str = ""
    sentinel_username: str = ""
    sentinel_password: str = Field(default="", repr=False)
    sentinel_password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: Namespace = "statusd"


class Control(BaseModel):
    """``[control]``: where commands come in."""

    model_config = _STRICT
    channels: tuple[Channel, ...] = ()
    durable_s: Seconds = 3600


class WorkerSettings(BaseModel):
    """``[worker]``: what does the work, and how patient we are with it."""

    model_config = _STRICT
    function: Function = ""
    python: str = ""
    command: Arguments = ()
    input: Literal["none", "states"] = "none"
    signals: dict[str, Signal] = {}
    output: Output = "tagged"
    directory: str = ""
    environment: dict[VariableName, str] = {}
    environment_file: str = ""
    umask: Umask = -1
    nice: Annotated[int, Field(ge=-20, le=19)] = 0
    ready: Literal["started", "notified"] = "started"
    ready_timeout_s: Seconds = 30
    ack_timeout_s: Seconds = 600
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    restart_never_on: tuple[Annotated[int, Field(ge=1, le=255)], ...] = (64, 78)
    backoff_s: tuple[Seconds, Seconds] = (1, 30)
    budget: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    window_s: Seconds = 60
    on_failed: Literal["stay", "exit"] = "stay"
    hang_timeout_s: Seconds = 0
    stop_timeout_s: Seconds | None = None
    signal_stop_timeout_s: Seconds | None = None
    kill_timeout_s: Seconds = 2

    def longest_stop_s(self) -> float:
        """Return how long END may take by itself: a function is given time for its step."""
        if self.stop_timeout_s is not None:
            return self.stop_timeout_s
        return PROGRAM_STOP_S if self.command else FUNCTION_STOP_S

    def longest_signal_stop_s(self) -> float:
        """Return the same for a signal, whose sender has a limit of its own."""
        if self.signal_stop_timeout_s is not None:
            return self.signal_stop_timeout_s
        return SIGNAL_STOP_S if self.stop_timeout_s is None else self.stop_timeout_s

    @model_validator(mode="after")
    def _check(self) -> WorkerSettings:
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
    listen: Listening = ""

    def where(self) -> Listen | None:
        """Return where to listen; None for nowhere."""
        return parse_listen(self.listen) if self.listen else None


class Log(BaseModel):
    """``[log]``: what is told, and how it looks."""

    model_config = _STRICT
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "logfmt", "json"] = "auto"


class DaemonTable(BaseModel):
    """``[daemon]``: the process that runs the units of a folder."""

    model_config = _STRICT
    name: Name = ""


class Settings(BaseSettings):
    """All settings of one unit, and of its daemon."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )
    name: Name = ""
    tags: tuple[Tag, ...] = ()
    goal: str = ""
    state_directory: str = ""
    instances: Annotated[int, Field(ge=0, le=MOST_INSTANCES, strict=True)] | None = None
    daemon: DaemonTable = DaemonTable()
    redis: Redis = Redis()
    control: Control = Control()
    worker: WorkerSettings = WorkerSettings()
    lifecycle: LifecycleTable = LifecycleTable()
    http: Http = Http()
    log: Log = Log()
    _lifecycle: Lifecycle = PrivateAttr(default_factory=lambda: BUILT_IN)  # itself, and no copy
    _attached: bool = PrivateAttr(default=False)
    _name_derived: bool = PrivateAttr(default=False)

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
        wrong = [c for c in self.control.channels if c.startswith(inside) and not is_pattern(c)]
        if wrong:
            lie = " and ".join(map(repr, wrong)) + (" lies" if len(wrong) == 1 else " lie")
            text = f"control.channels: {lie} inside the namespace"
            raise ValueError(f"{text}; units hear {inside}control anyway")
        return self

    def completed(self, name: str, lifecycle: Lifecycle, *, attached: bool) -> Settings:
        """Return the same with what no key says.

        Args:
            name: of the unit, if none is set.
            lifecycle: the user's own, or the built-in one.
            attached: nothing is to be started: the worker is the program that we are a child of.
        """
        settings = self.model_copy(update={"name": self.name or name})
        settings._lifecycle, settings._attached = lifecycle, attached
        settings._name_derived = not self.name
        return settings

    @property
    def is_name_derived(self) -> bool:
        """Tell whether nobody has chosen the name."""
        return self._name_derived

    @property
    def is_attached(self) -> bool:
        """Tell whether the worker is the program that we are a child of."""
        return self._attached

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

    def capabilities(self) -> Capabilities:
        """Return what the worker can be told, for the core."""
        worker = self.worker
        if not worker.command:
            return Capabilities()
        names = frozenset("ENDING" if name == "END" else name for name in worker.signals)
        return Capabilities(names, lines=worker.input == "states")

    def first_goal(self) -> str:
        """Return where the unit goes by itself when there is no older goal."""
        return Goals(self.states(), self.capabilities()).first(default=self.goal).name

    def policy(self) -> Policy:
        """Return how patient the unit is, for the core."""
        worker = self.worker
        return Policy(
            restart=Restart.NEVER if self._attached else Restart(worker.restart),
            never_on=frozenset(worker.restart_never_on),
            backoff_s=worker.backoff_s,
            budget=worker.budget,
            window_s=worker.window_s,
            exit_on_failed=self._attached or worker.on_failed == "exit",
            ready_timeout_s=worker.ready_timeout_s,
            ack_timeout_s=worker.ack_timeout_s,
            hang_timeout_s=worker.hang_timeout_s,
            stop_timeout_s=worker.longest_stop_s(),
            signal_stop_timeout_s=worker.longest_signal_stop_s(),
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
