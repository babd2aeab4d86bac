"""A script that stays the main process: one `with`, and it can be paused and ended from anywhere.

The same lines work in the cells of a notebook.
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
    for point in worker.while_running():
        values.append(measure(point))
        worker.progress(point + 1, POINTS, f"{values[-1]:.1f} mm")
        if len(values) == POINTS:
            break

print(f"{len(values)} points, and the program goes on")
