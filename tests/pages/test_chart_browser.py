"""The candle chart in a real browser: drawn, silent, and kept up to date without a reload."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from bots import candles
from bots.models import BotConfig, BotState, User
from tests.browser import sign_in, watch
from tests.pages.builders import bot_of, filled, holding, market, state_of
from trading.market import Candles

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MINUTE = 60_000
WAKE = "document.dispatchEvent(new Event('visibilitychange'))"
#: How many points of the drawing are painted.
INK = """() => [...document.querySelectorAll("#candles canvas")].reduce((sum, canvas) => {
  if (!canvas.width || !canvas.height) return sum;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return sum + data.filter((value, at) => at % 4 === 3 && value > 0).length;
}, 0)"""


def put(count: int, *, last: int, close: float = 66610.5) -> None:
    rows = []
    for n in range(count):
        middle = 66500.0 + (n * 37 % 200)
        end = close if n == count - 1 else middle + (-1) ** n * 30
        opened = last - (count - 1 - n) * MINUTE
        rows.append((opened, middle, max(middle, end) + 20, min(middle, end) - 20, end, 1.5))
    made = Candles.from_rows("BTC/USDT", "1m", rows)
    candles.store(candles.key_of("simulated", "paper", "BTC/USDT", "1m"), made)


@pytest.fixture
def newest() -> int:
    """When the newest closed candle opened, Unix ms."""
    return round(timezone.now().timestamp() * 1000) // MINUTE * MINUTE - MINUTE


@pytest.fixture
def bot(alice: User, newest: int) -> BotConfig:
    """A bot in position on a market with candles and fills, the newest in a candle still open."""
    market()
    put(120, last=newest)
    found = bot_of(alice)
    levels = {"take_profit_price": Decimal(66800), "trailing_stop_price": Decimal(66400)}
    values = holding(**levels, stop_loss_price=Decimal(66300), last_price=Decimal("66612.5"))
    state_of(found, "running", "in_position", "trade", **values)
    for minutes, side in ((30, "buy"), (18, "sell"), (0, "buy")):
        at = timezone.now() - timedelta(minutes=minutes)
        filled(found, side, "0.0015", "66550", at=at)
    return found


@pytest.fixture
def problems(page: Page) -> Callable[[], list[str]]:
    """Whatever the browser said or refused on this page so far."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    refused = watch(page)
    return lambda: [*said, *refused()]


@pytest.fixture
def seen(page: Page, live_server: Any, alice: User, bot: BotConfig) -> Page:
    """The bot's page with its chart drawn."""
    sign_in(page, alice, live_server.url)
    with page.expect_response(lambda response: "/candles/" in response.url):
        page.goto(f"{live_server.url}/bots/{bot.pk}/")
    expect(page.locator("#candles .legend")).to_contain_text("66,610.50")
    return page


def test_it_is_drawn_without_a_word_and_a_new_candle_comes_without_a_reload(
    problems: Callable[[], list[str]], seen: Page, bot: BotConfig, newest: int
) -> None:
    assert seen.evaluate(INK) > 5000
    assert seen.locator("#candles").get_attribute("role") == "img"
    place = seen.locator("#candles").bounding_box()
    seen.evaluate("window.mark = 'not reloaded'")
    put(2, last=newest + MINUTE, close=66700.25)
    BotState.objects.filter(pk=bot.pk).update(stop_loss_price=Decimal(66310))
    with seen.expect_response(lambda response: "/candles/" in response.url) as answer:
        seen.evaluate(WAKE)
    assert f"since={newest + 1}&" in answer.value.url
    assert [row[0] for row in answer.value.json()["candles"]] == [newest + MINUTE]
    expect(seen.locator("#candles .legend")).to_contain_text("66,700.25")
    assert "Stop loss 66,310.00" in str(seen.locator("#candles").get_attribute("aria-label"))
    assert seen.locator("#candles").bounding_box() == place
    assert seen.evaluate("window.mark") == "not reloaded"
    assert problems() == []


def test_a_past_that_was_added_is_drawn_too(seen: Page, bot: BotConfig, newest: int) -> None:
    put(200, last=newest)
    BotState.objects.filter(pk=bot.pk).update(failures=0)
    with seen.expect_response(lambda response: response.url.endswith("/candles/")) as answer:
        seen.evaluate(WAKE)
    assert len(answer.value.json()["candles"]) == 200


def test_an_open_table_is_brought_up_to_date(seen: Page, bot: BotConfig, newest: int) -> None:
    seen.click("#candle-table summary")
    put(2, last=newest + MINUTE, close=66700.25)
    BotState.objects.filter(pk=bot.pk).update(failures=0)
    seen.evaluate(WAKE)
    expect(seen.locator("#candle-table tbody").first).to_contain_text("66,700.25")
    expect(seen.locator("#candle-table")).to_have_attribute("open", "")


def test_a_hidden_tab_asks_nothing_until_it_is_looked_at(
    seen: Page, bot: BotConfig, newest: int
) -> None:
    asked: list[str] = []
    seen.on("request", lambda request: asked.append(request.url))
    seen.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")
    event = "new CustomEvent('htmx:afterRequest', {bubbles: true, detail: {elt, xhr}})"
    seen.evaluate(
        "const elt = document.getElementById('panel'), xhr = {status: 200};"
        f"xhr.getResponseHeader = () => null; elt.dispatchEvent({event})"
    )
    seen.wait_for_timeout(500)
    assert [url for url in asked if "/candles/" in url] == []
    put(2, last=newest + MINUTE, close=66700.25)
    BotState.objects.filter(pk=bot.pk).update(failures=0)
    seen.evaluate("document.hidden = false")
    seen.evaluate(WAKE)
    expect(seen.locator("#candles .legend")).to_contain_text("66,700.25")
    # Once for each panel that changed, and never again for what is there already.
    since = [url.partition("since=")[2] for url in asked if "/candles/" in url]
    assert len(since) == len(set(since)) > 0


def test_it_follows_the_theme_of_the_page(seen: Page) -> None:
    drawing = seen.locator("#candles .drawing")
    light = drawing.screenshot()
    seen.emulate_media(color_scheme="dark")
    seen.wait_for_timeout(300)
    assert drawing.screenshot() != light
    seen.emulate_media(color_scheme="light")
    seen.wait_for_timeout(300)
    assert drawing.screenshot() == light


def test_candles_that_come_later_replace_the_sentence_in_its_place(
    page: Page, live_server: Any, alice: User, newest: int
) -> None:
    found = bot_of(alice)
    state_of(found, "running", "no_signal", "trade")
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/bots/{found.pk}/")
    expect(page.locator("#candles .empty")).to_be_visible()
    place = page.locator("#candles").bounding_box()
    put(30, last=newest)
    BotState.objects.filter(pk=found.pk).update(failures=0)
    page.evaluate(WAKE)
    expect(page.locator("#candles .legend")).to_contain_text("66,610.5")
    expect(page.locator("#candles .empty")).to_have_count(0)
    assert page.locator("#candles").bounding_box() == place


def test_without_scripts_the_table_stands_alone(
    browser: Browser, live_server: Any, alice: User, bot: BotConfig
) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    sign_in(page, alice, live_server.url)
    page.goto(f"{live_server.url}/bots/{bot.pk}/")
    expect(page.locator("#candles")).to_be_hidden()
    page.click("#candle-table summary")
    expect(page.locator("#candle-table tbody").first).to_contain_text("66,610.50")
    page.context.close()
