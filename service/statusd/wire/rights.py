"""Who may say what to the broker: the one source of the ACL file, and of what `doctor` tries.

A role is what it says, line by line; its rights follow from that, so that neither can be forgotten
when the other changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from statusd.wire.names import Names, is_pattern

if TYPE_CHECKING:
    from statusd.core.outbox import Line

_CONTAINERS = ("CLIENT", "PUBSUB", "XINFO")
"""Commands of which each subcommand is a right of its own."""

_GREETING: tuple[Line, ...] = (
    ("HELLO", "3"),
    ("AUTH", "user", "secret"),
    ("CLIENT", "SETNAME", "statusd"),
    ("SELECT", "0"),
    ("PING",),
)


class Role(NamedTuple):
    """Somebody who talks to the broker.

    Args:
        name: of the role; the ACL user is called ``statusd-NAME``.
        may: what it may do, for a reader.
        says: returns its lines, given the unit's names and the user's own channels.
        hears: returns the channels that it has a right to, as patterns.
    """

    name: str
    may: str
    says: Callable[[Names, Sequence[str]], list[Line]]
    hears: Callable[[Names, Sequence[str]], list[str]]


def _of_daemon(names: Names, channels: Sequence[str]) -> list[Line]:
    return [
        ("TIME",),
        *_subscriptions(names, channels),
        *(("PUBLISH", channel, "") for channel in _spoken(names)),
        ("GET", names.owner),
        ("GETRANGE", names.owner, 0, 1),
        ("SET", names.owner, ""),
        ("DEL", names.owner),
        ("PTTL", names.owner),
        ("HGET", names.roster, names.name),
        ("HSTRLEN", names.roster, names.name),
        ("HSET", names.roster, names.name, ""),
        ("RENAME", names.roster, names.roster_put_aside),
        ("SET", names.status, ""),
        ("XADD", names.history, "*", "event", ""),
        ("RENAME", names.history, names.put_aside),
        ("XINFO", "STREAM", names.commands),
        ("XREAD", "STREAMS", names.commands, "$"),
        ("XREVRANGE", names.commands, "+", "-"),
        ("XTRIM", names.commands, "MAXLEN", 10_000),
        ("RENAMENX", names.commands, names.commands_put_aside),
        ("CLIENT", "UNBLOCK", 0),
        ("GET", names.cursor),
        ("GETRANGE", names.cursor, 0, 1),
        ("SET", names.cursor, ""),
        *_LOOKING,
    ]


_LOOKING: tuple[Line, ...] = (("PUBSUB", "NUMSUB"), ("MULTI",), ("DISCARD",))
"""What `doctor` needs, as the daemon: to try a right without using it, and to see who hears."""


def _spoken(names: Names) -> list[str]:
    return [names.verdicts, names.events, names.canary, names.control]


def _subscriptions(names: Names, channels: Sequence[str]) -> list[Line]:
    """Return both kinds for both ways: a reload may bring patterns where there were none."""
    heard = (names.control, names.canary, *channels)
    plain = [("SUBSCRIBE", channel) for channel in heard if not is_pattern(channel)]
    globs = [("PSUBSCRIBE", channel) for channel in heard if is_pattern(channel)]
    return [
        *plain,
        *(globs or [("PSUBSCRIBE", f"{names.namespace}:*")]),
        ("UNSUBSCRIBE",),
        ("PUNSUBSCRIBE",),
    ]


def _of_viewer(names: Names, _: Sequence[str]) -> list[Line]:
    return [
        ("SUBSCRIBE", names.verdicts, names.events),
        ("UNSUBSCRIBE",),
        ("HGETALL", names.roster),
        ("HKEYS", names.roster),
        ("GET", names.status),
        ("MGET", names.status),
        ("XRANGE", names.history, "-", "+"),
        ("XREVRANGE", names.history, "+", "-"),
        ("XREAD", "STREAMS", names.history, "$"),
    ]


def _of_operator(names: Names, channels: Sequence[str]) -> list[Line]:
    return [
        *_of_viewer(names, channels),
        ("TIME",),
        *_subscriptions(names, ()),
        *(("PUBLISH", channel, "") for channel in (names.control, *channels)),
        ("PUBSUB", "NUMSUB", names.control),
        ("XADD", names.commands, "*", "command", ""),
        ("HDEL", names.roster, names.name),
    ]


def _all(names: Names, channels: Sequence[str]) -> list[str]:
    return [f"{names.namespace}:*", *channels]


ROLES = (
    Role("daemon", "hear its channels, and speak inside the namespace", _of_daemon, _all),
    Role("operator", "publish commands, and read what units say", _of_operator, _all),
    Role(
        *("viewer", "read what units say; command nothing", _of_viewer),
        lambda names, _: [names.verdicts, names.events],
    ),
)
DAEMON = ROLES[0]


def command_of(line: Line) -> str:
    """Return the command of ``line`` as an ACL rule calls it: ``publish``, ``client|setname``."""
    words = [str(word).lower() for word in line[:2]]
    return "|".join(words) if line[0] in _CONTAINERS else words[0]


def user_line(role: Role, namespace: str, channels: Sequence[str], password: str) -> str:
    """Return the line of an ACL file that makes a user of ``role``.

    Args:
        channels: the user's own channels and patterns, beside the namespace's.
        password: as it will be used to log in.
    """
    names = Names(namespace, "unit")
    said = (*_GREETING, *role.says(names, channels))
    rules = [
        *("on", f">{password}", "resetkeys", f"~{namespace}:*", "resetchannels"),
        *(f"&{channel}" for channel in role.hears(names, channels)),
        *("-@all", *(f"+{command}" for command in _once(map(command_of, said)))),
    ]
    return f"user statusd-{role.name} {' '.join(rules)}"


SHUT = "user default off resetkeys resetchannels -@all"
"""The line that keeps everybody else out."""


def example_password(role: Role) -> str:
    """Return what stands for the password of ``role`` until somebody chooses one."""
    return f"change-me-{role.name}"


def missing_rule(reason: str, line: Line, names: Names) -> str:
    """Return the ACL rule that would allow ``line``, given why the broker refuses it.

    Redis and Valkey name a right to a key, to a channel or to a command, each in its own words.
    """
    if "key" in reason:
        return f"~{names.namespace}:*"
    if "channel" in reason:
        channel = str(line[1])
        is_ours = channel.startswith(f"{names.namespace}:")
        return f"&{names.namespace}:*" if is_ours else f"&{channel}"
    return f"+{command_of(line)}"


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
