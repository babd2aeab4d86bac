"""The settings as one object: what was written, what loading has found, and what the parts ask.

Nothing here shows a secret.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from statusd.core.capabilities import Capabilities
from statusd.core.goals import Goals
from statusd.core.lifecycle import BUILT_IN, Lifecycle
from statusd.core.policy import OnMemory, Policy, Restart
from statusd.settings.tables import Content, KeyPath
from statusd.wire.address import Address, with_credentials
from statusd.wire.url import parse_url

_SECRET = "statusd_redis_password"
"""The name of a systemd credential, or of a file in /run/secrets, that holds the password."""


@dataclass(frozen=True)
class Settings(Content):
    """All settings of one unit, and of its daemon: what was written, and what loading has found.

    Args:
        own_lifecycle: that of ``[lifecycle]``, or the built-in one: itself, and no copy.
        is_attached: the worker is the program that we are a child of.
        is_name_derived: nobody has chosen the name.
        said: the paths of what somebody has said, be it what holds anyway.
    """

    own_lifecycle: Lifecycle = field(default=BUILT_IN, repr=False)
    is_attached: bool = False
    is_name_derived: bool = False
    said: frozenset[KeyPath] = field(default=frozenset(), repr=False, compare=False)

    def __post_init__(self) -> None:
        """Judge nothing: what lives by old settings and new ones at once needn't go together."""

    @classmethod
    def of(cls, content: Content, said: frozenset[KeyPath]) -> Settings:
        """Return them with what is written; see `completed` for the rest."""
        return cls(**{one.name: getattr(content, one.name) for one in fields(Content)}, said=said)

    def completed(self, name: str, lifecycle: Lifecycle, *, attached: bool) -> Settings:
        """Return the same with what no key says.

        Args:
            name: of the unit, if none is set.
            lifecycle: the user's own, or the built-in one.
            attached: nothing is to be started: the worker is the program that we are a child of.
        """
        return replace(
            self,
            name=self.name or name,
            own_lifecycle=lifecycle,
            is_attached=attached,
            is_name_derived=not self.name,
        )

    def says(self, *path: str) -> bool:
        """Tell whether somebody has said what stands at ``path``."""
        return path in self.said

    def address(self) -> Address:
        """Return the broker's address, with its credentials."""
        redis = self.redis
        address = with_credentials(
            parse_url(redis.url),
            username=redis.username,
            password=redis.password,
            password_file=redis.password_file or secret_file(_SECRET),
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
        return self.own_lifecycle

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
            restart=Restart.NEVER if self.is_attached else Restart(worker.restart),
            never_on=frozenset(worker.restart_never_on),
            backoff_s=worker.backoff_s,
            budget=worker.budget,
            window_s=worker.window_s,
            exit_on_failed=self.is_attached or worker.on_failed == "exit",
            ready_timeout_s=worker.ready_timeout_s,
            ack_timeout_s=worker.ack_timeout_s,
            hang_timeout_s=worker.hang_timeout_s,
            memory_max=worker.memory_max,
            on_memory=OnMemory(worker.on_memory),
            stop_timeout_s=worker.longest_stop_s(),
            signal_stop_timeout_s=worker.longest_signal_stop_s(),
            kill_timeout_s=worker.kill_timeout_s,
            deadline_margin_s=worker.margin_s(),
            deadline_word=worker.deadline_word,
            requeue_exit=self.daemon.requeue_exit,
            attached=self.is_attached,
        )


def secret_file(name: str) -> str:
    """Return the file that systemd or a container engine put there by that name, if any."""
    for directory in (os.environ.get("CREDENTIALS_DIRECTORY", ""), "/run/secrets"):
        path = Path(directory, name)
        if directory and path.is_file():
            return str(path)
    return ""
