"""A fleet on paper that goes on: each unit's document anew with each beat, and some turn.

Run as ``python -m benchmarks.paper PORT COUNT PER_SECOND``: it says ``ready`` and goes on for ever.
What real daemons would cost is left out: the machine is there for what reads of them.
"""

from __future__ import annotations

import random
import sys
import time

import redis

from benchmarks.idle import BEAT_S
from tests.tools.paper_fleet import PaperFleet

TICK_S = 0.005


def main(port: int, count: int, per_second: float) -> None:
    """Write them all, and then whatever is due."""
    fleet = PaperFleet(redis.Redis(port=port), count)
    fleet.write()
    print("ready", flush=True)
    began, beats, turns = time.monotonic(), 0, 0
    while True:
        time.sleep(TICK_S)
        passed_s = time.monotonic() - began
        while beats < passed_s * count / BEAT_S:
            fleet.beat(fleet.names[beats % count])
            beats += 1
        while turns < passed_s * per_second:
            fleet.turn(random.choice(fleet.names))
            turns += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
