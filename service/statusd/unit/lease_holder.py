"""Who holds a unit's name, as the owner key and the roster say it, whatever stands there.

Nothing here asks or writes: it reads what the broker has replied.
"""

from __future__ import annotations

from typing import NamedTuple

import hiredis

from statusd.core.bounds import MOST_BOOT, MOST_PID, Unreadable, fields, text, whole


class LeaseHolder(NamedTuple):
    """Who holds a name."""

    boot: int
    host: str
    pid: int

    @classmethod
    def parse(cls, value: object) -> LeaseHolder | None:
        """Return the holder that an owner key names; None if it names none."""
        try:
            return cls.read(value)
        except Unreadable:
            return None

    @classmethod
    def read(cls, value: object) -> LeaseHolder:
        """Return the holder that an owner key names.

        Raises:
            Unreadable: it names none.
        """
        content = fields(value)
        boot, pid = whole(content.get("boot"), 2 * MOST_BOOT, 1), content.get("pid")
        return cls(boot, text(content.get("host")), whole(pid, MOST_PID, 1))

    def text(self) -> str:
        """Return it for a human."""
        return f"on {self.host} (pid {self.pid}, boot {self.boot})"


def is_error(reply: object) -> bool:
    """Tell whether the broker has refused to answer."""
    return isinstance(reply, hiredis.ReplyError)


def is_of_another_type(reply: object) -> bool:
    """Tell whether the key is none of the kind that we write."""
    return is_error(reply) and str(reply).startswith("WRONGTYPE")


def is_nothing(value: object) -> bool:
    """Tell whether there is no such key."""
    return value is None or value == b""  # as GETRANGE says it


def boot_of(entry: object) -> int:
    """Return the boot of an entry in the roster.

    Raises:
        Unreadable: it has none, or one that leaves no room for later ones.
    """
    return whole(fields(entry).get("boot"), MOST_BOOT)
