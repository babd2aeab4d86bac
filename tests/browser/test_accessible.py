"""What axe-core finds, on each view, light and dark, wide and on a phone: nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Look, row
from tests.browser.world import Web, World

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

INSTALL_S = 50
_RUN = """() => axe.run(document).then(found => found.violations.map(one => [
  one.id, ...one.nodes.slice(0, 3).map(node => `${node.html.slice(0, 99)}: ${node.failureSummary}`),
]))"""
LIGHT: dict[str, Any] = {}
DARK_PHONE: dict[str, Any] = {"width": 390, "height": 844, "color_scheme": "dark"}


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, by npm."""
    if not request.config.getoption("browser"):
        pytest.skip("drives a browser: make web-check")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm isn't installed")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "axe-core@4"]
    done = subprocess.run(command, cwd=folder, timeout=INSTALL_S, check=False, capture_output=True)
    source = folder / "node_modules/axe-core/axe.min.js"
    if done.returncode or not source.exists():
        pytest.skip(f"npm can't install axe-core: {done.stderr.decode()[-200:]}")
    return source.read_text("utf-8")


def complaints(page: Page, axe: str) -> Any:
    """Return what axe-core finds on the page as it is now."""
    page.evaluate(axe)
    return page.evaluate(_RUN)


@pytest.mark.parametrize("how", [LIGHT, DARK_PHONE], ids=["light", "dark-phone"])
def test_nothing_is_found(
    how: dict[str, Any], world: World, web: Web, look: Look, axe: str, tmp_path: Path
) -> None:
    """The fleet with trouble, the dialogs, the verdicts, a unit, the door."""
    world.lose("zeppelin")
    page = look(web, **how)
    row(page, "laser").locator("input").click()
    assert complaints(page, axe) == []
    page.keyboard.press("?")
    assert complaints(page, axe) == []
    page.keyboard.press("Escape")
    page.locator("#words button[data-word=end]").click()
    expect(page.locator("#ask .roster b").first).to_be_visible()
    page.locator("#ask footer button.fatal").click()
    assert complaints(page, axe) == []
    page.keyboard.press("Escape")
    page.locator("#words button[data-word=pause]").click()
    page.locator("#ask button[type=submit]:enabled").click()
    expect(page.locator("#verdicts h2")).to_have_text("pause: 1 done")
    assert complaints(page, axe) == []
    page.goto(f"{web.url}#/unit/laser")
    expect(page.locator(".node.current")).to_have_count(1)
    expect(page.locator(".events li").first).to_be_visible()
    page.get_by_text("As JSON").click()
    assert complaints(page, axe) == []
    page.context.clear_cookies()  # with a session the door leads in at once
    for door in ("login", "login?wrong"):
        page.goto(f"{web.url}{door}")
        assert complaints(page, axe) == []
