"""Choosing a strategy in a real browser: its settings appear, what was typed elsewhere stays."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, Page, Route, expect

from bots.models import BotConfig, User
from tests.browser import sign_in, watch
from tests.pages.builders import bot_of, market

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def seen(scripts: bool, browser: Browser, live_server: Any, alice: User) -> Iterator[Page]:
    """Alice's browser, once with and once without JavaScript; it must not complain."""
    context = browser.new_context(java_script_enabled=scripts, base_url=live_server.url)
    page = context.new_page()
    problems = watch(page) if scripts else list
    sign_in(page, alice, live_server.url)
    yield page
    assert problems() == []
    context.close()


def choose(page: Page, name: str, *, scripts: bool) -> None:
    page.select_option("#id_strategy", name)
    button = page.get_by_role("button", name="Show its settings")
    if scripts:
        expect(button).to_have_count(0)
    else:
        button.click()
    expect(page.locator("[name=params_of]")).to_have_value(name)


def test_choosing_a_strategy_shows_its_settings_and_keeps_what_is_typed(
    seen: Page, alice: User, scripts: bool
) -> None:
    market()
    seen.goto("/bots/new/")
    expect(seen.locator("#id_param_ema_fast")).to_have_value("8")
    seen.fill("#id_name", "Half ")
    seen.fill("#id_stop_loss_perc", "3,5")
    seen.check("#id_trailing_stop_active")
    seen.fill("#id_trailing_stop_perc", "2")
    seen.focus("#id_strategy")
    choose(seen, "bollinger", scripts=scripts)
    expect(seen.locator("#id_param_period")).to_have_value("20")
    expect(seen.locator("#id_param_ema_fast")).to_have_count(0)
    expect(seen.locator("#group-strategy")).to_contain_text("Mean reversion")
    expect(seen.locator("#id_name")).to_have_value("Half ")
    expect(seen.locator("#id_stop_loss_perc")).to_have_value("3,5")
    expect(seen.locator("#id_trailing_stop_active")).to_be_checked()
    if scripts:
        expect(seen.locator("#id_strategy")).to_be_focused()
    seen.fill("#id_param_period", "1")
    seen.select_option("#id_param_sell_at", "middle")
    seen.locator("#id_name").press("Enter")  # saves, it does not ask for settings
    expect(seen.locator("#id_param_period_error")).to_contain_text("Must be at least 2.")
    expect(seen.locator("#id_param_sell_at")).to_have_value("middle")
    seen.fill("#id_param_period", "30")
    seen.get_by_role("button", name="Create the bot").click()
    expect(seen.locator("h1")).to_contain_text("Half")
    bot = BotConfig.objects.get(owner=alice)
    assert bot.params == {"period": 30, "deviations": "2", "sell_at": "middle"}
    assert float(bot.stop_loss_perc or 0) == 3.5


def test_an_edit_can_look_at_another_strategy_and_come_back(
    seen: Page, alice: User, scripts: bool
) -> None:
    bot = bot_of(alice, strategy="macd", params={"fast": 5, "slow": 35, "signal": 5})
    seen.goto(f"/bots/{bot.pk}/settings/")
    choose(seen, "breakout", scripts=scripts)
    expect(seen.locator("#id_param_entry_period")).to_have_value("20")
    choose(seen, "macd", scripts=scripts)
    expect(seen.locator("#id_param_slow")).to_have_value("35")
    bot.refresh_from_db()
    assert bot.strategy == "macd"


CHOOSE_AT_ONCE = """document.addEventListener("htmx:afterSwap", () => {
    const choice = document.querySelector("#id_strategy");
    choice.value = "macd";
    choice.dispatchEvent(new Event("change", { bubbles: true }));
}, { once: true })"""


def test_a_choice_made_as_another_answer_arrives_counts(
    page: Page, live_server: Any, alice: User
) -> None:
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/bots/new/")
    page.evaluate(CHOOSE_AT_ONCE)
    page.select_option("#id_strategy", "breakout")
    expect(page.locator("[name=params_of]")).to_have_value("macd")
    expect(page.locator("#id_strategy")).to_have_value("macd")


def test_a_choice_made_while_another_answer_comes_counts(
    page: Page, live_server: Any, alice: User
) -> None:
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/bots/new/")
    asked: list[Route] = []

    def first_waits(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route("**/bots/new/", first_waits)
    page.evaluate("htmx.config.timeout = 0")  # nothing but the second choice ends the wait
    page.select_option("#id_strategy", "breakout")
    page.select_option("#id_strategy", "macd")
    expect(page.locator("[name=params_of]")).to_have_value("macd")
    assert len(asked) == 2  # the first was dropped, it never had an answer
    expect(page.locator("#id_strategy")).to_have_value("macd")


def test_typed_settings_of_a_chosen_strategy_outlive_the_session(
    page: Page, live_server: Any, alice: User
) -> None:
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/bots/new/")
    page.fill("#id_name", "Long typed")
    choose(page, "macd", scripts=True)
    page.fill("#id_param_slow", "40")
    Session.objects.all().delete()
    page.get_by_role("button", name="Create the bot").click()
    page.fill("[name=login]", "alice")
    page.fill("[name=password]", "alice-has-a-long-password")
    page.keyboard.press("Enter")
    expect(page.locator("#id_name")).to_have_value("Long typed")
    expect(page.locator("[name=params_of]")).to_have_value("macd")
    expect(page.locator("#id_param_slow")).to_have_value("40")
