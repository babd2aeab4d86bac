"""What is said to a broker and what comes back, without a connection: the same for both worlds.

An `Operation` is a generator: it yields what it wants, is sent what came of it, and returns its
result. `wire.client` carries it out by blocking calls, `wire.async_client` by awaited ones. Nothing
here may do I/O; a clock may be read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from statusd.core.errors import Unavailable
from statusd.core.text import shown
from statusd.wire import shapes

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

T = TypeVar("T")


class Ask(NamedTuple):
    """Send several commands at once; the answer is their replies, in order, in one round trip.

    An error is a `hiredis.ReplyError` among them; maps are dictionaries and texts are bytes,
    whatever the connection speaks.

    Args:
        blocks: the broker may take its time, as for XREAD BLOCK.
    """

    lines: Sequence[RedisCommand]
    blocks: bool = False


class Subscribe(NamedTuple):
    """Hear ``channel`` from now on; the answer, nothing, comes when the broker has confirmed it.

    Args:
        about: only messages that have this text in them are listened to; empty for all.
    """

    channel: str
    about: str = ""


class Listen(NamedTuple):
    """The answer is the next message, or None if there is none in so many seconds."""

    timeout_s: float


class Sleep(NamedTuple):
    """Wait so many seconds; there is no answer."""

    seconds: float


class Where(NamedTuple):
    """The answer is the broker's address, for a message to the user."""


class Give(NamedTuple, Generic[T]):
    """Hand something to whoever follows; there is no answer."""

    item: T


Request = Ask | Subscribe | Listen | Sleep | Where
Operation = Generator[Request, Any, T]
Feed = Generator[Request | Give[T], Any, None]
"""An operation that goes on and on, and gives out what it finds."""


def ask(shape: Callable[[object], T], *line: str | bytes | int) -> Operation[T]:
    """Send one command and return what its reply stands for; see `wire.shapes`.

    Raises:
        Unavailable: the reply is an error, which the message repeats, or no answer to the command.
    """
    (reply,) = yield Ask([line])
    return (yield from read(shape, reply, str(line[0])))


def read(shape: Callable[[object], T], reply: object, command: str) -> Operation[T]:
    """Return what ``reply`` stands for.

    Raises:
        Unavailable: it is an error, or no answer to ``command``.
    """
    if shapes.is_error(reply):
        raise Unavailable(f"{(yield Where())} says: {shown(reply)}")
    try:
        return shape(reply)
    except shapes.Misshapen as error:
        text = f"{(yield Where())}: that is no answer to {command}: {error}"
        raise Unavailable(text) from None


def ask_key(shape: Callable[[object], T], command: str, key: str, *more: str | int) -> Operation[T]:
    """Ask for what stands under a key of ours.

    Raises:
        Unavailable: as for `ask`, or somebody has made something else of it.
    """
    (reply,) = yield Ask([(command, key, *more)])
    if shapes.is_wrong_type(reply):
        raise Unavailable(f"{key} is of another type than ours: DEL it, and it is written anew")
    return (yield from read(shape, reply, command))
