"""What the server's own settings do to the keys and links of units. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from statusd.doctor.findings import Finding, error, ok, unknown, warning

SETTINGS = ("maxmemory", "maxmemory-policy", "client-output-buffer-limit")
LEAST_BUFFER = 1024 * 1024
"""A unit may be busy for a moment: a buffer below this is full soon."""


def examine(facts: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield what is to be said of the settings; ``facts`` is None if we may not see them."""
    if facts is None:
        cure = "ask as an administrator: statusd doctor --admin-url redis://USER:PASSWORD@HOST"
        yield unknown("eviction", "this user may not see the server's settings", cure)
        yield unknown("buffers", "this user may not see the server's settings", cure)
        return
    limit = facts.get("maxmemory", "0")
    if limit.isdecimal() and len(limit) < 20:
        yield eviction(int(limit), facts.get("maxmemory-policy", "noeviction"))
    else:
        yield unknown("eviction", f"not understood: {limit!r:.80}", "look at it yourself")
    yield buffers(facts.get("client-output-buffer-limit", ""))


def eviction(limit: int, policy: str) -> Finding:
    """Judge what the server throws away when its memory is full.

    Args:
        limit: in bytes; 0 for none.
        policy: Redis' name of it.
    """
    if not limit:
        return ok("eviction", "no maxmemory: nothing is thrown away")
    cure = "CONFIG SET maxmemory-policy noeviction, and give it memory enough"
    if policy.startswith("allkeys"):
        what = f"{policy}: durable commands and histories may be thrown away"
        return error("eviction", what, cure)
    if policy.startswith("volatile"):
        what = f"{policy}: documents and names expire, so they may be thrown away: units seem lost"
        return warning("eviction", what, cure)
    return ok("eviction", f"{policy}: nothing is thrown away, and nothing taken over {limit} bytes")


def buffers(limits: str) -> Finding:
    """Judge how much may wait for a link that is slow to read.

    Args:
        limits: as ``client-output-buffer-limit`` has them: class, hard, soft, seconds, and so on.
    """
    words = limits.split()
    place = words.index("pubsub") if "pubsub" in words else -1
    try:
        hard, soft, seconds = (int(word) for word in words[place + 1 : place + 4])
    except ValueError:
        return unknown("buffers", f"not understood: {limits!r:.80}", "look at it yourself")
    told = f"pubsub {hard} {soft} {seconds}"
    setting = "CONFIG SET client-output-buffer-limit"
    if not hard and not soft:
        cure = f"{setting} 'pubsub 33554432 8388608 60'"
        return warning("buffers", f"{told}: a unit that is frozen may fill the memory", cure)
    if min(limit for limit in (hard, soft) if limit) < LEAST_BUFFER:
        cure = f"{setting} 'pubsub 33554432 8388608 60'"
        return warning("buffers", f"{told}: a flood of messages cuts the unit off", cure)
    return ok("buffers", f"{told}: a unit may fall behind by so many bytes")
