"""The server as an ASGI application: who gets in, and what they find."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from statusd import logs
from statusd.core.text import shown
from statusd.fleet.async_fleet import AsyncFleet
from statusd.web import assets
from statusd.web.access import Access, Role, Somebody
from statusd.web.api import Api
from statusd.web.broadcast import Broadcast
from statusd.web.gate import Gate, Refusal, cookies, origin_refusal, values
from statusd.web.http import Json, Refused, body_of, refused, safe
from statusd.web.mirror import Mirror

PUBLIC = ("/login", "/static/")
"""What somebody gets to whom nobody has given a token."""

log = logs.get()


@dataclass
class Site:
    """What a server is made of.

    Args:
        access: who gets in; gate: what a request may be; mirror, broadcast: what is known and told.
        fleet: what commands go through.
        is_read_only: nobody commands, whatever their token says.
        root_path: where a proxy has put us; empty, or ``/statusd``.
        cookie: the name of the session's; cookies are shared by all ports of a host.
    """

    access: Access
    gate: Gate
    mirror: Mirror
    broadcast: Broadcast
    fleet: AsyncFleet
    is_read_only: bool = False
    root_path: str = ""
    cookie: str = "statusd-session"
    files: Mapping[str, assets.Asset] = field(default_factory=assets.load)


class App:
    """Lets requests in, or says why not."""

    def __init__(self, site: Site) -> None:
        self._site = site
        api = Api(site.mirror, site.broadcast, site.fleet, is_read_only=site.is_read_only)
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
        """Answer one request; never anything but HTTP."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
            return
        send = safe(send)
        answer = self._refusal(scope)
        if answer is None:
            await self._answered(scope, receive, send)
        else:
            await answer(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what goes wrong in it ends this request and nothing else."""
        has_begun = False

        async def sent(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._inside(scope, receive, sent)
        except Refused as error:
            if not has_begun:
                await refused(error.refusal)(scope, receive, send)
        except (asyncio.CancelledError, OSError):  # it has gone, or we go
            raise
        except Exception:
            log.exception("web.bug", path=shown(scope["path"], 80))
            if not has_begun:
                await refused(Refusal(500, "a bug: see the log"))(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return why the request isn't answered; None if it is. What it is then stands in its state."""
        site, headers = self._site, scope["headers"]
        local, peer = _host(scope.get("server")), _host(scope.get("client"))
        refusal = site.gate.host_refusal(headers, local)
        if refusal is not None:
            return refused(refusal)
        if (moved := self._rooted(scope)) is not None:
            return moved
        somebody = self._somebody(headers)
        scope["state"] = {
            "somebody": somebody,
            "user": shown(site.gate.user(headers, peer)),
            "peer": peer,
            "is_secure": site.gate.is_secure(headers, scope["scheme"], peer),
        }
        if scope["method"] not in ("GET", "HEAD"):
            is_browser = somebody is None or somebody.is_browser
            refusal = origin_refusal(headers, is_browser=is_browser)
            if refusal is not None:
                return refused(refusal)
        path = scope["path"]
        if somebody is not None or path.startswith(PUBLIC):
            return None
        if path == "/":
            if b"token=" in scope["query_string"]:
                return None
            return RedirectResponse("login", 303, {"cache-control": "no-store"})
        return refused(Refusal(401, "a token is wanted: Authorization: Bearer TOKEN"))

    def _rooted(self, scope: Scope) -> Response | None:
        """Take away where a proxy has put us, if it hasn't; redirect what lacks the last stroke."""
        root, path = self._site.root_path, scope["path"]
        if root and path == root:
            return RedirectResponse(f"{root}/", 308)
        if root and path.startswith(f"{root}/"):
            scope["path"] = path[len(root) :]
        return None

    def _somebody(self, headers: Any) -> Somebody | None:
        """Return who asks: by what a script says, else by a browser's session."""
        said = values(headers, b"authorization")
        if said:
            kind, _, token = said[0].partition(" ")
            is_one = len(said) == 1 and kind.lower() == "bearer"
            role = self._site.access.by_token(token.strip()) if is_one else None
            return None if role is None else Somebody(role, is_browser=False)
        session_id = cookies(headers).get(self._site.cookie, "")
        return self._site.access.by_session(session_id) if session_id else None

    # ---- the page --------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        """Return the page; who brings a token in the address gets a session, and a clean address."""
        token = request.query_params.get("token", "")
        if token:
            return self._begun(request, token) or RedirectResponse("login?wrong", 303)
        return self._site.files["index.html"].answer(request)

    def _begun(self, request: Request, token: str) -> Response | None:
        """Return what begins a session; None if the token is none of ours."""
        session_id = self._site.access.begin(token)
        if not session_id:
            log.warning("web.login_refused", peer=request.state.peer)
            return None
        here = f"{self._site.root_path}/"
        answer = RedirectResponse(here, 303, {"cache-control": "no-store"})
        answer.set_cookie(
            self._site.cookie,
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
        form = parse_qs((await body_of(request)).decode("utf-8", "replace"))
        token = form.get("token", [""])[0].strip()
        here = f"{self._site.root_path}/login?wrong"
        return self._begun(request, token) or RedirectResponse(here, 303)

    async def _log_out(self, request: Request) -> Response:
        self._site.access.end(request.cookies.get(self._site.cookie, ""))
        answer = Json({"ended": True})
        answer.delete_cookie(self._site.cookie, path=f"{self._site.root_path}/")
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


def may_command(request: Request) -> bool:
    """Tell whether who asks has an operator's token."""
    somebody: Somebody = request.state.somebody
    return somebody.role is Role.OPERATOR
