"""Who gets in, and what is left of a token behind him: nothing, wherever one might look."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.tools import Broker, wait_until
from tests.tools.web import Web, sent

SAME = {"sec-fetch-site": "same-origin"}
COMMAND = {"command": "pause", "target": {"name": ["nobody"]}, "timeout_s": 0}


@pytest.fixture
def own(lasting_broker: Broker, tmp_path: Path) -> Iterator[Web]:
    """A server whose files of tokens a test may change."""
    with Web(lasting_broker.url, directory=tmp_path / "own") as running:
        yield running


def login(web: Web, token: str, **more: str) -> httpx.Response:
    """Log in by the form of the page."""
    return web.client("").post("/login", data={"token": token}, headers=SAME | more)


def session_of(answer: httpx.Response) -> dict[str, str]:
    """Return the cookie that an answer sets."""
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    return {name: value}


def role(web: Web, session: dict[str, str]) -> str:
    """Return the role of a session; empty if there is no such one."""
    told = web.client("", cookies=session).get("/api/me")
    return str(told.json().get("role", ""))


# ---- without a token -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"authorization": "Bearer wrong-token-0123456789"},
        {"authorization": "Bearer"},
        {"authorization": "Basic b3BlcmF0b3I6eA=="},
        {"cookie": "statusd-{port}=chosen"},
        {"cookie": "statusd-{port}={token}"},
        {"cookie": "token={token}"},
        {"x-token": "{token}"},
        {"x-remote-user": "root", "x-forwarded-user": "root", "x-forwarded-for": "127.0.0.1"},
    ],
)
def test_nobody_gets_in_without_a_token(web: Web, said: dict[str, str]) -> None:
    """To nothing that tells of the fleet or changes it; the refusal says how."""
    said = {k: v.format(port=web.port, token=web.token) for k, v in said.items()}
    client = web.client("", headers=said)

    for path in ("me", "units", "units/x", "units/x/history", "units/x/logs", "events", "nowhere"):
        told = client.get(f"/api/{path}")
        assert told.status_code == 401, path
        assert told.headers["www-authenticate"].startswith("Bearer")
    told = client.post("/api/commands", json=COMMAND, headers=SAME)
    assert told.status_code == 401
    assert client.post("/logout", headers=SAME).status_code == 401


def test_a_stranger_is_led_to_the_login(web: Web) -> None:
    """Which shows nothing but itself."""
    client = web.client("")
    page = client.get("/")

    assert (page.status_code, page.headers["location"]) == (303, "login")
    assert client.get("/login").status_code == 200
    assert client.get("/?x=token=1").status_code == 303
    assert client.get("/?token=").status_code == 303


# ---- with one ------------------------------------------------------------------------------------


def test_a_token_in_the_address_is_gone_from_it_at_once(web: Web) -> None:
    """Behind it is a clean address and a session: nothing for the history, nor for a Referer."""
    answer = web.client("").get("/", params={"token": web.token})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["cache-control"] == "no-store"
    assert web.token not in str(answer.headers)
    assert role(web, session_of(answer)) == "operator"


def test_the_form_begins_a_session(web: Web) -> None:
    """Of the role that the token stands for; a wrong one leads back."""
    for token, wanted in ((web.token, "operator"), (web.viewer, "viewer")):
        answer = login(web, f" {token}\n")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert role(web, session_of(answer)) == wanted

    for wrong in ("", "wrong", "x" * 5000, "\ud800".encode("utf-8", "surrogatepass").hex()):
        answer = login(web, wrong)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?wrong")
        assert "set-cookie" not in answer.headers
    assert web.client("").get("/login?wrong").status_code == 200


def test_a_cookie_is_for_this_server_alone(web: Web) -> None:
    """No script reads it, no other site sends it; all ports share it, so that each has its name."""
    cookie = login(web, web.token).headers["set-cookie"]

    name, _, rest = cookie.partition("=")
    assert name == f"statusd-{web.port}"
    flags = {flag.strip().lower() for flag in rest.split(";")[1:]}
    assert flags == {"httponly", "path=/", "samesite=strict"}
    assert web.token not in cookie


def test_an_id_that_somebody_chose_is_never_taken(web: Web) -> None:
    """Session fixation: not before the login, nor by it."""
    chosen = {f"statusd-{web.port}": "chosen-by-somebody-else-0123456789abcdefghijk"}
    shown = "; ".join(f"{name}={value}" for name, value in chosen.items())

    for answer in (
        login(web, web.token, cookie=shown),
        web.client("", headers={"cookie": shown}).get("/", params={"token": web.token}),
    ):
        assert session_of(answer) != chosen
    assert role(web, chosen) == ""


def test_a_cookie_of_another_port_keeps_nobody_out(web: Web) -> None:
    """All ports of a host share them: one that is set there may come first, and be anything."""
    (name, operators), (_, viewers) = (
        next(iter(session_of(login(web, token)).items())) for token in (web.token, web.viewer)
    )
    for others in ("chosen", "", viewers):
        for both in ((others, operators), (operators, others)):
            shown = "; ".join(f"{name}={value}" for value in both)
            client = web.client("", headers={"cookie": shown} | SAME)
            assert client.get("/api/me").json()["role"] == "operator", both

    assert client.post("/logout").json() == {"ended": True}
    assert role(web, {name: operators}) == role(web, {name: viewers}) == ""


def test_a_login_ends_the_session_before(web: Web) -> None:
    """Of that browser: whoever had its id has nothing any more."""
    first = session_of(login(web, web.viewer))
    shown = "; ".join(f"{name}={value}" for name, value in first.items())

    second = session_of(login(web, web.token, cookie=shown))

    assert role(web, first) == ""
    assert role(web, second) == "operator"


@pytest.mark.parametrize(
    "led",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://evil.example"},
    ],
)
def test_no_other_site_logs_somebody_in(web: Web, led: dict[str, str]) -> None:
    """Neither by a link nor by a form: he would work in a session of somebody else's."""
    client = web.client("")

    link = client.get("/", params={"token": web.viewer}, headers=led)
    form = client.post("/login", data={"token": web.viewer}, headers=led)

    assert (link.status_code, link.headers["location"]) == (303, "login")
    assert form.status_code == 403
    assert "set-cookie" not in {*link.headers, *form.headers}


def test_who_logs_out_is_out(web: Web) -> None:
    """Also what was still being read."""
    session = session_of(login(web, web.token))
    client = web.client("", cookies=session)

    with client.stream("GET", "/api/events") as stream:
        gone = client.post("/logout", headers=SAME)
        assert gone.json() == {"ended": True}
        assert "Max-Age=0" in gone.headers["set-cookie"]
        assert list(stream.iter_lines())[-1] == ""
    assert role(web, session) == ""


# ---- a viewer ------------------------------------------------------------------------------------


def test_a_viewer_commands_nobody(web: Web, lasting_broker: Broker) -> None:
    """By no way: as a script, as a browser; and the page knows it."""
    session, before = session_of(login(web, web.viewer)), sent(lasting_broker)
    for client in (web.client(web.viewer), web.client("", cookies=session, headers=SAME)):
        told = client.get("/api/me").json()
        assert (told["role"], told["may_command"]) == ("viewer", False)
        for more in ({}, {"dry_run": True}, {"durable": True}):
            refused = client.post("/api/commands", json=COMMAND | more)
            assert refused.status_code == 403
    assert sent(lasting_broker) == before


# ---- tokens that change --------------------------------------------------------------------------


def test_a_new_token_ends_what_the_old_one_began(own: Web) -> None:
    """Sessions, scripts and streams; those of the other role go on."""
    new = "another-token-0123456789"
    session, viewers = session_of(login(own, own.token)), session_of(login(own, own.viewer))
    reader = own.client("", cookies=session)
    with (
        reader.stream("GET", "/api/events") as stream,
        own.client().stream("GET", "/api/events") as script,
        own.client(own.viewer).stream("GET", "/api/events") as others,
    ):
        own.token_file.write_text(new)

        assert list(stream.iter_lines())[-1] == ""
        assert list(script.iter_lines())[-1] == ""
        assert not others.is_closed
    assert own.client().get("/api/me").status_code == 401
    assert role(own, session) == ""
    assert role(own, viewers) == "viewer"
    assert role(own, session_of(login(own, new))) == "operator"


def test_a_file_that_can_t_be_read_lets_nobody_in(own: Web) -> None:
    """It is said once; and when it is there again they get in."""
    client = own.client()
    own.token_file.unlink()
    wait_until(lambda: client.get("/api/me").status_code == 401, 5, "the token to be gone")
    assert own.client("").get("/?token=").status_code == 303
    assert own.client(own.viewer).get("/api/me").status_code == 200

    os.mkfifo(own.token_file)
    assert own.client("").get("/login").status_code == 200  # nobody waits for a pipe
    own.token_file.unlink()
    own.token_file.write_text(own.token)
    wait_until(lambda: client.get("/api/me").status_code == 200, 5, "the token to be back")

    assert len(own.logged("web.token_unreadable")) == 1
    assert len(own.logged("web.token_read")) == 1


def test_no_token_is_left_anywhere(own: Web) -> None:
    """In the log, in what is printed, among the words that everybody sees: whatever was tried."""
    wrong = "a-wrong-token-0123456789"
    for token in (own.token, own.viewer, wrong):
        own.client("").get("/", params={"token": token})
        own.client("").get(f"/{token}")
        own.client(token).get("/api/me", params={"token": token})
        own.client(token).post("/api/commands", json=COMMAND)
        login(own, token)
    own.raw(f"GET /{own.token} HTTP/1.1\r\n{own.token}\r\n\r\n")
    own.token_file.write_text(f"{own.token}\nand more")
    wait_until(lambda: own.logged("web.token_unreadable"), 5, "the file to be looked at")

    words = Path(f"/proc/{own.process.pid}/cmdline").read_text()
    for where in (own.log(), own.printed(), words):
        for secret in (own.token, own.viewer, wrong):
            assert secret not in where
    assert len(own.logged("web.login_refused")) == 1  # a thousand would be one as well
    assert [line["by"] for line in own.logged("web.command")] == ["operator@web"]


# ---- how it is started ---------------------------------------------------------------------------


def test_the_address_is_printed_once_with_a_token_that_is_new(
    lasting_broker: Broker, tmp_path: Path
) -> None:
    """And nothing of it is logged."""
    with Web(lasting_broker.url, directory=tmp_path, token="", viewer="") as one:
        assert one.printed() == f"{one.base}/?token={one.token}\n"
        assert len(one.token) >= 43
        assert one.client().get("/api/me").json()["role"] == "operator"
        assert one.log() == ""


def test_behind_a_proxy_that_is_believed(lasting_broker: Broker, tmp_path: Path) -> None:
    """It says who it is and that the browser came by HTTPS; what it says stands in ``by``."""
    args = ("--trusted-proxy", "127.0.0.1", "--user-header", "X-Remote-User")
    more = ("--root-path", "/statusd", "--allow-host", "status.lab")
    said = {"x-remote-user": "ann", "x-forwarded-proto": "https", "host": "status.lab"}
    origin = {"origin": "https://status.lab"}
    with Web(lasting_broker.url, directory=tmp_path, args=(*args, *more)) as one:
        client = one.client("", headers=said)
        answer = client.post("/statusd/login", data={"token": one.token}, headers=origin)
        assert answer.headers["location"] == "/statusd/"
        flags = answer.headers["set-cookie"].lower()
        assert "path=/statusd/" in flags
        assert "secure" in flags

        browser = one.client("", headers=said | SAME, cookies=session_of(answer))
        for root in ("/statusd", ""):  # a proxy may take it away
            assert browser.get(f"{root}/api/me").json()["user"] == "ann"
        for query in ("", "?token=x&more"):
            moved = browser.get(f"/statusd{query}").headers
            assert (moved["location"], moved["cache-control"]) == (f"/statusd/{query}", "no-store")
        refused = browser.post(
            "/api/commands", json=COMMAND, headers={"origin": "http://status.lab"}
        )
        assert refused.status_code == 403
        browser.post("/api/commands", json=COMMAND, headers=origin)
        assert [line["by"] for line in one.logged("web.command")] == ["ann@web"]


def test_a_proxy_that_nobody_named_lies(web: Web) -> None:
    """What it says of user, address and HTTPS changes nothing."""
    said = {"x-remote-user": "root", "x-forwarded-proto": "https", "x-forwarded-for": "10.0.0.1"}
    said |= {"forwarded": "for=10.0.0.1;proto=https;host=evil", "x-forwarded-host": "evil.example"}

    answer = web.client("", headers=said | SAME).post("/login", data={"token": web.token})
    assert "secure" not in answer.headers["set-cookie"].lower()
    assert answer.headers["location"] == "/"
    assert web.client(headers=said).get("/api/me").json()["user"] == ""


def test_over_ip_version_6(lasting_broker: Broker, tmp_path: Path) -> None:
    """Its address is one of its names, and is printed as a URL has it."""
    with Web(lasting_broker.url, directory=tmp_path, host="::1") as one:
        assert one.printed() == f"http://[::1]:{one.port}/\n"
        assert one.client().get("/api/me").status_code == 200
