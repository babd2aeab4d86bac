"""Whether the broker lets the unit say what it must: tried, and never done.

Between MULTI and DISCARD the broker judges each command and runs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import hiredis

from statusd.doctor.findings import Finding, error, ok, unknown
from statusd.wire.names import Names
from statusd.wire.rights import DAEMON, Role, everybody, granting

if TYPE_CHECKING:
    from statusd.wire.client import Client
    from statusd.wire.outbox import RedisCommand

ABOUT = "rights"
NOBODY = "statusd-doctor"
"""The name of no unit: nobody hears what would be said to it."""
_UNTRIED = ("MULTI", "DISCARD")


def examine(
    client: Client, user: str, units: Sequence[Names], canary: str, channels: Sequence[str]
) -> Iterator[Finding]:
    """Yield which rights are missing, each with the rule that grants it.

    Args:
        client: logged in as the daemon.
        user: the name of its ACL user.
        units: those that it runs, all in one namespace; at least one.
        canary: the channel on which it hears itself.
        channels: the user's own channels and patterns, of all units.
    """
    rules = _rules(units[0], canary, channels)
    for names in units[1:]:
        for line, rule in _rules(names, canary, ()).items():  # with channels it is tried already
            rules.setdefault(line, rule)
    pattern = [line for line in rules if line[0] == "PSUBSCRIBE" and line[1] not in channels]
    for line in pattern:
        del rules[line]
    yield from _tried(client, user, rules, "a unit")


def examine_role(client: Client, user: str, role: Role, namespace: str) -> Iterator[Finding]:
    """Yield which rights of a role are missing, for whoever only talks with units.

    Args:
        client: logged in as that one; user: the name of its ACL user.
    """
    said = role.says(Names(namespace, NOBODY), ())
    of_all = role.says(everybody(namespace), ())
    rules = granting(of_all)
    pairs = zip(said, of_all, strict=True)
    wanted = {line: rules[general] for line, general in pairs if line[0] not in _UNTRIED}
    yield from _tried(client, user, wanted, f"a {role.name}")


def _tried(
    client: Client, user: str, rules: dict[RedisCommand, str], who: str
) -> Iterator[Finding]:
    """Yield which of these lines would be refused, each with the rule that would allow it."""
    lines = [*rules]
    verdicts = refusals(client, lines)
    if verdicts is None:
        cure = f"ACL SETUSER {user} +multi +discard (they let it be tried without being done)"
        yield unknown(ABOUT, f"{user} may not try what it may do", cure)
        return
    missing: dict[str, list[str]] = {}
    for line, _ in verdicts:
        what = " ".join(str(word) for word in line[:2]).strip()
        missing.setdefault(rules[line], []).append(what)
    for rule, refused in missing.items():
        word = f'"{rule}"' if " " in rule else rule
        cure = f"ACL SETUSER {user} {word}; `statusd acl` prints all that it needs"
        yield error(ABOUT, f"{user} may not: {', '.join(refused)}", cure)
    if not missing:
        yield ok(ABOUT, f"{user} may do all that {who} must ({len(lines)} commands tried)")


def _rules(names: Names, canary: str, channels: Sequence[str]) -> dict[RedisCommand, str]:
    """Return what must be said for a unit -> the rule of its role that allows it, to every unit."""
    said = DAEMON.says(names, channels)
    of_all = DAEMON.says(everybody(names.namespace), channels)
    rules = granting(of_all)
    pairs = zip((_of_daemon(line, names, canary) for line in said), of_all, strict=True)
    return {line: rules[general] for line, general in pairs if line[0] not in _UNTRIED}


def _of_daemon(line: RedisCommand, names: Names, canary: str) -> RedisCommand:
    """Return the line as it is said: the canary is the daemon's, not each unit's."""
    return tuple(canary if word == names.canary else word for word in line)


def refusals(
    client: Client, lines: Sequence[RedisCommand]
) -> list[tuple[RedisCommand, str]] | None:
    """Return the lines that would be refused for want of a right, and why; None: not to be tried.

    Raises:
        Unavailable: the connection is lost.
    """
    begun, *replies, _ = client.replies([("MULTI",), *lines, ("DISCARD",)])
    if isinstance(begun, hiredis.ReplyError):
        return None
    return [
        (line, str(reply))
        for line, reply in zip(lines, replies, strict=True)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOPERM")
    ]
