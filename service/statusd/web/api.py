"""What the server answers to scripts and to its own page; its contract is ``openapi.json``."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
from collections.abc import AsyncIterator, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from statusd import logs
from statusd.core.errors import ConfigError, Unavailable
from statusd.core.text import shown
from statusd.fleet.async_fleet import AsyncFleet
from statusd.web import orders
from statusd.web.access import Role, Somebody
from statusd.web.broadcast import Broadcast
from statusd.web.http import Json, Refused, body_of
from statusd.web.mirror import Mirror

FLUSH_S = 0.05
"""What comes within it goes out together."""
KEEPALIVE_S = 15.0
"""A stream says something at least so often: a proxy takes silence for death."""
STUCK_S = 20.0
"""Who doesn't take what is sent for so long is hung up on."""
MOST_STREAMS = 200
"""So many streams are open at once."""
MOST_EVENTS = 1000
SMALL = 1024
"""A shorter answer isn't worth packing, in bytes."""
_ID = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)

log = logs.get()


class Api:
    """The paths below ``/api``."""

    def __init__(
        self, mirror: Mirror, broadcast: Broadcast, fleet: AsyncFleet, *, is_read_only: bool
    ) -> None:
        self._mirror, self._broadcast, self._fleet = mirror, broadcast, fleet
        self._is_read_only = is_read_only
        self._streams = 0

    def routes(self) -> list[Route]:
        """Return who answers which path."""
        return [
            Route("/api/me", self._me),
            Route("/api/openapi.json", _contract),
            Route("/api/units", self._units),
            Route("/api/units/{name}", self._unit),
            Route("/api/units/{name}/history", self._history),
            Route("/api/units/{name}/lifecycle", self._lifecycle),
            Route("/api/units/{name}/logs", self._logs),
            Route("/api/events", self._events),
            Route("/api/commands", self._command, methods=["POST"]),
        ]

    # ---- looking ---------------------------------------------------------------------------------

    async def _me(self, request: Request) -> Response:
        somebody: Somebody = request.state.somebody
        return Json(
            {
                "role": somebody.role,
                "user": request.state.user,
                "may_command": self._may_command(request),
                "read_only": self._is_read_only,
                "namespace": self._mirror.namespace,
                "broker": self._mirror.where,
            }
        )

    def _may_command(self, request: Request) -> bool:
        somebody: Somebody = request.state.somebody
        return somebody.role is Role.OPERATOR and not self._is_read_only

    async def _units(self, request: Request) -> Response:
        """Return all units, with the position in the stream of events that they are as of."""
        head = Json({"position": self._broadcast.position, "broker": self._mirror.broker.record()})
        text = f'{bytes(head.body).decode()[:-1]},"units":{self._mirror.records()}}}'
        return _packed(request, text)

    async def _unit(self, request: Request) -> Response:
        unit = self._mirror.get(request.path_params["name"])
        if unit is None:
            raise Refused(404, _NOBODY)
        return Json(unit.record() | {"curve": self._mirror.curve(unit.name)})

    async def _history(self, request: Request) -> Response:
        """Return events of a unit, oldest first: the newest, those after one, or those before one."""
        since, before = _id(request, "since"), _id(request, "before")
        most = _number(request, "most", 100, MOST_EVENTS)
        name = request.path_params["name"]
        events = await _of_broker(self._fleet.history(name, since, most, before=before))
        return Json(events)

    async def _lifecycle(self, request: Request) -> Response:
        found = await _of_broker(self._fleet.lifecycle(request.path_params["name"]))
        if found is None:
            raise Refused(404, "the unit doesn't say what lifecycle it has")
        return Json(found)

    # ---- streams ---------------------------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        position = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return self._stream(self._told(position), "text/event-stream")

    async def _told(self, position: str) -> AsyncIterator[bytes]:
        """Yield what is said from ``position`` on; who can't be told all of it is told of the gap."""
        number = self._broadcast.place(position or self._broadcast.position)
        yield b"retry: 1000\n\n"
        if number is None:
            yield _gap(self._broadcast)
            number = self._broadcast.place(self._broadcast.position)
        while number is not None and not self._broadcast.is_over:
            try:
                async with asyncio.timeout(KEEPALIVE_S):
                    await self._broadcast.beyond(number)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            await asyncio.sleep(FLUSH_S)
            found = self._broadcast.after(number)
            if found is None:  # it took so long to take the last part: it comes back, and is told
                return
            text, number = found
            yield text

    async def _logs(self, request: Request) -> Response:
        """Return the last lines of a unit, a JSON object a line; with ``follow`` also what comes."""
        stream = request.query_params.get("stream", "")
        if stream not in ("", "stdout", "stderr"):
            raise Refused(400, "stream: stdout or stderr")
        name = request.path_params["name"]
        if self._mirror.get(name) is None:
            raise Refused(404, _NOBODY)
        lines = self._fleet.logs(
            name,
            lines=_number(request, "lines", 100, 2000, least=0),
            since=request.query_params.get("since", ""),
            stream=stream,
            follow=request.query_params.get("follow", "") in ("1", "true"),
        )
        return self._stream(self._lines(lines), "application/x-ndjson")

    async def _lines(self, lines: AsyncIterator[dict[str, object]]) -> AsyncIterator[bytes]:
        waiting: asyncio.Future[dict[str, object]] | None = None
        try:
            while not self._broadcast.is_over:
                waiting = waiting or asyncio.ensure_future(anext(lines))
                done, _ = await asyncio.wait((waiting,), timeout=1.0)
                if done:
                    item, waiting = waiting.result(), None
                    yield orders.line(item)
        except StopAsyncIteration:
            pass
        except (ConfigError, Unavailable) as error:
            yield orders.line({"error": str(error)})
        finally:
            if waiting is not None:
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await waiting
            await lines.aclose()  # type: ignore[attr-defined]  # it is a generator

    def _stream(self, parts: AsyncIterator[bytes], kind: str) -> Response:
        if self._streams >= MOST_STREAMS:
            raise Refused(503, f"there are {MOST_STREAMS} streams open: try again later")
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._counted(parts), headers=headers, media_type=kind)

    async def _counted(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async with contextlib.aclosing(parts) as open_parts:  # type: ignore[type-var]
                async for part in open_parts:
                    yield part
        finally:
            self._streams -= 1

    # ---- commanding ------------------------------------------------------------------------------

    async def _command(self, request: Request) -> Response:
        """Send a command, and tell line by line what becomes of it."""
        if self._is_read_only:
            raise Refused(403, "this server only shows: it was started with --read-only")
        if not self._may_command(request):
            raise Refused(403, "a viewer's token only looks: an operator's is wanted")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "a command is JSON: Content-Type: application/json")
        order = orders.read(await body_of(request))
        by = f"{request.state.user or Role.OPERATOR}@web"
        who = {"by": by, "peer": request.state.peer, "target": dict(order.target)}
        log.info("web.command", command=shown(order.word, 80), dry_run=order.is_dry, **who)
        found = await _of_broker(orders.asked(self._fleet, order))
        if order.is_dry:
            return Json(found)
        return self._stream(self._carried_out(order, by, found), "application/x-ndjson")

    async def _carried_out(
        self, order: orders.WebOrder, by: str, found: dict[str, object]
    ) -> AsyncIterator[bytes]:
        yield orders.line(found)
        async with contextlib.aclosing(orders.carried_out(self._fleet, order, by)) as told:
            async for record in told:
                yield orders.line(record)


_NOBODY = "there is no such unit"


async def _contract(_: Request) -> Response:
    return Json(files("statusd.web").joinpath("openapi.json").read_text("utf-8"))


async def _of_broker(asking: Callable[..., object]) -> object:
    """Return what the broker says.

    Raises:
        Refused: it can't be asked, or what was wanted can't be.
    """
    try:
        return await asking
    except ConfigError as error:
        raise Refused(400, str(error)) from None
    except Unavailable as error:
        raise Refused(503, f"the broker: {error}") from None


def _gap(broadcast: Broadcast) -> bytes:
    text = "what was missed isn't kept any more: read api/units anew"
    return f'event: gap\nid: {broadcast.position}\ndata: {{"reason":"{text}"}}\n\n'.encode()


def _packed(request: Request, text: str) -> Response:
    body = text.encode()
    if len(body) < SMALL or "gzip" not in request.headers.get("accept-encoding", ""):
        return Json(text)
    answer = Json("", headers={"content-encoding": "gzip", "vary": "accept-encoding"})
    answer.body = gzip.compress(body, 1)
    answer.headers["content-length"] = str(len(answer.body))
    return answer


def _id(request: Request, key: str) -> str:
    """Return the id of an event that stands in the address; empty for none."""
    said = request.query_params.get(key, "")
    if said and not _ID.fullmatch(said):
        raise Refused(400, f"{key}: an event's id is wanted, 1795400000000-42")
    return said


def _number(request: Request, key: str, usual: int, most: int, *, least: int = 1) -> int:
    said = request.query_params.get(key, "")
    if not said:
        return usual
    if not re.fullmatch(r"\d{1,9}", said, re.ASCII) or not least <= int(said) <= most:
        raise Refused(400, f"{key}: it is {least} to {most}")
    return int(said)
