"""The fleet in a browser, as an operator works with it."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from statusd.wire.names import NAMESPACE, Names
from tests.browser.conftest import Look, row, state
from tests.browser.world import OPERATOR, VIEWER, Web, World
from tests.tools import Program, wait_until
from tests.tools.paper_fleet import PaperFleet

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import Request, expect

from tests.browser.hands import press, select

SILENCE_MS = 20_000
"""Longer than an answer is waited for."""


def test_a_change_shows_itself(world: World, web: Web, look: Look) -> None:
    """What is commanded elsewhere is on the screen, counted, with who has done it."""
    page = look(web)
    expect(state(page, "camera")).to_have_text("RUNNING")
    expect(page.locator("[data-key='is RUNNING'] b")).to_have_text("2")
    world.say("pause", "camera")
    expect(state(page, "camera")).to_have_text("PAUSED")
    expect(page.locator("[data-key='is RUNNING'] b")).to_have_text("1")
    expect(row(page, "camera").locator(".c-last")).to_have_text("pause by ops@desk")


def test_what_is_in_trouble_stands_first(world: World, web: Web, look: Look) -> None:
    """LOST comes before all that work; it is counted, and there is a way to see nothing else."""
    page = look(web)
    expect(page.locator("[data-key=trouble] b")).to_have_text("0")
    world.lose("zeppelin")
    first = page.locator(".row:not(.head)").first
    expect(first).to_contain_text("zeppelin")
    expect(first).to_contain_text("LOST")
    expect(first).to_contain_text("its daemon died, or can't reach the broker")
    expect(page).to_have_title("(1) statusd")
    expect(page.locator("#said")).to_contain_text("zeppelin: LOST")
    page.keyboard.press("t")
    expect(page.locator(".row:not(.head)")).to_have_count(1)


def test_one_is_paused(world: World, web: Web, look: Look) -> None:
    """Who would get it is shown before; what became of it after; only the one is paused."""
    page = look(web)
    select(page, "laser")
    press(page, "pause")
    expect(page.locator("#ask .roster b").nth(1)).to_have_text("laser")
    page.keyboard.press("Enter")
    expect(page.locator("#verdicts h2")).to_have_text("pause: 1 done")
    expect(page.locator("#verdicts .done li")).to_contain_text("RUNNING → PAUSED")
    world.wait_for("laser", "PAUSED")
    assert world.document("camera")["state"] == "RUNNING"
    assert world.document("laser")["last"]["by"] == "operator@web"


def test_arguments_come_along(world: World, web: Web, look: Look) -> None:
    """What is typed as key=value reaches the worker; of what isn't one nothing is sent.

    For how long it is good goes along.
    """
    page = look(web)
    orders: list[dict[str, Any]] = []

    def heard(request: Request) -> None:
        if request.method == "POST":
            orders.append(dict(request.post_data_json or {}))

    page.on("request", heard)
    select(page, "stage")
    press(page, "start")
    page.locator("#ask summary").click()
    page.locator("#ask textarea").fill("exposure")
    page.locator("#ask button[type=submit]").click()
    expect(page.locator("#ask .wrong")).to_contain_text("key=value")
    assert world.document("stage")["state"] == "READY"
    page.locator("#ask textarea").fill("exposure=0.5\nfilter=red")
    page.get_by_label("Only if it is taken within").fill("soon")
    page.locator("#ask button[type=submit]").click()
    expect(page.locator("#ask .wrong")).to_have_text("soon: it is no number of seconds")
    page.get_by_label("Only if it is taken within").fill("60")
    page.locator("#ask button[type=submit]").click()
    expect(page.locator("#verdicts h2")).to_have_text("start: 1 done")
    assert world.document("stage")["args"] == {"exposure": 0.5, "filter": "red"}
    assert [order.get("expires_s") for order in orders] == [None, 60]  # who would get it, and it


def test_silent_and_lost_ones_are_named(world: World, web: Web, look: Look) -> None:
    """A selection with a silent and a lost one: `done` is told of who is, the others by name."""
    world.lose("zeppelin")
    settings = {
        **{"name": "mute", "goal": "RUNNING", "redis": {"url": world.broker.url}},
        **{"control": {"channels": ["mychannel"]}},
        **{"worker": {"function": "tests.workers:obedient"}},
    }
    with Program(settings, directory=world.folder / "mute") as mute:
        world.wait_for("mute", "RUNNING")
        page = look(web)
        select(page, "camera", "mute", "zeppelin")
        mute.signal(signal.SIGSTOP)
        press(page, "pause")
        expect(page.locator("#ask .roster")).to_contain_text("can't be asked")
        expect(page.locator("#ask h2")).to_have_text("Pause 2 of 3 units")
        page.keyboard.press("Enter")
        expect(page.locator("#verdicts h2")).to_contain_text("waiting for mute")
        expect(page.locator("#verdicts .done")).not_to_contain_text("mute")
        told = page.locator("#verdicts h2")
        expect(told).to_have_text("pause: 1 done, 1 silent, 1 lost", timeout=SILENCE_MS)
        expect(page.locator("#verdicts .silent li b")).to_have_text("mute")
        expect(page.locator("#verdicts .lost li b")).to_have_text("zeppelin")
        expect(page.locator("#said")).to_contain_text("1 silent")
        expect(row(page, "mute").locator(".c-text")).to_contain_text("silent to pause")
        mute.signal(signal.SIGCONT)


def test_one_at_work_ends_by_a_second_press_elsewhere(world: World, web: Web, look: Look) -> None:
    """Neither Enter, however often, nor a double click ends what works."""
    page = look(web)
    select(page, "camera")
    page.keyboard.press("e")
    expect(page.locator("#ask .roster b").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_hidden()
    press(page, "end")
    first = page.locator("#ask footer button.fatal")
    first.dblclick()
    expect(page.locator("#ask .sure button")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert world.document("camera")["state"] == "RUNNING"
    press(page, "end")
    page.locator("#ask summary").click()
    page.locator("#ask input[type=checkbox]").focus()
    page.keyboard.press("Enter")
    first.click()
    page.locator("#ask input[type=checkbox]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_visible()
    page.locator("#ask .sure button").click()
    expect(page.locator("#verdicts h2")).to_have_text("end: 1 done")
    world.wait_for("camera", "END")
    assert world.document("laser")["state"] == "RUNNING"


def test_several_end_when_their_number_is_typed(world: World, web: Web, look: Look) -> None:
    """The number is that of who would get it; then they can be launched again."""
    page = look(web)
    select(page, "camera", "laser")
    press(page, "end")
    submit = page.locator("#ask button[type=submit]")
    expect(submit).to_be_disabled()
    page.keyboard.type("3")
    expect(submit).to_be_disabled()
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_visible()
    page.locator("#ask-many").fill("2")
    page.keyboard.press("Enter")
    expect(page.locator("#verdicts h2")).to_have_text("end: 2 done")
    expect(page.locator("#words button[data-word=end]")).to_have_attribute("aria-disabled", "true")
    press(page, "launch")
    page.keyboard.press("Enter")
    expect(page.locator("#verdicts h2")).to_have_text("launch: 2 done")
    expect(state(page, "camera")).to_have_text("RUNNING")


def test_what_isnt_allowed_says_why(world: World, web: Web, look: Look) -> None:
    """A word that one of the selected doesn't allow can't be pressed, and says of whom and why."""
    page = look(web)
    select(page, "camera", "stage")
    pause = page.locator("#words button[data-word=pause]")
    expect(pause).to_have_attribute("aria-disabled", "true")
    expect(pause).to_have_attribute("title", "not allowed in READY: stage")
    page.keyboard.press("p")
    expect(page.locator(".toast")).to_contain_text("not allowed in READY: stage")
    expect(page.locator("#ask")).to_be_hidden()


def test_filter(world: World, web: Web, look: Look) -> None:
    """Words, keys, patterns and their opposite; chips filter as well; Esc shows all again."""
    page = look(web)
    shown = page.locator(".row:not(.head)")
    for text, names in (
        ("cam", ["camera"]),
        ("state:ready", ["stage"]),
        ("tag:lab -state:ready", ["camera", "laser"]),
        ("*a", ["camera"]),
        ("name:l", ["laser"]),
        ("nobody", []),
    ):
        page.keyboard.press("/")
        page.locator("#filter").fill(text)
        expect(shown).to_have_count(len(names))
        for name in names:
            expect(row(page, name)).to_be_visible()
        page.keyboard.press("Enter")
    expect(page.locator("#nobody")).to_be_visible()
    page.keyboard.press("Escape")
    expect(shown).to_have_count(3)
    page.locator("[data-key='is READY']").click()
    expect(shown).to_have_count(1)


def test_keyboard_alone(world: World, web: Web, look: Look) -> None:
    """Find one, pause it, look at it, come back, resume it: no pointer is needed."""
    page = look(web)
    page.keyboard.press("/")
    page.keyboard.type("laser")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#meant")).to_have_text("laser")
    page.keyboard.press("p")
    expect(page.locator("#ask button[type=submit]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(state(page, "laser")).to_have_text("PAUSED")
    page.keyboard.press("Escape")
    expect(page.locator("#verdicts")).to_be_hidden()
    page.locator("#grid").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#unit h1")).to_have_text("laser")
    page.keyboard.press("Backspace")
    expect(page.locator("#grid")).to_be_focused()
    page.keyboard.press("r")
    expect(page.locator("#ask button[type=submit]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(state(page, "laser")).to_have_text("RUNNING")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_broker_away_and_back(world: World, web: Web, look: Look) -> None:
    """What was known stays, with since when; nobody is commanded; then it is live again."""
    page = look(web)
    select(page, "laser")
    world.broker.kill()
    expect(page.locator("#banner")).to_contain_text("The broker is away since")
    expect(page.locator("#banner")).to_contain_text("What is shown is as of")
    expect(state(page, "camera")).to_have_text("RUNNING")
    pause = page.locator("#words button[data-word=pause]")
    expect(pause).to_have_attribute("title", "the broker is away")
    world.broker.start()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#live")).to_have_text("live")
    world.wait_for("laser", "RUNNING")
    world.say("pause", "laser")
    expect(state(page, "laser")).to_have_text("PAUSED")


def test_server_away_and_back(world: World, web: Web, look: Look, browser: object) -> None:
    """A server that is gone is told; its successor on the same port wants a token again."""
    page = look(web)
    web.close()
    expect(page.locator("#banner")).to_contain_text("statusd web doesn't answer since")
    expect(state(page, "camera")).to_have_text("RUNNING")
    with Web(world.broker.url, world.folder / "web", port=web.port):
        page.wait_for_url("**/login")
        expect(page.locator("input[name=token]")).to_be_focused()


def test_token_expired(world: World, web: Web, look: Look) -> None:
    """Who does anything after it is asked for the new one, and told if it is wrong.

    It leads back to what was looked at.
    """
    page = look(web)
    page.locator("#filter").fill("laser")
    expect(page).to_have_url(f"{web.url}#/?q=laser")
    select(page, "laser")
    web.token_file.write_text("another-token-of-operators")
    # The server looks at the file once a second: until then the old one holds.
    wait_until(
        lambda: page.evaluate("fetch('api/me').then(answer => answer.status)") == 401,
        10,
        "the old token to be worth nothing",
    )
    page.keyboard.press("p")
    page.wait_for_url("**/login#**")
    page.locator("input[name=token]").fill("not-the-token-of-anybody")
    page.keyboard.press("Enter")
    expect(page.locator("[role=alert]")).to_have_text("That is no token of this server.")
    page.locator("input[name=token]").fill("another-token-of-operators")
    page.keyboard.press("Enter")
    expect(state(page, "laser")).to_have_text("RUNNING")
    expect(page.locator("#filter")).to_have_value("laser")


def test_a_link_from_elsewhere_leads_in(world: World, web: Web, look: Look) -> None:
    """A browser keeps the session from such a request; whoever has one needn't type the token."""
    page = look(web)
    link = f'<a href="{web.url}#/unit/laser">the laser</a>'
    page.route(
        "http://chat.example/", lambda route: route.fulfill(body=link, content_type="text/html")
    )
    page.goto("http://chat.example/")
    page.locator("a").click()
    page.wait_for_url(f"{web.url}#/unit/laser")
    expect(page.get_by_role("heading", name="laser")).to_be_visible()

    page.evaluate("fetch('logout', { method: 'POST' })")
    page.goto("http://chat.example/")
    page.locator("a").click()
    page.wait_for_url("**/login#/unit/laser")
    page.locator("input[name=token]").fill(OPERATOR)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{web.url}#/unit/laser")


def test_below_a_path(world: World, look: Look) -> None:
    """Where a proxy has put it, all of it is there: door, page, news, commands."""
    with Web(world.broker.url, world.folder / "below", ("--root-path", "/statusd")) as web:
        assert web.url.endswith("/statusd/")
        page = look(web)
        page.locator("#logout").click()
        page.wait_for_url("**/statusd/login")
        page.locator("input[name=token]").fill(OPERATOR)
        page.keyboard.press("Enter")
        select(page, "laser")
        press(page, "pause")
        page.keyboard.press("Enter")
        expect(state(page, "laser")).to_have_text("PAUSED")


@pytest.mark.parametrize("kind", ["viewer", "read-only"])
def test_who_only_looks(kind: str, world: World, web: Web, look: Look) -> None:
    """All is shown, nothing can be pressed, and it says why."""
    reason = {"viewer": "a viewer's token only looks", "read-only": "this server only shows"}[kind]
    with Web(world.broker.url, world.folder / "other", ("--read-only",)) as read_only:
        page = look(web, VIEWER) if kind == "viewer" else look(read_only)
        expect(page.locator("#who")).to_have_text(kind)
        row(page, "camera").locator("input").click()
        expect(page.locator("#meant")).to_have_text(f"1 selected · {reason}")
        enabled = page.locator("#words button:not([aria-disabled=true])")
        expect(enabled).to_have_count(0)
        page.keyboard.press("p")
        expect(page.locator(".toast")).to_have_text(reason)
        expect(page.locator("#ask")).to_be_hidden()


def test_not_seen_yet(world: World, web: Web, look: Look) -> None:
    """A worker that is still in its step isn't shown as there; after a while it is trouble."""
    settings = {
        **{"name": "slow", "goal": "RUNNING", "redis": {"url": world.broker.url}},
        **{"control": {"channels": ["mychannel"]}},
        **{"worker": {"function": "tests.workers:slow_to_pause"}},
    }
    folder = world.folder / "slow"
    with Program(settings, directory=folder):
        world.wait_for("slow", "RUNNING")
        wait_until((folder / "working").exists, 10, "its step to begin")
        page = look(web)
        world.say("pause", "slow")
        expect(state(page, "slow")).to_have_text("PAUSED")
        expect(row(page, "slow").locator(".more")).to_contain_text("not seen yet")
        expect(page.locator("[data-key=trouble] b")).to_have_text("1", timeout=SILENCE_MS)
        expect(page.locator(".row:not(.head)").first).to_contain_text("slow")
        (folder / "release").touch()
        expect(row(page, "slow").locator(".more")).to_have_text("")
        expect(page.locator("[data-key=trouble] b")).to_have_text("0")


def test_rows_stay_under_a_pointer(world: World, web: Web, look: Look) -> None:
    """A row doesn't move while somebody aims at it; when the pointer rests or leaves, it goes.

    It is that unit's wherever it goes: what was pressed or marked there stays its own.
    """
    page = look(web)
    names = page.locator(".row:not(.head) .c-name")
    expect(names).to_have_text(["camera", "laser", "stage"])
    rows = {name: row(page, name).get_attribute("id") for name in ("camera", "laser", "stage")}
    row(page, "camera").hover()
    world.say("pause", "camera")

    def is_paused_while_it_aims() -> bool:
        page.mouse.move(300, 210 + page.evaluate("performance.now() % 3"))
        return bool(state(page, "camera").inner_text() == "PAUSED")

    wait_until(is_paused_while_it_aims, 10, "it to be paused")
    expect(names).to_have_text(["camera", "laser", "stage"])
    page.mouse.move(5, 5)
    expect(names).to_have_text(["laser", "camera", "stage"])
    assert {name: row(page, name).get_attribute("id") for name in rows} == rows


def test_only_what_is_seen_is_in_the_document(world: World, web: Web, look: Look) -> None:
    """Two thousand units are a few dozen rows; the last one is there when somebody goes to it."""
    PaperFleet(world.client, 2000).write()
    page = look(web)
    expect(page.locator("[data-key=all] b")).to_have_text("2,003")
    rows = page.locator(".row:not(.head)")
    assert rows.count() < 60
    expect(page.locator("#grid")).to_have_attribute("aria-rowcount", "2004")
    page.locator("#grid").focus()
    page.keyboard.press("End")
    last = rows.last
    expect(last).to_have_attribute("aria-rowindex", "2004")
    expect(last).to_be_in_viewport()
    current = page.locator("#grid").get_attribute("aria-activedescendant")
    assert last.get_attribute("id") == current
    assert rows.count() < 60
    page.keyboard.press("Control+a")
    expect(page.locator("#meant")).to_contain_text("2,003 selected")


def test_phone(world: World, web: Web, look: Look) -> None:
    """Cards instead of a table, nothing wider than the screen, and words that a thumb hits.

    A state with a long name leaves room for that of its unit; on a tablet nothing is cut off, and
    a lifecycle of many words has a button for each.
    """
    long = PaperFleet(world.client, 0, names=["long"])
    long.write()
    document = world.document("long") | {"state": "WAITS_FOR_THE_LASER_TO_BE_WARM"}
    words = [*(f"observe-{number:02d}" for number in range(12)), "end", "force"]
    document |= {"words": words, "allowed": words}
    world.client.set(Names(NAMESPACE, "long").status, json.dumps(document), ex=60)
    page = look(web, width=390, height=844, has_touch=True)
    expect(state(page, "long")).to_have_text(document["state"])
    assert row(page, "long").locator(".c-name").bounding_box()["width"] > 90
    expect(page.locator(".heads")).to_be_hidden()
    row(page, "laser").locator("input").click()
    pause = page.locator("#words button[data-word=pause]")
    box = pause.bounding_box()
    assert box is not None
    assert box["height"] >= 38
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert row(page, "laser").bounding_box()["height"] > 60
    pause.click()
    page.locator("#ask button[type=submit]").click()
    expect(page.locator("#verdicts h2")).to_have_text("pause: 1 done")
    page.set_viewport_size({"width": 820, "height": 1180})
    expect(page.locator(".heads")).to_be_visible()
    cut = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).length"
    assert page.locator(".row:not(.head) .c-progress > *:visible").evaluate_all(cut) == 0
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    row(page, "long").locator("input").click()
    expect(page.locator("#words button")).to_have_count(len(words))
    for button in page.locator("#words button").all():
        expect(button).to_be_in_viewport(ratio=1)
    assert page.locator("#meant").evaluate_all(cut) == 0


def test_dark_and_light(world: World, web: Web, look: Look) -> None:
    """As the system has it, until somebody chooses; what was chosen lasts.

    Where the system has few colours: signs, cursor, what is pressed, what can't be, are seen.
    """
    page = look(web, color_scheme="dark")

    def back() -> int:
        """Return how light the page's ground is, 0 to 255."""
        told = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(re.findall(r"\d+", told)[0])

    assert back() < 60
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Light")
    assert back() > 200
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert back() > 200
    page = look(web, forced_colors="active")
    row(page, "laser").locator("input").click()

    def looks(selector: str, key: str) -> str:
        style = "(element, key) => getComputedStyle(element)[key]"
        return str(page.locator(selector).first.evaluate(style, key))

    assert looks(".row .sign", "backgroundColor") != looks(".row .badge", "backgroundColor")
    assert looks(".row.cursor", "outlineStyle") == "solid"
    assert looks(".chip.every", "outlineStyle") == "solid"
    assert looks(".row.working", "borderLeftColor") == looks("body", "backgroundColor")
    free, other = (f"#words button[data-word={word}]" for word in ("pause", "start"))
    assert looks(free, "borderTopStyle") != looks(other, "borderTopStyle")
