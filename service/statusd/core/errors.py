"""The errors of statusd.

- StatusdError
    - ConfigError: the user's settings are wrong; exit code 78
    - BadMessage: somebody's message is wrong; counted and answered, never fatal
    - Unavailable: something outside (a broker, a directory, a name) can't be had now
"""

from __future__ import annotations

SHOWN_BYTES = 200
"""How much of a foreign message is ever shown, in bytes."""


class StatusdError(Exception):
    """Any error that statusd raises on purpose; its text is fit for a user's eyes."""


class ConfigError(StatusdError):
    """The settings can't be used; nothing has been started.

    Args:
        problems: one line each: file, line, key, what is wrong, what would be right.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadMessage(StatusdError):
    """A message that is no command; it has changed nothing.

    Args:
        reason: what is wrong with it, in words for its sender.
        raw: the message as it came; cut to 200 bytes.
        fields: what could be read of it (``id``, ``reply_to``, ``command``), to answer its sender.
    """

    def __init__(self, reason: str, raw: bytes, fields: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw = raw[:SHOWN_BYTES]
        self.fields = fields or {}


class Unavailable(StatusdError):
    """Something outside of statusd is not there or doesn't answer; trying again may help."""
