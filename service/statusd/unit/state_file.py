"""What must survive a daemon, in one file that is always whole.

Written beside and renamed over the old one (rename(2) is atomic), synced to the disk by a thread of
its own so that the loop never waits for it, and never more often than the disk can take. What it
says is `state_format`'s matter.

Rules of this file: only what a write has brought to the disk is kept (`kept`, `place`); a write
that fails is told (`trouble`), leaves the old file as it was, and is tried again until it doesn't.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from statusd.core.bounds import Unreadable
from statusd.core.errors import Unavailable
from statusd.private import open_own, opened_directory, room
from statusd.unit import claim, state_format
from statusd.unit.claim import CHOSEN, Origin
from statusd.unit.kept import NOTHING, Kept
from statusd.unit.name_lock import NameLock
from statusd.unit.state_writer import Done, Job, Writer
from statusd.unit.stream_position import NOWHERE, StreamPosition
from statusd.wire.names import NAMESPACE, Names

LATE_S = 0.4
"""What takes longer to be on the disk is a trouble."""
CLOSE_S = 1.0
"""So long the last write may take, in seconds."""
_CURE = "look at it, then move it away or start with --fresh"


class StateFile:
    """The state file of one unit on this machine, and the lock that makes it ours alone.

    Args:
        directory: made if it is missing, for this user only. Others may write in it (a volume of a
            container); each file in it must be this user's or root's.
        name: the unit's name; namespace: where its own names in Redis are.
        origin: where the name comes from. Under a derived one what an older version has left is
            taken over.
        loop: on which it is told what was written; by default the running one.

    Raises:
        Unavailable: the directory or the lock can't be used, another daemon has this name here, or
            it is derived and another settings file's; or there is no thread to be had.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        namespace: str = NAMESPACE,
        origin: Origin = CHOSEN,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.path = directory / f"{name}.json"
        self._names = Names(namespace, name)
        self._origin = origin
        with usable(directory):
            self._lock = self._claimed(directory, name)
        self._saved = self._tried = 0
        self.kept = 0
        """The number of the newest `save` that the disk has."""
        self.place: StreamPosition = NOWHERE
        """How far the stream of commands is read in what the disk has."""
        self.failures = 0
        """How many writes have failed."""
        self.written: Callable[[int], None] = lambda _: None
        """Called on the loop after each write, also one that failed, with the number of the newest
        `save` that is in it."""
        self._on_disk: frozenset[str] = frozenset()
        self._turned = asyncio.Event()
        self._failed = ""
        loop = loop or asyncio.get_running_loop()
        try:
            self._writer = Writer(
                self._write, lambda done: _hand_back(loop, self._done, done), name
            )
        except OSError as error:
            self._lock.give_up()
            raise Unavailable(f"state file {self.path}: {error.strerror}") from None

    def _claimed(self, directory: Path, name: str) -> NameLock:
        """Return the lock of a name whose state is ours.

        Raises:
            OSError, Unavailable: it can't be had, or the state is another settings file's.
        """
        if why := claim.another(directory, name, self._origin):  # also if that one runs
            raise Unavailable(why)
        lock = NameLock(directory / f"{name}.lock")
        try:
            if why := claim.another(directory, name, self._origin):
                raise Unavailable(why)
            claim.adopt(directory, name, self._origin)
        except BaseException:
            lock.give_up()
            raise
        return lock

    def load(self) -> tuple[Kept, int]:
        """Return what the last daemon left, and its boot; nothing and 0 if there was none.

        Raises:
            Unavailable: the file can't be read or is no state file; it is left as it is.
        """
        try:
            content = _content(self.path)
            now, former = time.monotonic(), self._origin.former
            kept, boot = state_format.read(content, self._names, now, former)
        except FileNotFoundError:
            return NOTHING, 0
        except OSError as error:
            raise Unavailable(f"state file {self.path}: {error.strerror}; {_CURE}") from None
        except Unreadable as error:
            raise Unavailable(f"state file {self.path} is not valid ({error}): {_CURE}") from None
        self._on_disk, self.place = _ids(kept), kept.place
        return kept, boot

    def save(self, kept: Kept, boot: int, *, now: bool = False) -> int:
        """Have what is to be ``kept`` written soon; only the newest is. Call from the running loop.

        Args:
            now: somebody waits for it; the disk gets no pause.

        Returns:
            The number by which `written` and `kept` will tell that it is done.
        """
        self._saved += 1
        kept = state_format.bounded(kept, self._names)
        self._writer.put(Job(self._saved, kept, boot, _ids(kept)), now=now)
        return self._saved

    @property
    def trouble(self) -> str:
        """Why what there is to keep can't be kept, in words; empty if it is kept."""
        late_s = self._writer.waits_s()
        if late_s > LATE_S and not self._failed:
            return f"{self.path}: the disk hasn't taken it for {late_s:.1f} s"
        return self._failed

    def is_open(self, key: str) -> bool:
        """Tell whether a successor would find that command open, as far as we can know."""
        return key in self._on_disk or self._writer.may_write(key)

    def _write(self, job: Job) -> None:
        """Bring it to the disk; in the writer's thread.

        Raises:
            OSError: the file is what it was before.
        """
        content = state_format.encode(job.kept, job.boot, self._names, self._origin.settings)
        self._lock.hold()
        beside = self.path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        fd = open_own(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        beside.rename(self.path)
        _sync(self.path.parent)  # or a loss of power may bring the old file back

    def _done(self, done: Done) -> None:
        """Take in, on the loop, what has become of a write."""
        job, self._failed = done.job, done.trouble and f"{self.path}: {done.trouble}"
        self._tried = job.number
        # If it can't be written, nobody is kept waiting for the disk's sake.
        self._on_disk = job.open
        self._writer.reported(job)
        if done.trouble:
            self.failures += 1
        else:
            self.kept, self.place = job.number, job.kept.place
        self.written(job.number)
        self._turned.set()

    async def idle(self, timeout_s: float) -> None:
        """Wait until everything was tried to be written, but no longer than so many seconds."""
        self._writer.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._tried < self._saved:
                    self._turned.clear()
                    await self._turned.wait()

    async def close(self) -> None:
        """Write what is waiting, then give up the lock; a disk that hangs is not waited for."""
        await self.idle(CLOSE_S)
        self.give_up()

    def give_up(self) -> None:
        """Leave the file as it is, and give up the lock; nobody is told any more."""
        self.written = lambda _: None  # whoever was, would live as long as what knows this file
        self._writer.close()
        self._lock.give_up()


@contextlib.contextmanager
def usable(directory: Path) -> Iterator[None]:
    """Make a state directory if it is missing, for this user only.

    Raises:
        Unavailable: it can't be used, or what is done in it can't be done.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened_directory(directory, is_shared=True):
            yield
    except OSError as error:
        hint = "set state_directory, or STATUSD_STATE_DIRECTORY"
        where = error.filename or directory
        cure = f"{room(error)}{hint}"
        raise Unavailable(f"state directory: {where}: {error.strerror}; {cure}") from None


def _hand_back(loop: asyncio.AbstractEventLoop, done: Callable[[Done], None], what: Done) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is over: nobody waits any more
        loop.call_soon_threadsafe(done, what)


def _ids(kept: Kept) -> frozenset[str]:
    return frozenset(command.key for command in kept.memory.open)


def _content(path: Path) -> bytes:
    """Return what stands in the file.

    Raises:
        OSError: it can't be read, or is longer than any that we write.
        Unavailable: it is none of ours, or no regular file.
    """
    with open(open_own(path, os.O_RDONLY), "rb") as file:
        content = file.read(state_format.MOST_BYTES + 1)
    if len(content) > state_format.MOST_BYTES:
        raise OSError(errno.EFBIG, "it is longer than any state file")
    return content


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have nothing to sync there
            raise
    finally:
        os.close(fd)
