"""`attach`: the user's program stays the main process, and the daemon is its child.

with statusd.attach(channels=["mychannel"], name="scan") as worker:
    for step in worker.while_running():
        do_one_step(step)
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock
from enum import Enum

from statusd.worker.attached import Attached, daemons_of_ours, detach_named
from statusd.worker.child import ERROR, HELLO, LAST_WORDS_S, READY, Starter, bury

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from statusd.worker.child import Child
    from statusd.worker.states import OwnT

_BUILT_IN = {"INIT", "READY", "RUNNING", "PAUSED", "BACKOFF", "FAILED", "ENDING", "END"}
_NEEDED = {"INIT", "READY", "RUNNING", "PAUSED", "END"}


_replacing = allocate_lock()
"""Held while one worker takes another one's place: each is there to be replaced by the next."""


def _forked() -> None:
    """In a forked child: the thread that held it isn't there."""
    global _replacing
    _replacing = allocate_lock()


os.register_at_fork(after_in_child=_forked)


class AttachError(RuntimeError):
    """`attach` has failed, and nothing is left behind; the text says why, a mistake a line."""


def attach(
    channels: str | Sequence[str] = (),
    url: str = "",
    name: str = "",
    *,
    goal: str | Enum = "",
    tags: Sequence[str] = (),
    lifecycle: type[OwnT] | Iterable[OwnT] | None = None,
    transitions: Sequence[Any] | None = None,
    config: str | os.PathLike[str] = "",
    namespace: str = "",
    hang_timeout_s: float | None = None,
    stop_timeout_s: float | None = None,
    memory_max: str | int | None = None,
    on_memory: str = "",
    log: str = "",
    fresh: bool = False,
    replace: bool = False,
    python: str = "",
    timeout_s: float = 30.0,
) -> Attached[OwnT]:
    """Give this program a status, and return when the unit is READY and hears.

    What is said here wins over the environment (``STATUSD_*``), and that over ``config``. If the
    broker can't be reached, it returns as well: the daemon goes on trying.

    Args:
        channels, url, name, tags, namespace: as in the settings. The name's default is the
            script's, with the host.
        goal: where to go at once, e.g. RUNNING; without, where the last command wanted it to be.
        lifecycle: your states: an Enum, or what ``[lifecycle] states`` may be; ``worker.state`` is
            then a member of your Enum. With ``transitions``; without, for the built-in lifecycle.
        config: a TOML file with settings.
        hang_timeout_s, stop_timeout_s: in seconds, as in ``[worker]``. Both end in words: nobody
            is killed.
        memory_max: more memory of all our processes is told of, e.g. ``2GiB`` or a number of bytes;
            0 for no limit. on_memory: what is done then, ``tell`` or ``pause``; with a memory_max
            it has to be said, for the settings' own default is a crash.
        log: from which level on the daemon writes to our standard error; ``warning``.
        fresh: forget the last time, its goal and args.
        replace: a worker of this program that goes by the same name is detached first: for the cell
            of a notebook that is run again.
        python: the interpreter for the daemon, if ours has no statusd in it.
        timeout_s: so long the daemon may take to start.

    Raises:
        AttachError: the settings are wrong, the name is taken, the daemon doesn't start, or this is
            a child of `multiprocessing` that has only come to import the program's file.
    """
    _check_can_attach(python)
    own, chosen = _lifecycle(lifecycle, transitions)
    settings = {
        "CONTROL__CHANNELS": [channels] if isinstance(channels, str) else list(channels),
        "REDIS__URL": url,
        "REDIS__NAMESPACE": namespace,
        "NAME": name or ("" if config or "STATUSD_NAME" in os.environ else _own_name()),
        "GOAL": getattr(goal, "name", goal),
        "TAGS": list(tags),
        "LIFECYCLE": chosen,
        "WORKER__HANG_TIMEOUT_S": hang_timeout_s,
        "WORKER__STOP_TIMEOUT_S": stop_timeout_s,
        "WORKER__MEMORY_MAX": memory_max,
        "WORKER__ON_MEMORY": on_memory,
        "LOG__LEVEL": log,
    }
    deadline = time.monotonic() + timeout_s
    told = _told(settings, os.fspath(config), fresh=fresh)
    start = Starter(told, python or sys.executable, name or os.fspath(config))
    if replace:
        return _start_in_its_place(start, own, deadline)
    bury(LAST_WORDS_S)  # a name that this program has just given up is free then
    return _start(start, own, deadline)


_IMPORTED = (
    "this process is a child of multiprocessing (spawn, forkserver), which imports the program's "
    "file anew: attach in `if __name__ == '__main__':`, and give the worker to what the child runs"
)
_NO_PYTHON = (
    "this program has Python inside (sys.executable is empty), and the daemon is started with an "
    'interpreter: attach(..., python="/usr/bin/python3"), one that has statusd'
)


def _check_can_attach(python: str) -> None:
    """Raise AttachError where nobody should attach, or no daemon can be started."""
    if _is_being_imported():
        raise AttachError(_IMPORTED)
    if not (python or sys.executable):
        raise AttachError(_NO_PYTHON)


def _is_being_imported() -> bool:
    """Tell whether a child of `multiprocessing` imports the main module of its parent.

    Each would attach, and begin children that do so again. The mark is the one by which it knows
    itself (``multiprocessing.spawn._check_not_importing_main``).
    """
    process = sys.modules.get("multiprocessing.process")
    current = process.current_process() if process is not None else None
    return bool(getattr(current, "_inheriting", False))


def _told(settings: dict[str, Any], config: str, *, fresh: bool) -> dict[str, Any]:
    """Return what the daemon is told, without what was not said."""
    return {
        "settings": {key: v for key, v in settings.items() if v not in ("", [], {}, None)},
        "config": config,
        "first": {"fresh": fresh, "goal": settings["GOAL"], "is_notebook": _is_notebook()},
    }


def _is_notebook() -> bool:
    """Tell whether what we write stands below the cell of a notebook, where somebody reads it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _start(start: Starter, own: Any, deadline: float) -> Attached[Any]:
    """Start the first daemon and wait until it is ready; on any error nothing is left."""
    try:
        child = start.child()
    except OSError as error:
        start.board.close()
        raise AttachError(f"{start.python or 'python'}: {error.strerror}") from None
    try:
        hello = _expect(child, HELLO, deadline)
        own = own or _named(hello[0])
        worker: Attached[Any] = Attached(start, child, own, hello[1], hello[2].split(","), hello[3])
    except BaseException:
        child.let_go()
        start.board.close()
        bury(LAST_WORDS_S)
        raise
    try:
        _expect(child, READY, deadline)
    except BaseException:
        worker.let_go()
        bury(LAST_WORDS_S)
        raise
    worker.take_in()
    return worker


def _start_in_its_place(start: Starter, own: Any, deadline: float) -> Attached[Any]:
    """Start it once the worker of this program is gone that goes by the same name."""
    if not _replacing.acquire(True, max(0.0, deadline - time.monotonic())):
        start.board.close()
        raise AttachError("another thread takes too long to attach")
    try:
        detach_named(start.names)
        bury(LAST_WORDS_S)
        return _start(start, own, deadline)
    finally:
        _replacing.release()


def _expect(child: Child, what: str, deadline: float) -> list[str]:
    try:
        word, *fields = child.told(deadline) or [""]
    except TimeoutError as error:
        raise AttachError(str(error)) from None
    if word == what:
        return fields
    if word == ERROR:
        own = any(f"(pid {pid})" in fields[0] for pid in daemons_of_ours())
        raise AttachError(
            "\n".join(fields) + ("; it is yours: worker.detach() or replace=True" if own else "")
        )
    raise AttachError("the daemon ended by itself; its standard error, which is ours, says why")


def _own_name() -> str:
    script = os.path.basename(sys.argv[0] if sys.argv and sys.argv[0] not in ("", "-c") else "")
    name = f"{script.rpartition('.')[0] or script or 'python'}@{os.uname().nodename}"
    return "".join(sign if sign.isalnum() or sign in "._@-" else "-" for sign in name)[:64]


def _named(reference: str) -> Any:
    from statusd.worker.function import named

    return named(reference) if reference else None


def _lifecycle(states: Any, transitions: Any) -> tuple[Any, dict[str, Any]]:
    """Return the user's own Enum, if there is one, and the setting ``lifecycle``."""
    given = () if states is None or isinstance(states, str) else list(states)
    named = [s["name"] if isinstance(s, dict) else s for s in given]
    own = next((type(state) for state in named if isinstance(state, Enum)), None)
    names = {getattr(state, "name", state) for state in named}
    if transitions is None and (states is None or _NEEDED <= names <= _BUILT_IN):
        return own, {}
    return own, {"states": _plain(states or []), "transitions": _plain(transitions or [])}


def _plain(value: Any) -> Any:
    """Return ``value`` as the daemon can be told it: states by their names, no code."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    if callable(value) and not isinstance(value, type):
        raise AttachError(f'{value!r}: the daemon runs it, so write "module:name"')
    return [_plain(inner) for inner in value]
