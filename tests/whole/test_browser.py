"""What a person does, in a real browser, with a real worker behind it; and without JavaScript."""

from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, expect

from bots import invariants
from bots.models import BotState, Order, User
from tests.whole.processes import Worker, wait_until

pytestmark = pytest.mark.browser

PASSWORD = "alice-has-a-long-password"
WATCH = """
document.addEventListener("securitypolicyviolation", event => {
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""
#: As long as a page polls for a bot that starts, and a worker needs to come up.
PATIENCE = 15_000


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Collect what the browser complains about: refused by the policy, scripts that fail."""
    found: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(f"{page.url}: {message.text}")

    def on_error(error: Error) -> None:
        found.append(f"{page.url}: {error}")

    page.add_init_script(WATCH)
    page.on("console", on_console)
    page.on("pageerror", on_error)
    return found


def chip(page: Page) -> Locator:
    return page.locator(".state .chip")


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.fill("[name=login]", "alice")
    page.fill("[name=password]", PASSWORD)
    page.locator("form:has([name=password]) button[type=submit]").click()
    expect(page).to_have_url(f"{url}/")


def create_paper_bot(page: Page, url: str) -> int:
    page.goto(f"{url}/bots/new/")
    page.fill("#id_name", "From the browser")
    page.fill("#id_exchange", "simulated")
    page.fill("#id_symbol", "CALM/USDT")
    page.fill("#id_position_size_perc", "10")
    page.fill("#id_check_interval_seconds", "1")
    page.locator(".bot-form button.primary").click()
    expect(page.locator("h1")).to_contain_text("From the browser")
    return int(page.url.rstrip("/").rsplit("/", 1)[1])


def start_before_the_worker(page: Page, worker: Worker) -> None:
    """Press Start while no worker listens, so that the page can be seen to change."""
    worker.end()
    page.click(".acts button[formaction$='/start/']")
    expect(chip(page)).to_contain_text("Starting")
    worker.start()


def pages_of(bot_id: int) -> list[str]:
    tabs = ("decisions", "orders", "fills", "events", "days", "settings", "stop", "delete")
    mine = [f"/bots/{bot_id}/", *[f"/bots/{bot_id}/{tab}/" for tab in tabs]]
    own = ["/keys/", "/profile/", "/help/", "/accounts/password/change/"]
    return ["/", "/bots/new/", *mine, *own]


def test_a_bot_is_made_started_watched_and_stopped_without_reloading(
    page: Page, complaints: list[str], live_server: Any, alice: User, worker: Worker
) -> None:
    sign_in(page, live_server.url)
    bot_id = create_paper_bot(page, live_server.url)
    start_before_the_worker(page, worker)
    page.evaluate("window.mark = 'not reloaded'")
    expect(chip(page)).to_contain_text("Running", timeout=PATIENCE)
    assert page.evaluate("window.mark") == "not reloaded"

    page.click("[data-dialog=ask-enter]")
    page.locator("#ask-enter button.primary").click()
    expect(page.locator("#panel")).to_contain_text("CALM", timeout=PATIENCE)
    wait_until(lambda: BotState.objects.get(pk=bot_id).in_position)
    expect(page.locator("[data-dialog=ask-exit]")).to_be_visible(timeout=PATIENCE)

    page.click("[data-dialog=ask-stop]")
    expect(page.locator("#ask-stop")).to_be_visible()
    page.click("#ask-stop button[value=close]")
    expect(chip(page)).to_contain_text("Stopped", timeout=PATIENCE)
    wait_until(lambda: BotState.objects.get(pk=bot_id).duty == "none")
    expect(page.locator("#panel")).to_contain_text("flat", timeout=PATIENCE)
    assert [order.reason for order in Order.objects.order_by("pk")] == ["command", "closing"]
    assert invariants.check() == []
    for path in pages_of(bot_id):
        answer = page.goto(f"{live_server.url}{path}")
        assert answer is not None
        assert answer.status == 200, path
    assert complaints == []


def test_the_same_works_without_javascript(
    browser: Browser, live_server: Any, alice: User, worker: Worker
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    try:
        sign_in(page, live_server.url)
        bot_id = create_paper_bot(page, live_server.url)
        start_before_the_worker(page, worker)
        wait_until(lambda: BotState.objects.get(pk=bot_id).status == "running")
        page.reload()
        expect(chip(page)).to_contain_text("Running")
        page.click("[data-dialog=ask-enter]")
        expect(page).to_have_url(f"{live_server.url}/bots/{bot_id}/enter/")
        page.click("article button.primary")
        # The worker may be quicker than the way back: a page that is on its way cannot be reloaded.
        expect(page).to_have_url(f"{live_server.url}/bots/{bot_id}/")
        wait_until(lambda: BotState.objects.get(pk=bot_id).in_position)
        page.reload()
        page.click("[data-dialog=ask-stop]")
        expect(page).to_have_url(f"{live_server.url}/bots/{bot_id}/stop/")
        page.click("button[value=close]")
        expect(chip(page)).to_contain_text("Stopped")
        wait_until(lambda: BotState.objects.get(pk=bot_id).duty == "none")
    finally:
        context.close()
    assert invariants.check() == []
