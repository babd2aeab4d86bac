"""RQ's worker, with a stamp where a command has reached its handler: RQ answers nothing."""

from __future__ import annotations

import os
from typing import Any

import rq.command
from redis import Redis
from rq import Worker

from benchmarks.page import Page

NAME = "bench"


def main() -> None:
    """Work on an empty queue until a signal ends it."""
    stamp = Page.of_environment().stamp
    handle = rq.command.handle_kill_worker_command

    def stamped(*arguments: Any) -> None:
        stamp()
        handle(*arguments)

    rq.command.handle_kill_worker_command = stamped
    Worker(["bench"], name=NAME, connection=Redis.from_url(os.environ["BENCHMARK_BROKER"])).work()


if __name__ == "__main__":
    main()
