"""What the server answers to scripts and to its own page; its contract is ``openapi.json``."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from importlib.resources import files
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statusd import logs
from statusd.core.errors import ConfigError, Unavailable
from statusd.fleet.async_fleet import AsyncFleet
from statusd.fleet.history import is_id
from statusd.fleet.log_follower import LogItem, wanted
from statusd.web import orders
from statusd.web.access import Role, Somebody
from statusd.web.broadcast import Broadcast
from statusd.web.http import Json, Refused, body_of, packed
from statusd.web.mirror import Mirror
from statusd.web.streams import Kind, Stream, Streams

FLUSH_S = 0.05
"""What comes within it goes out together."""
MOST_EVENTS, MOST_LINES = 1000, 2000
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)
_NOBODY = "there is no such unit"
T = TypeVar("T")

log = logs.get()


def _error(reason: str) -> bytes:
    return orders.line({"error": reason})


# A comment would do for a proxy, but no page hears one. It has no id: nobody reads on from there.
EVENTS = Kind("text/event-stream", b"event: alive\ndata: {}\n\n", lambda _: b"")
LINES = Kind("application/x-ndjson", b"\n", _error)
VERDICTS = LINES._replace(
    last_word=lambda reason: _error(f"{reason}: what becomes of the command isn't told here"),
    is_counted=False,  # no number of readers keeps an operator from commanding
)


class Api:
    """The paths below ``/api``."""

    def __init__(
        self,
        mirror: Mirror,
        broadcast: Broadcast,
        fleet: AsyncFleet,
        streams: Streams,
        *,
        is_read_only: bool,
    ) -> None:
        self._mirror, self._broadcast, self._fleet = mirror, broadcast, fleet
        self._streams = streams
        self._is_read_only = is_read_only
        self._contract = files("statusd.web").joinpath("openapi.json").read_text("utf-8")

    def routes(self) -> list[Route]:
        """Return who answers which path."""
        return [
            Route("/api/me", self._me),
            Route("/api/openapi.json", self._told_contract),
            Route("/api/units", self._units),
            Route("/api/units/{name}", self._unit),
            Route("/api/units/{name}/history", self._history),
            Route("/api/units/{name}/lifecycle", self._lifecycle),
            Route("/api/units/{name}/logs", self._logs),
            Route("/api/events", self._events),
            Route("/api/commands", self._command, methods=["POST"]),
        ]

    async def _told_contract(self, _: Request) -> Response:
        return Json(self._contract)

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
        return await packed(request, text)

    async def _unit(self, request: Request) -> Response:
        unit = self._mirror.get(request.path_params["name"])
        if unit is None:
            raise Refused(404, _NOBODY)
        return Json(unit.record() | {"curve": self._mirror.curve(unit.name)})

    async def _history(self, request: Request) -> Response:
        """Return events of a unit, oldest first: the newest, those after, or those before one."""
        since, before = _id(request, "since"), _id(request, "before")
        most = _number(request, "most", 100, MOST_EVENTS)
        asking = self._fleet.history(_name(request), since, most, before=before)
        return Json(await self._of_broker(asking))

    async def _lifecycle(self, request: Request) -> Response:
        found = await self._of_broker(self._fleet.lifecycle(_name(request)))
        if found is None:
            raise Refused(404, "the unit doesn't say what lifecycle it has")
        return Json(found)

    async def _of_broker(self, asking: Awaitable[T]) -> T:
        """Return what the broker says.

        Raises:
            Refused: it can't be asked, what was wanted can't be, or the server ends.
        """
        try:
            async with self._streams.before_the_end():
                return await asking
        except ConfigError as error:
            raise Refused(400, str(error)) from None
        except Unavailable as error:
            raise Refused(503, f"the broker: {error}") from None

    # ---- streams ---------------------------------------------------------------------------------

    async def _events(self, request: Request) -> Stream:
        position = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return self._streams.open(self._told(position), EVENTS, request.state.somebody)

    async def _told(self, position: str) -> AsyncGenerator[bytes, None]:
        """Yield what is said from ``position`` on; who can't be told all is told of the gap."""
        number = self._broadcast.place(position or self._broadcast.position)
        yield b"retry: 1000\n\n"
        if number is None:
            here = self._broadcast.position
            yield _gap(here)
            number = self._broadcast.place(here)
        while number is not None:
            await self._broadcast.beyond(number)
            await asyncio.sleep(FLUSH_S)
            found = self._broadcast.after(number)
            if found is None:  # it took so long to take the last part: it comes back, and is told
                return
            text, number = found
            yield text

    async def _logs(self, request: Request) -> Stream:
        """Return the last lines of a unit, an object a line; with ``follow`` also what comes."""
        name, said = _name(request), request.query_params
        if self._mirror.get(name) is None:
            raise Refused(404, _NOBODY)
        lines = _number(request, "lines", 100, MOST_LINES, least=0)
        since, stream = said.get("since", ""), said.get("stream", "")
        follow = said.get("follow", "") in ("1", "true")
        if not follow and said.get("follow", "") not in ("", "0", "false"):
            raise Refused(400, "follow: it is 0 or 1")
        try:
            wanted(name, lines, since, stream, 1.0, follow=follow)
        except ConfigError as error:
            raise Refused(400, str(error)) from None
        read = self._fleet.logs(name, lines=lines, since=since, stream=stream, follow=follow)
        return self._streams.open(_lines(read), LINES, request.state.somebody)

    # ---- commanding ------------------------------------------------------------------------------

    async def _command(self, request: Request) -> Response | Stream:
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
        orders.check(order, by)
        found = await self._of_broker(orders.asked(self._fleet, order))
        if order.is_dry:
            return Json(found)
        told = {"by": by, "peer": request.state.peer, "target": str(order.target)}
        log.info("web.command", command=order.word, asked=len(found["asked"]), **told)
        parts = self._carried_out(order, by, found)
        return self._streams.open(parts, VERDICTS, request.state.somebody)

    async def _carried_out(
        self, order: orders.WebOrder, by: str, found: dict[str, object]
    ) -> AsyncGenerator[bytes, None]:
        yield orders.line(found)
        async with contextlib.aclosing(orders.carried_out(self._fleet, order, by)) as told:
            async for record in told:
                yield orders.line(record)


async def _lines(read: AsyncIterator[LogItem]) -> AsyncGenerator[bytes, None]:
    """Yield what is read, a JSON object a line; at last why it is over, if that is an error."""
    try:
        async with contextlib.aclosing(read):  # type: ignore[type-var]  # it is a generator
            async for item in read:
                yield orders.line(item)
    except (ConfigError, Unavailable) as error:
        yield _error(str(error))


def _gap(position: str) -> bytes:
    text = "what was missed isn't kept any more: read api/units anew"
    return f'event: gap\nid: {position}\ndata: {{"reason":"{text}"}}\n\n'.encode()


def _name(request: Request) -> str:
    """Return the name of a unit that stands in the address."""
    name = str(request.path_params["name"])
    if not _NAME.fullmatch(name):
        raise Refused(404, _NOBODY)
    return name


def _id(request: Request, key: str) -> str:
    """Return the id of an event that stands in the address; empty for none."""
    said = request.query_params.get(key, "")
    if said and not is_id(said):
        raise Refused(400, f"{key}: an event's id is wanted, 1795400000000-42")
    return said


def _number(request: Request, key: str, usual: int, most: int, *, least: int = 1) -> int:
    said = request.query_params.get(key, "")
    if not said:
        return usual
    if not re.fullmatch(r"\d{1,9}", said, re.ASCII) or not least <= int(said) <= most:
        raise Refused(400, f"{key}: it is {least} to {most}")
    return int(said)
