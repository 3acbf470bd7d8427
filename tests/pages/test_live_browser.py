"""Live pages in a real browser: they change under the reader's eyes and disturb nothing."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from bots.models import BotConfig, BotState, User
from tests.browser import watch
from tests.doors.content import make_key
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
#: Send the form of a field, filled in or not.
SEND = "input => { input.form.noValidate = true; input.form.requestSubmit(); }"


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


def again(page: Page, who: str = "alice") -> None:
    """Sign in at the form that a lost session led to."""
    page.fill("[name=login]", who)
    page.fill("[name=password]", f"{who}-has-a-long-password")
    page.keyboard.press("Enter")


def test_every_form_gives_back_what_was_typed_when_the_session_was_lost(
    seen: Page, live_server: Any, alice: User, problems: Callable[[], list[str]]
) -> None:
    key = make_key(alice)
    bot = bot_of(alice)
    forms = {
        "/bots/import/": ("#id_text", "typed for an hour", None),
        f"/bots/{bot.pk}/template/": ("#id_name", "A template", None),
        "/profile/notifications/new/?service=webhook": ("#id_label", "My hook", None),
        "/profile/notifications/": ("#id_quiet_from", "22:30", None),
        # Sent to an address of its own, which is no page; it lies in a fold.
        "/keys/": (f"#id_{key.account_id}_max_daily_loss", "75", "Limits of all its bots"),
    }
    for path, (field, text, fold) in forms.items():
        seen.goto(live_server.url + path)
        if fold:
            seen.get_by_text(fold).click()
        seen.fill(field, text)
        Session.objects.all().delete()
        seen.locator(field).evaluate(SEND)
        expect(seen.locator("main")).to_contain_text("Nothing was changed")
        again(seen)
        expect(seen).to_have_url(re.compile(re.escape(path) + r"(#.*)?$"))
        expect(seen.locator(field)).to_be_visible()
        expect(seen.locator(field)).to_have_value(text)
    assert problems() == []


def test_a_draft_holds_no_secret_and_is_its_writers_alone(
    seen: Page, live_server: Any, alice: User, bob: User, problems: Callable[[], list[str]]
) -> None:
    page = f"{live_server.url}/keys/"
    secrets = {"#id_api_key": "canary-key", "#id_secret_key": "canary-lines"}
    for who, label in (("alice", "Mine"), ("bob", "")):
        seen.goto(page)
        seen.fill("#id_label", "Mine")
        for field, text in secrets.items():
            seen.fill(field, text)
        Session.objects.all().delete()
        seen.locator("#id_label").evaluate(SEND)
        expect(seen.locator("main")).to_contain_text("You were signed out")
        kept = seen.evaluate("JSON.stringify(sessionStorage)")
        assert "Mine" in kept
        assert "canary" not in kept
        again(seen, who)
        expect(seen).to_have_url(page)
        expect(seen.locator("#id_label")).to_have_value(label)
        expect(seen.locator("#id_secret_key")).to_have_value("")
        assert seen.evaluate("sessionStorage.length") == 0
    assert problems() == []


def test_a_form_that_was_taken_is_not_filled_again(
    seen: Page, live_server: Any, alice: User
) -> None:
    page = f"{live_server.url}/keys/"
    seen.goto(page)
    for field, text in {"label": "robot", "api_key": "k" * 20, "secret_key": "s" * 20}.items():
        seen.fill(f"#id_{field}", text)
    seen.locator("#id_label").evaluate(SEND)
    expect(seen.locator("main")).to_contain_text("robot")
    seen.wait_for_function("sessionStorage.length === 0")
    expect(seen.locator("#id_label")).to_have_value("")


@pytest.mark.parametrize(
    ("sender", "back"),
    [
        ("http://testserver/keys/?a=b%20c", "/keys/?a=b%20c"),
        ("http://elsewhere.example/keys/", "/bots/1/start/"),
        ("nonsense", "/bots/1/start/"),
        ("", "/bots/1/start/"),
    ],
)
def test_signing_in_leads_back_to_the_page_whose_form_was_sent(
    client: Any, db: None, sender: str, back: str
) -> None:
    answer = client.post("/bots/1/start/", headers={"referer": sender})
    assert parse_qs(urlsplit(answer["Location"]).query)["next"] == [back]
