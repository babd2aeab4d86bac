"""The program of a process that judges: ``python -P -S judge_program.py``, by `daemon.judging`.

Standard input brings a line that says where modules are found, and then what is to be judged, line
by line; standard output takes the verdicts. It ends with its input, however that ends.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Answer until nobody asks any more."""
    # What a batch system sends to all of a job stays held back, if it is (`core.signals`).
    deaf_to = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG, signal.SIGXCPU, signal.SIGALRM}
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_SETMASK, held & deaf_to)
    gc.disable()  # nothing of what is imported goes away
    lines = sys.stdin.buffer
    sys.path[:] = json.loads(lines.readline())
    from statusd.settings.judge import judge
    from statusd.settings.plain import line, read, told

    judge({})  # the first time takes longest, and nobody waits yet
    for question in lines:
        sys.stdout.buffer.write(line(told(judge(read(question)))))
        sys.stdout.buffer.flush()
    os._exit(0)  # to take the interpreter down is for those who have something to lose


if __name__ == "__main__":
    main()
