"""The server as an ASGI application: who gets in, and what they find."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from statusd import logs
from statusd.complaints import Complaints
from statusd.fleet.async_fleet import AsyncFleet
from statusd.web import assets
from statusd.web.access import Access, Role, Somebody
from statusd.web.api import Api
from statusd.web.broadcast import Broadcast
from statusd.web.gate import (
    Gate,
    Headers,
    Refusal,
    bearer,
    cookies,
    is_led_here,
    origin_refusal,
)
from statusd.web.http import Json, Refused, body_of, refused, safe
from statusd.web.mirror import Mirror
from statusd.web.protocol import KNOWN
from statusd.web.streams import Streams

_NO_TOKEN = Refusal(401, "a token is wanted: Authorization: Bearer TOKEN")
_NOT_KEPT = {"cache-control": "no-store"}

log = logs.get()


@dataclass
class Site:
    """What a server is made of.

    Args:
        access: who gets in; gate: what a request may be; mirror, broadcast: what is known and told.
        fleet: what commands go through; streams: the answers that go on.
        is_read_only: nobody commands, whatever their token says.
        root_path: where a proxy has put us; empty, or ``/statusd``.
        cookie: the name of the session's; cookies are shared by all ports of a host.
    """

    access: Access
    gate: Gate
    mirror: Mirror
    broadcast: Broadcast
    fleet: AsyncFleet
    streams: Streams
    is_read_only: bool = False
    root_path: str = ""
    cookie: str = "statusd-session"
    files: Mapping[str, assets.Asset] = field(default_factory=assets.load)


class App:
    """Lets requests in, or says why not."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._complaints = Complaints(time.monotonic, log)
        api = Api(
            site.mirror, site.broadcast, site.fleet, site.streams, is_read_only=site.is_read_only
        )
        self._inside: ASGIApp = Router(
            [
                Route("/", self._page),
                Route("/login", self._login_page),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Route("/static/{name}", self._file),
                *api.routes(),
            ],
            redirect_slashes=False,
            default=_nothing_there,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, never anything but HTTP; a bug ends this request and nothing else."""
        if scope["type"] != "http":
            return
        scope["app"] = self  # so that a route that refuses a method raises, and doesn't answer
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await safe(send)(message)

        try:
            answer = self._refusal(scope) or self._inside
            await answer(scope, receive, sent)
        except Refused as error:
            if not has_begun:
                await refused(error.refusal)(scope, receive, sent)
        except HTTPException as error:
            if not has_begun:
                told = {"error": error.detail}
                await Json(told, error.status_code, error.headers)(scope, receive, sent)
        except Exception:
            log.exception("web.bug", path=scope["path"])
            if not has_begun:
                await refused(Refusal(500, "a bug: see the log"))(scope, receive, sent)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return why the request isn't answered; None if it is: its state says from whom it is."""
        site, headers = self._site, scope["headers"]
        local, peer = _host(scope.get("server")), _host(scope.get("client"))
        refusal = site.gate.host_refusal(headers, local)
        if refusal is not None:
            return refused(refusal)
        if (moved := self._rooted(scope)) is not None:
            return moved
        token = bearer(headers)
        somebody = self._by_cookie(headers) if token is None else site.access.by_token(token)
        if token is not None and somebody is None:
            return refused(_NO_TOKEN)
        is_secure = site.gate.is_secure(headers, scope["scheme"], peer)
        scope["state"] = {
            "somebody": somebody,
            "user": site.gate.user(headers, peer),
            "peer": peer,
            "is_secure": is_secure,
        }
        if scope["method"] not in ("GET", "HEAD"):
            refusal = origin_refusal(headers, is_browser=token is None, is_secure=is_secure)
            if refusal is not None:
                return refused(refusal)
        if somebody is None:
            path = scope["path"]
            is_open = path in ("/", "/login") or path.startswith("/static/")
            return None if is_open else refused(_NO_TOKEN)
        if KNOWN in scope:
            scope[KNOWN]()
        return None

    def _rooted(self, scope: Scope) -> Response | None:
        """Take away where a proxy has put us, if it hasn't; redirect what lacks the last stroke."""
        root, path = self._site.root_path, scope["path"]
        if root and path == root:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{root}/?{query}" if query else f"{root}/", 308, _NOT_KEPT)
        if root and path.startswith(f"{root}/"):
            scope["path"] = path[len(root) :]
        return None

    def _by_cookie(self, headers: Headers) -> Somebody | None:
        """Return whose session it is; of several the one that may most.

        Another port of this host may have set a cookie of our name (`cookies`): one that is none of
        our sessions keeps nobody out, and one of a viewer's takes nothing from an operator.
        """
        access, said = self._site.access, cookies(headers, self._site.cookie)
        found = filter(None, map(access.by_session, said))
        return max(found, key=lambda one: one.role is Role.OPERATOR, default=None)

    def _end_sessions(self, headers: Headers) -> None:
        for session_id in cookies(headers, self._site.cookie):
            self._site.access.end(session_id)

    # ---- the page --------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        """Return the page; who brings a token in the address gets a session, and a clean address.

        Whom another page leads here with a token isn't let in by it: it may be its owner's own
        session that he is to use (login CSRF).
        """
        token = request.query_params.get("token", "")
        if token and not is_led_here(request.scope["headers"]):
            return self._begun(request, token) or RedirectResponse("login?wrong", 303, _NOT_KEPT)
        if token or request.state.somebody is None:
            return RedirectResponse("login", 303, _NOT_KEPT)
        return self._site.files["index.html"].answer(request)

    def _begun(self, request: Request, token: str) -> Response | None:
        """Return what begins a session, in the place of another; None if the token is none of ours.

        The id is ours: one that was sent is never taken.
        """
        site = self._site
        session_id = site.access.begin(token)
        if not session_id:
            peer = request.state.peer
            self._complaints.report("login", "web.login_refused", peer=peer)
            return None
        self._end_sessions(request.scope["headers"])
        here = f"{site.root_path}/"
        answer = RedirectResponse(here, 303, _NOT_KEPT)
        answer.set_cookie(
            site.cookie,
            session_id,
            path=here,
            secure=request.state.is_secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _login_page(self, request: Request) -> Response:
        name = "wrong.html" if "wrong" in request.query_params else "login.html"
        return self._site.files[name].answer(request)

    async def _log_in(self, request: Request) -> Response:
        said = parse_qsl((await body_of(request)).decode("utf-8", "replace"))
        token = dict(said).get("token", "").strip()
        here = f"{self._site.root_path}/login?wrong"
        return self._begun(request, token) or RedirectResponse(here, 303, _NOT_KEPT)

    async def _log_out(self, request: Request) -> Response:
        site = self._site
        self._end_sessions(request.scope["headers"])
        answer = Json({"ended": True})
        answer.delete_cookie(site.cookie, path=f"{site.root_path}/", httponly=True)
        return answer

    async def _file(self, request: Request) -> Response:
        found = self._site.files.get(request.path_params["name"])
        if found is None or found.kind.startswith("text/html"):
            raise Refused(404, "there is no such file")
        return found.answer(request)


async def _nothing_there(scope: Scope, receive: Receive, send: Send) -> None:
    text = "there is nothing at this address: GET api/openapi.json says what there is"
    await refused(Refusal(HTTPStatus.NOT_FOUND, text))(scope, receive, send)


def _host(address: Any) -> str:
    """Return the host of an address as ASGI has it; empty for a socket file."""
    return str(address[0]) if address and address[1] is not None else ""
