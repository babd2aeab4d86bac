"""By what the fleet is sorted, and what is looked at: chosen by a press, kept in the address."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Look, row
from tests.browser.world import Web, World

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import expect


def test_a_press_on_a_head_sorts(world: World, web: Web, look: Look) -> None:
    """By its column, turned round, trouble first again, by pointer and by keys; a reload keeps it.

    The browser's way back shows what was looked at.
    """
    page = look(web)
    names = page.locator(".row:not(.head) .c-name")
    column = page.locator(".head .c-name")
    head = column.get_by_role("button")
    world.lose("zeppelin")
    expect(names).to_have_text(["zeppelin", "camera", "laser", "stage"])
    head.click()
    expect(names).to_have_text(["camera", "laser", "stage", "zeppelin"])
    expect(column).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#said")).to_contain_text("sorted by Name")
    head.press("Enter")
    expect(names).to_have_text(["zeppelin", "stage", "laser", "camera"])
    expect(column).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#unit")).to_be_hidden()
    page.locator("[data-key='is RUNNING']").click()
    expect(page).to_have_url(f"{web.url}#/?is=RUNNING&sort=-name")
    page.reload()
    expect(names).to_have_text(["laser", "camera"])
    row(page, "laser").locator("a").click()
    expect(page.locator("#unit h1")).to_have_text("laser")
    edge = "element => getComputedStyle(element).borderTopStyle"
    assert page.locator("#unit .head button").first.evaluate(edge) == "solid"
    page.locator(".back").click()
    expect(names).to_have_text(["laser", "camera"])
    head.click()
    expect(column).not_to_have_attribute("aria-sort", "descending")
    expect(page.locator("#order")).to_be_hidden()
    expect(names).to_have_text(["camera", "laser"])
    page.go_back()
    page.go_back()
    expect(names).to_have_text(["laser", "camera"])
    expect(page.locator("#order")).to_have_text("by Name ▼ ✕")
    page.locator("#order").click()
    page.locator("[data-key=all]").click()
    expect(names).to_have_text(["zeppelin", "camera", "laser", "stage"])
