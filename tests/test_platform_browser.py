"""The browser that the other browser tests rely on."""

import pytest
from playwright.sync_api import Page


@pytest.mark.browser
def test_a_real_browser_runs_a_page(page: Page) -> None:
    page.goto(
        "data:text/html,<title>before</title><button onclick='document.title=6*7'>go</button>"
    )
    page.click("button")
    assert page.title() == "42"
