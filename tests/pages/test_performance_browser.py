"""The performance pages in a real browser: within the content policy and the width of a phone."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bots.models import User
from tests.browser import sign_in, watch
from tests.pages.test_performance import traded_bot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["en", "tr"])
def test_charts_twins_and_links_work_at_every_width(
    width: int, language: str, page: Page, live_server: Any, alice: User
) -> None:
    alice.language = language
    alice.save()
    bot = traded_bot(alice)
    problems = watch(page)
    sign_in(page, alice, live_server.url)
    page.set_viewport_size({"width": width, "height": 900})
    for path in ("/performance/", f"/bots/{bot.pk}/performance/"):
        page.goto(live_server.url + path)
        expect(page.locator("svg polyline")).to_be_visible()
        beyond = "document.documentElement.scrollWidth - window.innerWidth"
        assert page.evaluate(beyond) <= 0
        for chart in page.locator(".chart svg[role=img]").all():
            box = chart.bounding_box()
            assert box is not None
            assert box["width"] > 200
            assert box["height"] == 210
        twin = page.locator("details").first
        twin.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(twin.locator("td").first).to_be_visible()
    result = page.locator("dl.strip dd a").first
    text = result.inner_text()
    result.click()
    expect(page.locator("dl.strip")).to_contain_text(text)
    assert problems() == []
