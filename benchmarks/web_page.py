"""How fast the page of ``statusd web`` is in a browser: ``python -m benchmarks.web_page``.

A fleet that is on paper (`tests.tools.paper_fleet`), a real broker, server and Chromium, on this
machine. It prints, in milliseconds:

- paint: from the first request to the frame in which the units stand on the screen;
- change: from an event's entry in the broker to the frame that shows it, at a calm pace;
- filter: from a letter typed to the frame that shows what fits;
- wake: from a tab's being seen again to the frame that shows what has changed meanwhile;
- frames: the longest of the frames while fifty units a second change, and how many took over 50 ms;
  sorted: the same, sorted by a column that each change goes to the top of.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.world import OPERATOR, SEEN, Web
from tests.tools import Broker, available_brokers
from tests.tools.paper_fleet import PaperFleet

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHANGES, FILTERS, WAKES = 60, 20, 10
HIDDEN_S = 1.0
BUSY_PER_S, BUSY_S = 50.0, 10.0
LONG_MS = 50.0
CALM_S = 0.3
LOOK_S = 0.05
"""How often it is asked whether the page has shown it: it notes itself when that was."""

# When a row's badge says something new, the next frame is what somebody sees.
_WATCH = """() => {
  window.seen = {};
  const text = (row, part) => row.querySelector(part).innerText;
  const told = row => `${text(row, ".c-name")} ${text(row, ".badge")}`;
  const note = () => {
    const rows = document.querySelectorAll(".row:not(.head)");
    for (const row of rows) window.seen[told(row)] ??= Date.now();
  };
  const look = new MutationObserver(() => requestAnimationFrame(() => setTimeout(note)));
  const grid = document.querySelector("#grid");
  look.observe(grid, { subtree: true, childList: true, characterData: true });
}"""
_FRAMES = """() => {
  const frames = window.frames_ms = [];
  window.long_tasks = [];
  let last = performance.now();
  const next = now => {
    frames.push(now - last);
    last = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  const take = list => list.getEntries().forEach(entry => window.long_tasks.push(entry.duration));
  new PerformanceObserver(take).observe({ type: "longtask" });
}"""
_FILTER = """text => new Promise(resolve => {
  const input = document.querySelector("#filter");
  const began = performance.now();
  input.value = text;
  input.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
})"""
_PAINT = """() => new Promise(resolve => {
  const isReady = () => "ready" in document.body.dataset;
  const isThere = () => isReady() && document.querySelector(".row:not(.head)");
  const done = () => requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
  const look = () => isThere() ? done() : setTimeout(look, 1);
  look();
})"""


def centile(values: Sequence[float], share: float) -> float:
    """Return the value that so much of them are at most."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def paint_ms(browser: Browser, web: Web, rounds: int) -> list[float]:
    """Return how long a page takes that has nothing in its cache, from navigation to its frame."""
    found = []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(f"{web.url}?token={OPERATOR}")
        found.append(float(page.evaluate(_PAINT)))
        context.close()
    return found


def change_ms(page: Page, fleet: PaperFleet) -> list[float]:
    """Return how long each of some changes takes to the screen."""
    page.evaluate(_WATCH)
    on_screen = page.locator(".row:not(.head) .c-name").all_inner_texts()
    states = ("RUNNING", "PAUSED")
    names = [
        name for name in on_screen if any(fleet.state_of(name) == wanted for wanted in states)
    ][:8]
    found = []
    for number in range(CHANGES):
        page.evaluate("window.seen = {}")
        name = names[number % len(names)]
        page.locator("#filter").fill(name)
        began = time.time() * 1000
        key = f"{name} {fleet.turn(name)}"
        while not (at := page.evaluate("key => window.seen[key]", key)):
            time.sleep(LOOK_S)
        found.append(float(at) - began)
        time.sleep(CALM_S)
    page.locator("#filter").fill("")
    return found


def filter_ms(page: Page) -> list[float]:
    """Return how long some filters take to the screen."""
    texts = ("u", "un", "unit-0", "unit-00", "state:run", "tag:gpu -state:paused", "*7", "")
    return [float(page.evaluate(_FILTER, texts[n % len(texts)])) for n in range(FILTERS)]


def wake_ms(page: Page, fleet: PaperFleet) -> list[float]:
    """Return how long after it is seen again a tab shows what has changed meanwhile."""
    name = next(name for name in fleet.names if fleet.state_of(name) == "RUNNING")
    page.locator("#filter").fill(name)
    found = []
    for _ in range(WAKES):
        page.evaluate(SEEN, True)
        key = f"{name} {fleet.turn(name)}"
        time.sleep(HIDDEN_S)
        page.evaluate("window.seen = {}")
        began = page.evaluate("Date.now()")
        page.evaluate(SEEN, False)
        while not (at := page.evaluate("key => window.seen[key]", key)):
            time.sleep(LOOK_S)
        found.append(float(at) - began)
    page.locator("#filter").fill("")
    return found


def frames_ms(page: Page, fleet: PaperFleet) -> tuple[list[float], list[float]]:
    """Return how long frames, and tasks over 50 ms, took while the fleet is busy."""
    page.evaluate(_FRAMES)
    for _ in fleet.turns(BUSY_PER_S, BUSY_S):
        pass
    return page.evaluate("window.frames_ms.slice(5)"), page.evaluate("window.long_tasks")


def measure(units: int, rounds: int) -> dict[str, Any]:
    """Return all figures of a fleet of that size, in milliseconds."""
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Broker(available_brokers()["valkey"]))
        fleet = PaperFleet(broker.client(), units)
        fleet.write()
        web = stack.enter_context(Web(broker.url, folder / "web"))
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{web.url}?token={OPERATOR}")
        page.get_by_text(f"All{units:,}").wait_for()  # the server has read them all
        paints = paint_ms(browser, web, rounds)
        filters, changes = filter_ms(page), change_ms(page, fleet)
        wakes = wake_ms(page, fleet)
        frames, tasks = frames_ms(page, fleet)
        page.locator(".head .c-since button").click()
        sorted_frames, _ = frames_ms(page, fleet)
    return {
        "units": units,
        "paint_ms": round(centile(paints, 0.5)),
        "paint_worst_ms": round(max(paints)),
        "change_median_ms": round(centile(changes, 0.5)),
        "change_p95_ms": round(centile(changes, 0.95)),
        "wake_worst_ms": round(max(wakes)),
        "filter_worst_ms": round(max(filters), 1),
        "frame_worst_ms": round(max(frames), 1),
        "frames_over_50_ms": sum(frame > LONG_MS for frame in frames),
        "frames": len(frames),
        "sorted_frame_worst_ms": round(max(sorted_frames), 1),
        "sorted_frames_over_50_ms": sum(frame > LONG_MS for frame in sorted_frames),
        "long_tasks": len(tasks),
    }


def main() -> None:
    """Print a line of JSON for each size of fleet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5, help="how often it is painted")
    arguments = parser.parse_args()
    for units in arguments.units:
        print(json.dumps(measure(units, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
