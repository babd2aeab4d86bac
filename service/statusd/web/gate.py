"""What a request may be, before anybody looks at who sends it. Pure: headers in, a refusal out.

A browser carries cookies to wherever a page leads it. Rules of this file: the name in ``Host`` is
one of ours before anything else happens (DNS rebinding); what changes anything is a POST of JSON
from a page of ours, or from no browser; who came through a proxy is believed only from a proxy
that was named.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from statusd.core.text import shown

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


_ELSEWHERE = Refusal(403, "it comes from another site")


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

        An address that can't be told is nobody's.
        """
        address = _address(peer)
        return address is not None and any(address in network for network in self.proxies)

    def user(self, headers: Headers, peer: str) -> str:
        """Return who it is by a proxy that is believed; empty if nobody says."""
        if not self.user_header or not self.is_from_proxy(peer):
            return ""
        said = values(headers, self.user_header)
        if len(said) != 1:
            return ""
        name = said[0].encode("latin-1").decode("utf-8", "replace")  # as nginx and others send it
        return shown(name.strip(), MOST_USER)

    def is_secure(self, headers: Headers, scheme: str, peer: str) -> bool:
        """Tell whether the browser has come by HTTPS."""
        said = values(headers, b"x-forwarded-proto") if self.is_from_proxy(peer) else ()
        return scheme == "https" or list(said) == ["https"]


def origin_refusal(headers: Headers, *, is_browser: bool, is_secure: bool) -> Refusal | None:
    """Return why a request that changes something isn't one of our page; None if it may be.

    Fetch metadata (W3C) says it where a browser is of this decade; Origin (RFC 6454) in any other.
    Whoever sends neither is no browser, and has no business with a browser's cookie.

    Args:
        is_browser: it comes with a session, or begins one.
        is_secure: the browser has come by HTTPS: so has its page.
    """
    sites = values(headers, b"sec-fetch-site")
    if sites and set(sites) != {"same-origin"}:
        return _ELSEWHERE
    origins = values(headers, b"origin")
    if origins:
        host = values(headers, b"host")[0].lower()
        ours = {f"https://{host}"} if is_secure else {f"https://{host}", f"http://{host}"}
        return None if len(origins) == 1 and origins[0].lower() in ours else _ELSEWHERE
    if is_browser and not sites:
        return Refusal(403, "a session is for browsers: scripts send Authorization: Bearer TOKEN")
    return None


def is_led_here(headers: Headers) -> bool:
    """Tell whether a page of another site, or of another port, has led the browser here."""
    return any(site in ("cross-site", "same-site") for site in values(headers, b"sec-fetch-site"))


def bearer(headers: Headers) -> str | None:
    """Return the token that a script has sent; None if it has sent none.

    What else stands in ``Authorization`` is between the browser and a proxy, and passed over.
    """
    said = [value.partition(" ") for value in values(headers, b"authorization")]
    tokens = [token.strip() for kind, _, token in said if kind.lower() == "bearer"]
    if not tokens:
        return None
    return tokens[0] if len(tokens) == 1 else ""


def values(headers: Headers, name: bytes) -> Sequence[str]:
    """Return what the headers of that name hold, in order."""
    return [value.decode("latin-1") for key, value in headers if key == name]


def host_name(host: str) -> str | None:
    """Return the name in a ``Host`` header, in lower case, without its port; None for none."""
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
    """Tell whether it is the address that the connection came to: nobody leads that elsewhere."""
    address = _address(name)
    return address is not None and address == _address(local)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that stands there; one of IPv4 as such, however the system writes it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def cookies(headers: Headers, name: str) -> Sequence[str]:
    """Return what the cookies of that name hold.

    There may be several: any port of a host, and in the clear any name below it, can have a browser
    send one of theirs beside ours, and before it (RFC 6265 5.4, 8.6).
    """
    pairs = (pair.strip() for line in values(headers, b"cookie") for pair in line.split(";"))
    return [pair.removeprefix(f"{name}=") for pair in pairs if pair.startswith(f"{name}=")]
