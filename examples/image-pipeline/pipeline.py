"""Images are exposed, then smoothed; `worker.track` is all that makes the two loops steerable.

An image is a portable graymap (PGM), so that nothing but Python is needed to look at it.
"""

from __future__ import annotations

import logging
import os
import random
import time
from pathlib import Path

from statusd import LogText, Worker

RAW, SMOOTH = Path("raw"), Path("smooth")
IMAGES = int(os.environ.get("IMAGES", "300"))
SIDE = 64
EXPOSURE_S = float(os.environ.get("EXPOSURE_S", "0.05"))

log = logging.getLogger("pipeline")


def main(worker: Worker) -> None:
    """Expose what isn't there yet, smooth what isn't smooth: an END in between costs nothing."""
    log.addHandler(LogText(worker))
    log.setLevel(logging.INFO)
    for folder in (RAW, SMOOTH):
        folder.mkdir(exist_ok=True)
    names = [f"{number:04}.pgm" for number in range(IMAGES)]
    for name in worker.track(names, "exposing", unit="images"):
        if not (RAW / name).exists():
            write(RAW / name, expose())
    for name in worker.track(names, "smoothing", unit="images"):
        if (RAW / name).exists() and not (SMOOTH / name).exists():
            log.info("smoothing %s", name)
            write(SMOOTH / name, smooth((RAW / name).read_bytes()[-SIDE * SIDE :]))
    print(f"{len(list(SMOOTH.iterdir()))} of {IMAGES} images are smooth")


def expose() -> bytes:
    """Return an image, as a detector would."""
    time.sleep(EXPOSURE_S)
    return random.randbytes(SIDE * SIDE)


def smooth(pixels: bytes) -> bytes:
    """Return the mean of each pixel and its right neighbour."""
    return bytes((a + b) // 2 for a, b in zip(pixels, pixels[1:] + pixels[:1], strict=True))


def write(file: Path, pixels: bytes) -> None:
    """Write an image: all of it or nothing."""
    beside = file.with_suffix(".new")
    beside.write_bytes(b"P5 %d %d 255\n" % (SIDE, SIDE) + pixels)
    beside.rename(file)
