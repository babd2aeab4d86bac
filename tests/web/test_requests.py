"""What a request may be: attacked as a tricked browser does it, and as no browser would."""

from __future__ import annotations

import json
import re
import socket

import httpx
import pytest

from tests.tools import Broker
from tests.tools.variants import some
from tests.tools.web import Web, sent

EVIL = "evil.example"
PATHS = ("/", "/login", "/static/app.js", "/api/me", "/api/units", "/api/events", "/nowhere")
JSON = "Content-Type: application/json"
PAUSE = '{"command":"pause"}'


def bearer(web: Web, token: str = "") -> str:
    """Return the header with that token; the operators', if none is given."""
    return f"Authorization: Bearer {token or web.token}"


def here(web: Web) -> str:
    """Return the header with a name of the server's."""
    return f"Host: 127.0.0.1:{web.port}"


# ---- Host ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", some(("POST", "GET", "HEAD", "OPTIONS", "DELETE"), 2))
def test_a_foreign_host_is_refused_before_anything_else(web: Web, method: str) -> None:
    """DNS rebinding: also where all is public, where there is nothing, and with a good token."""
    for path in (*PATHS, "/api/commands", "/logout"):
        for name in (EVIL, f"{EVIL}:{web.port}", "127.0.0.1.nip.io", "0.0.0.0", "[::1]"):
            told = web.status(f"{method} {path} HTTP/1.1", f"Host: {name}", bearer(web))
            assert told == 421, (path, name)


def test_our_own_names_are_not_refused(web: Web) -> None:
    """With the port, without it, in any case, with the last dot of a whole name."""
    for name in (
        *("127.0.0.1", f"127.0.0.1:{web.port}", "localhost", f"LocalHost:{web.port}"),
        *("localhost.", socket.gethostname()),
    ):
        assert web.status("GET /api/me HTTP/1.1", f"Host: {name}", bearer(web)) == 200, name


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Host:"],
        ["Host: 127.0.0.1", f"Host: {EVIL}"],
        ["Host: 127.0.0.1", "Host: 127.0.0.1"],
        [f"Host: {EVIL}@127.0.0.1"],
        ["Host: 127.0.0.1/x"],
        ["Host: 127.0.0.1:port"],
        ["Host: 127.0.0.1, evil.example"],
        ["Host: [::1"],
    ],
)
def test_a_request_has_one_host_that_is_a_name(web: Web, lines: list[str]) -> None:
    """Who sends none or two would be believed by one and not by another."""
    assert web.status("GET /api/me HTTP/1.1", *lines, bearer(web)) in (400, 421), lines
    assert web.status("GET /api/me HTTP/1.0", *lines, bearer(web)) in (400, 421), lines


def test_what_stands_in_the_target_is_no_host(web: Web) -> None:
    """Absolute forms are for proxies, and we are none: they lead to nothing."""
    for target in (f"http://{EVIL}/api/me", f"http://127.0.0.1:{web.port}/api/me", "//evil/api/me"):
        assert web.status(f"GET {target} HTTP/1.1", here(web), bearer(web)) == 404, target
        assert web.status(f"GET {target} HTTP/1.1", f"Host: {EVIL}", bearer(web)) == 421, target
    assert web.status(f"CONNECT {EVIL}:80 HTTP/1.1", here(web), bearer(web)) == 404
    assert web.status("OPTIONS * HTTP/1.1", here(web), bearer(web)) == 404


# ---- other sites ---------------------------------------------------------------------------------

CROSS = {
    "a form of today's browser": ["Sec-Fetch-Site: cross-site", f"Origin: http://{EVIL}"],
    "of another port": ["Sec-Fetch-Site: same-site", "Origin: http://127.0.0.1:1"],
    "typed or reloaded": ["Sec-Fetch-Site: none"],
    "an older browser": [f"Origin: http://{EVIL}"],
    "a page in a sandbox": ["Origin: null"],
    "another port, an older browser": ["Origin: http://127.0.0.1:1"],
    "two minds": ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    "two origins": ["Origin: http://{here}", f"Origin: http://{EVIL}"],
    "our name in another's": ["Origin: http://{here}.evil.example"],
    "our name as a user": ["Origin: http://{here}@evil.example"],
    "no origin at all": ["Origin: http://["],
    "no browser": [],
}


@pytest.mark.parametrize("kind", some(CROSS, 12))
def test_no_other_site_commands_by_a_session(web: Web, lasting_broker: Broker, kind: str) -> None:
    """Nor ends it; whatever it can have the browser send, nothing reaches a unit."""
    cookie = (
        web.client("")
        .post("/login", data={"token": web.token}, headers={"sec-fetch-site": "same-origin"})
        .headers["set-cookie"]
        .partition(";")[0]
    )
    lines = [line.format(here=f"127.0.0.1:{web.port}") for line in CROSS[kind]]
    before = sent(lasting_broker)

    for path, body, as_what in (
        ("/api/commands", PAUSE, JSON),
        ("/api/commands", PAUSE, "Content-Type: text/plain"),
        ("/api/commands", "command=pause", "Content-Type: application/x-www-form-urlencoded"),
        ("/logout", "", JSON),
    ):
        told = web.status(
            f"POST {path} HTTP/1.1",
            here(web),
            f"Cookie: {cookie}",
            as_what,
            *lines,
            f"Content-Length: {len(body)}",
            body=body,
        )
        assert told == 403, path

    assert sent(lasting_broker) == before
    name, _, value = cookie.partition("=")
    assert web.client("", cookies={name: value}).get("/api/me").status_code == 200  # it goes on


def test_a_command_is_a_post_of_json(web: Web, lasting_broker: Broker) -> None:
    """What an image, a link or a form can send is none, whoever sends it."""
    before, client = sent(lasting_broker), web.client()

    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        told = client.request(method, "/api/commands", params={"command": "pause"})
        assert (told.status_code, told.headers["allow"]) == (405, "POST"), method
        assert method == "HEAD" or told.json() == {"error": "Method Not Allowed"}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"content-type": kind} if kind else {}
        told = client.post("/api/commands", content=PAUSE, headers=headers)
        assert told.status_code == 415, kind
    assert sent(lasting_broker) == before


def test_no_answer_is_for_another_site(web: Web) -> None:
    """Nothing is ever allowed to a foreign origin; a preflight gets nowhere."""
    client = web.client()
    for path in PATHS:
        with client.stream("GET", path, headers={"origin": f"http://{EVIL}"}) as answer:
            assert not [key for key in answer.headers if key.startswith("access-control-")]
    told = client.options(
        "/api/commands",
        headers={"origin": f"http://{EVIL}", "access-control-request-method": "POST"},
    )
    assert told.status_code == 403


# ---- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/../api/units",
        "/static/%2e%2e/api/units",
        "/static/..%2f..%2f..%2fetc/passwd",
        "/static/..%5c..%5capp.py",
        "/static/..\\..\\app.py",
        "/static//etc/passwd",
        "/static/app.js%00.png",
        "/static/",
        "/static/index.html",
        "/static/login.html",
        "/static/__init__.py",
        "/static/openapi.json",
        "//static/style.css",
        "/%2fapi/units",
        "/api/units/../../static/x",
        "/login/../api/units",
        "/loginx",
        "/LOGIN",
        "/api",
        "/api/",
        "/api/units/",
        "/%ff%fe",
        "/" + "a" * 8000,
    ],
)
def test_no_path_leads_anywhere_else(web: Web, path: str) -> None:
    """A name is looked up in a table, and nothing is made of it: with a token and without."""
    assert web.status(f"GET {path} HTTP/1.1", here(web)) in (401, 404)
    assert web.status(f"GET {path} HTTP/1.1", here(web), bearer(web)) == 404


@pytest.mark.parametrize("name", ["x%00", "a%2fb", "%2e%2e%2f", "a*", "{a}", "a%0a", "x" * 65])
@pytest.mark.parametrize("below", ["", "/history", "/lifecycle", "/logs"])
def test_the_name_of_a_unit_is_one(web: Web, name: str, below: str) -> None:
    """It becomes part of a key, and of a glob: nothing else than a name gets there."""
    line = f"GET /api/units/{name}{below} HTTP/1.1"
    assert web.status(line, here(web), bearer(web)) == 404


def test_what_is_asked_badly_is_said(web: Web) -> None:
    """In words that name the key; and no bug is met."""
    client = web.client()
    for path, key in (
        ("/api/units/x/history?most=0", "most"),
        ("/api/units/x/history?most=1e9", "most"),
        ("/api/units/x/history?most=\u0661", "most"),
        ("/api/units/x/history?since=x", "since"),
        ("/api/units/x/history?before=1-99999999999999999999", "before"),
    ):
        told = client.get(path)
        assert (told.status_code, told.json()["error"].split(":")[0]) == (400, key), path
    assert web.logged("web.bug") == []


# ---- bodies --------------------------------------------------------------------------------------


def test_a_body_is_bounded(web: Web) -> None:
    """Whether it says so beforehand or not; in front of the login, too."""
    long = "x" * 70_000
    for path, lines in (
        ("/api/commands", [bearer(web), JSON]),
        ("/login", ["Sec-Fetch-Site: same-origin"]),
    ):
        begin = [f"POST {path} HTTP/1.1", here(web), *lines]
        assert web.status(*begin, "Content-Length: 99999999") == 413
        assert web.status(*begin, f"Content-Length: {'9' * 30}") == 400  # no number of HTTP's
        chunked = f"{len(long):x}\r\n{long}\r\n0\r\n\r\n"
        assert web.status(*begin, "Transfer-Encoding: chunked", body=chunked) == 413


def test_half_a_body_is_none(web: Web, lasting_broker: Broker) -> None:
    """Who hangs up in the middle of a command has sent none."""
    before = sent(lasting_broker)
    with web.connect() as connection:
        head = ["POST /api/commands HTTP/1.1", here(web), bearer(web), JSON, "Content-Length: 19"]
        connection.sendall(("\r\n".join(head) + "\r\n\r\n" + PAUSE[:10]).encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100)[:12] in (b"", b"HTTP/1.1 400")
    assert web.client().get("/api/me").status_code == 200
    assert sent(lasting_broker) == before


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n x: folded\n\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /" + "a" * 70_000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n" + "x: y\r\n" * 20_000 + "\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
    ],
)
def test_what_is_no_request_ends_its_connection(web: Web, head: str) -> None:
    """And nothing else: none hides in another one; the log isn't filled by strangers."""
    before = len(web.log())
    with web.connect() as connection:
        try:
            connection.sendall(head.encode("latin-1"))
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            answer = b""
    assert set(re.findall(rb"HTTP/1.1 (\d)", answer)) <= {b"4"}
    assert len(web.log()) == before
    assert web.client().get("/api/me").status_code == 200


@pytest.mark.parametrize("path", ["/api/me", "/api/events"])
def test_a_body_that_is_none_ends_its_connection(web: Web, path: str) -> None:
    """Also where the answer has begun, or is over: nobody waited for the body."""
    before = len(web.log())
    for host in (EVIL, "localhost"):
        lines = (f"GET {path} HTTP/1.1", f"Host: {host}", bearer(web), "Transfer-Encoding: chunked")
        with web.connect() as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            assert connection.recv(12) in (b"HTTP/1.1 421", b"HTTP/1.1 200")
            connection.sendall(b"no size\r\n")
            rest = b"".join(iter(lambda: connection.recv(65536), b""))
        assert b"HTTP/1.1" not in rest
    assert len(web.log()) == before


def test_an_upgrade_is_passed_over(web: Web) -> None:
    """There are no websockets here, nor is there HTTP/2."""
    for kind in ("websocket", "h2c"):
        lines = ["Connection: Upgrade", f"Upgrade: {kind}", "Sec-WebSocket-Key: eA=="]
        assert web.status("GET /api/me HTTP/1.1", here(web), *lines) == 401


# ---- what every answer says ----------------------------------------------------------------------


def test_each_answer_says_what_a_browser_may_do_with_it(web: Web) -> None:
    """`judge` looks at each; here are those that scripts don't get: pages, redirects, refusals."""
    client = web.client("")
    for path in (*PATHS, "/?token=wrong", "/api/commands"):
        assert "server" not in client.get(path).headers
    page = web.client().get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"


def test_a_file_is_sent_once(web: Web) -> None:
    """A browser that has it is told so; who can't unpack gets it plain."""
    client = web.client()
    first = client.get("/")
    again = client.get("/", headers={"if-none-match": first.headers["etag"]})
    plain = client.get("/", headers={"accept-encoding": "identity"})

    assert first.headers["content-encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content


def test_head_is_answered_and_over(web: Web) -> None:
    """Also of what goes on and on."""
    client = web.client()
    for path in ("/api/units", "/api/events", "/"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        '{"command": "pause"',
        '{"command": "pause", "target": {"name": []}}',
        '{"command": "pause now"}',
        '{"command": "launch", "target": {"state": ["END"]}}',
        json.dumps({"command": "pause", "target": {"name": ["x" * 64] * 500}}),
    ],
)
def test_what_is_no_command_is_sent_to_nobody(web: Web, lasting_broker: Broker, body: str) -> None:
    """It is refused at once, in words."""
    before = sent(lasting_broker)
    headers = {"content-type": "application/json"}
    told = web.client().post("/api/commands", content=body, headers=headers)

    assert told.status_code == 400
    assert told.json()["error"]
    assert sent(lasting_broker) == before


# ---- scripts -------------------------------------------------------------------------------------


def test_the_viewer_s_client_is_httpx_too(web: Web) -> None:
    """A script needs nothing but its token."""
    told = httpx.get(f"{web.base}/api/me", headers={"authorization": f"bearer {web.viewer}"})
    assert told.json()["role"] == "viewer"
