"""The polling of the pages in a real browser: changes arrive and silence is said."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bots.models import BotState, User
from tests.browser import sign_in, watch
from tests.pages.builders import bot_of, market, state_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def problems(page: Page) -> Callable[[], list[str]]:
    """What the browser refused or complained about so far on this page."""
    return watch(page)


def test_a_change_arrives_without_reloading_and_sets_title_icon_and_cadence(
    seen: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    bot = bot_of(alice)
    state_of(bot, "pending", "start", "trade")
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    seen.evaluate("window.mark = 'not reloaded'")
    chip = seen.locator(".state .chip")
    expect(chip).to_contain_text("Starting")
    now = timezone.now()
    BotState.objects.filter(pk=bot.pk).update(status="running", reason="no_signal", last_run_at=now)
    expect(chip).to_contain_text("Running", timeout=8000)
    expect(seen.locator("#panel")).to_have_attribute("hx-trigger", "every 10s, wake")
    expect(seen.locator("#live")).to_have_text("Running")
    # Coming back to the tab asks at once, and the fatal error slows the poll down.
    BotState.objects.filter(pk=bot.pk).update(status="error", reason="api_key_missing", duty="none")
    seen.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(chip).to_contain_text("Error")
    expect(seen).to_have_title(f"▲ {bot.name} · Botsite")
    assert "icon-error" in str(seen.locator("#icon").get_attribute("href"))
    expect(seen.locator("#panel")).to_have_attribute("hx-trigger", "every 60s, wake")
    assert seen.evaluate("window.mark") == "not reloaded"
    assert problems() == []


def test_three_failures_are_said_and_greyed_until_it_answers_again(
    seen: Page, live_server: Any, alice: User
) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    context: BrowserContext = seen.context
    context.set_offline(True)
    wake = "document.dispatchEvent(new Event('visibilitychange'))"
    for _ in range(2):
        with seen.expect_event("requestfailed"):
            seen.evaluate(wake)
    expect(seen.locator("#offline")).to_be_hidden()
    with seen.expect_event("requestfailed"):
        seen.evaluate(wake)
    expect(seen.locator("#offline")).to_contain_text("No connection. Data of ")
    expect(seen.locator("#panel.stale")).to_be_visible()
    context.set_offline(False)
    seen.evaluate(wake)
    expect(seen.locator("#offline")).to_be_hidden()
    expect(seen.locator("#panel.stale")).to_have_count(0)


def test_a_hidden_tab_asks_nothing(seen: Page, live_server: Any, alice: User) -> None:
    bot = bot_of(alice)
    state_of(bot, "pending", "start", "trade")
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    asked: list[str] = []
    seen.on("request", lambda request: asked.append(request.url))
    seen.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")
    seen.wait_for_timeout(4000)
    assert [url for url in asked if "/panel/" in url] == []
    seen.evaluate("document.hidden = false")
    with seen.expect_response(lambda response: "/panel/" in response.url):
        seen.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_the_stop_dialog_asks_and_a_preset_fills_what_was_not_typed(
    seen: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    market()
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    seen.click("[data-dialog=ask-stop]")
    expect(seen.locator("#ask-stop")).to_be_visible()
    seen.keyboard.press("Escape")
    expect(seen.locator("[data-dialog=ask-stop]")).to_be_focused()
    seen.click("[data-dialog=ask-stop]")
    seen.click("#ask-stop button[value=leave]")
    expect(seen.locator(".state .chip")).to_contain_text("Stopped")
    seen.goto(f"{live_server.url}/bots/new/")
    seen.fill("#id_name", "typed")
    seen.click("[data-preset=preset-bold]")
    expect(seen.locator("#id_stop_loss_perc")).to_have_value("4")
    expect(seen.locator("#id_name")).to_have_value("typed")
    expect(seen.locator("#check")).to_contain_text("Worst day: −5.00 % = 50.00 USDT")
    assert problems() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_fields_that_do_not_apply_stay_out_of_sight_with_and_without_scripts(
    browser: Browser, live_server: Any, alice: User, scripts: bool
) -> None:
    page = browser.new_context(java_script_enabled=scripts).new_page()
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/bots/new/")
    expect(page.locator("#group-futures")).to_be_hidden()
    page.select_option("#id_position_type", "futures")
    expect(page.locator("#id_leverage")).to_be_visible()
    page.click("#group-entry summary")
    expect(page.locator("#id_max_spread_perc")).to_be_visible()
    expect(page.locator("#id_entry_timeout_seconds")).to_be_hidden()
    page.select_option("#id_entry_type", "post_only")
    expect(page.locator("#id_entry_timeout_seconds")).to_be_visible()
    page.context.close()
