"""Behind Debian's nginx, configured as docs/web.md shows: TLS, names, a prefix, streams."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import trustme

from tests.conftest import settings
from tests.tools import Broker, Program, free_port, to_toml, wait_until
from tests.tools.broker import available_brokers
from tests.tools.pages import blocks, text
from tests.tools.processes import dying_with_us
from tests.tools.web_server import WebServer

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
HOST = "status.lab"
USER = ("anna", "of the laboratory")
NEWS_S = 2.0
"""By then what happens is told to a reader; a proxy that keeps it back waits for 4 KiB."""
_AROUND = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
access_log {folder}/access.log;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{servers}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx")


class Site(NamedTuple):
    """A server, and nginx in front of it on two ports.

    Args:
        web: the server itself.
        whole: the port by which it is passed the path as it is; stripped: without the prefix.
        trust: of the browser, in nginx's certificate.
    """

    web: WebServer
    whole: int
    stripped: int
    trust: ssl.SSLContext

    def browser(self, port: int, **headers: str) -> Browser:
        """Return a browser that has opened nothing yet."""
        return Browser(self, port, headers)


class Browser(httpx.Client):
    """A browser as far as it matters: it keeps cookies, and says where a request comes from."""

    def __init__(self, site: Site, port: int, headers: dict[str, str]) -> None:
        self.home = f"https://{HOST}:{port}/statusd/"
        self.port = port
        super().__init__(
            base_url=self.home,
            auth=USER,
            headers={"sec-fetch-site": "same-origin", "origin": self.home[: -len("/statusd/")]}
            | headers,
            transport=_To127(site.trust),
            timeout=10,
        )

    def log_in(self, token: str) -> httpx.Response:
        """Type the token into the form."""
        return self.post("login", data={"token": token})


class _To127(httpx.HTTPTransport):
    """Goes to this machine whatever the name is, which TLS and `Host` say all the same."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        super().__init__(verify=trust)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        there = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1"),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return super().handle_request(there)


def server_block(web: int, port: int, folder: Path, *, stripped: bool) -> str:
    """Return what docs/web.md shows, with places and ports of this test."""
    (found,) = blocks(text("docs/web.md"), "nginx")
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/status.lab.pem": f"{folder}/cert.pem",
        "/etc/ssl/private/status.lab.key": f"{folder}/key.pem",
        "/etc/nginx/statusd.htpasswd": f"{folder}/htpasswd",
        "127.0.0.1:9460": f"127.0.0.1:{web}{'/' if stripped else ''}",
    }
    for shown, ours in changes.items():
        assert found.count(shown) == 1, shown
        found = found.replace(shown, ours)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Broker, unit, server and nginx; the server is told what docs/web.md says of a proxy."""
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "htpasswd").write_text(f"{USER[0]}:{{PLAIN}}{USER[1]}\n")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port, whole, stripped = free_port(), free_port(), free_port()
    servers = [
        server_block(port, whole, folder, stripped=False),
        server_block(port, stripped, folder, stripped=True),
    ]
    (folder / "nginx.conf").write_text(
        _AROUND.format(folder=folder, servers="\n".join(servers)), encoding="utf-8"
    )
    (folder / "web-token").write_text("0123456789abcdef0123")
    (folder / "web.toml").write_text(blocks(text("docs/web.md"), "toml")[0])
    toml = settings("tests.workers:blocked", "")
    with Broker(next(iter(available_brokers().values()))) as broker:
        toml["redis"]["url"] = broker.url
        with (
            Program(to_toml(toml), directory=folder / "unit") as unit,
            WebServer(
                broker.url, folder / "web", "--file", str(folder / "web.toml"), port=port
            ) as web,
            _nginx(folder, (whole, stripped)),
        ):
            unit.wait_state("READY")
            web.token = "0123456789abcdef0123"
            yield Site(web, whole, stripped, trust)


class _nginx:
    """nginx of that folder, until the end of the block."""

    def __init__(self, folder: Path, ports: tuple[int, ...]) -> None:
        self._folder, self._ports = folder, ports

    def __enter__(self) -> None:
        assert NGINX is not None
        conf = ["-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        self._process = subprocess.Popen(
            dying_with_us([NGINX, *conf, "-e", str(self._folder / "error.log")]),
            stdin=subprocess.DEVNULL,
        )
        wait_until(lambda: all(map(self._listens, self._ports)), 10, "nginx to listen")

    def _listens(self, port: int) -> bool:
        assert self._process.poll() is None, (self._folder / "error.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(params=["whole", "stripped"])
def port(site: Site, request: pytest.FixtureRequest) -> int:
    """The port of nginx that passes the path on whole, or without its prefix."""
    return int(getattr(site, request.param))


def test_a_session_begins_through_it_and_its_cookie_is_secure(site: Site, port: int) -> None:
    """Home is where the proxy has put it; the cookie goes there alone, and never in the clear."""
    with site.browser(port) as browser:
        assert browser.get("api/me").status_code == 401
        moved = browser.get("")
        assert (moved.status_code, moved.headers["location"]) == (303, "login")
        begun = browser.log_in(site.web.token)

        assert (begun.status_code, begun.headers["location"]) == (303, "/statusd/")
        cookie = begun.headers["set-cookie"].lower()
        for flag in ("; secure", "; httponly", "; path=/statusd/", "; samesite=strict"):
            assert flag in cookie
        page = browser.get("")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        without = browser.get(f"https://{HOST}:{port}/statusd")
        assert without.status_code in (301, 308)
        assert without.headers["location"].endswith("/statusd/")


def test_a_wrong_token_leads_back_to_the_form(site: Site, port: int) -> None:
    """Below the prefix."""
    with site.browser(port) as browser:
        answer = browser.log_in("wrong" * 8)

    assert (answer.status_code, answer.headers["location"]) == (303, "/statusd/login?wrong")


def test_who_commands_is_whom_the_proxy_knows(site: Site, port: int) -> None:
    """In the unit's own event; whatever else the browser says of itself."""
    lies = {"x-remote-user": "root", "x-forwarded-proto": "http"}
    with site.browser(port, **lies) as browser:
        begun = browser.log_in(site.web.token)
        assert "; secure" in begun.headers["set-cookie"].lower()
        assert browser.get("api/me").json()["user"] == USER[0]
        for word in ("start", "stop"):
            answer = browser.post("api/commands", json={"command": word})
            report = json.loads(answer.text.splitlines()[-1])["report"]
            assert report["done"] == ["unit"]
            event = browser.get("api/units/unit/history?most=1").json()[-1]
            assert (event["trigger"], event["by"]) == (word, f"{USER[0]}@web")


def test_what_happens_is_told_through_it_at_once(site: Site, port: int) -> None:
    """The stream isn't kept back until it fills a buffer."""
    with site.browser(port) as browser:
        browser.log_in(site.web.token)
        position = browser.get("api/units").json()["position"]
        with browser.stream("GET", f"api/events?since={position}", timeout=NEWS_S) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            with site.browser(port) as other:
                other.log_in(site.web.token)
                other.post("api/commands", json={"command": "start"})
            told = next(line for line in lines if '"trigger":"start"' in line)
        assert '"new":"RUNNING"' in told
        browser.post("api/commands", json={"command": "stop"})


def test_another_site_s_page_commands_nothing(site: Site, port: int) -> None:
    """Its origin isn't the proxy's: also of another port of the same host."""
    with site.browser(port) as browser:
        browser.log_in(site.web.token)
        for origin in ("https://evil.example", f"https://{HOST}", f"https://{HOST}:1"):
            headers = {"origin": origin, "sec-fetch-site": "cross-site"}
            answer = browser.post("api/commands", json={"command": "end"}, headers=headers)
            assert answer.status_code == 403
        old = browser.post("api/commands", json={"command": "end"}, headers={"origin": origin})
        assert old.status_code == 403


def test_who_goes_past_it_is_nobody_s_user(site: Site) -> None:
    """By a name that isn't the server's own he gets nowhere; a script has its token."""
    with site.web.client() as script:
        assert script.get("/api/me", headers={"host": "evil.example"}).status_code == 421
        assert script.get("/api/me").json()["user"] == ""


def test_the_token_stands_in_no_log_of_the_proxy(site: Site) -> None:
    """The form sends it in a body."""
    folder = site.web.directory.parent
    with site.browser(site.whole) as browser:
        browser.log_in(site.web.token)

    def logged() -> str:
        return (folder / "access.log").read_text() + (folder / "error.log").read_text()

    wait_until(lambda: '"POST /statusd/login HTTP/1.1" 303' in logged(), 5, "its line")
    assert site.web.token not in logged() + site.web.log()
