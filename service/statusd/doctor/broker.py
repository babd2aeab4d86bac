"""The broker, as the unit meets it: there, up to date, losing nothing, and shut to strangers."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import hiredis

from statusd.core.errors import Unavailable
from statusd.doctor import permissions, server
from statusd.doctor.findings import Finding, error, ok, unknown, warning
from statusd.doctor.units import Daemon, channels, owners
from statusd.wire import shapes
from statusd.wire.address import Address
from statusd.wire.client import Client
from statusd.wire.greeting import NEEDS
from statusd.wire.rights import Role
from statusd.wire.talk import ask, read

CLIENT = "statusd-doctor"
CLOCK_S = 2.0
"""Clocks that differ by more are worth a word."""
ROUNDS = 5
"""So often the broker is asked for the time: the quickest answer says most."""
HOLES = {
    "redis": "https://github.com/redis/redis/security/advisories",
    "valkey": "https://github.com/valkey-io/valkey/security/advisories",
}
"""Where a project tells of them; a list of ours would be old, and seem to be new."""
COMPATIBLE = ("redis", "7.2.4")
"""What a Valkey may call itself for the sake of old clients."""


def examine(daemon: Daemon, admin: Address | None) -> Iterator[Finding]:
    """Yield what is to be said of the broker.

    Args:
        daemon: who needs it.
        admin: the broker again, as somebody who may see its settings; None: as the daemon.
    """
    address = daemon.address
    yield from transport(address)
    try:
        with Client(address, CLIENT) as client:
            hello = _hello(client)
            yield ok("broker", f"{address} answers")
            yield from _conversation(client, hello, daemon, admin)
    except Unavailable as failure:
        yield error("broker", str(failure), _cure(str(failure), address))


def examine_for_web(address: Address, namespace: str, role: Role) -> Iterator[Finding]:
    """Yield what is to be said of it for a server of the fleet, which only talks with units.

    Args:
        role: what the server is to do there.
    """
    yield from transport(address)
    try:
        with Client(address, CLIENT) as client:
            hello = _hello(client)
            yield ok("broker", f"{address} answers")
            yield from _part(hello)
            yield from rights_for_web(client, address, namespace, role)
    except Unavailable as failure:
        yield error("broker", str(failure), _cure(str(failure), address))


def rights_for_web(
    client: Client, address: Address, namespace: str, role: Role
) -> Iterator[Finding]:
    """Yield which rights a server of the fleet lacks."""
    user = address.username or "default"
    for finding in permissions.examine_role(client, user, role, namespace):
        yield finding._replace(what=f"{finding.what}, for `statusd web`")


def transport(address: Address) -> Iterator[Finding]:
    """Yield what the way to the broker gives away."""
    if address.tls is not None and not address.tls.verify:
        cure = "take ssl_cert_reqs=none out of redis.url, and set redis.ca_file if the CA is yours"
        yield warning("TLS", "any certificate is taken: whoever is in between may command", cure)
    elif address.tls is not None:
        yield ok("TLS", "the broker's certificate and name are checked")
    elif not is_local(address):
        secret = bool(address.password or address.password_file)
        what = "the password and every command" if secret else "every command"
        more = "" if secret else ", and nobody has to log in"
        cure = "use rediss:// and an ACL user (docs/security.md)"
        yield warning("TLS", f"{what} cross the network in the clear{more}", cure)
    if address.password.startswith("change-me-"):
        cure = "choose another one, in the ACL file and in redis.password_file"
        yield warning("password", "it is the one of the example", cure)


def is_local(address: Address) -> bool:
    """Tell whether the way to the broker doesn't leave this machine."""
    hosts = [host for host, _ in address.sentinels] or [address.host]
    return bool(address.path) or all(map(_is_loopback, hosts))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _conversation(
    client: Client, hello: dict[str, str], daemon: Daemon, admin: Address | None
) -> Iterator[Finding]:
    address = daemon.address
    user = address.username or "default"
    units = [unit.names for unit in daemon.units]
    yield from _part(hello)
    yield from _clock(client)
    yield from permissions.examine(client, user, units, daemon.canary, daemon.channels)
    if daemon.web_role is not None:
        yield from rights_for_web(client, address, units[0].namespace, daemon.web_role)
    with nullcontext(client) if admin is None else Client(admin, CLIENT) as asked:
        facts = server_facts(asked)
        yield from _version(hello, facts)
        yield from server.examine(facts)
    replies = client.replies([("GET", names.owner) for names in units])
    yield from owners(units, replies)
    yield from channels(client, daemon, replies)
    yield from _strangers(daemon)


def server_facts(client: Client) -> dict[str, str] | None:
    """Return what the server says of itself; None if we may not ask."""
    asked = [("CONFIG", "GET", setting) for setting in server.SETTINGS]
    info, *replies = client.replies([("INFO", "server"), *asked])
    if any(isinstance(reply, hiredis.ReplyError) for reply in (info, *replies)):
        return None
    pairs = (line.partition(":") for line in _text(info).splitlines())
    told = {f"info:{key}": value for key, _, value in pairs if value}
    config = [pair for reply in replies for pair in _pairs(reply)]
    return told | {_text(key): _text(value) for key, value in config}


def _pairs(reply: Any) -> list[tuple[Any, Any]]:
    return list(reply.items()) if isinstance(reply, dict) else []


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _hello(client: Client) -> dict[str, str]:
    reply = client.run(ask(shapes.table, "HELLO"))
    return {_text(key): _text(value) for key, value in reply.items()}


def _part(hello: dict[str, str]) -> Iterator[Finding]:
    """Yield what part the server plays among others."""
    if hello.get("role", "master") != "master":
        cure = "point redis.url at the master, or at its Sentinels (redis+sentinel://)"
        yield error("broker", f"it is a {hello['role']}: nothing can be written there", cure)
    if hello.get("mode") == "cluster":
        cure = "use a server of its own, or a master with Sentinels"
        yield warning("broker", "it is a Cluster, which units don't know of", cure)


def _version(hello: dict[str, str], facts: dict[str, str] | None) -> Iterator[Finding]:
    """Yield what the server is, and where its known holes are told of."""
    software, version = hello.get("server", "redis"), hello.get("version", "")
    if facts is not None and "info:valkey_version" in facts:
        software, version = "valkey", facts["info:valkey_version"]
    elif facts is None and (software, version) == COMPATIBLE:
        cure = "ask as an administrator: --admin-url"
        yield unknown("version", f"{software} {version}, or a Valkey that calls itself so", cure)
        return
    told = f": its known holes are at {HOLES[software]}" if software in HOLES else ""
    yield ok("version", f"{software} {version}{told}")


def _clock(client: Client) -> Iterator[Finding]:
    """Yield how far the clocks are apart; the quickest of a few answers says it best."""
    measured = []
    for _ in range(ROUNDS):
        began, at = time.monotonic(), time.time()
        reply = client.replies([("TIME",)])[0]
        took_s = time.monotonic() - began
        if isinstance(reply, hiredis.ReplyError):
            return  # a missing right, which is told as one
        measured.append((took_s, client.run(read(shapes.clock, reply, "TIME")) - at - took_s / 2))
    took_s, ahead_s = min(measured)
    text = f"the broker's is {ahead_s:+.3f} s from ours; it answers within {took_s * 1000:.2f} ms"
    if abs(ahead_s) <= CLOCK_S:
        yield ok("clock", text)
    else:
        cure = "set both by NTP; until then times in logs and events don't fit together"
        yield warning("clock", text, cure)


def _strangers(daemon: Daemon) -> Iterator[Finding]:
    """Yield what somebody without a password may do there: it is tried, and not done."""
    address = daemon.address
    stranger = address._replace(username="", password="", password_file="")
    lines = [("PUBLISH", channel, "") for channel in (daemon.control, *daemon.channels)]
    try:
        with Client(stranger, CLIENT) as client:
            refused = permissions.refusals(client, lines)
    except Unavailable:
        yield ok("strangers", "nobody gets in without a password")
        return
    denied = {line for line, _ in refused or ()}
    may = [channel for _, channel, _ in (line for line in lines if line not in denied)]
    if refused is None or not may:
        yield ok("strangers", "without a password nobody may publish to the unit's channels")
        return
    who = "anybody on this machine" if is_local(address) else "anybody who reaches the broker"
    cure = "`statusd acl` prints a file of users; the server reads it by its setting aclfile"
    yield warning("strangers", f"{who} may publish END to {', '.join(may)}", cure)


_CURES = {
    "WRONGPASS": "set redis.username and redis.password_file to what the broker's ACL file has",
    "NOAUTH": "set redis.username and redis.password_file to what the broker's ACL file has",
    "NOPERM": "the user needs the rights that `statusd acl` prints",
    "RESP3": "point redis.url at the server itself, or at another one (docs/doctor.md)",
    "verify failed": "look at redis.ca_file, and at the name in redis.url",
}
"""What a reason has in it -> what to do."""


def _cure(reason: str, address: Address) -> str:
    """Return what to do about a broker that can't be talked to."""
    known = next((cure for sign, cure in _CURES.items() if sign in reason), "")
    if known:
        return known
    if address.tls is not None and "refused" not in reason:
        # TLS 1.3 lets a client finish before it is turned away: the reason may be any.
        cure = "it may want a certificate of ours, or another one: set redis.cert_file and key_file"
        return f"{cure}; or it speaks no TLS there: look at redis.url"
    if "was closed" in reason:
        return f"is the server up? If it is: {NEEDS}"
    return "is it running, and is redis.url right? `statusd run --embedded` brings one along"
