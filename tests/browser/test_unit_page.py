"""One unit in full: its picture, its work, its output, its events, its document."""

from __future__ import annotations

import json
import re

import pytest

from statusd.wire.names import NAMESPACE, Names
from tests.browser.conftest import Look, row, state
from tests.browser.world import Web, World
from tests.tools import wait_until
from tests.tools.paper_fleet import PaperFleet

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import Page, expect

_FEW_EVENTS = """async () => {
  const { Events } = await import(new URL("static/events.js", location.href));
  Events.most = 60;
}"""
_MARKED = """selector => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector(selector));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  let copied = "";
  const listen = event => { copied = event.clipboardData.getData("text/plain"); };
  document.addEventListener("copy", listen, { once: true });
  document.execCommand("copy");
  return copied || getSelection().toString();
}"""


def test_picture(world: World, web: Web, look: Look) -> None:
    """The present state is lit; an arrow is pressed where it is allowed, and only there."""
    page = look(web)
    row(page, "laser").locator("a").click()
    lit = page.locator(".node.current text")
    expect(lit).to_have_text("RUNNING")
    arrows = page.locator(".label.press")
    expect(arrows).to_have_count(3)
    expect(page.locator(".label.press[aria-label='pause, leads to PAUSED']")).to_have_count(1)
    page.locator(".label.press[aria-label='pause, leads to PAUSED']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ask h2")).to_have_text("Pause laser")
    expect(page.locator("#ask button[type=submit]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(lit).to_have_text("PAUSED")
    expect(page).to_have_title("PAUSED · laser")
    expect(page.locator(".label.press[aria-label='resume, leads to RUNNING']")).to_have_count(1)
    expect(page.locator(".label.press[aria-label='pause, leads to PAUSED']")).to_have_count(0)


def test_without_a_picture_all_else_is_there(world: World, web: Web, look: Look) -> None:
    """An older daemon doesn't say what states there are; its unit is commanded all the same."""
    world.client.delete("statusd:lifecycle:{laser}")
    page = look(web)
    page.goto(f"{web.url}#/unit/laser")
    expect(page.locator(".drawing")).to_contain_text("No picture: ")
    expect(page.locator("#unit .words button[data-word=pause]")).to_be_enabled()


def test_work_and_document(world: World, web: Web, look: Look) -> None:
    """Progress with pace and time left, a curve once there are two points, and all it says."""
    page = look(web)
    page.goto(f"{web.url}#/unit/camera")
    expect(page.locator(".progress .note")).to_contain_text("of 5,000 images", timeout=15_000)
    expect(page.locator(".progress .note")).to_contain_text("images/s", timeout=15_000)
    line = page.locator(".curve polyline").first
    wait_until(lambda: (line.get_attribute("points") or "").count(",") >= 2, 30, "a curve")
    facts = page.locator(".facts")
    expect(facts).to_contain_text("mychannel")
    world.say("pause", "camera")
    expect(facts).to_contain_text("pause by ops@desk")
    page.get_by_text("As JSON").click()
    expect(page.locator(".document pre")).to_contain_text("PAUSED")
    shown = json.loads(page.locator(".document pre").inner_text())
    assert shown["name"] == "camera"
    assert shown["state"] == "PAUSED"


def test_output(world: World, web: Web, look: Look) -> None:
    """Lines as they come; stderr is told apart; it can be held and searched.

    What is copied of it was printed, a line each; of several rows of the fleet it is a table.
    """
    page = look(web)
    rows = page.evaluate(_MARKED, ".window").split("\n")
    assert [line.split("\t")[:2] for line in rows] == [
        *(["RUNNING", "camera"], ["RUNNING", "laser"], ["READY", "stage"])
    ]
    assert len({line.count("\t") for line in rows}) == 1
    page.goto(f"{web.url}#/unit/camera")
    lines = page.locator(".lines .ln:visible")
    expect(lines.filter(has_text="image 1").first).to_be_visible()
    expect(page.locator(".lines .err .st").first).to_have_text("err")
    known = page.locator(".lines .ln").count()
    wait_until(lambda: page.locator(".lines .ln").count() > known, 10, "more lines")
    hold = page.locator(".output header button")
    hold.click()
    expect(hold).to_have_attribute("aria-pressed", "true")
    expect(hold).to_contain_text("new)")
    printed = page.evaluate(_MARKED, ".lines").strip().split("\n")
    assert len(printed) > 3
    assert [line for line in printed if not line.startswith("image ")] == []
    held = page.locator(".lines .ln").count()
    expect(hold).to_contain_text(re.compile(r"\d\d new"))  # ten more have come, and aren't shown
    assert page.locator(".lines .ln").count() == held
    hold.click()
    wait_until(lambda: page.locator(".lines .ln").count() > held + 9, 10, "what was held")
    page.locator(".output input").fill("image 17")
    expect(page.locator(".output header .note")).to_contain_text("found")
    for text in page.locator(".lines .ln:visible .tx").all_inner_texts():
        assert "image 17" in text


def read_back(page: Page, count: int) -> None:
    """Scroll on until so many events are read."""
    scroll = page.locator(".events .scroll")

    def is_read() -> bool:
        scroll.evaluate("element => element.scrollTo(0, element.scrollHeight)")
        return bool(page.locator(".events li").count() == count)

    wait_until(is_read, 10, f"{count} events to be read")


def test_events_as_they_come_and_further_back(world: World, web: Web, look: Look) -> None:
    """The newest is first; whoever scrolls gets older ones, to the first that is kept."""
    for _ in range(70):
        world.say("pause", "laser")
        world.wait_for("laser", "PAUSED")
        world.say("resume", "laser")
        world.wait_for("laser", "RUNNING")
    page = look(web)
    page.goto(f"{web.url}#/unit/laser")
    items = page.locator(".events li")
    expect(items.first).to_contain_text("PAUSED → RUNNING")
    expect(items.first).to_contain_text("resume by ops@desk")
    world.say("pause", "laser")
    expect(items.first).to_contain_text("RUNNING → PAUSED")
    assert items.count() < 143
    read_back(page, 143)  # INIT to READY, READY to RUNNING, and 141 of ours
    expect(items.last).to_contain_text("INIT → READY")
    times = [item.get_attribute("title") for item in page.locator(".events time").all()]
    assert all(times)
    page.evaluate(_FEW_EVENTS)
    page.locator(".events .scroll").evaluate("element => element.scrollTo(0, 0)")
    world.say("resume", "laser")
    expect(items).to_have_count(30)  # the older ones went, and are read again for who scrolls
    expect(items.first).to_contain_text("PAUSED → RUNNING")
    read_back(page, 144)
    expect(items.last).to_contain_text("INIT → READY")


def test_one_that_has_ended_is_launched_again(world: World, web: Web, look: Look) -> None:
    """How it ended is told, its curves stay, and its output goes on when it is back."""
    page = look(web)
    page.goto(f"{web.url}#/unit/camera")
    world.say("end", "camera")
    expect(page.locator("#unit .head .badge")).to_have_text("END")
    expect(page.locator(".said")).to_have_text("ended: end by ops@desk")
    expect(page.locator(".lines")).to_contain_text("it has ended")
    page.keyboard.press("l")
    expect(page.locator("#ask h2")).to_have_text("Launch camera")
    expect(page.locator("#ask button[type=submit]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#unit .head .badge")).to_have_text("RUNNING")
    lines = page.locator(".lines .ln")
    known = lines.count()
    wait_until(lambda: lines.count() > known + 3, 15, "its output to go on")


def test_a_name_that_nobody_has(world: World, web: Web, look: Look) -> None:
    """An old bookmark says so, and leads back."""
    page = look(web)
    page.goto(f"{web.url}#/unit/nobody%20here%25")
    expect(page.locator(".said")).to_contain_text("there is no such unit")
    expect(page.locator(".columns")).to_be_hidden()
    page.locator(".back").click()
    expect(state(page, "camera")).to_be_visible()


def test_who_is_replaced_or_forgotten(world: World, web: Web, look: Look) -> None:
    """Another boot has the picture of its own lifecycle; of who is forgotten nothing is pressed."""
    fleet = PaperFleet(world.client, 0, names=["ghost"])
    fleet.write()
    key = "statusd:lifecycle:{ghost}"
    world.client.set(key, world.client.get("statusd:lifecycle:{laser}"))
    page = look(web)
    page.goto(f"{web.url}#/unit/ghost")
    expect(page.locator(".node.current")).to_have_count(1)
    world.client.delete(key)
    document = world.document("ghost")
    document["boot"] += 1
    entry = {"boot": document["boot"], "left": False, "seen": document["at"]}
    world.client.hset(Names(NAMESPACE).roster, "ghost", json.dumps(entry))
    world.client.set(Names(NAMESPACE, "ghost").status, json.dumps(document), ex=60)
    expect(page.locator(".drawing")).to_contain_text("No picture: ")
    world.client.hdel(Names(NAMESPACE).roster, "ghost")
    world.client.delete(Names(NAMESPACE, "ghost").status)
    expect(page.locator(".said")).to_have_text("ghost: nothing is known of it any more")
    expect(page.locator("#unit .words button")).to_have_count(0)
    expect(page.locator("#unit .badge").first).to_be_hidden()


def test_nothing_that_is_said_becomes_markup(world: World, web: Web, look: Look) -> None:
    """Texts, names and output of a hostile unit are shown as they are."""
    hostile = "<img src=x onerror=alert(1)><b>bold</b>"
    document = world.document("laser") | {"boot": 1, "name": hostile, "text": hostile}
    document |= {"tags": [hostile], "host": hostile, "state": "RUNNING", "trouble": hostile}
    world.lose(hostile)
    world.client.set(f"statusd:status:{{{hostile}}}", json.dumps(document), ex=60)
    page = look(web)
    expect(page.locator(".c-text", has_text="onerror")).to_have_text(hostile)
    page.locator(".c-name a", has_text="onerror").click()
    expect(page.locator("#unit h1")).to_have_text(hostile)
    expect(page.locator(".woe")).to_have_text(hostile)
    expect(page.locator(".said")).to_have_text("")  # it isn't told twice
    assert page.locator("img").count() == 0
    assert page.locator("#main b", has_text="bold").filter(has_not_text="<").count() == 0
