"""The API's documentation and the admin in a real browser, under the site's content policy."""

from collections.abc import Callable
from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask
from playwright.sync_api import Page

from bots import schedule
from bots.models import BotConfig, User
from tests.browser import sign_in, watch
from tests.doors.content import traded_bot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def problems(page: Page) -> Callable[[], list[str]]:
    """What the browser refused or complained about so far on this page."""
    return watch(page)


def test_the_api_can_be_tried_out_on_its_own_page(
    page: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    bot = traded_bot(alice)
    sign_in(page, alice, live_server.url)
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(f"{live_server.url}/api/v1/docs")
    page.locator("#operations-bots-bots_api_bots_stop").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_placeholder("bot_id").fill(str(bot.pk))
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").get_by_text('"Bot stopped"').first.wait_for()
    assert not BotConfig.objects.get(pk=bot.pk).is_active
    assert hosts == {live_server.url.split("/")[2]}
    assert problems() == []


def test_the_admin_keeps_the_content_policy(
    page: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    operator = User.objects.create_superuser("olga")
    bot = traded_bot(alice)
    sign_in(page, operator, live_server.url)
    row = PeriodicTask.objects.get(name=schedule.row_name(bot.pk))
    for path in (
        "",
        "bots/botconfig/",
        f"bots/botconfig/{bot.pk}/change/",
        f"bots/botstate/{bot.pk}/change/",
        "bots/user/add/",
        f"django_celery_beat/periodictask/{row.pk}/change/",
    ):
        answer = page.goto(f"{live_server.url}/admin/{path}")
        assert answer is not None
        assert answer.status == 200, path
        page.wait_for_load_state("networkidle")
        assert problems() == [], path
