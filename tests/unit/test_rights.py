"""Tests of `statusd.wire.rights`: an ACL file that follows from what each role says."""

from __future__ import annotations

from pathlib import Path

import pytest

from statusd.wire.names import Names
from statusd.wire.rights import (
    ROLES,
    SHUT,
    command_of,
    example_password,
    missing_rule,
    user_line,
)

FILE = Path("config/acl/statusd.acl")
NAMES = Names("lab", "gpu-3")
BY_NAME = {role.name: role for role in ROLES}
FORBIDDEN = {
    *("eval", "evalsha", "function", "script", "config", "flushall", "flushdb", "acl", "keys"),
    *("shutdown", "debug", "client|kill", "migrate", "restore", "exec", "psync", "monitor"),
}


def test_the_file_is_what_the_roles_come_to() -> None:
    """And the last line keeps everybody else out."""
    lines = [user_line(role, "statusd", ["mychannel"], example_password(role)) for role in ROLES]

    assert FILE.read_text(encoding="utf-8").splitlines() == [*lines, SHUT]


@pytest.mark.parametrize("role", BY_NAME)
def test_no_role_has_more_than_it_says(role: str) -> None:
    """Nothing that touches the server, runs scripts, or leaves the namespace."""
    words = user_line(BY_NAME[role], "lab", ["jobs:*"], "secret").split()
    commands = {word[1:] for word in words if word.startswith("+")}

    assert words[:4] == ["user", f"statusd-{role}", "on", ">secret"]
    assert words.index("-@all") < min(words.index(f"+{command}") for command in commands)
    assert not any(command.startswith("@") for command in commands)
    assert not commands & FORBIDDEN
    assert [word for word in words if word.startswith("~")] == ["~lab:*"]
    if role == "viewer":
        writes = {"publish", "set", "del", "hset", "hdel", "xadd", "xtrim", "multi"}
        assert not commands & writes
        assert {w for w in words if w.startswith("&")} == {"&lab:verdicts", "&lab:events"}
    else:
        assert {w for w in words if w.startswith("&")} == {"&lab:*", "&jobs:*"}


def test_a_line_is_called_as_rules_call_it() -> None:
    """A subcommand is a right of its own for some commands, and an argument of all others."""
    assert command_of(("CLIENT", "SETNAME", "x")) == "client|setname"
    assert command_of(("XINFO", "STREAM", "x")) == "xinfo|stream"
    assert command_of(("GET", "CLIENT")) == "get"
    assert command_of(("MULTI",)) == "multi"


@pytest.mark.parametrize(
    ("reason", "line", "rule"),
    [
        (
            "NOPERM User unit has no permissions to run the 'publish' command",
            ("PUBLISH", "lab:events", ""),
            "+publish",
        ),
        (
            "NOPERM this user has no permissions to run the 'xinfo' command or its subcommand",
            ("XINFO", "STREAM", "lab:commands"),
            "+xinfo|stream",
        ),
        ("NOPERM No permissions to access a key", ("GET", "lab:owner"), "~lab:*"),
        (
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            ("GET", "lab:owner"),
            "~lab:*",
        ),
        ("NOPERM No permissions to access a channel", ("SUBSCRIBE", "jobs"), "&jobs"),
        ("NOPERM No permissions to access a channel", ("PUBLISH", "lab:events", ""), "&lab:*"),
    ],
)
def test_the_missing_rule_is_named(reason: str, line: tuple[str, ...], rule: str) -> None:
    """From the words of Redis 6.2 and 7 and of Valkey."""
    assert missing_rule(reason, line, NAMES) == rule
