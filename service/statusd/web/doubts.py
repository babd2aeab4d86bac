"""What may be wrong around a server's settings: for `statusd check`, and for `statusd doctor`.

Each value by itself has been judged before; here is what the files have, and what values that are
right say together.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from statusd.core.errors import Unavailable
from statusd.settings.tables import Web
from statusd.web.access import read_token
from statusd.wire.listen import parse_listen

_NEW_TOKEN = "umask 077; openssl rand -hex 32"


class Doubt(NamedTuple):
    """One thing that may be wrong.

    Args:
        key: of ``[web]``, that it is about.
        what: is wrong; cure: what to do.
        is_mistake: nobody can want it so.
    """

    key: str
    what: str
    cure: str
    is_mistake: bool = False


def doubts(web: Web) -> Iterator[Doubt]:
    """Yield what may be wrong with settings whose files are named as they are meant."""
    tokens: list[str] = []
    for key in ("token_file", "viewer_token_file"):
        if name := getattr(web, key):
            yield from _of_file(key, Path(name), tokens)
    if len(tokens) == 2 and tokens[0] == tokens[1]:
        text = "it holds the operators' token, too: whoever has it could be either"
        cure = f"{_NEW_TOKEN} >{web.viewer_token_file}"
        yield Doubt("viewer_token_file", text, cure, is_mistake=True)
    yield from _of_proxies(web)


def _of_file(key: str, file: Path, tokens: list[str]) -> Iterator[Doubt]:
    """Yield what may be wrong with a token's file; what it holds goes to ``tokens``."""
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        cure = f"{_NEW_TOKEN} >{file}, as the user that the server runs as"
        yield Doubt(key, f"{file}: {error.strerror}", cure)
        return
    if mode & 0o004:
        yield Doubt(key, f"{file}: everybody on this machine may read it", f"chmod o= {file}")
    if not os.access(file, os.R_OK):
        yield Doubt(key, f"{file}: this user may not read it", "ask as the user of the server")
        return
    try:
        tokens.append(read_token(file))
    except Unavailable as error:
        text, cure = str(error).removesuffix(": openssl rand -hex 32"), f"{_NEW_TOKEN} >{file}"
        yield Doubt(key, text, cure, is_mistake=True)


def _of_proxies(web: Web) -> Iterator[Doubt]:
    """Yield what of it lets anybody say who they are, or nobody."""
    if web.user_header and not web.trusted_proxies:
        text = "nobody is believed who says it: trusted_proxies is empty"
        yield Doubt("user_header", text, 'trusted_proxies = ["127.0.0.1"]: where the proxy is')
    everybody = [name for name in web.trusted_proxies if not _network(name).prefixlen]
    if everybody:
        text = f"{everybody[0]} is everybody: whoever gets here says who they are"
        yield Doubt("trusted_proxies", text, "name the proxy's own address")
    if web.root_path and not web.trusted_proxies and not parse_listen(web.listen).is_private:
        text = f"a proxy puts us at {web.root_path}, and whoever gets here goes past it"
        yield Doubt("listen", text, 'listen = "127.0.0.1:PORT", or a network of the proxy alone')


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(name, strict=False)
