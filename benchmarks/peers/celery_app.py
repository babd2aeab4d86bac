"""Celery's worker: no tasks, its control commands are what is asked for."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("bench", broker=os.environ["BENCHMARK_BROKER"])
app.conf.broker_connection_retry_on_startup = True
