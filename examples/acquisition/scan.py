"""The detector's states. The daemon imports this module too: it is small, and does nothing."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statusd import Request


class Scan(enum.Enum):
    """What the detector can be doing."""

    INIT = enum.auto()
    IDLE = enum.auto()
    CONFIGURING = enum.auto()
    CONFIGURED = enum.auto()
    ACQUIRING = enum.auto()
    PAUSED = enum.auto()
    FAULT = enum.auto()
    END = enum.auto()


def has_exposure(request: Request) -> bool:
    """say how long to expose, e.g. --arg exposure_s=0.1"""
    return float(request.args.get("exposure_s", 0)) > 0


STATES = [
    Scan.INIT,
    Scan.IDLE,
    # Somebody is working towards CONFIGURED: the worker, and not for ever.
    {"name": Scan.CONFIGURING, "kind": "acting", "timeout_s": 30, "on_timeout": "give_up"},
    {"name": Scan.CONFIGURED, "timeout_s": 3600, "on_timeout": "release"},
    {"name": Scan.ACQUIRING, "worker": "works", "restore": ["configure", "acquire"]},
    Scan.PAUSED,
    {"name": Scan.FAULT, "kind": "fault"},
    Scan.END,
]

TRANSITIONS = [
    {"trigger": "ready", "source": Scan.INIT, "dest": Scan.IDLE},
    {
        "trigger": "configure",
        "source": Scan.IDLE,
        "dest": Scan.CONFIGURING,
        "conditions": has_exposure,
    },
    {
        "trigger": "configured",
        "source": Scan.CONFIGURING,
        "dest": Scan.CONFIGURED,
        "who": "worker",
    },
    {"trigger": "give_up", "source": Scan.CONFIGURING, "dest": Scan.IDLE},
    {"trigger": "release", "source": Scan.CONFIGURED, "dest": Scan.IDLE},
    {"trigger": "acquire", "source": Scan.CONFIGURED, "dest": Scan.ACQUIRING},
    {"trigger": "pause", "source": Scan.ACQUIRING, "dest": Scan.PAUSED},
    {"trigger": "resume", "source": Scan.PAUSED, "dest": Scan.ACQUIRING},
    {"trigger": "abort", "source": [Scan.ACQUIRING, Scan.PAUSED], "dest": Scan.CONFIGURED},
    {"trigger": "fault", "source": "*", "dest": Scan.FAULT, "who": "worker"},
    {"trigger": "clear", "source": Scan.FAULT, "dest": Scan.IDLE},
    {"trigger": "end", "source": "*", "dest": Scan.END},
]
