"""A worker that has all that a page shows: progress, a pace, a text, two streams of output."""

from __future__ import annotations

import sys
import time

from statusd import Worker

STEP_S = 0.02


def exposing(worker: Worker) -> None:
    """Take five thousand images; tell of each, and of each tenth that it was dark."""
    for number in worker.track(range(5000), "exposing", unit="images", leave=False):
        time.sleep(STEP_S)
        print(f"image {number}", flush=True)
        if number % 10 == 0:
            print(f"image {number} is dark", file=sys.stderr, flush=True)
