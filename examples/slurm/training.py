"""A training that is longer than any job may be: it goes on where the last turn has ended."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from statusd import Worker

CHECKPOINT = Path("checkpoint.json")
EPOCHS = int(os.environ.get("EPOCHS", "5000"))
EPOCH_S = 0.02


def main(worker: Worker) -> None:
    """Train epoch by epoch; at END the loop is left after the present one, and all is kept."""
    losses = json.loads(CHECKPOINT.read_text(encoding="utf-8")) if CHECKPOINT.exists() else []
    begun = len(losses)
    for epoch in worker.track(range(begun, EPOCHS), "training", total=EPOCHS, initial=begun):
        time.sleep(EPOCH_S)
        losses.append(1 / (1 + epoch) + random.random() / 100)
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {losses[-1]:.3f}")
    beside = CHECKPOINT.with_suffix(".new")
    beside.write_text(json.dumps(losses), encoding="utf-8")
    beside.rename(CHECKPOINT)
