"""Before a command: what somebody has seen is what they send, whatever happens meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Look, row, state
from tests.browser.world import Web, World

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import expect

from tests.browser.hands import press, select

if TYPE_CHECKING:
    from playwright.sync_api import Page

HELD = 12
"""So often a key that is held down says so."""


def edge(page: Page) -> tuple[float, float]:
    """Return a place within the dialog, beside all that stands in it."""
    box = page.locator("#ask").bounding_box()
    assert box is not None
    return box["x"] + 6, box["y"] + box["height"] / 2


def test_who_comes_to_work_is_asked_about_anew(world: World, web: Web, look: Look) -> None:
    """What was idle when it was asked, and works now, isn't ended by one press."""
    page = look(web)
    world.say("pause", "laser")
    expect(state(page, "laser")).to_have_text("PAUSED")
    select(page, "laser")
    press(page, "end")
    submit = page.locator("#ask button[type=submit]")
    expect(submit).to_be_focused()
    page.locator("#ask summary").click()
    page.locator("#ask textarea").fill("why=it is late")
    world.say("resume", "laser")
    expect(page.locator("#ask .changed")).to_have_text("Look again: laser is RUNNING now.")
    expect(page.locator("#ask .roster .badge")).to_have_text("RUNNING")
    expect(page.locator("#ask textarea")).to_have_value("why=it is late")
    expect(submit).to_have_count(0)
    page.locator("#ask footer button.fatal").click()
    expect(page.locator("#ask .sure button")).to_have_text("Yes, end laser")
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_hidden()
    assert world.document("laser")["state"] == "RUNNING"


def test_no_press_is_taken_for_another(world: World, web: Web, look: Look) -> None:
    """A key that is held, a second press, one at the edge, the way back: none of them sends.

    Nor does a name, and Enter, that somebody types beside the filter.
    """
    page = look(web)
    row(page, "stage").locator(".c-host").click()
    page.keyboard.type("stage", delay=60)
    expect(page.locator("#ask")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#unit h1")).to_have_text("stage")
    assert world.document("stage")["state"] == "READY"
    page.locator(".back").click()
    page.goto(f"{web.url}#/unit/laser")
    page.locator("#unit .words button[data-word=pause]").focus()
    for _ in range(HELD):
        page.keyboard.down("Enter")
        expect(page.locator("#ask button[type=submit]:enabled")).to_be_visible()
    page.keyboard.up("Enter")
    dialog, submit = page.locator("#ask"), page.locator("#ask button[type=submit]")
    expect(submit).to_be_focused()
    box = submit.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.mouse.click(*edge(page))
    text = page.locator("#ask h2").bounding_box()
    assert text is not None
    page.mouse.move(text["x"] + 20, text["y"] + 9)  # a text is marked, to beyond the dialog
    page.mouse.down()
    page.mouse.move(20, 500)
    page.mouse.up()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_be_hidden()
    expect(state(page, "laser")).to_have_text("RUNNING")
    expect(page.locator("#verdicts")).to_be_hidden()
    assert world.document("laser")["seq"] == 2  # it has come to READY and RUNNING, and no further


def test_whom_the_filter_hides(world: World, web: Web, look: Look) -> None:
    """Those that are selected and not shown get it too, and it says so; else nobody does who isn't.

    The box of *all* tells of who is shown.
    """
    page = look(web)
    row(page, "camera").locator(".c-text").click()
    expect(page.locator("#meant")).to_have_text("camera")
    page.locator("#filter").fill("laser")
    expect(page.locator("#meant")).to_have_text("Nothing is selected")
    page.keyboard.press("Enter")
    expect(page.locator("#meant")).to_have_text("laser")
    page.locator("#filter").fill("")
    select(page, "camera", "laser")
    page.locator("#filter").fill("stage")
    expect(page.locator("#meant")).to_have_text("2 selected, 2 not shown")
    expect(page.locator("#all")).not_to_be_checked()
    page.locator("#filter").fill("laser")
    press(page, "pause")
    hidden = page.locator("#ask .roster li").filter(has_text="hidden by the filter")
    expect(hidden).to_have_count(1)
    expect(hidden).to_contain_text("camera")
