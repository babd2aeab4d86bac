"""Asking a unit by HTTP, as a probe or a scraper does."""

from __future__ import annotations

import http.client
from typing import NamedTuple


class Got(NamedTuple):
    """What was answered."""

    status: int
    kind: str
    text: str


def get(port: int, path: str, *, accept: str = "", timeout_s: float = 5.0) -> Got:
    """Ask for ``path`` and return the answer; nobody listens: the system's error."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        return Got(answer.status, answer.headers["Content-Type"], answer.read().decode())
    finally:
        connection.close()
