"""A real nginx in front, with TLS, a password and a prefix: configured as docs/web.md says."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.conftest import Run
from tests.tools import Broker, environment, free_port, wait_until
from tests.tools.http import get
from tests.tools.pages import blocks, text
from tests.tools.processes import dying_with_us

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
HOST, TOKEN, USER = "status.lab.example", "operators-token-of-a-test", ("alice", "wonderland")
PASS = "proxy_pass http://127.0.0.1:9460"
BEGIN_S, NEWS_S = 20.0, 10.0

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx: apt-get install nginx")


@contextmanager
def running(words: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a server until the block ends; it listens when the block begins."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            dying_with_us(words), cwd=folder, env=environment(folder), stdout=log, stderr=log
        )

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            get(port, "/")
        except OSError:
            return False
        return True

    try:
        wait_until(listens, BEGIN_S, f"{words[0]} to listen")
        yield
    finally:
        process.terminate()
        assert process.wait(BEGIN_S) == 0, (folder / "log").read_text()


def replaced(text_of: str, changes: dict[str, str]) -> str:
    """Return a page's block with what is another one here; all of it is there."""
    for old, new in changes.items():
        assert old in text_of, old
        text_of = text_of.replace(old, new)
    return text_of


def nginx_conf(folder: Path, port: int, inner: int, *, strips: bool) -> str:
    """Return the page's server with the least that nginx wants around it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert(HOST)
    certificate.private_key_pem.write_to_path(folder / "key")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert")
    (folder / "users").write_text(f"{USER[0]}:{{PLAIN}}{USER[1]}\n")
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/status.pem": f"{folder}/cert",
        "/etc/nginx/status.key": f"{folder}/key",
        "/etc/nginx/statusd.users": f"{folder}/users",
        f"{PASS};": f"{PASS.replace('9460', str(inner))}{'/' if strips else ''};",
    }
    (block,) = blocks(text("docs/web.md"), "nginx")
    kept = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {folder}/{name};\n" for name in kept)
    root = "user root;\n" if os.geteuid() == 0 else ""
    http = f"access_log off;\n{places}{replaced(block, changes)}"
    head = f"{root}daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\n"
    return f"{head}http {{\n{http}}}\n"


@pytest.fixture(params=["with its prefix", "without it"])
def browser(
    request: pytest.FixtureRequest, broker: Broker, tmp_path: Path
) -> Iterator[httpx.Client]:
    """Somebody who is outside, and knows nginx's password; the path reaches us either way."""
    port, inner = free_port(), free_port()
    settings = {
        "redis://127.0.0.1:6379/0": broker.url,
        "127.0.0.1:9460": f"127.0.0.1:{inner}",
        "/etc/statusd/web-token": f"{tmp_path}/token",
    }
    (toml,) = blocks(text("docs/web.md"), "toml")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "web.toml").write_text(replaced(toml, settings))
    strips = request.param == "without it"
    (tmp_path / "nginx.conf").write_text(nginx_conf(tmp_path, port, inner, strips=strips))
    server = [sys.executable, "-m", "statusd", "web", "--file", str(tmp_path / "web.toml")]
    proxy = [str(NGINX), "-e", "stderr", "-p", f"{tmp_path}/", "-c", f"{tmp_path}/nginx.conf"]
    with (
        running(server, tmp_path, inner),
        running(proxy, tmp_path, port),
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}/statusd/",
            auth=USER,
            headers={"Host": f"{HOST}:{port}"},
            verify=ssl.create_default_context(cafile=tmp_path / "ca.pem"),
            timeout=NEWS_S,
        ) as client,
    ):
        client.event_hooks["request"].append(
            lambda asked: asked.extensions.update(sni_hostname=HOST)
        )
        yield client


def log_in(browser: httpx.Client) -> httpx.Response:
    """Begin a session, and keep its cookie as a browser does."""
    answer = browser.get("", params={"token": TOKEN})
    name, value = answer.headers["set-cookie"].partition(";")[0].split("=", 1)
    browser.headers["Cookie"] = f"{name}={value}"
    return answer


def from_page(browser: httpx.Client, **more: str) -> dict[str, str]:
    """Return the headers that a browser adds to what our page asks for."""
    origin = f"https://{browser.headers['Host']}"
    return {"Origin": origin, "Sec-Fetch-Site": "same-origin", **more}


def test_the_page_is_found_below_its_prefix_by_a_cookie_for_tls_alone(
    browser: httpx.Client,
) -> None:
    """Who has no password of nginx's gets nowhere; who has one is asked for a token, once."""
    assert browser.get("", auth=("alice", "wrong")).status_code == 401
    asked = browser.get("")
    assert (asked.status_code, asked.headers["location"]) == (303, "login")
    assert browser.get("login").status_code == 200

    answer = log_in(browser)

    assert (answer.status_code, answer.headers["location"]) == (303, "/statusd/")
    cookie = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"secure", "httponly", "path=/statusd/", "samesite=strict"} <= cookie
    assert "<html" in browser.get("").text
    assert browser.get("static/app.js").status_code == 200
    assert browser.get("api/me").json()["user"] == USER[0]
    wrong = browser.post("login", data={"token": "x" * 20}, headers=from_page(browser))
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/statusd/login?wrong")
    ended = browser.post("logout", headers=from_page(browser))
    assert ended.status_code == 200
    assert "path=/statusd/" in ended.headers["set-cookie"].lower()
    assert browser.get("api/me").status_code == 401


def test_news_pass_as_they_come_and_say_who_has_commanded(
    browser: httpx.Client, broker: Broker, run: Run
) -> None:
    """By what nginx says of the user, whatever the browser says of itself."""
    unit = run("tests.workers:obedient", broker.url, goal="RUNNING")
    unit.wait_state("RUNNING")
    log_in(browser)
    wait_until(lambda: _state(browser) == "RUNNING", NEWS_S, "the server to know the unit")
    command = {"command": "pause", "target": {"name": ["unit"]}}
    headers = from_page(browser, **{"X-Remote-User": "mallory"})
    with browser.stream("GET", "api/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"

        answer = browser.post("api/commands", json=command, headers=headers)

        event = next(_told(lines, "pause"))  # the stream goes on: it was not kept back
    report = json.loads(answer.text.splitlines()[-1])["report"]
    assert report["done"] == ["unit"]
    assert (event["new"], event["by"]) == ("PAUSED", f"{USER[0]}@web")


def _state(browser: httpx.Client) -> str:
    units = browser.get("api/units").json()["units"]
    return next((str(unit["state"]) for unit in units), "")


def _told(lines: Iterator[str], trigger: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream that were brought about by a word."""
    for line in lines:
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if event.get("trigger") == trigger:
                yield event
