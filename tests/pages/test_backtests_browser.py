"""A backtest in a real browser: from the bot's page to a paper bot that does what was tried."""

import re
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from bots.backtests import running
from bots.models import BacktestRun, BotState, User
from tests.browser import watch
from tests.pages.builders import bot_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow(seconds=12)]


def test_a_backtest_from_the_bots_page_to_its_paper_bot(
    seen: "Page", live_server: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    complaints, page = watch(seen), seen
    bot = bot_of(alice, "Wave", symbol="WAVE/USDT", timeframe="5m")
    page.goto(f"{live_server.url}/bots/{bot.pk}/")
    page.get_by_role("link", name="Backtest", exact=True).last.click()
    page.get_by_label("Days until now").fill("3")
    page.get_by_role("button", name="Run the backtest").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()

    # A worker that stops for a look of the page before it asks the strategy.
    BacktestRun.objects.update(status="running", stage="candles", progress=31)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "31")
    BacktestRun.objects.update(status="queued")

    def work() -> None:
        running.run(BacktestRun.objects.get().pk)
        connection.close()

    worker = Thread(target=work)
    worker.start()
    worker.join()
    expect(page.get_by_text("Net profit")).to_be_visible()
    expect(page.locator("#candles canvas").first).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Closed trades [1-9]"))).to_be_visible()

    page.get_by_role("button", name="Start as a paper bot").click()
    expect(page.get_by_text("Wave paper trades with play money now")).to_be_visible()
    assert BotState.objects.get(bot__name="Wave paper").duty == "trade"
    assert complaints() == []
