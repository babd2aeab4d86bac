"""What `statusd demo` shows in a browser: the same broker and units, by the server of the fleet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from statusd.cli import out, web
from statusd.core.errors import Unavailable
from statusd.wire.listen import Listen, parse_listen

if TYPE_CHECKING:
    import socket


def show(url: str) -> None:
    """Serve the fleet of that broker to this machine's browsers until a signal comes.

    Raises:
        Unavailable: no port can be had.
    """
    from statusd.settings.tables import Web
    from statusd.wire.names import NAMESPACE
    from statusd.wire.url import parse_url

    settings = Web()
    listening = _listener(parse_listen(settings.listen))
    tokens, token = web.tokens_of(settings)

    def tell() -> None:
        web.welcome(settings, Listen(*listening.getsockname()), token)
        out.say("Open it in a browser. Ctrl-C ends it all: server, units and broker.", flush=True)

    asyncio.run(web.serve(settings, parse_url(url), NAMESPACE, listening, tokens, tell))


def _listener(usual: Listen) -> socket.socket:
    """Return what listens at the usual port, or where there is room if that is taken."""
    from statusd.web import server

    try:
        return server.listener(usual)
    except Unavailable:
        return server.listener(usual._replace(port=0))
