"""Who somebody is: by a token, which is long and secret, or by a session that began with one.

A browser gets a session's id in a cookie, never the token. Rules of this file: nobody who comes
chooses an id; what is compared is compared in constant time; a session ends with the token that it
began with, after a night without use, and with the server.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from statusd.core.errors import ConfigError, Unavailable
from statusd.reading import MOST_SECRET_BYTES, read_words

LEAST_TOKEN = 16
"""A shorter one can be guessed by whoever has time, in characters."""
MOST_TOKEN = 256
SESSION_S = 12 * 3600.0
"""So long a session lasts after it was used last."""
LOOK_S = 1.0
"""A file with a token is looked at again after that."""
MOST_SESSIONS = 1000
"""When there are so many, the one that was used longest ago ends."""
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


class Role(StrEnum):
    """What somebody may do: look, or command as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class Somebody(NamedTuple):
    """Who asks.

    Args:
        role: what they may.
        is_browser: known by a cookie, which a browser sends whoever has made it ask.
        ends_at: when the session ends if it isn't used, Unix time; 0.0 without one.
    """

    role: Role
    is_browser: bool
    ends_at: float = 0.0


class Token:
    """A secret that stands for a role: given, or in a file, which may change any time.

    Args:
        file: where it stands; what can't be read lets nobody in until it can.
    """

    def __init__(self, text: str = "", file: Path | None = None) -> None:
        self._text, self._file = text, file
        self._looked_at = float("-inf")
        self.trouble = ""
        """Why the file's can't be read; empty if it can."""

    def text(self, now: float) -> str:
        """Return the token as it is now; empty while there is none."""
        if self._file is not None and now - self._looked_at >= LOOK_S:
            self._looked_at = now
            try:
                self._text, self.trouble = read_token(self._file), ""
            except Unavailable as error:
                self._text, self.trouble = "", str(error)
        return self._text


def read_token(file: Path) -> str:
    """Return the token in ``file``, whose mode is the user's own affair.

    Raises:
        Unavailable: it can't be read, or what stands there is no token.
    """
    try:
        text = read_words(file, MOST_SECRET_BYTES).strip()
    except OSError as error:
        raise Unavailable(f"token file {file}: {error.strerror}") from None
    except UnicodeDecodeError:  # whose text shows a byte of it
        raise Unavailable(f"token file {file}: not UTF-8") from None
    try:
        return checked(text)
    except ConfigError as error:
        raise Unavailable(f"token file {file}: {error}") from None


def checked(token: str) -> str:
    """Return ``token`` if it can be one.

    Raises:
        ConfigError: it can't; the text doesn't show it.
    """
    if not LEAST_TOKEN <= len(token) <= MOST_TOKEN or not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"a token is {LEAST_TOKEN} to {MOST_TOKEN} letters, digits and signs, without blanks: "
            "openssl rand -hex 32"
        )
    return token


class _Session(NamedTuple):
    role: Role
    began_with: bytes
    ends_at: float


class Access:
    """Tokens and sessions of one server.

    Args:
        tokens: role -> its token.
        wall: the time, in seconds since 1970.
    """

    def __init__(self, tokens: Mapping[Role, Token], wall: Callable[[], float]) -> None:
        self._tokens, self._wall = dict(tokens), wall
        self._sessions: dict[bytes, _Session] = {}

    def by_token(self, token: str) -> Role | None:
        """Return what the bearer of ``token`` may; None if it is none of ours."""
        offered, found = _digest(token), None
        for role, known in self._tokens.items():
            text = known.text(self._wall())
            if text and hmac.compare_digest(_digest(text), offered):
                found = role
        return found

    def begin(self, token: str) -> str:
        """Begin a session and return its id; empty if the token is none of ours."""
        role = self.by_token(token)
        if role is None:
            return ""
        self._strike()
        session_id = secrets.token_urlsafe(32)
        session = _Session(role, _digest(token), self._wall() + SESSION_S)
        self._sessions[_digest(session_id)] = session
        return session_id

    def by_session(self, session_id: str) -> Somebody | None:
        """Return whose session that is, and let it last; None if there is no such one."""
        key = _digest(session_id)
        session = self._sessions.pop(key, None)
        now = self._wall()
        if session is None or session.ends_at <= now or not self._is_current(session):
            return None
        session = session._replace(ends_at=now + SESSION_S)
        self._sessions[key] = session  # behind the others: it was used last
        return Somebody(session.role, is_browser=True, ends_at=session.ends_at)

    def end(self, session_id: str) -> None:
        """End a session, if there is such a one."""
        self._sessions.pop(_digest(session_id), None)

    def troubles(self) -> list[str]:
        """Return why nobody is let in by a token that should be there."""
        now = self._wall()
        return [token.trouble for token in self._tokens.values() if not token.text(now)]

    def _is_current(self, session: _Session) -> bool:
        text = self._tokens[session.role].text(self._wall())
        return bool(text) and hmac.compare_digest(_digest(text), session.began_with)

    def _strike(self) -> None:
        """Forget the sessions that are over, and one more if there are too many."""
        now = self._wall()
        over = [key for key, session in self._sessions.items() if session.ends_at <= now]
        for key in over:
            del self._sessions[key]
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]


def _digest(text: str) -> bytes:
    """Return what is kept and compared: of one length, and nothing that lets anybody in."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
