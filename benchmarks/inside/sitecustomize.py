"""Seen by a daemon whose PYTHONPATH has this folder: it tells how many allocations live in it.

What the system says of memory is pages; a heap keeps some that hold next to nothing. A leak is what
lives (sys.getallocatedblocks). A thread writes the number into the file of ``BENCHMARK_BLOCKS``.
"""

from __future__ import annotations

import os
import sys
import threading
import time

VARIABLE = "BENCHMARK_BLOCKS"
EVERY_S = 0.25


def tell(fd: int) -> None:
    """Write the number again and again, if this process is the daemon."""
    time.sleep(EVERY_S)  # its arguments aren't known yet
    while sys.argv[1:2] == ["run"]:
        os.pwrite(fd, b"%16d" % sys.getallocatedblocks(), 0)
        time.sleep(EVERY_S)


if VARIABLE in os.environ:
    file = os.open(os.environ[VARIABLE], os.O_WRONLY)
    threading.Thread(target=tell, args=(file,), daemon=True).start()
