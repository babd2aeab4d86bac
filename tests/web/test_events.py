"""The stream of events: who looks sees what is new, and who was away misses nothing unawares."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.tools import Broker, wait_until
from tests.tools.variants import some
from tests.tools.web import Ghosts, Message, Web


@pytest.fixture
def ghosts(lasting_broker: Broker) -> Ghosts:
    """Units of a test's own."""
    return Ghosts(lasting_broker)


def position(web: Web) -> str:
    """Return where the stream is now."""
    return str(web.client().get("/api/units").json()["position"])


def numbers(messages: list[Message]) -> list[int]:
    """Return the numbers in their ids."""
    return [int(told[1].partition("-")[2]) for told in messages]


def descriptors(web: Web) -> int:
    """Return how many the server has open."""
    return len(os.listdir(f"/proc/{web.process.pid}/fd"))


# ---- what is told --------------------------------------------------------------------------------


def test_what_is_new_comes_at_once(web: Web, ghosts: Ghosts) -> None:
    """A unit that is there, its event with its document, a unit that was struck off."""
    with web.events() as stream:
        ghosts.write("new", state="READY")
        (*_, unit) = stream.until("unit", name="new")
        assert unit[2]["document"]["state"] == unit[2]["state"] == "READY"

        took = []
        for seq, state in enumerate(("RUNNING", "PAUSED", "RUNNING", "READY"), 1):
            began = time.monotonic()
            ghosts.write("new", state=state)
            ghosts.tell("new", seq, new=state)
            told = stream.until("event", name="new", seq=seq)
            if not any(data.get("state") == state for _, _, data in told):  # which comes first?
                stream.until("unit", name="new", state=state)
            took.append(time.monotonic() - began)
            assert told[-1][2]["new"] == state
        assert min(took) < 0.3  # where nothing else goes on it is a fifth of a second, each time

        ghosts.strike("new")
        stream.until("gone", name="new")
    assert web.client().get("/api/units/new").status_code == 404


def test_a_document_that_only_grew_older_is_no_news(web: Web, ghosts: Ghosts) -> None:
    """But `api/units` has it as it is."""
    ghosts.write("beats", at="2026-11-28T05:00:00.000Z", canary_ms=1.0)
    client = web.client()
    wait_until(lambda: client.get("/api/units/beats").status_code == 200, 5, "the unit")
    with web.events() as stream:
        ghosts.write("beats", at="2026-11-28T05:00:06.000Z", canary_ms=2.0)
        wait_until(
            lambda: client.get("/api/units/beats").json()["seen"] == "2026-11-28T05:00:06.000Z",
            5,
            "the document",
        )
        ghosts.write("beats", text="news")
        (*_, first) = stream.until("unit", name="beats")
    assert first[2]["document"]["text"] == "news"


def test_who_was_away_misses_nothing(web: Web, ghosts: Ghosts) -> None:
    """Events and units between two connections, in order, each once: by header or by address."""
    with web.events() as stream:
        ghosts.write("away")
        (*_, last) = stream.until("unit", name="away")
    for seq in range(1, 30):
        ghosts.tell("away", seq)
    ghosts.write("away", state="PAUSED")

    for told in (web.events(last_event_id=last[1]), web.events(last[1])):
        with told as stream:
            missed = stream.until("event", name="away", seq=29)
            if not any(data.get("state") == "PAUSED" for _, _, data in missed):
                missed += stream.until("unit", name="away", state="PAUSED")
        seqs = [data["seq"] for kind, _, data in missed if kind == "event"]
        assert seqs == list(range(1, 30))
        (first, *_) = numbers(missed)
        assert first == int(last[1].partition("-")[2]) + 1
        assert numbers(missed) == list(range(first, first + len(missed)))


def test_units_and_stream_fit_together(web: Web, ghosts: Ghosts) -> None:
    """What `api/units` shows, with what follows its position, is the whole."""
    ghosts.write("fits", text="0")
    for number in range(1, 3):
        told = web.client().get("/api/units").json()
        known = {unit["name"]: unit["document"].get("text") for unit in told["units"]}
        ghosts.write("fits", text=str(number))
        with web.events(told["position"]) as stream:
            messages = stream.until("unit", name="fits")
            while messages[-1][2]["document"].get("text") != str(number):
                messages += stream.until("unit", name="fits")
        ours = [data for _, _, data in messages if data.get("name") == "fits"]
        texts = [known.get("fits"), *(unit["document"].get("text") for unit in ours)]
        assert texts == sorted(texts, key=lambda text: int(text or -1))


@pytest.mark.parametrize("known", ["cafe-1", "nonsense", "{epoch}-999999999", "1-1, 2-2"])
def test_who_can_t_be_told_all_is_told_so(web: Web, ghosts: Ghosts, known: str) -> None:
    """By a gap, whose id is where it goes on; and it does."""
    epoch = position(web).partition("-")[0]
    with web.events(last_event_id=known.format(epoch=epoch)) as stream:
        (gap,) = stream.until("gap")
        assert gap[1].startswith(f"{epoch}-")
        ghosts.write("after")
        ghosts.tell("after", int(time.time() * 1000))
        stream.until("event", name="after")


def test_who_was_away_too_long_is_told_so(web: Web, ghosts: Ghosts) -> None:
    """Eight megabytes are kept, whatever is told."""
    before = position(web)
    names = [f"large-{number}" for number in range(10)]
    ghosts.write(*names, text="x" * 900_000)
    wait_until(lambda: web.client().get("/api/units/large-9").status_code == 200, 5, "all of it")
    with web.events(before) as stream:
        assert next(stream.messages())[0] == "gap"
    ghosts.strike(*names)


# ---- how many ------------------------------------------------------------------------------------


def test_five_hundred_want_to_look(web: Web, ghosts: Ghosts) -> None:
    """Two hundred do; the others are told to come again, and nobody is disturbed.

    Commands have their own way in. When those who look have gone, others may.
    """
    lines = ("GET /api/events HTTP/1.1", "Host: localhost", f"Authorization: Bearer {web.token}")
    head = "".join(f"{line}\r\n" for line in (*lines, ""))
    before, client = descriptors(web), web.client()
    with ExitStack() as many:
        all_of_them = [many.enter_context(web.connect()) for _ in range(500)]
        for connection in all_of_them:
            connection.sendall(head.encode())
        answers = [connection.recv(100)[:12] for connection in all_of_them]
        looking = answers.count(b"HTTP/1.1 200")
        assert 195 < looking <= 200  # who was here before may not have gone yet
        assert answers.count(b"HTTP/1.1 503") == 500 - looking

        assert client.get("/api/units").status_code == 200
        order = {"command": "ping", "target": {"name": ["nobody"]}, "timeout_s": 0}
        assert client.post("/api/commands", json=order).status_code == 200
    wait_until(lambda: descriptors(web) <= before + 3, 10, "all of them to be gone")
    with web.events() as stream:
        ghosts.write("still")
        ghosts.tell("still", int(time.time() * 1000))
        stream.until("event", name="still")


def test_those_who_all_come_at_once_leave_descriptors(
    lasting_broker: Broker, tmp_path: Path
) -> None:
    """However few there are: who says nothing makes room before they are all gone."""
    with Web(lasting_broker.url, directory=tmp_path, descriptors=256) as web, ExitStack() as many:
        web.wait_up()
        os.kill(web.process.pid, signal.SIGSTOP)
        for _ in range(500):
            connection = many.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex((web.host, web.port))
        os.kill(web.process.pid, signal.SIGCONT)

        assert web.client().get("/api/me").status_code == 200
        assert web.log() == ""


@pytest.mark.parametrize("times", some((50, 1000), 1))
def test_who_comes_and_goes_leaves_nothing(
    lasting_broker: Broker, tmp_path: Path, ghosts: Ghosts, times: int
) -> None:
    """Neither a descriptor nor memory, whatever he looked at."""
    with Web(lasting_broker.url, directory=tmp_path) as web:
        come_and_go(web, ghosts, times)


def come_and_go(web: Web, ghosts: Ghosts, times: int) -> None:
    """Look at everything so often, each time as somebody else; nothing is left of it."""
    ghosts.write("looked-at")
    wait_until(lambda: "looked-at" in web.client().get("/api/units").text, 5, "the unit")

    def look(count: int) -> None:
        for number in range(count):
            client = web.client()
            with client.stream("GET", "/api/events") as stream:
                next(stream.iter_lines())
            path = f"/api/units/looked-at/logs?follow={number % 2}"
            with client.stream("GET", path) as stream:
                assert stream.status_code == 200
            client.get("/api/units")
            client.close()

    look(50)  # what is made once
    wait_until(lambda: descriptors(web) < 40, 10, "the first ones to be gone")
    before, used = descriptors(web), resident(web)
    look(times)
    wait_until(lambda: descriptors(web) <= before, 10, "the others to be gone")
    assert resident(web) - used < 2048


def resident(web: Web) -> int:
    """Return how much memory the server has, in KiB."""
    text = Path(f"/proc/{web.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])
