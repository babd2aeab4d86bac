"""Where a fleet's broker is, as whoever asks for it has said."""

from __future__ import annotations

import os

from statusd.core.errors import ConfigError
from statusd.wire.address import Address, with_credentials
from statusd.wire.url import DEFAULT_URL, parse_url


def address_of(given: object, password_file: str, client: str) -> Address:
    """Return the address that ``given`` names.

    Args:
        given: a URL, an address, or None for ``STATUSD_REDIS__URL``, or 127.0.0.1:6379.
        client: what else it could have been, for the message.

    Raises:
        ConfigError: the URL is not valid, or it is something else.
    """
    if given is None or given == "":
        url = os.environ.get("STATUSD_REDIS__URL") or DEFAULT_URL
        found = parse_url(url, "environment: STATUSD_REDIS__URL")
    elif isinstance(given, str):
        found = parse_url(given, "url")
    elif isinstance(given, Address):
        found = given
    else:
        raise ConfigError(f"a url or a {client} is wanted, not a {type(given).__qualname__}")
    return with_credentials(found, password_file=password_file) if password_file else found
