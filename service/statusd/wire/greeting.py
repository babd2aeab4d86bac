"""What is said of a server that doesn't answer our greeting, HELLO 3, as a broker. Pure."""

from __future__ import annotations

import re

from statusd.core.text import shown

NEEDS = (
    "statusd needs Redis 6.2 or newer, or Valkey; "
    "a proxy in between must pass HELLO 3 and SUBSCRIBE"
)
"""What can be done about a server that doesn't greet us as one that speaks RESP3."""
UNGREETED = f"before it answered HELLO 3: is the server up? If it is: {NEEDS}"
"""What is to be said where a connection is closed so early, as by some that know no HELLO."""
MOST_SAID = 80
"""How much is shown of what it says instead, in characters."""
_HAS_NO = re.compile(r"NOPROTO|unknown|unsupported|(isn't|not) (supported|implemented)", re.I)
_ABOUT_ANOTHER = re.compile(r"""['"`](?!hello\b)[\w|-]+['"`]""", re.I)


def is_no_hello(told: str) -> bool:
    """Tell whether an error says that there is no HELLO, or no RESP3: not who may not, or not yet.

    Servers and proxies have words of their own for it: ``-ERR unknown command 'HELLO'``,
    ``-NOPROTO unsupported protocol version``, ``-ERR unsupported``.
    """
    begins = told.partition(" ")[0]
    if begins.isupper() and begins not in ("ERR", "NOPROTO"):  # NOAUTH, WRONGPASS, LOADING, NOPERM
        return False
    about = _without_args(told)
    return bool(_HAS_NO.search(about)) and not _ABOUT_ANOTHER.search(about)


def no_resp3(told: str) -> str:
    """Return what is wrong where HELLO 3 was answered with ``told``, and what to do."""
    answer = shown(_without_args(told), MOST_SAID)
    return f"doesn't speak RESP3 (HELLO 3 was answered: {answer}): {NEEDS}"


def no_channels(told: str) -> str:
    """Return what is wrong where SUBSCRIBE was answered so: no right would cure it."""
    return f"the server lets nobody subscribe ({shown(_without_args(told), MOST_SAID)}): {NEEDS}"


def _without_args(told: str) -> str:
    """Return an error without what it repeats: it may be a password."""
    return re.split(r"(?i),? *with args beginning with", told)[0]
