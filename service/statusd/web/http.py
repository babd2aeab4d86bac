"""What the answers are made of: JSON, refusals, bodies that end, headers that every answer has."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Send

from statusd import threads
from statusd.web.gate import Refusal

MOST_BODY = 64 * 1024
"""The longest body of a request, in bytes: a command has a few hundred."""
BODY_S = 10.0
"""So long a body may take until it is whole."""
SMALL = 1024
"""A shorter answer isn't worth packing, in bytes."""
_SAFE: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # by "no-referrer" a form's Origin is "null"
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_TOO_LONG = f"a body has at most {MOST_BODY} bytes"


class Refused(Exception):
    """The request isn't answered as it was meant.

    Args:
        status: the code of HTTP; reason: in words, with what to do.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(status, reason)


class Json(Response):
    """An answer of the API, which no cache keeps."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """Return the body: a text is JSON already."""
        text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
        return text.encode()


def refused(refusal: Refusal) -> Json:
    """Return the answer to a request that isn't answered as it was meant."""
    headers = {"www-authenticate": 'Bearer realm="statusd"'} if refusal.status == 401 else {}
    return Json({"error": refusal.reason}, refusal.status, headers)


async def body_of(request: Request) -> bytes:
    """Return the whole body of a request.

    Raises:
        Refused: it is too long, takes too long, or ends before it is whole.
    """
    parts: list[bytes] = []
    size = 0
    said = request.headers.get("content-length", "0")
    if len(said) > 9 or int(said) > MOST_BODY:  # h11 has seen to it that these are digits
        raise Refused(413, _TOO_LONG)
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BODY:
                    raise Refused(413, _TOO_LONG)
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body wasn't there within {BODY_S:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "the body ended before it was whole") from None
    return b"".join(parts)


async def packed(request: Request, text: str) -> Response:
    """Return a JSON text as an answer, packed if that is wanted: in a thread, if it is long."""
    body = text.encode()
    if len(body) < SMALL or "gzip" not in request.headers.get("accept-encoding", ""):
        return Json(text)
    answer = Json("", headers={"content-encoding": "gzip", "vary": "accept-encoding"})
    answer.body = await threads.apart(lambda: gzip.compress(body, 1), "gzip")
    answer.headers["content-length"] = str(len(answer.body))
    return answer


def safe(send: Send) -> Send:
    """Return ``send`` with the headers that keep a browser from what this server never does."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_SAFE]}
        await send(message)

    return sent
