"""A worker that writes down how it was ended: by END, by SIGTERM, or (nothing) by SIGKILL."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from statusd import Worker


def main(worker: Worker) -> None:
    """Work in steps until the end."""
    file = Path(os.environ["STATE_DIRECTORY"], "ended")

    def terminated(*_: object) -> None:
        file.write_text("SIGTERM")
        sys.exit(0)

    signal.signal(signal.SIGTERM, terminated)
    for _ in worker.while_running():
        time.sleep(0.05)
    file.write_text("END")
