"""A server of the fleet, as its users need it: its libraries, its tokens, its address."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from statusd.doctor.findings import Finding, error, ok, warning
from statusd.settings.tables import Web
from statusd.web import is_installed
from statusd.web.doubts import doubts
from statusd.wire.listen import Listen, parse_listen
from statusd.wire.rights import OPERATOR, VIEWER, Role

ABOUT = "web"
ANSWER_S = 2.0


def role_of(web: Web) -> Role:
    """Return what the server is to the broker: one that commands nobody needs a viewer's rights."""
    return VIEWER if web.read_only else OPERATOR


def examine(web: Web, *, is_alone: bool) -> Iterator[Finding]:
    """Yield what is to be said of this machine for such a server.

    Args:
        web: its settings, with files as they are meant.
        is_alone: a daemon with such a table passes it over, and needs none of it.
    """
    worst = error if is_alone else warning
    if not is_installed():
        yield worst(ABOUT, "the extra web isn't installed", "pip install 'statusd[web]'")
    for doubt in doubts(web):
        tell = worst if doubt.is_mistake else warning
        yield tell(ABOUT, f"web.{doubt.key}: {doubt.what}", doubt.cure)
    where = parse_listen(web.listen)
    yield _address(where, worst)
    if not where.is_private:
        cure = 'a proxy with TLS in front, and listen = "127.0.0.1:PORT" (docs/web.md)'
        yield warning(ABOUT, f"{where}: tokens and commands cross the network in the clear", cure)


def _address(where: Listen, worst: Callable[[str, str, str], Finding]) -> Finding:
    """Judge whether the address can be had."""
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(found[4])
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE and _is_ours(where):
            return ok(ABOUT, f"{where}: a server of ours answers there")
        reason = failure.strerror or str(failure)
        return worst(ABOUT, f"{where}: {reason}", "let web.listen name another address")
    return ok(ABOUT, f"{where} is free")


def _is_ours(where: Listen) -> bool:
    """Tell whether it is a server of the fleet who has that address: it asks for a token."""
    asking = HTTPConnection(where.host, where.port, timeout=ANSWER_S)
    try:
        asking.request("GET", "/api/me", headers={"Host": "localhost"})
        answer = asking.getresponse()
        return answer.status == HTTPStatus.UNAUTHORIZED and b"Bearer" in answer.read(4096)
    except (OSError, HTTPException):
        return False
    finally:
        asking.close()
