"""The symbol search of the bot form, the stars and many bots at once, in a real browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from bots.models import User
from tests.browser import sign_in, watch
from tests.pages.builders import market

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SYMBOLS = ("BTC/USDT", "BTC/EUR", "WBTC/USDT", "ETH/USDT", "SOL/USDT")


@pytest.fixture
def problems(page: Page) -> Callable[[], list[str]]:
    """What the browser refused or complained about so far on this page."""
    return watch(page)


@pytest.fixture
def seen(page: Page, live_server: Any, alice: User) -> Page:
    """A browser in which alice is signed in, and a list of markets."""
    for symbol in SYMBOLS:
        market(symbol)
    sign_in(page, alice, live_server.url)
    return page


def test_the_symbol_is_searched_and_chosen_by_keyboard(
    seen: Page, live_server: Any, problems: Callable[[], list[str]]
) -> None:
    seen.goto(f"{live_server.url}/bots/new/")
    field, options = seen.locator("#id_symbol"), seen.locator("#symbols [role=option]")
    field.fill("")
    field.press_sequentially("btcus")
    expect(options).to_have_text([re.compile("^BTC/USDT"), re.compile("^WBTC/USDT")])
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("ArrowDown")
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "symbol-2")
    field.press("ArrowUp")
    field.press("Enter")
    expect(field).to_have_value("BTC/USDT")
    expect(seen.locator("#symbols")).to_be_hidden()
    expect(seen.locator("#check")).to_contain_text("Each entry: 100.00 USDT.")
    field.fill("eth")
    expect(options).to_have_count(1)
    field.press("Escape")
    expect(seen.locator("#symbols")).to_be_hidden()
    expect(field).to_have_value("eth")
    more = seen.locator("#id_more_symbols")
    more.press_sequentially("ETH/USDT, so")
    expect(options).to_have_text([re.compile("^SOL/USDT")])
    options.first.click()
    expect(more).to_have_value("ETH/USDT, SOL/USDT")
    assert problems() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_many_bots_are_made_from_the_markets_with_and_without_scripts(
    browser: Browser, live_server: Any, alice: User, scripts: bool
) -> None:
    for symbol in SYMBOLS:
        market(symbol)
    page = browser.new_context(java_script_enabled=scripts).new_page()
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/markets/?q=btc")
    expect(page.locator(".markets .name")).to_have_text(["BTC/USDT", "BTC/EUR", "WBTC/USDT"])
    page.get_by_label("Watch WBTC/USDT").click()
    expect(page.locator(".markets .name")).to_have_text(["WBTC/USDT", "BTC/USDT", "BTC/EUR"])
    expect(page.get_by_label("Watch WBTC/USDT")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Pick WBTC/USDT").check()
    page.get_by_label("Pick BTC/USDT").check()
    page.click("text=Make a bot on each")
    page.fill("#id_name", "Wave")
    page.click("text=Create the bot")
    expect(page.locator("h1")).to_have_text("One bot on each market")
    page.click("text=Make the ticked bots")
    expect(page.locator("main")).to_contain_text("2 bots were created.")
    expect(page.locator(".bots .name a")).to_have_text(["Wave BTC/USDT", "Wave WBTC/USDT"])
    page.context.close()
