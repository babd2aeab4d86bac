"""A thread for one call that may wait for a disk, beside those in which names are looked up.

asyncio's own threads are few, and a name server that doesn't answer occupies them all. Rule of this
file: a thread that can't be had is an error like any other of the system, an OSError; it never
reaches the loop as something that nobody expected.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from statusd.core.signals import PROMPTS

T = TypeVar("T")

NONE_LEFT = "no thread is to be had: the limit on processes is reached (ulimit -u, TasksMax=)"

_HELD = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    *(signal.Signals[name] for name in PROMPTS),
)


def start(call: Callable[[], None], name: str) -> threading.Thread:
    """Return a thread that runs ``call`` and that nobody has to wait for at the end.

    Raises:
        OSError: there is none to be had.
    """
    thread = threading.Thread(target=_undisturbed, args=(call,), name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # Python's "can't start new thread"
        raise OSError(errno.EAGAIN, NONE_LEFT) from None
    return thread


def _undisturbed(call: Callable[[], None]) -> None:
    """Run ``call`` in a thread that takes no signal: who has sent it is known where it is held."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    call()


async def apart(call: Callable[[], T], name: str) -> T:
    """Return what ``call`` returns, in a thread of its own; whoever gives up leaves it alone.

    Raises:
        OSError: there is no thread to be had; and whatever ``call`` raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.done() else result())

    def run() -> None:
        try:
            found = call()
        except Exception as error:  # whoever waits for it is to be told, whatever it is
            reason = error  # the name ends with its block
            tell(lambda: done.set_exception(reason))
        else:
            tell(lambda: done.set_result(found))

    start(run, name)
    return await done
