"""What a trader does with nothing but a keyboard; where the focus is can be seen all the way."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bots.models import ApiKey, BotConfig, BotState, Command, User
from tests.pages.builders import bot_of, candles_of, holding, market, state_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "alice-has-a-long-password"


def tab_to(page: Page, what: str) -> None:
    """Press Tab until the focus is on `what` (a selector), and see that it can be seen there."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("what => document.activeElement.matches(what)", what):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            shadow = page.evaluate("getComputedStyle(document.activeElement).boxShadow")
            assert outline != "none" or shadow != "none", what
            return
    raise AssertionError(f"Tab never comes to {what}")


def press(page: Page, what: str, key: str = "Enter") -> None:
    """Come to `what` by Tab and press a key there."""
    tab_to(page, what)
    page.keyboard.press(key)


def test_a_keyboard_alone_makes_starts_and_stops_a_bot(
    page: Page, live_server: Any, alice: User
) -> None:
    market()
    page.goto(f"{live_server.url}/accounts/login/")
    for field, text in (("login", "alice"), ("password", PASSWORD)):
        tab_to(page, f"[name={field}]")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/")
    # The first Tab is the way past the menu.
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "main a[href^='/bots/new/']")
    page.keyboard.press("Enter")
    expect(page.locator("#id_name")).to_be_visible()
    tab_to(page, "[data-preset=preset-careful]")
    page.keyboard.press("Enter")
    tab_to(page, "#id_name")
    page.keyboard.type("By keyboard")
    for field, text in (("exchange", "simulated"), ("symbol", "BTC/USDT")):
        tab_to(page, f"#id_{field}")
        page.keyboard.press("Control+a")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("By keyboard")
    tab_to(page, ".state .acts button")
    page.keyboard.press("Enter")
    expect(page.locator(".state .chip")).to_contain_text("Starting")
    _stop_by_keyboard(page)


def _stop_by_keyboard(page: Page) -> None:
    """Ask, think better of it, ask again, and stop; the focus comes back to where it was."""
    bot = BotConfig.objects.get()
    BotState.objects.filter(pk=bot.pk).update(status="running", reason="in_position", **holding())
    page.reload()
    opener = "[data-dialog=ask-stop]"
    tab_to(page, opener)
    page.keyboard.press("Enter")
    expect(page.locator("#ask-stop")).to_be_visible()
    assert page.evaluate("document.querySelector('#ask-stop').contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(page.locator("#ask-stop")).to_be_hidden()
    expect(page.locator(opener)).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "#ask-stop button[value=close]")
    page.keyboard.press("Enter")
    expect(page.locator(".state .chip")).to_contain_text("Stopped")
    assert BotState.objects.get(pk=bot.pk).wind_down == "close"


def test_it_buys_and_closes(seen: Page, live_server: Any, alice: User) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    for kind, columns in (("enter", {}), ("exit", {"reason": "in_position", **holding()})):
        Command.objects.all().delete()
        BotState.objects.filter(pk=bot.pk).update(**columns)
        seen.goto(f"{live_server.url}/bots/{bot.pk}/")
        press(seen, f"[data-dialog=ask-{kind}]")
        expect(seen.locator(f"#ask-{kind}")).to_be_visible()
        press(seen, f"#ask-{kind} form[action$='/{kind}/'] button")
        expect(seen.locator("#panel")).to_contain_text("Your command waits for the next tick.")
        assert Command.objects.get(bot=bot).kind == kind


def test_it_starts_several_and_halts_all(seen: Page, live_server: Any, alice: User) -> None:
    bots = [bot_of(alice, f"Bot {number}") for number in range(3)]
    seen.goto(f"{live_server.url}/bots/bulk/")
    for bot in bots[:2]:
        press(seen, f"#bot-{bot.pk}", "Space")
    press(seen, "#bulk button.primary")
    expect(seen.locator("h1")).to_have_text("Start these bots?")
    press(seen, "button[name=step][value=do]")
    expect(seen.locator("main")).to_contain_text("2 bots were started")
    active = BotConfig.objects.filter(is_active=True)
    assert {bot.pk for bot in active} == {bot.pk for bot in bots[:2]}
    seen.goto(live_server.url)
    press(seen, "a[href='/halt/']")
    expect(seen.locator("h1")).to_have_text("Stop all bots")
    press(seen, "button[name=position][value=leave]")
    expect(seen.locator("main")).to_contain_text("2 bots were halted.")
    assert not active.all().exists()


def test_it_keeps_a_key_and_takes_it_away(seen: Page, live_server: Any, alice: User) -> None:
    seen.goto(f"{live_server.url}/keys/")
    texts = {"label": "main", "api_key": "PUBLICabcdefgh1234", "secret_key": "SECRETabcdefgh5678"}
    for field, text in texts.items():
        tab_to(seen, f"#id_{field}")
        seen.keyboard.type(text)
    press(seen, "form:has(#id_secret_key) button.primary")
    expect(seen.locator("table")).to_contain_text("…1234")
    press(seen, "a[href$='/delete/']")
    expect(seen.locator("article")).to_be_visible()
    press(seen, "article button.danger")
    expect(seen.locator("main")).to_contain_text("No keys yet.")
    assert not ApiKey.objects.exists()


def test_it_changes_the_settings_and_the_language(
    seen: Page, live_server: Any, alice: User
) -> None:
    market()
    bot = bot_of(alice)
    seen.goto(f"{live_server.url}/bots/{bot.pk}/settings/")
    tab_to(seen, "#id_name")
    seen.keyboard.press("Control+a")
    seen.keyboard.type("Renamed")
    seen.keyboard.press("Enter")
    expect(seen.locator("h1")).to_contain_text("Renamed")
    seen.goto(f"{live_server.url}/profile/")
    tab_to(seen, "#id_language")
    seen.keyboard.type("Tür")
    press(seen, "form:has(#id_language) button.primary")
    expect(seen.locator("html")).to_have_attribute("lang", "tr")


def test_it_reads_the_chart_as_a_table(seen: Page, live_server: Any, alice: User) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    candles_of(bot)
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    press(seen, "#candle-table > summary")
    expect(seen.locator("#candle-table tbody tr").first).to_be_visible()
    seen.keyboard.press("Enter")
    expect(seen.locator("#candle-table tbody tr").first).to_be_hidden()
