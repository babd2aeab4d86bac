"""What settings need that isn't there, what of them may be wrong elsewhere, and what they are.

For `statusd check`, of a file and of a folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from statusd.cli import work
from statusd.core.errors import ConfigError
from statusd.core.lifecycle import Lifecycle
from statusd.lifecycles.load import Source
from statusd.reading import opened
from statusd.settings.deadline import moment
from statusd.settings.models import Settings

DOCKER_STOP_S, UNIT_STOP_S = 10.0, 15.0
"""So long they wait for a stop, if they aren't told otherwise."""
TLS_FILES = ("ca_file", "cert_file", "key_file")


def missing_of_unit(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what a unit can't do without and isn't there."""
    yield from work.mistakes_in(settings, source)
    output = source.resolve(settings.worker.output)
    if "/" in settings.worker.output and not output.parent.is_dir():
        yield f"{source.place(('worker', 'output'))}: {output.parent}: no such directory"


def missing_of_daemon(settings: Settings, source: Source) -> Iterator[str]:
    """Yield the same of its daemon."""
    yield from missing_files(settings, source)
    yield from _missing_library(settings, source)
    yield from _missing_home(settings)


def warnings(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what is right here and may be wrong where it is to run."""
    yield from _stop_warnings(settings, source)
    yield from _deadline_warnings(settings, source)


def _deadline_warnings(settings: Settings, source: Source) -> Iterator[str]:
    """Yield why a deadline isn't known here, or is over, and what would not end in its time."""
    worker = settings.worker
    if not worker.deadline:
        return
    try:
        moment(worker.deadline, os.environ, time.time())
    except ValueError as error:
        yield f"warning: {source.place(('worker', 'deadline'))}: {error}"
    stop_s = worker.longest_stop_s() + worker.kill_timeout_s
    if worker.margin_s() < stop_s:
        place = source.place(("worker", "deadline_margin_s"))
        text = f"END may take {stop_s:g} s (stop_timeout_s, kill_timeout_s), and is said"
        yield f"warning: {place}: {text} {worker.margin_s():g} s before the deadline"


def _stop_warnings(settings: Settings, source: Source) -> Iterator[str]:
    """Yield that END by a signal takes longer than who sends it may wait."""
    from statusd.daemon.session import DRAIN_S

    worker = settings.worker
    longest_s = worker.longest_signal_stop_s() + worker.kill_timeout_s + DRAIN_S
    if longest_s < DOCKER_STOP_S:
        return
    keys = ("signal_stop_timeout_s", "stop_timeout_s", "kill_timeout_s")
    key = next((key for key in keys if settings.says("worker", key)), keys[0])
    yield (
        f"warning: {source.place(('worker', key))}: a stop by a signal may take {longest_s:g} s, "
        f"and docker kills after {DOCKER_STOP_S:g} s (docker stop --timeout, stop_grace_period), "
        f"our systemd units after {UNIT_STOP_S:g} s (TimeoutStopSec=)"
    )


def _missing_library(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what an endpoint for metrics can't do without."""
    if not settings.http.listen:
        return
    from statusd.daemon.metrics import load

    try:
        load("registry")
    except ConfigError as error:
        yield f"{source.place(('http', 'listen'))}: {error}"


def _missing_home(settings: Settings) -> Iterator[str]:
    """Yield why there is no place for the state file."""
    from statusd.daemon.wiring import state_directory

    try:
        state_directory(settings)
    except ConfigError as error:
        yield str(error)


def missing_files(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what would be complained of again and again, each time we connect to the broker."""
    redis = settings.redis
    for key in ("password_file", "sentinel_password_file", *TLS_FILES):
        path = getattr(redis, key)
        if not path:
            continue
        place = source.place(("redis", key))
        if key in TLS_FILES and not redis.url.startswith("rediss"):
            yield f"{place}: it is for TLS, and redis.url isn't rediss://"
        try:
            with opened(path):
                pass
        except OSError as error:
            yield f"{place}: {path}: {error.strerror}"


# ---- in words ------------------------------------------------------------------------------------


def endpoint_of(settings: Settings) -> str:
    """Return where health and metrics are served."""
    return f"http://{settings.http.listen}: /livez /readyz /metrics"


def worker_of(settings: Settings) -> str:
    """Return what does the work."""
    return settings.worker.function or " ".join(settings.worker.command)


def states_of(lifecycle: Lifecycle) -> str:
    """Return the names of its states."""
    return " ".join(state.name for state in lifecycle.members())
