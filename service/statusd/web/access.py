"""Who somebody is: by a token, which is long and secret, or by a session that began with one.

A browser gets a session's id in a cookie, never the token. Rules of this file: nobody who comes
chooses an id; what is compared is compared in constant time; a session ends with the token that it
began with, after a night without use, and with the server.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from statusd import logs, threads
from statusd.core.errors import ConfigError, Unavailable
from statusd.reading import MOST_SECRET_BYTES, read_words

LEAST_TOKEN = 16
"""A shorter one can be guessed by whoever has time, in characters."""
MOST_TOKEN = 256
SESSION_S = 12 * 3600.0
"""So long a session lasts after it was used last."""
LOOK_S = 1.0
"""How often files with tokens are looked at, in seconds."""
MOST_SESSIONS = 1000
"""When a role has so many, the one of them that was used longest ago ends."""
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that are no file's: the process, or the machine, has nothing left to open one with."""
_TOKEN = re.compile(r"[!-~]+", re.ASCII)

log = logs.get()


class Role(StrEnum):
    """What somebody may do: look, or command as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class Somebody(NamedTuple):
    """Who asks.

    Args:
        role: what they may.
        is_browser: known by a cookie, which a browser sends whoever has made it ask.
        proof: the digest of what they have shown: a session's id, or a token.
    """

    role: Role
    is_browser: bool
    proof: bytes


class Token:
    """A secret that stands for a role: given, or in a file, which may change any time.

    Args:
        text: the token; empty while there is none, and then nobody is let in by it.
        file: where it stands.
    """

    def __init__(self, text: str = "", file: Path | None = None) -> None:
        self.text = text
        self.file = file
        self._trouble = ""

    async def look(self) -> None:
        """Read the file anew, and wait for no disk on the loop.

        What can't be read lets nobody in until it can; that is said once. Where it is us who can't
        look, who lack a descriptor or a thread, what was read last holds.
        """
        if self.file is None:
            return
        file, trouble, then = self.file, "", "nobody gets in by it"
        try:
            self.text = await threads.apart(lambda: read_token(file), "token")
        except Unavailable as error:
            self.text, trouble = "", str(error)
        except OSError as error:
            trouble, then = f"{file}: {error.strerror}", "the one that was read last holds"
        if trouble and not self._trouble:
            log.error("web.token_unreadable", reason=trouble, then=then)
        elif self._trouble and not trouble:
            log.info("web.token_read", file=str(file))
        self._trouble = trouble


def read_token(file: Path) -> str:
    """Return the token in ``file``, whose mode is the user's own affair.

    Raises:
        Unavailable: it can't be read, or what stands there is no token.
        OSError: nothing is known of it: we can't look, see `_OURS`.
    """
    try:
        text = read_words(file, MOST_SECRET_BYTES).strip()
    except OSError as error:
        if error.errno in _OURS:
            raise
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

    async def follow(self) -> None:
        """Keep up with the files of tokens until cancelled; no disk is waited for on the loop."""
        while True:
            await asyncio.sleep(LOOK_S)
            for token in self._tokens.values():
                await token.look()

    def by_token(self, token: str) -> Somebody | None:
        """Return whose token that is; None if it is none of ours. All are compared, in any case."""
        offered, found = _digest(token), None
        for role in self._tokens:
            if self._is_of(role, offered) and (found is None or role is Role.VIEWER):
                found = role
        return None if found is None else Somebody(found, is_browser=False, proof=offered)

    def begin(self, token: str) -> str:
        """Begin a session and return its id; empty if the token is none of ours."""
        somebody = self.by_token(token)
        if somebody is None:
            return ""
        self._strike(somebody.role)
        session_id = secrets.token_urlsafe(32)
        session = _Session(somebody.role, somebody.proof, self._wall() + SESSION_S)
        self._sessions[_digest(session_id)] = session
        return session_id

    def by_session(self, session_id: str) -> Somebody | None:
        """Return whose session that is, and let it last; None if there is no such one."""
        return self._used(_digest(session_id))

    def still(self, somebody: Somebody) -> bool:
        """Tell whether who was let in would be let in now; a session lasts while it is used."""
        if somebody.is_browser:
            return self._used(somebody.proof) is not None
        return self._is_of(somebody.role, somebody.proof)

    def end(self, session_id: str) -> None:
        """End a session, if there is such a one."""
        self._sessions.pop(_digest(session_id), None)

    def _used(self, proof: bytes) -> Somebody | None:
        session = self._sessions.get(proof)
        now = self._wall()
        if session is None or not self._tokens[session.role].text:
            return None  # a token that can't be read may be the same when it can
        del self._sessions[proof]
        if session.ends_at <= now or not self._is_of(session.role, session.began_with):
            return None
        self._sessions[proof] = session._replace(ends_at=now + SESSION_S)  # the last one used
        return Somebody(session.role, is_browser=True, proof=proof)

    def _is_of(self, role: Role, digest: bytes) -> bool:
        """Tell whether that is the digest of the role's token as it is now."""
        text = self._tokens[role].text
        return hmac.compare_digest(_digest(text), digest) and bool(text)

    def _strike(self, role: Role) -> None:
        """Forget the sessions that are over, and make room for another one of that role.

        A viewer who logs in again and again ends no operator's session.
        """
        now = self._wall()
        for key in [key for key, one in self._sessions.items() if one.ends_at <= now]:
            del self._sessions[key]
        its = [key for key, one in self._sessions.items() if one.role is role]
        for key in its[: max(0, len(its) + 1 - MOST_SESSIONS)]:
            del self._sessions[key]


def _digest(text: str) -> bytes:
    """Return what is kept and compared: of one length, and nothing that lets anybody in."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
