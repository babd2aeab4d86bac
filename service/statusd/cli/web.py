"""``statusd web``: the fleet in a browser, and an API for scripts."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statusd.cli import EXIT_UNAVAILABLE, broker, complain, out
from statusd.core.errors import ConfigError, Unavailable
from statusd.web import is_installed
from statusd.wire.listen import Listen, parse_listen

if TYPE_CHECKING:
    from statusd.daemon.service_manager import ServiceManager
    from statusd.settings.tables import Web
    from statusd.web.access import Role, Token
    from statusd.web.app import Site
    from statusd.web.mirror import Mirror
    from statusd.wire.address import Address

DEFAULT_LISTEN = "127.0.0.1:9460"
REPORT_S = 5.0
"""How often the service manager is told how things are."""
MISSING = "the fleet in a browser needs the extra web: pip install 'statusd[web]'"
ANSWER_S = 3.0
"""So long an answer of the broker is waited for."""
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
        metavar="NAME",
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
        "--user-header", metavar="NAME", help="in which such a proxy says who it is: X-Remote-User"
    )
    broker.add_arguments(parser)
    parser.epilog = """\
examples:
  statusd web                    for this machine's browsers
  statusd web --read-only
  statusd web --file web.toml    [web] of that file says the rest
  statusd web --listen 0.0.0.0:9460 --allow-host status.lab

The address that it prints has a token, and lets whoever has it command. Ctrl-C ends it. \
Scripts send Authorization: Bearer TOKEN (docs/api.md).

exit codes: 0 ended by a signal, 69 the address, or a file with a \
token, can't be had, 78 bad settings, or the extra web is missing"""


def main(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from statusd.settings.web import load_web

    demand()
    typed = {key: getattr(arguments, key) for key in TYPED}
    typed |= {"allow_hosts": arguments.allow_host, "trusted_proxies": arguments.trusted_proxy}
    settings = load_web(broker.file_of(arguments), typed)
    address, namespace, how = broker.find(arguments, commands=not settings.read_only)
    if arguments.verbose:
        complain(f"broker {address} ({how})")
    from statusd.web import server

    where = parse_listen(settings.listen)
    try:
        tokens, shown_once = tokens_of(settings)
        listening = server.listener(where)
    except Unavailable as error:
        complain(str(error))
        return EXIT_UNAVAILABLE

    def tell() -> None:
        welcome(settings, where, shown_once)

    return asyncio.run(serve(settings, address, namespace, listening, tokens, tell))


def demand() -> None:
    """Return if there is what a server needs.

    Raises:
        ConfigError: there isn't; says what to install.
    """
    if not is_installed():
        raise ConfigError(MISSING)


def tokens_of(settings: Web) -> tuple[dict[Role, Token], str]:
    """Return the tokens, and the one that is printed: that of operators, if no file has it.

    Raises:
        Unavailable: a file can't be read.
        ConfigError: both files hold the same.
    """
    from statusd.web.access import Role, Token, read_token

    found: dict[Role, Token] = {}
    for role, name in (
        (Role.OPERATOR, settings.token_file),
        (Role.VIEWER, settings.viewer_token_file),
    ):
        if name:
            found[role] = Token(read_token(Path(name)), Path(name))
    if len({token.text for token in found.values()}) < len(found):
        raise ConfigError(
            f"{settings.viewer_token_file}: it holds the operators' token, too: whoever has it "
            "could be either: openssl rand -hex 32 makes another one"
        )
    if Role.OPERATOR in found:
        return found, ""
    token = secrets.token_urlsafe(32)
    return {**found, Role.OPERATOR: Token(token)}, token


def welcome(settings: Web, where: Listen, token: str) -> None:
    """Say where the page is, once."""
    here = f"{socket.gethostname()}:{where.port}" if where.is_everywhere else where
    query = f"?token={token}" if token else ""
    out.say(f"http://{here}{settings.root_path}/{query}", flush=True)
    if not where.is_private:
        complain(
            "others get there, too, and what they say isn't encrypted: see docs/web.md for TLS"
        )


def hosts_of(settings: Web) -> frozenset[str]:
    """Return the names by which browsers may reach it, beside those of this machine."""
    where = parse_listen(settings.listen)
    return frozenset([*settings.allow_hosts, *([] if where.is_everywhere else [where.host])])


async def serve(
    settings: Web,
    address: Address,
    namespace: str,
    listening: socket.socket,
    tokens: dict[Role, Token],
    tell: Callable[[], None],
) -> int:
    """Serve the fleet at that address and namespace until a signal comes; return 0.

    Args:
        tell: says where, once a signal ends us as it should.
    """
    from statusd.fleet.async_fleet import AsyncFleet
    from statusd.web.access import Access
    from statusd.web.app import Site
    from statusd.web.broadcast import Broadcast
    from statusd.web.gate import Gate, networks
    from statusd.web.mirror import Mirror
    from statusd.web.streams import Streams
    from statusd.wire.async_client import AsyncClient

    broadcast, access = Broadcast(secrets.token_hex(4)), Access(tokens, time.time)
    client = AsyncClient(address, "statusd-web", ANSWER_S)
    async with AsyncFleet(address, namespace=namespace) as fleet, contextlib.aclosing(client):
        site = Site(
            access,
            Gate(
                hosts_of(settings),
                networks(settings.trusted_proxies),
                settings.user_header.encode(),
            ),
            Mirror(client, namespace, broadcast),
            broadcast,
            fleet,
            Streams(access.still),
            is_read_only=settings.read_only,
            root_path=settings.root_path,
            cookie=f"statusd-{parse_listen(settings.listen).port}",
        )
        await _run(site, listening, tell)
    return 0


async def _run(site: Site, listening: socket.socket, tell: Callable[[], None]) -> None:
    from statusd.daemon.service_manager import ServiceManager
    from statusd.web import server
    from statusd.web.app import App

    manager = ServiceManager.from_environment()

    def end() -> None:
        manager.stopping()
        site.streams.end()

    beside = (site.mirror.run(), site.access.follow(), site.streams.watch())
    serving = server.serve(App(site), listening, tell, end)
    try:
        await _while(serving, *beside, _report(manager, site.mirror))
    finally:
        await manager.close()


async def _while(serving: Coroutine[Any, Any, object], *beside: Coroutine[Any, Any, None]) -> None:
    """Serve, with what goes on beside it; a bug in that ends all: it would show the past."""
    going = [asyncio.create_task(one) for one in (serving, *beside)]
    done, others = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _report(manager: ServiceManager, mirror: Mirror) -> None:
    """Tell a service manager that we are there, and, as long as the loop turns, how things are."""
    manager.ready()
    while True:
        state = "up" if mirror.broker.is_up else "away"
        manager.status(f"{len(mirror)} units; broker {state}")
        manager.alive()
        await asyncio.sleep(min(REPORT_S, manager.watchdog_s / 3 or REPORT_S))
