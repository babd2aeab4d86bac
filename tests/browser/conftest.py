"""A real browser that looks at a real server; each test says why it can't run where it can't."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.world import OPERATOR, Web, World
from tests.tools import Broker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
TIMEOUT_MS = 10_000
Look = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Chromium without a window."""
    if not request.config.getoption("browser"):
        pytest.skip("drives a browser: make web-check")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    program = CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=[*ARGUMENTS])
        yield running
        running.close()


@pytest.fixture
def world(broker: Broker, tmp_path: Path) -> Iterator[World]:
    """Three units below a broker."""
    with World(broker, tmp_path) as made:
        for name, wanted in (("camera", "RUNNING"), ("laser", "RUNNING"), ("stage", "READY")):
            made.wait_for(name, wanted)
        yield made


@pytest.fixture
def web(world: World, tmp_path: Path) -> Iterator[Web]:
    """The server of that fleet."""
    with Web(world.broker.url, tmp_path / "web") as running:
        yield running


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open a page and wait until the fleet is on it: ``look(web, width=390, color_scheme="dark")``.

    What a page complains of, or throws, fails the test.
    """
    complaints: list[str] = []
    with ExitStack() as stack:

        def opened(
            web: Web, token: str = OPERATOR, *, width: int = 1440, height: int = 900, **more: Any
        ) -> Page:
            size: Any = {"width": width, "height": height}
            context = browser.new_context(viewport=size, **more)
            stack.callback(context.close)
            context.set_default_timeout(TIMEOUT_MS)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(f"{error}: {error.stack}"))
            page.goto(f"{web.url}?token={token}")
            page.wait_for_selector("body[data-ready]")
            return page

        yield opened
    assert complaints == []


def row(page: Page, name: str) -> Any:
    """Return the row of a unit."""
    return page.locator(".row:not(.head)").filter(has=page.locator(f".c-name >> text='{name}'"))


def state(page: Page, name: str) -> Any:
    """Return where the state of a unit stands."""
    return row(page, name).locator(".badge")
