"""The pictures of README and docs: what is seen there is the page as it is.

``make web-check PICTURES=--pictures`` writes docs/pictures anew; else nobody keeps them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Look, row, state
from tests.browser.world import Web, World
from tests.tools import wait_until
from tests.tools.paper_fleet import PaperFleet

pytest.importorskip("playwright", reason="playwright isn't installed: make web-check")
from playwright.sync_api import expect

DOCS = Path(__file__).parents[2] / "docs/pictures"
MOST_BYTES = 200_000
SEED = 72
"""One that gives some trouble."""
NAMES = [
    *(f"camera-{number:02d}" for number in range(1, 13)),
    *(f"train-{model}" for model in ("large", "medium", "small", "tiny")),
    *("dome", "focuser", "guider", "weather", "spectrograph", "filter-wheel", "flat-lamp"),
    *(f"reduce-night-{number}" for number in range(1, 17)),
]


@pytest.fixture
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where pictures go."""
    if request.config.getoption("pictures"):
        DOCS.mkdir(exist_ok=True)
        return DOCS
    return tmp_path


def test_pictures(world: World, web: Web, look: Look, pictures: Path) -> None:
    """The fleet by day, a unit by night, the fleet on a phone."""
    PaperFleet(world.client, 0, names=NAMES, seed=SEED).write()
    world.lose("archive-copy")
    day = look(web, width=1240, height=680, color_scheme="light")
    expect(state(day, "camera")).to_have_text("RUNNING")
    for name in ("laser", "camera"):
        row(day, name).locator("input").click()
    day.mouse.move(600, 20)
    day.screenshot(path=pictures / "fleet.png")
    phone = look(web, width=390, height=780, color_scheme="light")
    phone.screenshot(path=pictures / "phone.png")
    night = look(web, width=1240, height=800, color_scheme="dark")
    night.goto(f"{web.url}#/unit/camera")
    curve = night.locator(".curve polyline").nth(1)
    wait_until(lambda: (curve.get_attribute("points") or "").count(",") >= 4, 40, "a curve")
    expect(night.locator(".node.current")).to_have_count(1)
    night.screenshot(path=pictures / "unit.png")
    for file in pictures.glob("*.png"):
        assert 10_000 < file.stat().st_size < MOST_BYTES, file
