"""A training loop that can be paused, moved, and resumed: its checkpoint is written on PAUSE."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from statusd import Worker

CHECKPOINT = Path("checkpoint.json")
EPOCHS = int(os.environ.get("EPOCHS", "2000"))
STEP_S = 0.01


class Model:
    """A line through points, fitted by gradient descent; what it has learnt is in two numbers."""

    def __init__(self) -> None:
        self.epoch, self.slope, self.offset = 0, 0.0, 0.0

    def learn(self) -> None:
        """Go one step downhill."""
        x = random.random()
        error = self.slope * x + self.offset - (3.0 * x + 1.0)
        self.slope -= 0.1 * error * x
        self.offset -= 0.1 * error
        self.epoch += 1

    def save(self) -> None:
        """Write the checkpoint: all of it or nothing."""
        beside = CHECKPOINT.with_suffix(".new")
        beside.write_text(json.dumps(vars(self)), encoding="utf-8")
        beside.rename(CHECKPOINT)

    def load(self) -> None:
        """Go on where the checkpoint was written, if there is one."""
        if CHECKPOINT.exists():
            vars(self).update(json.loads(CHECKPOINT.read_text(encoding="utf-8")))


def main(worker: Worker) -> None:
    """Train while RUNNING. `wait` acknowledges: PAUSE is done when the checkpoint is written."""
    model = Model()
    model.load()
    print(f"training from epoch {model.epoch}")
    while worker.state != "ENDING" and model.epoch < EPOCHS:
        if worker.state == "RUNNING":
            worker.ack()
            model.learn()
            time.sleep(STEP_S)
            worker.progress(model.epoch, EPOCHS, f"slope {model.slope:.2f}")
        else:
            model.save()
            worker.wait()
    model.save()
