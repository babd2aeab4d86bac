"""What to do about a broker that can't be had, by what is said of it. Pure."""

from __future__ import annotations

from statusd.wire.greeting import NEEDS

CURES = {
    "NOAUTH": "it wants a password: [redis] password_file, or STATUSD_REDIS__PASSWORD",
    "WRONGPASS": "user or password is wrong: [redis] username, password_file",
    "NOPERM": "this user may not: statusd needs the rights in config/acl/statusd.acl",
    "Protocol error": "something listens there, but no Redis or Valkey (or it wants rediss://)",
    "CERTIFICATE_VERIFY_FAILED": "[redis] ca_file names whom to trust",
    "WRONG_VERSION_NUMBER": "it speaks no TLS there: redis:// instead of rediss://",
    "not known": "is the host's name right?",
    "command 'SUBSCRIBE'": NEEDS,
    "connection was closed": f"is the server up? If it is: {NEEDS}",
}
"""What an error says -> what to do."""


def cure(told: str) -> str:
    """Return what to do about an error that says so; empty if it says so itself."""
    found = next((cure for sign, cure in CURES.items() if sign in told), "")
    return "" if found in told else found
