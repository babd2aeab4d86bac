"""What Circus and supervisord supervise here: a program that says that it runs, and waits."""

from __future__ import annotations

import signal

from benchmarks.page import Page

if __name__ == "__main__":
    signal.alarm(3600)  # its daemon may be killed together with us, and it is in another group
    Page.of_environment().stamp()
    signal.pause()
