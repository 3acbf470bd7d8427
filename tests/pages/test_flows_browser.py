"""What a trader does, page by page, with scripts and without."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from bots.models import ApiKey, BotConfig, BotState, Command, User
from tests.browser import sign_in, watch
from tests.pages.builders import bot_of, holding, market, state_of
from tests.pages.test_performance import traded_bot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def seen(
    request: pytest.FixtureRequest, browser: Browser, live_server: Any, alice: User
) -> Iterator[Page]:
    """Alice's browser, once with and once without JavaScript; it must not complain."""
    context = browser.new_context(java_script_enabled=request.param, base_url=live_server.url)
    page = context.new_page()
    problems = watch(page) if request.param else list
    sign_in(page, alice, live_server.url)
    yield page
    assert problems() == []
    context.close()


def test_a_bot_is_made_from_a_preset_changed_and_deleted(seen: Page, alice: User) -> None:
    market()
    seen.goto("/bots/new/")
    seen.get_by_role("link", name="Balanced").click()
    expect(seen.get_by_role("link", name="Balanced")).to_have_attribute("aria-current", "true")
    filled = seen.locator("#id_stop_loss_perc").input_value()
    assert filled
    seen.fill("#id_name", "Made by hand")
    seen.fill("#id_exchange", "simulated")
    seen.fill("#id_symbol", "BTC/USDT")
    seen.get_by_role("button", name="Create the bot").click()
    expect(seen.locator("h1")).to_contain_text("Made by hand")
    bot = BotConfig.objects.get(owner=alice)
    assert bot.stop_loss_perc == float(filled)
    seen.get_by_role("link", name="Change the settings").click()
    seen.fill("#id_name", "Changed by hand")
    seen.get_by_role("button", name="Save").click()
    expect(seen.locator("h1")).to_contain_text("Changed by hand")
    seen.get_by_role("link", name="Delete", exact=True).click()
    seen.locator("article button.danger").click()
    expect(seen).to_have_url(re.compile(r"//[^/]+/$"))
    bot.refresh_from_db()
    assert bot.deleted_at is not None


def test_a_bot_is_started_told_to_buy_and_sell_and_stopped(seen: Page, alice: User) -> None:
    bot = bot_of(alice)
    seen.goto(f"/bots/{bot.pk}/")
    seen.get_by_role("button", name="Start", exact=True).click()
    expect(seen.locator(".state .chip")).to_contain_text("Starting")
    for kind, columns, link, button in (
        ("enter", {"reason": "no_signal"}, "Buy now", "Buy now"),
        ("exit", {"reason": "in_position", **holding()}, "Close position", "Close position"),
    ):
        Command.objects.all().delete()
        BotState.objects.filter(pk=bot.pk).update(status="running", **columns)
        seen.goto(f"/bots/{bot.pk}/")
        seen.locator(".acts").get_by_role("button", name=link).click()
        seen.locator("article:visible").get_by_role("button", name=button).click()
        expect(seen.locator("#panel")).to_contain_text("Your command waits for the next tick.")
        assert Command.objects.get(bot=bot).kind == kind
    seen.locator(".acts").get_by_role("button", name="Stop").click()
    seen.locator("article:visible").get_by_role("button", name="After the next exit").click()
    expect(seen.locator(".state .chip")).to_contain_text("Stopped")
    assert BotState.objects.get(pk=bot.pk).wind_down == "after_exit"


def test_all_bots_are_halted_after_a_question(seen: Page, alice: User) -> None:
    bots = [bot_of(alice, f"Bot {number}") for number in range(2)]
    for bot in bots:
        state_of(bot, "running", "no_signal", "trade")
    seen.goto("/")
    seen.get_by_role("button", name="Stop all bots").click()
    seen.locator("main button").first.click()
    expect(seen.locator("main")).to_contain_text("2 bots were halted.")
    assert not BotConfig.objects.filter(is_active=True).exists()


def test_a_key_is_added_and_removed_and_never_shown(seen: Page, alice: User) -> None:
    seen.goto("/keys/")
    seen.select_option("#id_mode", "testnet")
    seen.fill("#id_label", "main")
    seen.fill("#id_api_key", "PUBLICabcdefgh1234")
    seen.fill("#id_secret_key", "SECRETabcdefgh5678")
    seen.get_by_role("button", name="Save the key").click()
    expect(seen.locator("table")).to_contain_text("…1234")
    assert "SECRETabcdefgh5678" not in seen.content()
    seen.get_by_role("link", name="Delete the key of main").click()
    seen.locator("article button.danger").click()
    expect(seen.locator("main")).to_contain_text("No keys yet.")
    assert not ApiKey.objects.exists()


def test_the_profile_turns_the_language_and_the_light(seen: Page, alice: User) -> None:
    seen.goto("/profile/")
    seen.select_option("#id_language", "tr")
    seen.select_option("#id_theme", "dark")
    seen.get_by_role("button", name="Save").first.click()
    expect(seen.locator("html")).to_have_attribute("lang", "tr")
    expect(seen.locator("html")).to_have_attribute("data-theme", "dark")
    expect(seen.locator("html")).to_have_css("background-color", "rgb(15, 20, 27)")
    seen.goto("/")
    expect(seen.locator("h1")).to_have_text("Botlar")


def test_a_figure_opens_the_fills_that_it_came_from(seen: Page, alice: User) -> None:
    traded_bot(alice)
    seen.goto("/performance/")
    figure = seen.locator("dl.strip dd a").first
    text = figure.inner_text()
    figure.click()
    expect(seen.locator("dl.strip")).to_contain_text(text)
    expect(seen.locator("table tbody tr").first).to_be_visible()
