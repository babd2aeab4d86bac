"""Who may say what to the broker: the one source of the ACL file, and of what `doctor` tries.

A role is what it says, line by line; its rights follow from that, so that neither can be forgotten
when the other changes. Each right holds for the keys and channels of those lines alone, for reading
or for writing (key permissions and selectors, as Redis 7.0 and Valkey 7.2 know them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from statusd.wire import log_request
from statusd.wire.names import Names, is_pattern

if TYPE_CHECKING:
    from statusd.wire.outbox import RedisCommand

_CONTAINERS = ("CLIENT", "PUBSUB", "XINFO")
"""Commands of which each subcommand is a right of its own."""

_READ, _WRITE = ("R",), ("W",)
_ACCESS = {
    **dict.fromkeys(("GET", "GETRANGE", "MGET", "PTTL", "HGET", "HGETALL", "HKEYS"), _READ),
    **dict.fromkeys(("HSTRLEN", "XINFO", "XRANGE", "XREAD", "XREVRANGE"), _READ),
    **dict.fromkeys(("DEL", "HDEL", "HSET", "SET", "XADD", "XTRIM"), _WRITE),
    **dict.fromkeys(("RENAME", "RENAMENX"), ("RW", "W")),
}
"""What a command does to its keys, one after the other: reads them, writes them."""
_HEARING = ("SUBSCRIBE", "PSUBSCRIBE")
_SPEAKING = ("PUBLISH",)

_GREETING: tuple[RedisCommand, ...] = (
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
        says: returns its lines, given the unit's names and the user's own channels; no two that
            differ in nothing but what they write.
    """

    name: str
    may: str
    says: Callable[[Names, Sequence[str]], list[RedisCommand]]


def _of_daemon(names: Names, channels: Sequence[str]) -> list[RedisCommand]:
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
        ("SET", names.lifecycle, ""),
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
        *_healing(names),
        ("PUBSUB", "NUMSUB"),
        *_TRYING,
    ]


def _healing(names: Names) -> list[RedisCommand]:
    """Return what puts aside what stands where only a unit writes, and isn't readable."""
    return [
        ("RENAME", names.history, names.put_aside),
        ("RENAME", names.roster, names.roster_put_aside),
        ("RENAMENX", names.commands, names.commands_put_aside),
    ]


_TRYING: tuple[RedisCommand, ...] = (("MULTI",), ("DISCARD",))
"""What `doctor` needs, whoever asks: to try a right without using it."""


def _spoken(names: Names) -> list[str]:
    """Return where a unit speaks; to `control` for ``--replace``, which ends the older one."""
    return [names.verdicts, names.events, names.canary, names.control, _reply(names)]


def _reply(names: Names) -> str:
    """Return a channel on which somebody waits for answers."""
    return f"{names.namespace}:reply:{names.name}"


def _subscriptions(names: Names, channels: Sequence[str]) -> list[RedisCommand]:
    """Return both kinds for both ways: a reload may bring patterns where there were none."""
    plain = [("SUBSCRIBE", channel) for channel in channels if not is_pattern(channel)]
    globs = [("PSUBSCRIBE", channel) for channel in channels if is_pattern(channel)]
    return [
        ("SUBSCRIBE", names.control),
        ("SUBSCRIBE", names.canary),
        ("SUBSCRIBE", names.logs),
        *plain,
        *(globs or [("PSUBSCRIBE", names.control)]),
        ("UNSUBSCRIBE",),
        ("PUNSUBSCRIBE",),
    ]


def _of_viewer(names: Names, _: Sequence[str]) -> list[RedisCommand]:
    return [
        ("SUBSCRIBE", names.verdicts),
        ("SUBSCRIBE", names.events),
        ("SUBSCRIBE", f"{log_request.reply_prefix(names.namespace)}{names.name}"),
        ("PUBLISH", names.logs, ""),
        ("UNSUBSCRIBE",),
        ("HGETALL", names.roster),
        ("HKEYS", names.roster),
        ("GET", names.status),
        ("MGET", names.status),
        ("GET", names.lifecycle),
        ("XRANGE", names.history, "-", "+"),
        ("XREVRANGE", names.history, "+", "-"),
        ("XREAD", "STREAMS", names.history, "$"),
        *_TRYING,
    ]


def _of_operator(names: Names, channels: Sequence[str]) -> list[RedisCommand]:
    return [
        *_of_viewer(names, channels),
        ("TIME",),
        ("SUBSCRIBE", _reply(names)),
        *(("PUBLISH", channel, "") for channel in (names.control, *channels)),
        ("PUBSUB", "NUMSUB", names.control),
        ("XADD", names.commands, "*", "command", ""),
        ("HDEL", names.roster, names.name),
    ]


ROLES = (
    Role("daemon", "hear its channels, and keep the keys of its namespace", _of_daemon),
    Role("operator", "publish commands, and read what units say", _of_operator),
    Role("viewer", "read what units say; command nothing", _of_viewer),
)
DAEMON, OPERATOR, VIEWER = ROLES


def command_of(line: RedisCommand) -> str:
    """Return the command of ``line`` as an ACL rule calls it: ``publish``, ``client|setname``."""
    words = [str(word).lower() for word in line[:2]]
    return "|".join(words) if line[0] in _CONTAINERS else words[0]


def user_line(role: Role, namespace: str, channels: Sequence[str], password: str) -> str:
    """Return the line of an ACL file that makes a user of ``role``, whatever that user was before.

    Args:
        channels: the user's own channels and patterns, beside the namespace's.
        password: as it will be used to log in.
    """
    rules = granting([*_GREETING, *role.says(everybody(namespace), channels)])
    begin = f"user statusd-{role.name} reset on >{password} resetchannels -@all"
    return " ".join([begin, *_once(rules.values())])


def everybody(namespace: str) -> Names:
    """Return the names of all units of a namespace, as the patterns of ACL rules."""
    return Names(namespace, "*")


def granting(lines: Sequence[RedisCommand]) -> dict[RedisCommand, str]:
    """Return for each line the ACL rule that allows it, and others of the same keys or channels."""
    related: dict[object, list[RedisCommand]] = {}
    for line in lines:
        keys = tuple(key for key, _ in _keys(line))
        related.setdefault(_direction(line) or keys or line, []).append(line)
    return {line: _rule(some) for some in related.values() for line in some}


def _rule(lines: list[RedisCommand]) -> str:
    """Return what allows ``lines``: a selector, or a command's name if it has no key or channel."""
    access: dict[str, str] = {}
    for line in lines:
        for key, ways in _keys(line):
            access[key] = access.get(key, "") + ways
    keys = [f"%{''.join(w for w in 'RW' if w in ways)}~{key}" for key, ways in access.items()]
    channels = [f"&{line[1]!s}" for line in lines if _direction(line)]
    commands = [f"+{command_of(line)}" for line in lines]
    rule = " ".join(_once([*keys, *channels, *commands]))
    return f"({rule})" if keys or channels else rule


def _keys(line: RedisCommand) -> list[tuple[str, str]]:
    """Return the keys of ``line``, each with what is done to it."""
    command = str(line[0])
    first, access = 2 if command in ("XINFO", "XREAD") else 1, _ACCESS.get(command, ())
    keys = map(str, line[first : first + len(access)])
    return list(zip(keys, access, strict=True))


def _direction(line: RedisCommand) -> str:
    """Tell whether ``line`` hears a channel, or speaks to one; empty for neither."""
    return "hears" if line[0] in _HEARING else "speaks" if line[0] in _SPEAKING else ""


SHUT = "user default off resetkeys resetchannels -@all"
"""The line that keeps everybody else out."""


def example_password(role: Role) -> str:
    """Return what stands for the password of ``role`` until somebody chooses one."""
    return f"change-me-{role.name}"


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
