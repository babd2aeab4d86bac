"""What an operator does again and again; imported where playwright is there."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import row


def select(page: Page, *names: str) -> None:
    """Select units, and nothing else."""
    for name in names:
        row(page, name).locator("input").click()
    expect(page.locator("#meant")).to_have_text(f"{len(names)} selected")


def press(page: Page, word: str) -> None:
    """Press the button of a word, and wait until it is known who would get it."""
    page.locator(f"#words button[data-word={word}]").click()
    expect(page.locator("#ask .roster b").first).to_be_visible()
