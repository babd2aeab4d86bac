"""A web server that gives out files by ranges, and no more of them than it is let."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class FileServer:
    """Serves ``files``, path -> content, on 127.0.0.1, from its start (``with``) to its end.

    A GET that is over what it was let waits, so a test decides how far a download comes. What it
    was asked for stands in ``asked``: path and first byte, in order.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.asked: list[tuple[str, int]] = []
        self._let = threading.Semaphore(0)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def urls(self) -> list[str]:
        """Where its files are."""
        return [f"http://127.0.0.1:{self._server.server_port}{path}" for path in self.files]

    def let(self, ranges: int) -> None:
        """Give out so many ranges more."""
        self._let.release(ranges)

    def take(self, path: str, start: int) -> None:
        """Note what is asked for, and wait until it may be given out."""
        self.asked.append((path, start))
        self._let.acquire()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.let(1_000_000)  # who still waits
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._say(200, len(server.files[self.path]))

        def do_GET(self) -> None:
            content = server.files[self.path]
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
            start, last = map(int, asked.groups()) if asked else (0, len(content) - 1)
            server.take(self.path, start)
            part = content[start : last + 1]
            try:
                self._say(206 if asked else 200, len(part))
                self.wfile.write(part)
            except ConnectionError:  # who asked is gone
                pass

        def _say(self, status: int, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.send_header("ETag", f'"{hash(server.files[self.path])}"')
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
