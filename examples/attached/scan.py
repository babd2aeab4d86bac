"""A script that stays the main process: one `with`, and it can be paused and ended from anywhere.

The same lines work in a cell of a notebook.
"""

from __future__ import annotations

import os
import time

import statusd

POINTS = int(os.environ.get("POINTS", "5000"))


def measure(point: int) -> float:
    """Measure at a point; this takes a while."""
    time.sleep(0.02)
    return point * 0.5


values: list[float] = []
with statusd.attach("mychannel", name="scan", goal="RUNNING", log="info") as worker:
    for point in worker.track(range(POINTS), "scanning", unit="points"):
        values.append(measure(point))

print(f"{len(values)} points, and the program goes on")
