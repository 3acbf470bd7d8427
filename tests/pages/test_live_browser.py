"""Live pages in a real browser: they change under the reader's eyes and disturb nothing."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from bots.models import BotConfig, BotState, User
from tests.browser import watch
from tests.pages.builders import bot_of, market, state_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Whether a button rests when the browser has had its turn; nobody could press it again then.
PRESS_TWICE = """
() => new Promise(done => {
  const button = document.querySelector(".state .acts button");
  button.click();
  setTimeout(() => { button.click(); done(button.disabled); }, 50);
})
"""


@pytest.fixture
def problems(page: Page) -> Callable[[], list[str]]:
    return watch(page)


def polls(page: Page) -> list[str]:
    """Collect the addresses that the page asks for from now on."""
    asked: list[str] = []

    def note(url: str) -> None:
        if "/static/" not in url:  # the icon, which the browser may ask for again
            asked.append(url)

    page.on("request", lambda request: note(request.url))
    return asked


def change(bot: BotConfig, **columns: Any) -> None:
    BotState.objects.filter(pk=bot.pk).update(last_run_at=timezone.now(), **columns)


def test_a_poll_leaves_focus_and_what_is_typed_alone(
    seen: Page, live_server: Any, alice: User, quick: None, problems: Callable[[], list[str]]
) -> None:
    bot, other = bot_of(alice), bot_of(alice, "Other")
    state_of(bot, "running", "no_signal", "trade")
    state_of(other, "running", "no_signal", "trade")
    seen.goto(f"{live_server.url}/")
    search = seen.locator("[name=q]")
    search.press_sequentially("half a wo")
    change(bot, daily_pnl=Decimal(7))
    expect(seen.locator(f"#bot-{bot.pk}")).to_contain_text("7.00")
    expect(search).to_be_focused()
    expect(search).to_have_value("half a wo")
    # A bot in trouble goes to the top; the focus stays on the button that it was on.
    stop = seen.get_by_role("button", name=f"Stop {bot.name}")
    stop.focus()
    change(other, status="waiting", reason="stale_data")
    expect(seen.locator("tbody tr").first).to_have_attribute("id", f"bot-{other.pk}")
    expect(stop).to_be_focused()
    assert problems() == []


@pytest.mark.parametrize("count", [1, 50])
def test_one_request_serves_the_page_however_many_bots_there_are(
    count: int, seen: Page, live_server: Any, alice: User, quick: None
) -> None:
    for number in range(count):
        state_of(bot_of(alice, f"Bot {number}"), "running", "no_signal", "trade")
    seen.goto(f"{live_server.url}/")
    asked = polls(seen)
    seen.wait_for_timeout(1600)
    assert 3 <= len(asked) <= 6
    assert {url.split("?")[0] for url in asked} == {f"{live_server.url}/board/"}


def test_a_pressed_button_rests_before_the_answer_comes(
    seen: Page, live_server: Any, alice: User
) -> None:
    bot = bot_of(alice)
    waiting: list[Route] = []
    seen.route("**/start/", lambda route: waiting.append(route))
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    assert seen.evaluate(PRESS_TWICE) is True
    with seen.expect_event("request"):
        waiting[0].continue_()
    assert len(waiting) == 1
    expect(seen.locator(".state .chip")).to_contain_text("Starting")


def test_title_and_icon_tell_of_errors_while_the_tab_is_elsewhere(
    seen: Page, live_server: Any, alice: User, quick: None
) -> None:
    bots = [bot_of(alice, f"Bot {number}") for number in range(2)]
    for bot in bots:
        state_of(bot, "running", "no_signal", "trade")
    seen.goto(f"{live_server.url}/")
    expect(seen).to_have_title("Dashboard · Botsite")
    for number, bot in enumerate(bots, start=1):
        change(bot, status="error", reason="api_key_invalid", duty="none")
        expect(seen).to_have_title(f"({number}) Dashboard · Botsite")
    assert "icon-error" in str(seen.locator("#icon").get_attribute("href"))
    for bot in bots:
        change(bot, status="running", reason="no_signal", duty="trade")
    expect(seen).to_have_title("Dashboard · Botsite")
    assert "icon-error" not in str(seen.locator("#icon").get_attribute("href"))


@pytest.mark.parametrize("page_of_a_bot", [True, False])
def test_an_expired_session_leads_from_a_poll_to_the_sign_in_form_and_back(
    page_of_a_bot: bool, seen: Page, live_server: Any, alice: User, quick: None
) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    path = f"/bots/{bot.pk}/" if page_of_a_bot else "/"
    seen.goto(live_server.url + path)
    Session.objects.all().delete()
    expect(seen.locator("[name=login]")).to_be_visible()
    expect(seen.locator("main")).to_contain_text("You were signed out")
    # Whichever of two polls led here: the page says it as often as it is loaded.
    seen.reload()
    expect(seen.locator("main")).to_contain_text("You were signed out")
    asked = polls(seen)
    seen.wait_for_timeout(700)
    assert asked == []
    seen.fill("[name=login]", "alice")
    seen.fill("[name=password]", "alice-has-a-long-password")
    seen.keyboard.press("Enter")
    expect(seen).to_have_url(live_server.url + path)


@pytest.mark.parametrize("sends", [True, False], ids=["sent", "looked-at"])
def test_what_is_typed_into_a_form_outlives_the_session(
    sends: bool, seen: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    market()
    seen.goto(f"{live_server.url}/bots/new/")
    with seen.expect_response(lambda answer: "/check/" in answer.url):
        seen.fill("#id_name", "Typed for an hour")
        seen.fill("#id_stop_loss_perc", "3.5")
    Session.objects.all().delete()
    if sends:
        seen.locator(".bot-form button.primary").click()
        expect(seen.locator("main")).to_contain_text("You were signed out")
        expect(seen.locator("main")).to_contain_text("Nothing was changed")
    else:  # the look at what is typed finds the session gone
        seen.fill("#id_take_profit_perc", "7")
    seen.fill("[name=login]", "alice")
    seen.fill("[name=password]", "alice-has-a-long-password")
    seen.keyboard.press("Enter")
    expect(seen.locator("#id_name")).to_have_value("Typed for an hour")
    expect(seen.locator("#id_stop_loss_perc")).to_have_value("3.5")
    assert problems() == []
    # It is given back once: the next empty form is empty.
    seen.goto(f"{live_server.url}/")
    seen.goto(f"{live_server.url}/bots/new/")
    expect(seen.locator("#id_name")).to_have_value("")


def test_a_form_sent_without_a_session_says_that_nothing_was_changed(
    client: Any, alice: User
) -> None:
    bot = bot_of(alice)
    page = client.post(f"/bots/{bot.pk}/start/", follow=True)
    text = page.content.decode()
    assert "You were signed out. Nothing was changed: sign in and send it again." in text
    assert not BotState.objects.filter(pk=bot.pk).exists()
    assert "You were signed out" not in client.get("/accounts/login/").content.decode()


def test_the_sentence_counts_on_where_no_poll_brings_news(
    seen: Page, live_server: Any, alice: User, quick: None, problems: Callable[[], list[str]]
) -> None:
    bot = bot_of(alice, check_interval_seconds=60)
    now = timezone.now()
    state_of(bot, "waiting", "stale_data", "trade", last_ok_at=now - timedelta(minutes=3))
    BotState.objects.filter(pk=bot.pk).update(last_run_at=now - timedelta(minutes=6))
    # As where no worker lives: nothing of the bot changes any more.
    seen.route("**/panel/*", lambda route: route.fulfill(status=204))
    seen.clock.install()
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    told = seen.locator(".sentence")
    expect(told).to_have_text(
        "Waiting - no fresh candles for 3 min; late: should have run 5 min ago"
    )
    seen.clock.run_for(3 * 60 * 60 * 1000)
    expect(told).to_have_text(
        "Waiting - no fresh candles for 3 h 3 min; late: should have run 3 h 5 min ago"
    )
    assert problems() == []
