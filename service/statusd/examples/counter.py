"""A worker that counts: small, visible work with progress.

[worker]
function = "statusd.examples.counter:main"
"""

from __future__ import annotations

import os
import time

from statusd import Worker

TOTAL = int(os.environ.get("COUNTER_TOTAL", "600"))
STEP_S = float(os.environ.get("COUNTER_STEP_S", "0.5"))


def main(worker: Worker) -> None:
    """Count to `TOTAL`, a step every `STEP_S` seconds, for as long as the state is RUNNING."""
    for step in worker.while_running():
        if step == TOTAL:
            return
        time.sleep(STEP_S)  # the work
        worker.progress(step + 1, TOTAL, "counting")
        print(f"counter: {step + 1} of {TOTAL}")
