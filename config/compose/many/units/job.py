"""What camera and laser do: put yours in its place."""

import time

from statusd import Worker


def main(worker: Worker) -> None:
    """Work in steps for as long as the state is RUNNING."""
    for step in worker.while_running():
        time.sleep(0.5)  # one step of your work
        worker.progress(step + 1, text="sampling")
