"""Which embedded broker a verb means: the one of the user's folder, and never another by accident.

Rule of this file: what commands goes to a broker of this folder alone; what only looks takes the
only one that there is, and says so; where several may be meant, they are listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from statusd.cli import complain
from statusd.core.errors import ConfigError, Unavailable
from statusd.core.text import shown
from statusd.wire.names import NAMESPACE, settings_path
from statusd.wire.own_broker import OwnBroker, of_place, present_folder, running

OWN = "the running embedded broker"
ASK_S = 0.3
"""So long each broker in a list may take to say which units it has."""
MOST = 5
"""So many brokers in a list are asked for their units, and so many units of each are named."""


def find(
    settings: Path | None,
    *,
    is_named: bool,
    commands: bool = False,
    is_quiet: bool = False,
    namespace: str = NAMESPACE,
) -> tuple[str, str]:
    """Return the url of the embedded broker that is meant, and how it was found; empty for none.

    Args:
        settings: the file that the verb goes by; None if there is none. Of a folder of units it is
            its ``statusd.toml``, which needn't be there.
        is_named: somebody has named it: its folder is meant, and not the present one.
        commands: the verb changes something.
        is_quiet: nothing is said of a broker of another folder.
        namespace: of the units that are named in a list.

    Raises:
        ConfigError: it can't be told which one is meant; names those that there are, and the cure.
    """
    there = running()
    folder = present_folder()
    if settings is not None and is_named:
        folder = settings_path(settings).parent
    here = of_place(there, settings, folder)
    if len(here) == 1:
        return here[0].url, f"{OWN} of {_place(here[0])}"
    if here:
        first = f"several embedded brokers run for {folder}:"
        raise ConfigError(*_listed(first, here, namespace))
    if not there:
        return "", ""
    none = f"no embedded broker runs for {folder}"
    if len(there) > 1 or commands:
        raise ConfigError(*_listed(f"{none}, but elsewhere:", there, namespace))
    (only,) = there
    if not is_quiet:
        complain(f"{none}: this is {OWN} of {_place(only)} ({only.url})")
    return only.url, f"{OWN} of {_place(only)}, the only one; none is of {folder}"


def _listed(first: str, brokers: Sequence[OwnBroker], namespace: str) -> list[str]:
    """Return what is said of several brokers, a line each, and how to choose one."""
    rows = [f"  port {one.port}: {_place(one)}{_units(one, namespace)}" for one in brokers[:MOST]]
    more = [f"  and {len(brokers) - MOST} more"] if len(brokers) > MOST else []
    example = brokers[0]
    ways = [f"--url {example.url}", *([f"--file {_place(example)}"] if example.settings else [])]
    return [first, *rows, *more, f"choose one: {', '.join(ways)}, or go to its folder"]


def _place(broker: OwnBroker) -> str:
    """Return whose it is, in words that can be typed: a folder of units may have no file for it."""
    settings = Path(broker.settings)
    if broker.settings and not settings.exists() and settings.parent.is_dir():
        return f"{settings.parent}/"
    return broker.place


def _units(broker: OwnBroker, namespace: str) -> str:
    from statusd.fleet.fleet import Fleet

    try:
        with Fleet(broker.url, namespace=namespace, timeout_s=ASK_S) as fleet:
            names = [shown(unit.name, 64) for unit in fleet.status() if unit.is_alive]
    except Unavailable:
        return ""
    more = ", ..." if len(names) > MOST else ""
    return f" ({', '.join(names[:MOST])}{more})" if names else ""
