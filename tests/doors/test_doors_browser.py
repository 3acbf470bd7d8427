"""The API's documentation and the admin in a real browser, under the site's content policy."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django_celery_beat.models import PeriodicTask
from playwright.sync_api import ConsoleMessage, Page

from bots import schedule
from bots.models import BotConfig, User
from tests.doors.client import signed_in
from tests.doors.content import traded_bot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


@pytest.fixture(scope="session", autouse=True)
def _database_first(django_db_setup: None) -> None:
    """The database is made before Playwright starts its event loop: Django refuses afterwards."""


@pytest.fixture(scope="module", autouse=True)
def _until_the_last_flush() -> Iterator[None]:
    """Clearing the tables comes after everything that belongs to one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture
def problems(page: Page) -> Callable[[], list[str]]:
    """What the browser refused or complained about so far on this page."""
    page.add_init_script(WATCH)
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            errors.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return lambda: [*errors, *page.evaluate("window.violations")]


def sign_in(page: Page, user: User, live_server: Any) -> None:
    cookie = signed_in(user).cookies[settings.SESSION_COOKIE_NAME].value
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": cookie, "url": live_server.url}])


def test_the_api_can_be_tried_out_on_its_own_page(
    page: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    bot = traded_bot(alice)
    sign_in(page, alice, live_server)
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
    sign_in(page, operator, live_server)
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
