"""The fleet in a browser (extra ``web``): a server over what the fleet says, an API, and a page.

It is no daemon, and no daemon needs it: a process of its own, which the broker gives what any
viewer gets. Its rooms: `mirror` knows the fleet, `broadcast` tells it on, `access` knows who
somebody is, `gate` lets nothing in that a browser was tricked into, `api` answers.
"""

from importlib.util import find_spec


def is_installed() -> bool:
    """Tell whether what a server needs is there, without importing it."""
    return all(map(find_spec, ("starlette", "uvicorn")))
