"""Tests of `statusd.wire.rights`: an ACL file that follows from what each role says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from statusd.wire.rights import (
    ROLES,
    SHUT,
    command_of,
    example_password,
    granting,
    user_line,
)

FILE = Path("config/acl/statusd.acl")
BY_NAME = {role.name: role for role in ROLES}
FORBIDDEN = {
    *("eval", "evalsha", "function", "script", "config", "flushall", "flushdb", "acl", "keys"),
    *("shutdown", "debug", "client|kill", "migrate", "restore", "exec", "psync", "monitor"),
}


def test_the_file_is_what_the_roles_come_to() -> None:
    """And the last line keeps everybody else out."""
    lines = [user_line(role, "statusd", ["mychannel"], example_password(role)) for role in ROLES]

    assert FILE.read_text(encoding="utf-8").splitlines() == [*lines, SHUT]


def parts(line: str) -> tuple[set[str], list[list[str]]]:
    """Return what a user may say of no key and no channel, and the words of each selector."""
    selectors = [found.split() for found in re.findall(r"\(([^)]*)\)", line)]
    return set(re.sub(r"\([^)]*\)", "", line).split()), selectors


@pytest.mark.parametrize("role", BY_NAME)
def test_no_role_has_more_than_it_says(role: str) -> None:
    """Nothing that touches the server, runs scripts, or leaves the namespace."""
    line = user_line(BY_NAME[role], "lab", ["jobs:*"], "secret")
    plain, selectors = parts(line)
    words = plain | {word for selector in selectors for word in selector}
    commands = {word[1:] for word in words if word.startswith("+")}

    assert line.split()[:5] == ["user", f"statusd-{role}", "reset", "on", ">secret"]
    assert line.index("-@all") < line.index("+")
    assert not any(command.startswith("@") for command in commands)
    assert not commands & FORBIDDEN
    assert not [word for word in plain if word.startswith(("~", "%", "&", "allkeys"))]
    scopes = {re.sub("^(%[RW]+~|&)", "", word) for word in words if word[0] in "%&~"}
    assert all(scope == "jobs:*" or scope.startswith("lab:") for scope in scopes)
    assert "lab:*" not in scopes


MAY_WRITE = {
    "daemon": {
        *("owner:{*}", "roster", "status:{*}", "lifecycle:{*}", "history:{*}"),
        *("commands", "cursor:{*}"),
        *("unreadable:history:{*}", "unreadable:{lab:roster}", "unreadable:{lab:commands}"),
    },
    "operator": {"commands", "roster"},
    "viewer": set(),
}
MAY_READ = {
    "daemon": {"owner:{*}", "roster", "commands", "cursor:{*}", "history:{*}"},
    "operator": {"roster", "status:{*}", "lifecycle:{*}", "history:{*}"},
    "viewer": {"roster", "status:{*}", "lifecycle:{*}", "history:{*}"},
}
MAY_HEAR = {
    "daemon": {"control", "canary:{*}", "logs:{*}", "jobs:*"},
    "operator": {"verdicts", "events", "reply:*", "reply:logs:*"},
    "viewer": {"verdicts", "events", "reply:logs:*"},
}
MAY_SPEAK = {
    "daemon": {"control", "canary:{*}", "verdicts", "events", "reply:*"},
    "operator": {"control", "logs:{*}", "jobs:*"},
    "viewer": {"logs:{*}"},
}


@pytest.mark.parametrize("role", BY_NAME)
def test_a_role_has_its_keys_and_channels_for_its_ways_alone(role: str) -> None:
    """As the tables of docs/security.md say: who reads needn't write, who hears needn't speak."""
    _, selectors = parts(user_line(BY_NAME[role], "lab", ["jobs:*"], "secret"))

    found: dict[str, set[str]] = {"R": set(), "W": set(), "hear": set(), "speak": set()}
    for selector in selectors:
        for word in selector:
            scope = re.sub("^(%[RW]+~|&)(lab:)?", "", word)
            for way in word[1 : word.find("~")] if word[0] == "%" else "":
                found[way].add(scope)
            if word[0] == "&":
                found["speak" if "+publish" in selector else "hear"].add(scope)
    wanted = {"R": MAY_READ, "W": MAY_WRITE, "hear": MAY_HEAR, "speak": MAY_SPEAK}
    assert found == {way: roles[role] for way, roles in wanted.items()}


def test_a_line_is_called_as_rules_call_it() -> None:
    """A subcommand is a right of its own for some commands, and an argument of all others."""
    assert command_of(("CLIENT", "SETNAME", "x")) == "client|setname"
    assert command_of(("XINFO", "STREAM", "x")) == "xinfo|stream"
    assert command_of(("GET", "CLIENT")) == "get"
    assert command_of(("MULTI",)) == "multi"


def test_what_is_said_of_the_same_keys_is_one_rule() -> None:
    """And nothing else gets those keys: neither other commands, nor the other way."""
    get, put = ("GET", "lab:owner"), ("SET", "lab:owner", "")
    say, time = ("PUBLISH", "lab:events", ""), ("TIME",)
    hear, move = ("SUBSCRIBE", "lab:events"), ("RENAME", "lab:a", "lab:b")

    assert granting([get, put, say, time, hear, move]) == {
        get: "(%RW~lab:owner +get +set)",
        put: "(%RW~lab:owner +get +set)",
        say: "(&lab:events +publish)",
        time: "+time",
        hear: "(&lab:events +subscribe)",
        move: "(%RW~lab:a %W~lab:b +rename)",
    }
    assert granting([get])[get] == "(%R~lab:owner +get)"
    assert granting([put])[put] == "(%W~lab:owner +set)"
