"""Known holes of Redis and Valkey that matter here, and the versions that mend them.

Only those that let a client harm the server or its other clients. Sources: the projects' release
notes and the CVE records, read on the day `AS_OF`. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

AS_OF = "2026-11-26"
"""When this table was made: what came later, it doesn't know."""

TLS = "tls-port"
CLIENTS = "maxmemory-clients"
"""Settings of the server without which a hole is none; "0" means off."""


class Advisory(NamedTuple):
    """One hole.

    Args:
        number: its CVE.
        software: ``redis`` or ``valkey``.
        what: it lets somebody do.
        fixed: the first good version of each line of releases that got one.
        since: the first bad version; empty for all before.
        only: the server's setting that must be on; empty for none.
    """

    number: str
    software: str
    what: str
    fixed: tuple[str, ...]
    since: str = ""
    only: str = ""

    def is_in(self, version: str) -> bool:
        """Tell whether ``version`` has the hole, by the number that it calls itself."""
        mine, fixed = parse(version), [parse(good) for good in self.fixed]
        if self.since and mine < parse(self.since):
            return False
        same_line = [good for good in fixed if good[:2] == mine[:2]]
        return mine < same_line[0] if same_line else mine < max(fixed)

    def cure(self, version: str) -> str:
        """Return the next good version: of the same line, if that got one."""
        return min((good for good in self.fixed if parse(good) > parse(version)), key=parse)


ADVISORIES = (
    Advisory(
        *("CVE-2026-81934", "redis", "anybody who reaches its TLS port may run code"),
        ("6.2.24", "7.2.16", "7.4.11", "8.2.9", "8.4.6", "8.6.6", "8.8.2", "8.10.1"),
        only=TLS,
    ),
    Advisory(
        *("CVE-2026-23479", "redis", "a client that may block may run code"),
        ("7.2.16", "7.4.9", "8.2.6", "8.4.3", "8.6.3"),
        since="7.2.0",
    ),
    Advisory(
        *("CVE-2025-49844", "redis", "who may run scripts may run any code"),
        ("6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2"),
    ),
    Advisory(
        *("CVE-2025-21605", "redis", "who isn't even logged in may fill its memory"),
        ("6.2.18", "7.2.8", "7.4.3"),
    ),
    Advisory(
        *("CVE-2026-130822", "valkey", "a client that is evicted may crash it"),
        ("7.2.16", "8.0.13", "8.1.12", "9.0.8", "9.1.4"),
        only=CLIENTS,
    ),
    Advisory(
        *("CVE-2026-56684", "valkey", "who may CLIENT KILL over TLS may run code"),
        ("7.2.16", "8.0.10", "8.1.9", "9.0.5", "9.1.1"),
        only=TLS,
    ),
    Advisory(
        *("CVE-2026-63639", "valkey", "who may RESTORE a stream may run code"),
        ("7.2.16", "8.0.10", "8.1.9", "9.0.5", "9.1.1"),
    ),
    Advisory(
        *("CVE-2026-23479", "valkey", "a client that may block may run code"),
        ("7.2.13", "8.0.9", "8.1.7", "9.0.4", "9.1.0"),
    ),
    Advisory(
        *("CVE-2025-67733", "valkey", "who may run scripts may forge the replies of others"),
        ("7.2.12", "8.0.7", "8.1.6", "9.0.2"),
    ),
    Advisory(
        *("CVE-2025-49844", "valkey", "who may run scripts may run any code"),
        ("7.2.11", "8.0.6", "8.1.4"),
    ),
)
"""Where a line's first good version is not on record, a later one with the cure stands for it."""


def parse(version: str) -> tuple[int, ...]:
    """Return the numbers of a version; what isn't one counts as 0."""
    return tuple(
        int(part) if part.isdecimal() and len(part) < 10 else 0 for part in version.split(".")[:3]
    )


def known(software: str, version: str) -> list[Advisory]:
    """Return the holes that this server has, by its own account."""
    return [one for one in ADVISORIES if one.software == software and one.is_in(version)]
