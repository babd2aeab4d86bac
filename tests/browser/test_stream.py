"""One stream a browser, none while nobody looks, and right again when it is seen again.

How soon that is, `benchmarks.web_page` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Look, state
from tests.browser.world import SEEN, Web, World
from tests.tools import wait_until

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

_COUNTED = """window.sources = [];
window.EventSource = class extends EventSource {
  constructor(...words) {
    super(...words);
    window.sources.push(this);
  }
};"""

HANG_MS = 4500
_HANG = "ms => { setTimeout(() => { for (const end = Date.now() + ms; Date.now() < end; ); }); }"
_IMPATIENT = """async () => {
  const { Stream } = await import(new URL("static/stream.js", location.href));
  [Stream.hung_ms, Stream.quiet_ms] = [1900, 1200];
}"""


def streams(page: Page) -> int:
    """Return how many streams a tab has open."""
    return int(page.evaluate("sources.filter(source => source.readyState !== 2).length"))


def opened(page: Page, web: Web) -> None:
    """Let a tab count its streams, and look at the fleet."""
    page.add_init_script(_COUNTED)
    page.goto(web.url)
    page.reload()
    expect(state(page, "laser")).to_have_text("RUNNING")


def hide(page: Page, *, is_hidden: bool = True) -> None:
    """Let a tab be hidden, or be seen again."""
    page.evaluate(SEEN, is_hidden)


def test_two_tabs_share_a_stream(world: World, web: Web, look: Look) -> None:
    """The second tab asks for none, and knows all; when the first one goes, it takes over."""
    first = look(web)
    second = first.context.new_page()
    asked: list[str] = []
    second.on("request", lambda request: asked.append(request.url))
    second.goto(web.url)
    expect(state(second, "laser")).to_have_text("RUNNING")
    world.say("pause", "laser")
    for page in (first, second):
        expect(state(page, "laser")).to_have_text("PAUSED")
    assert not [url for url in asked if "api/events" in url]
    first.close()
    wait_until(
        lambda: second.evaluate("1") and [url for url in asked if "api/events" in url],
        5,
        "the second to take over",
    )
    world.say("resume", "laser")
    expect(state(second, "laser")).to_have_text("RUNNING")


def test_hidden_tabs_hear_nothing_and_are_right_when_seen(
    world: World, web: Web, look: Look
) -> None:
    """What has happened meanwhile is there, in the one that leads and in the other."""
    first = look(web)
    second = first.context.new_page()
    opened(first, web)
    opened(second, web)
    assert (streams(first), streams(second)) == (1, 0)
    hide(first)
    hide(second)
    assert (streams(first), streams(second)) == (0, 0)
    world.say("pause", "laser")
    world.wait_for("laser", "PAUSED")
    world.say("end", "stage")
    world.wait_for("stage", "END")
    for page in (first, second):
        assert state(page, "laser").inner_text() == "RUNNING"
    for page in (second, first):
        hide(page, is_hidden=False)
        expect(state(page, "laser")).to_have_text("PAUSED")
        expect(state(page, "stage")).to_have_text("END")
    world.say("resume", "laser")
    for page in (first, second):
        expect(state(page, "laser")).to_have_text("RUNNING")


def test_who_hangs_is_found_out(world: World, web: Web, look: Look) -> None:
    """A tab that hangs (a print dialog, a breakpoint) loses the stream to one that doesn't.

    A server that hangs keeps its connections open, and says nothing: that isn't calm, nor live.
    """
    first = look(web)
    second = first.context.new_page()
    opened(first, web)
    opened(second, web)
    for page in (first, second):
        page.evaluate(_IMPATIENT)
    first.evaluate(_HANG, HANG_MS)
    world.say("pause", "laser")
    expect(state(second, "laser")).to_have_text("PAUSED", timeout=HANG_MS - 500)
    assert streams(second) == 1
    expect(state(first, "laser")).to_have_text("PAUSED", timeout=2 * HANG_MS)
    wait_until(lambda: (streams(first), streams(second)) == (0, 1), 5, "one stream to be left")
    world.say("resume", "laser")
    for page in (first, second):
        expect(state(page, "laser")).to_have_text("RUNNING")
    web.freeze()
    said = "statusd web doesn't answer since"
    expect(second.locator("#banner")).to_contain_text(said, timeout=15_000)
    web.thaw()
    expect(second.locator("#banner")).to_be_hidden()
    expect(second.locator("#live")).to_have_text("live")
    world.say("pause", "laser")
    expect(state(second, "laser")).to_have_text("PAUSED")


def test_what_was_missed_is_read_anew(world: World, web: Web, look: Look) -> None:
    """Who comes from a place that isn't kept any more reads all units, and goes on from there."""
    page = look(web)
    told = page.evaluate(
        """async () => {
      const { Stream } = await import(new URL("static/stream.js", location.href));
      return new Promise(resolve => {
        const stream = new Stream({ units: resolve, message() {}, link() {} }, "another");
        stream.position = "dead-1";
        stream.start();
      });
    }"""
    )
    assert [unit["name"] for unit in told["units"]] == ["camera", "laser", "stage"]
