"""The files of the page: read once, from a table of names, so that no path leads anywhere else."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


_WRONG = (
    (
        b"<!-- wrong -->",
        b'<p class="wrong" id="wrong" role="alert">That is no token of this server.</p>',
    ),
    (b'aria-describedby="where-from"', b'aria-describedby="wrong" aria-invalid="true"'),
)
"""What is another in the page where one logs in, for who has come with a wrong token."""


class Asset(NamedTuple):
    """A file as it goes out."""

    kind: str
    body: bytes
    packed: bytes
    tag: str

    def answer(self, request: Request, cache: str = "no-cache") -> Response:
        """Return it, or that the browser has it."""
        headers = {"etag": self.tag, "cache-control": cache, "vary": "accept-encoding"}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = self.body
        if "gzip" in request.headers.get("accept-encoding", ""):
            body, headers["content-encoding"] = self.packed, "gzip"
        return Response(body, headers=headers, media_type=self.kind)


def load() -> dict[str, Asset]:
    """Return every file of the page by its name; ``wrong.html`` is the login once more."""
    found = {}
    for file in files("statusd.web").joinpath("page").iterdir():
        ending = "." + file.name.rpartition(".")[2]
        if file.is_file() and ending in _KINDS:
            found[file.name] = _asset(_KINDS[ending], file.read_bytes())
    login = found["login.html"]
    wrong = login.body
    for usual, other in _WRONG:
        wrong = wrong.replace(usual, other)
    return found | {"wrong.html": _asset(login.kind, wrong)}


def _asset(kind: str, body: bytes) -> Asset:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Asset(kind, body, gzip.compress(body, mtime=0), tag)
