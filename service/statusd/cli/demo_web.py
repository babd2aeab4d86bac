"""``statusd demo --web``: the same broker and units, and their page instead of a screen."""

from __future__ import annotations

import socket

from statusd.cli import out, web
from statusd.cli.demo_stage import running
from statusd.core.errors import Unavailable
from statusd.settings.tables import Web
from statusd.wire.listen import parse_listen
from statusd.wire.names import NAMESPACE
from statusd.wire.url import parse_url


def main() -> None:
    """Serve the page until a signal comes; nothing is left then.

    No settings are looked for: what somebody's own say of tokens and addresses is for their fleet.

    Raises:
        ConfigError: an extra is missing.
    """
    web.demand_libraries()
    with running() as (broker, _):
        out.say("a broker, and a daemon with three units; Ctrl-C ends them all:", flush=True)
        settings = Web()
        tokens = web.find_tokens(settings)
        web.serve(settings, _listener(), tokens, parse_url(broker.url), NAMESPACE)


def _listener() -> socket.socket:
    """Return what has the usual address; if somebody else has it, one with another port."""
    from statusd.web import server

    usual = parse_listen(web.DEFAULT_LISTEN)
    try:
        return server.listener(usual)
    except Unavailable:
        return server.listener(usual._replace(port=0))
