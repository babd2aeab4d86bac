"""Behind nginx and Caddy, as docs/web.md configures them: TLS, names, a prefix, streams."""

from __future__ import annotations

import json
import os
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

PROXIES = {
    name: shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    for name in ("nginx", "caddy")
}
"""Each with where it is, if it is."""
PORTS = {"nginx, the path whole": "nginx", "nginx, without prefix": "nginx", "caddy": "caddy"}
HOST = "status.lab"
USER = ("anna", "of the laboratory")
NEWS_S = 2.0
"""By then what happens is told to a reader; a proxy that keeps it back waits for 4 KiB."""
_AROUND_NGINX = """\
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

_AROUND_CADDY = """\
{{
    admin off
    auto_https off
    storage file_system {folder}/caddy
}}
{site}
"""


class Site(NamedTuple):
    """A server, and the proxies in front of it.

    Args:
        web: the server itself.
        ports: of the proxies that are here, by the names of `PORTS`.
        trust: of the browser, in their certificate.
    """

    web: WebServer
    ports: dict[str, int]
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
            timeout=60,  # Caddy takes a second or more over a password it sees first
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


def shown(language: str, holds: str, changes: dict[str, str]) -> str:
    """Return the block of docs/web.md that ``holds`` this, with places and ports of this test."""
    (found,) = [block for block in blocks(text("docs/web.md"), language) if holds in block]
    for theirs, ours in changes.items():
        assert found.count(theirs) == 1, theirs
        found = found.replace(theirs, ours)
    return found


def nginx(folder: Path, web: int, port: int, *, stripped: bool) -> str:
    """Return its part for one port."""
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/status.lab.pem": f"{folder}/cert.pem",
        "/etc/ssl/private/status.lab.key": f"{folder}/key.pem",
        "/etc/nginx/statusd.htpasswd": f"{folder}/htpasswd",
        "127.0.0.1:9460": f"127.0.0.1:{web}{'/' if stripped else ''}",
    }
    return shown("nginx", "location /statusd/", changes)


def caddy(folder: Path, web: int, port: int) -> str:
    """Return its file."""
    asks = [str(PROXIES["caddy"]), "hash-password", "--plaintext", USER[1]]
    password = subprocess.run(asks, capture_output=True, text=True, check=True).stdout.strip()
    version = subprocess.run([asks[0], "version"], capture_output=True, text=True, check=True)
    is_old = version.stdout.lstrip("v").startswith(tuple(f"2.{minor}." for minor in range(8)))
    here = f"bind 127.0.0.1\n    tls {folder}/cert.pem {folder}/key.pem"
    logs = f"log {{\n        output file {folder}/caddy.log\n    }}"
    changes = {
        f"{HOST} {{": f"https://{HOST}:{port} {{\n    {here}\n    {logs}",
        "basic_auth": "basicauth" if is_old else "basic_auth",
        "$2a$14$...": password,
        "127.0.0.1:9460": f"127.0.0.1:{web}",
    }
    return _AROUND_CADDY.format(folder=folder, site=shown("", "reverse_proxy", changes))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Broker, unit, server and proxies; the server is told what docs/web.md says of a proxy."""
    folder = tmp_path_factory.mktemp("proxies")
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "htpasswd").write_text(f"{USER[0]}:{{PLAIN}}{USER[1]}\n")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port = free_port()
    ports = {name: free_port() for name, proxy in PORTS.items() if PROXIES[proxy]}
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
            _proxies(folder, port, ports),
        ):
            unit.wait_state("READY")
            web.token = "0123456789abcdef0123"
            yield Site(web, ports, trust)


class _proxies:
    """Those that are here, until the end of the block."""

    def __init__(self, folder: Path, web: int, ports: dict[str, int]) -> None:
        self._folder, self._ports = folder, ports
        self._commands: list[list[str]] = []
        if PROXIES["nginx"]:
            whole, stripped = list(ports.values())[:2]
            servers = (
                nginx(folder, web, whole, stripped=False),
                nginx(folder, web, stripped, stripped=True),
            )
            conf, errors = folder / "nginx.conf", str(folder / "error.log")
            conf.write_text(_AROUND_NGINX.format(folder=folder, servers="\n".join(servers)))
            options = ["-p", str(folder), "-c", str(conf), "-e", errors]
            self._commands.append([PROXIES["nginx"], *options])
        if PROXIES["caddy"]:
            conf = folder / "Caddyfile"
            conf.write_text(caddy(folder, web, ports["caddy"]))
            self._commands.append([PROXIES["caddy"], "run", "--config", str(conf)])

    def __enter__(self) -> None:
        self._said = (self._folder / "proxies.log").open("w+b")
        self._processes = [
            subprocess.Popen(
                dying_with_us(command),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                env={**os.environ, "HOME": str(self._folder)},
            )
            for command in self._commands
        ]
        wait_until(lambda: all(map(self._listens, self._ports.values())), 10, "them to listen")

    def _listens(self, port: int) -> bool:
        for process in self._processes:
            assert process.poll() is None, (self._folder / "proxies.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)
        self._said.close()


@pytest.fixture(params=PORTS)
def port(site: Site, request: pytest.FixtureRequest) -> int:
    """The port of a proxy, for each of them."""
    if request.param not in site.ports:
        name = PORTS[request.param]
        pytest.skip(f"needs {name}: apt-get install {name}")
    return site.ports[request.param]


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


def test_the_token_stands_in_no_log_of_the_proxy(site: Site, port: int) -> None:
    """The form sends it in a body."""
    folder = site.web.directory.parent
    with site.browser(port) as browser:
        browser.log_in(site.web.token)

    def logged() -> str:
        return "".join(file.read_text() for file in folder.glob("*.log"))

    wait_until(lambda: "/statusd/login" in logged(), 5, "its line")
    assert site.web.token not in logged() + site.web.log()
