"""A status for any long-running job, commanded from anywhere over Redis.

Importing this package costs nothing: each public name is loaded when it is first used, so that a
worker that says ``from statusd import Worker`` pays for the worker's side only.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing would cost every worker time and memory
if TYPE_CHECKING:
    from statusd.core.conditions import Request as Request
    from statusd.core.errors import ConfigError as ConfigError
    from statusd.core.errors import Unavailable as Unavailable
    from statusd.core.lifecycle import State as State
    from statusd.fleet.async_fleet import AsyncFleet as AsyncFleet
    from statusd.fleet.fleet import Fleet as Fleet
    from statusd.worker.api import Worker as Worker
    from statusd.worker.async_worker import AsyncWorker as AsyncWorker
    from statusd.worker.attach import AttachError as AttachError
    from statusd.worker.attach import attach as attach
    from statusd.worker.log_text import LogText as LogText

__all__ = [
    "AsyncFleet",
    "AsyncWorker",
    "AttachError",
    "ConfigError",
    "Fleet",
    "LogText",
    "Request",
    "State",
    "Unavailable",
    "Worker",
    "__version__",
    "attach",
]

_HOMES = {
    "AsyncFleet": "statusd.fleet.async_fleet",
    "AsyncWorker": "statusd.worker.async_worker",
    "AttachError": "statusd.worker.attach",
    "ConfigError": "statusd.core.errors",
    "Fleet": "statusd.fleet.fleet",
    "LogText": "statusd.worker.log_text",
    "Request": "statusd.core.conditions",
    "State": "statusd.core.lifecycle",
    "Unavailable": "statusd.core.errors",
    "Worker": "statusd.worker.api",
    "attach": "statusd.worker.attach",
}


def __getattr__(name: str) -> object:
    """Load a public name from its home on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("statusd")
    if name not in _HOMES:
        msg = f"module 'statusd' has no attribute {name!r}"
        raise AttributeError(msg)
    from statusd.worker.standard import WithLibraryFirst

    with WithLibraryFirst():  # whatever is called like its modules beside the user's program
        # `importlib` would cost a worker time that this needn't.
        value = getattr(__import__(_HOMES[name], fromlist=[name]), name)
    globals()[name] = value
    return value
