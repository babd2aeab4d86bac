"""What may be written: the tables of settings, what each value may be, and what it is if unsaid.

The only list of them: TOML < environment (``STATUSD_*``, nested with ``__``) < flags. Nothing here
shows a secret. What others have written is for `judge`, who needs no more than this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from statusd.settings.values import (
    Arguments,
    Channel,
    Deadline,
    ExitCode,
    Function,
    HeaderName,
    HostName,
    Listening,
    Memory,
    Name,
    Namespace,
    Network,
    Output,
    Place,
    Prompts,
    RootPath,
    Seconds,
    Signal,
    Tag,
    Umask,
    Url,
    VariableName,
    Word,
    within,
)
from statusd.wire.listen import Listen, parse_listen
from statusd.wire.names import is_pattern

PREFIX = "STATUSD_"
KeyPath = tuple[str, ...]
"""A setting by its keys, as in ``("worker", "nice")``."""
MOST_INSTANCES = 1000
"""So many units one file makes."""
FUNCTION_STOP_S, PROGRAM_STOP_S, SIGNAL_STOP_S = 60.0, 5.0, 5.0
"""From END to SIGTERM: for a function, for a program, and where a signal has asked for it."""
LAST_WORDS_S = 3.0
"""So long a daemon may take to leave when its worker is gone."""


@dataclass(frozen=True)
class Redis:
    """``[redis]``: the broker."""

    OTHERS: ClassVar = "forbid"
    url: Url = field(default="redis://127.0.0.1:6379/0", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    sentinel_password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: Namespace = "statusd"


@dataclass(frozen=True)
class Control:
    """``[control]``: where commands come in."""

    OTHERS: ClassVar = "forbid"
    channels: tuple[Channel, ...] = ()
    durable_s: Seconds = 3600


@dataclass(frozen=True)
class WorkerSettings:
    """``[worker]``: what does the work, and how patient we are with it."""

    OTHERS: ClassVar = "forbid"
    function: Function = ""
    python: str = ""
    command: Arguments = ()
    input: Literal["none", "states"] = "none"
    signals: dict[str, Signal] = field(default_factory=dict)
    output: Output = "tagged"
    directory: str = ""
    environment: dict[VariableName, str] = field(default_factory=dict)
    environment_file: str = ""
    umask: Umask = -1
    nice: Annotated[int, within(-20, 19)] = 0
    ready: Literal["started", "notified"] = "started"
    ready_timeout_s: Seconds = 30
    ack_timeout_s: Seconds = 600
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    restart_never_on: tuple[Annotated[int, within(1, 255)], ...] = (64, 78)
    backoff_s: tuple[Seconds, Seconds] = (1, 30)
    budget: Annotated[int, within(0, 1_000_000)] = 5
    window_s: Seconds = 60
    on_failed: Literal["stay", "exit"] = "stay"
    hang_timeout_s: Seconds = 0
    memory_max: Memory = 0
    on_memory: Literal["crash", "pause", "tell"] = "crash"
    stop_timeout_s: Seconds | None = None
    signal_stop_timeout_s: Seconds | None = None
    kill_timeout_s: Seconds = 2
    deadline: Deadline = ""
    deadline_margin_s: Seconds | None = None
    deadline_word: Word = "end"

    def margin_s(self) -> float:
        """Return how long before the deadline its word is obeyed: END has its time, by default."""
        if self.deadline_margin_s is not None:
            return self.deadline_margin_s
        return self.longest_stop_s() + self.kill_timeout_s + LAST_WORDS_S

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

    def __post_init__(self) -> None:
        if self.backoff_s[0] > self.backoff_s[1]:
            first_s, longest_s = self.backoff_s
            raise ValueError(
                f"backoff_s: the first wait {first_s:g} is over the longest {longest_s:g}"
            )


@dataclass(frozen=True)
class LifecycleTable:
    """``[lifecycle]``: the user's own states; what stands in it is judged by `lifecycles`."""

    OTHERS: ClassVar = "ignore"
    file: str = ""
    states: Any = ()
    transitions: Any = ()


@dataclass(frozen=True)
class Http:
    """``[http]``: health and metrics for whoever asks by HTTP; off unless it is asked for."""

    OTHERS: ClassVar = "forbid"
    listen: Listening = ""

    def where(self) -> Listen | None:
        """Return where to listen; None for nowhere."""
        return parse_listen(self.listen) if self.listen else None


@dataclass(frozen=True)
class Web:
    """``[web]``: the fleet in a browser, for ``statusd web``; a daemon passes it over."""

    OTHERS: ClassVar = "forbid"
    listen: Place = "127.0.0.1:9460"
    read_only: bool = False
    token_file: str = ""
    viewer_token_file: str = ""
    allow_hosts: tuple[HostName, ...] = ()
    root_path: RootPath = ""
    trusted_proxies: tuple[Network, ...] = ()
    user_header: HeaderName = ""


@dataclass(frozen=True)
class Log:
    """``[log]``: what is told, and how it looks."""

    OTHERS: ClassVar = "forbid"
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "logfmt", "json"] = "auto"


@dataclass(frozen=True)
class DaemonTable:
    """``[daemon]``: the process; a name has only that of a folder."""

    OTHERS: ClassVar = "forbid"
    name: Name = ""
    signals: Prompts = field(default_factory=dict)
    requeue_exit: ExitCode = 0


@dataclass(frozen=True)
class Content:
    """All that may be written, of one unit and of its daemon."""

    OTHERS: ClassVar = "forbid"
    name: Name = ""
    tags: tuple[Tag, ...] = ()
    goal: str = ""
    state_directory: str = ""
    instances: Annotated[int, within(0, MOST_INSTANCES, strict=True)] | None = None
    daemon: DaemonTable = DaemonTable()
    redis: Redis = Redis()
    control: Control = Control()
    worker: WorkerSettings = WorkerSettings()
    lifecycle: LifecycleTable = LifecycleTable()
    http: Http = Http()
    web: Web = Web()
    log: Log = Log()

    def __post_init__(self) -> None:
        inside = f"{self.redis.namespace}:"
        wrong = [c for c in self.control.channels if c.startswith(inside) and not is_pattern(c)]
        if wrong:
            lie = " and ".join(map(repr, wrong)) + (" lies" if len(wrong) == 1 else " lie")
            text = f"control.channels: {lie} inside the namespace"
            raise ValueError(f"{text}; units hear {inside}control anyway")
