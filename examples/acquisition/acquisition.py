"""A detector that takes frames: configured before it acquires, and honest about a fault."""

from __future__ import annotations

import time
from pathlib import Path

from scan import Scan
from statusd import Worker

FRAMES = 1000
TOO_HOT = Path("too_hot")
"""While this file exists, the detector is too hot."""


def main(worker: Worker) -> None:
    """Do what each state asks for; acknowledge it by `ack` or `wait`."""
    frame = 0
    while worker.state is not Scan.END:
        state = worker.ack()
        if state is Scan.CONFIGURING:
            worker.text(f"cooling down for exposures of {worker.args['exposure_s']} s")
            time.sleep(0.2)
            frame = 0
            worker.trigger("configured")
            worker.wait()
        elif state is Scan.ACQUIRING and TOO_HOT.exists():
            worker.trigger("fault", reason="the detector is too hot")
            worker.wait()
        elif state is Scan.ACQUIRING:
            time.sleep(float(worker.args["exposure_s"]))
            frame += 1
            worker.progress(frame, FRAMES, "exposing")
        else:
            worker.wait()
