"""``statusd web``: the fleet in a browser, and an API for scripts."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from statusd.cli import EXIT_UNAVAILABLE, broker, complain, out
from statusd.core.errors import ConfigError, Unavailable
from statusd.wire.listen import Listen, parse_listen

if TYPE_CHECKING:
    from statusd.settings.tables import Web
    from statusd.web.access import Role, Token
    from statusd.wire.address import Address

DEFAULT_LISTEN = "127.0.0.1:9460"
MISSING = "the fleet in a browser needs the extra web: pip install 'statusd[web]'"
TYPED = ("listen", "read_only", "token_file", "viewer_token_file", "root_path", "user_header")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    parser.add_argument(
        "--listen", metavar="ADDRESS", help=f"where; default: {DEFAULT_LISTEN}, for this machine"
    )
    parser.add_argument(
        "--read-only", action="store_true", default=None, help="show the fleet, command nobody"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="the operators' token; default: a new one, printed once",
    )
    parser.add_argument("--viewer-token-file", metavar="FILE", help="one for who only looks")
    parser.add_argument(
        "--allow-host",
        action="append",
        metavar="HOST",
        help="a name by which browsers reach us; may be given for several",
    )
    parser.add_argument("--root-path", metavar="PATH", help="where a proxy has put us: /statusd")
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        metavar="ADDRESS",
        help="a proxy (or its network) that is believed; may be given for several",
    )
    parser.add_argument(
        "--user-header",
        metavar="HEADER",
        help="in which such a proxy says who it is: X-Remote-User",
    )
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd web                    for this machine's browsers
  statusd web --read-only
  statusd web --file web.toml    [web] of that file says the rest
  statusd web --listen 0.0.0.0:9460 --allow-host status.lab
  curl -H "Authorization: Bearer $(cat token)" http://127.0.0.1:9460/api/units

The address that it prints has a token, and lets whoever has it command. Ctrl-C ends it.

exit codes: 0 ended by a signal, 69 the address can't be had, 78 bad settings, or the extra \
web is missing"""


def main(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from statusd.settings.web import load_web

    demand_libraries()
    typed = {key: getattr(arguments, key) for key in TYPED}
    typed |= {"allow_hosts": arguments.allow_host, "trusted_proxies": arguments.trusted_proxy}
    settings = load_web(broker.file_of(arguments), typed)
    address, namespace, how = broker.find(arguments, commands=not settings.read_only)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    from statusd.web import server

    try:
        listening = server.listener(parse_listen(settings.listen))
        tokens = find_tokens(settings)
    except Unavailable as error:
        complain(str(error))
        return EXIT_UNAVAILABLE
    return serve(settings, listening, tokens, address, namespace)


def demand_libraries() -> None:
    """Return if the extra is there.

    Raises:
        ConfigError: it isn't.
    """
    try:
        import starlette  # noqa: F401  # whether it is there
        import uvicorn  # noqa: F401
    except ImportError:
        raise ConfigError(MISSING) from None


def serve(
    settings: Web,
    listening: socket.socket,
    tokens: tuple[dict[Role, Token], str],
    address: Address,
    namespace: str,
) -> int:
    """Say where the page is, and serve it until a signal comes; return 0.

    Args:
        settings: all but the address; listening: what has that.
        tokens: see `find_tokens`.
        address: of the broker.
    """
    of_roles, shown_once = tokens
    where = Listen(parse_listen(settings.listen).host, listening.getsockname()[1])
    _welcome(settings, where, shown_once)
    return asyncio.run(_serve(settings, address, namespace, listening, of_roles))


def find_tokens(settings: Web) -> tuple[dict[Role, Token], str]:
    """Return the tokens, and the one that is printed: that of operators, if no file has it.

    Raises:
        Unavailable: a file can't be read.
    """
    from statusd.web.access import Role, Token, read_token

    found: dict[Role, Token] = {}
    for role, name in (
        (Role.OPERATOR, settings.token_file),
        (Role.VIEWER, settings.viewer_token_file),
    ):
        if name:
            read_token(Path(name))
            found[role] = Token(file=Path(name))
    if Role.OPERATOR in found:
        return found, ""
    token = secrets.token_urlsafe(32)
    return {**found, Role.OPERATOR: Token(token)}, token


def _welcome(settings: Web, where: Listen, token: str) -> None:
    """Say where the page is, once."""
    host = f"http://{where}" if where.is_private else f"http://{socket.gethostname()}:{where.port}"
    query = f"?token={token}" if token else ""
    out.say(f"{host}{settings.root_path}/{query}", flush=True)
    if not where.is_private:
        complain(
            "others get there, too, and what they say isn't encrypted: see docs/web.md for TLS"
        )


async def _serve(
    settings: Web,
    address: Address,
    namespace: str,
    listening: socket.socket,
    tokens: dict[Role, Token],
) -> int:
    from statusd.fleet.async_fleet import AsyncFleet
    from statusd.web import server
    from statusd.web.access import Access
    from statusd.web.app import App, Site
    from statusd.web.broadcast import Broadcast
    from statusd.web.gate import Gate, networks
    from statusd.web.mirror import Mirror
    from statusd.wire.async_client import AsyncClient

    gate = Gate(
        frozenset(settings.allow_hosts),
        networks(settings.trusted_proxies),
        settings.user_header.encode(),
    )
    broadcast = Broadcast(secrets.token_hex(4))
    client = AsyncClient(address, "statusd-web", 3.0)
    async with AsyncFleet(address, namespace=namespace) as fleet:
        mirror = Mirror(client, namespace, broadcast)
        site = Site(
            Access(tokens, time.time),
            gate,
            mirror,
            broadcast,
            fleet,
            is_read_only=settings.read_only,
            root_path=settings.root_path,
            cookie=f"statusd-{listening.getsockname()[1]}",
        )
        mirroring = asyncio.create_task(mirror.run())
        try:
            await server.serve(App(site), listening, broadcast.end)
        finally:
            mirroring.cancel()
            await asyncio.gather(mirroring, return_exceptions=True)
            await client.aclose()
    return 0
