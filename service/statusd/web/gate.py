"""What a request may be, before anybody looks at who sends it. Pure: headers in, a refusal out.

A browser carries cookies to wherever a page leads it. Rules of this file: the name in ``Host`` is one
of ours before anything else happens (DNS rebinding); what changes anything is a POST of JSON from a
page of ours, or from no browser; who came through a proxy is believed only from a proxy that was named.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

Headers = Sequence[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case, in their order, with repetitions."""
MOST_USER = 64
"""So much of a proxy's user is told on, in characters."""


class Refusal(NamedTuple):
    """Why a request isn't answered.

    Args:
        status: the code of HTTP.
        reason: in words, with what to do.
    """

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules of one server.

    Args:
        hosts: names by which it is reached, beside those of this machine.
        proxies: addresses and networks of proxies that are believed.
        user_header: the header in which such a proxy says who it is; in lower case; empty for none.
    """

    hosts: frozenset[str] = frozenset()
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    user_header: bytes = b""

    def host_refusal(self, headers: Headers, local: str) -> Refusal | None:
        """Return why the name by which we were reached is none of ours; None if it is.

        Args:
            local: the address of ours that the connection came to.
        """
        named = values(headers, b"host")
        if len(named) != 1:
            return Refusal(400, "a request has one Host")
        name = host_name(named[0])
        if name is None:
            return Refusal(400, "its Host is no name")
        if name in self.hosts or name in _names_here() or _is_same_address(name, local):
            return None
        return Refusal(421, "no name of this server: --allow-host NAME lets one in (docs/web.md)")

    def is_from_proxy(self, peer: str) -> bool:
        """Tell whether a connection from that address is one of a proxy that is believed.

        A peer without an address has come by a socket file, which only we may use.
        """
        if not peer:
            return bool(self.proxies)
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.proxies)

    def user(self, headers: Headers, peer: str) -> str:
        """Return who it is by a proxy that is believed; empty if nobody says."""
        if not self.user_header or not self.is_from_proxy(peer):
            return ""
        said = values(headers, self.user_header)
        return said[0].strip()[:MOST_USER] if len(said) == 1 else ""

    def is_secure(self, headers: Headers, scheme: str, peer: str) -> bool:
        """Tell whether the browser has come by HTTPS."""
        said = values(headers, b"x-forwarded-proto") if self.is_from_proxy(peer) else ()
        return scheme == "https" or list(said) == ["https"]


def origin_refusal(headers: Headers, *, is_browser: bool) -> Refusal | None:
    """Return why a request that changes something isn't one of our page; None if it may be.

    Fetch metadata (W3C) says it where a browser is of this decade; Origin (RFC 6454) in any other.
    Whoever sends neither is no browser, and has no business with a browser's cookie.
    """
    sites = values(headers, b"sec-fetch-site")
    if sites and set(sites) != {"same-origin"}:
        return Refusal(403, "it comes from another site")
    origins = values(headers, b"origin")
    if origins:
        here = values(headers, b"host")
        if len(origins) != 1 or urlsplit(origins[0]).netloc.lower() != here[0].lower():
            return Refusal(403, "it comes from another site")
    elif is_browser and not sites:
        return Refusal(403, "a session is for browsers: scripts send Authorization: Bearer TOKEN")
    return None


def values(headers: Headers, name: bytes) -> Sequence[str]:
    """Return what the headers of that name hold, in order."""
    return [value.decode("latin-1") for key, value in headers if key == name]


def host_name(host: str) -> str | None:
    """Return the name in a ``Host`` header, in lower case and without its port; None if it is none."""
    if not host or any(sign in host for sign in "/@?#\\ \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return name.removesuffix(".") if name else None


def networks(texts: Iterable[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return the networks that are written there; an address alone is one.

    Raises:
        ValueError: one isn't.
    """
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _names_here() -> frozenset[str]:
    """Return names that lead here and nowhere else."""
    return frozenset(("localhost", socket.gethostname().lower()))


def _is_same_address(name: str, local: str) -> bool:
    """Tell whether it is the address that the connection came to, which nobody can lead elsewhere."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(local.partition("%")[0])
    except ValueError:
        return False


def cookies(headers: Headers) -> Mapping[str, str]:
    """Return the cookies of a request; of several of a name the first (RFC 6265 5.4)."""
    found: dict[str, str] = {}
    for line in values(headers, b"cookie"):
        for pair in line.split(";"):
            name, sign, value = pair.strip().partition("=")
            if sign:
                found.setdefault(name, value)
    return found
