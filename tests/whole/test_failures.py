"""Each failure has its own status, reason and words, in the API and on the page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client

from bots import control, schedule
from bots.lease import Outcome
from bots.messages import explain
from bots.models import ApiKey, BotConfig, BotState, Order, Silence, User
from bots.silences import shared_silences
from tests.doors.client import Caller
from tests.testexchange import DEFAULT_API_KEY, ExchangeControl, TestExchange
from tests.whole.api import state_of, wait_for
from tests.whole.conftest import MakeBot
from tests.whole.processes import Worker, wait_until

# What the exchange does is told alike on any database.
pytestmark = pytest.mark.slow(seconds=0.7)

Tick = Callable[[int], Outcome | None]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A fault of the exchange, the reason it must lead to, and words the details must hold."""

    reason: str
    action: str
    words: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def cause(self, exchange: ExchangeControl) -> None:
        if self.action in ("refuse", "halt", "delist"):
            getattr(exchange, self.action)(*([] if self.action == "refuse" else ["BTCUSDT"]))
        else:
            exchange.add_fault(self.action, times=None, **self.details)

    def lift(self, exchange: ExchangeControl) -> None:
        exchange.refuse(False)
        exchange.clear_faults()
        exchange.resume("BTCUSDT")
        exchange.list_symbol("BTCUSDT")
        Silence.objects.all().delete()  # as if its time were over
        shared_silences.cache_clear()


def candles(defect: str) -> dict[str, Any]:
    return {"path": "api/v3/klines", "defect": defect}


TROUBLES = {
    "connections are reset": Trouble(reason="network", action="refuse"),
    "no answer in time": Trouble(
        reason="network",
        action="hang",
        details={"path": "api/v3/klines", "seconds": 2},
    ),
    "an HTML page": Trouble(reason="bad_answer", action="html", details={"path": "api/*"}),
    "half a JSON": Trouble(reason="bad_answer", action="truncated", details={"path": "api/*"}),
    "maintenance": Trouble(
        reason="maintenance", action="http", words="503", details={"status": 503}
    ),
    "rate limit": Trouble(
        reason="rate_limit", action="rate_limit", words="77 s to go", details={"retry_after": 77}
    ),
    "stale candles": Trouble(reason="stale_data", action="klines", details=candles("empty")),
    "a gap": Trouble(reason="broken_data", action="klines", words="gap", details=candles("gap")),
    "NaN": Trouble(reason="broken_data", action="klines", details=candles("nan")),
    "a negative price": Trouble(reason="broken_data", action="klines", details=candles("negative")),
    "a halted market": Trouble(reason="market_halted", action="halt"),
    "a delisted symbol": Trouble(reason="market_unknown", action="delist", words="BTC/USDT"),
}


def seen_on_page(user: User, bot_id: int) -> str:
    browser = Client()
    words = {"login": user.username, "password": f"{user.username}-has-a-long-password"}
    assert browser.post("/accounts/login/", words).status_code == 302
    assert browser.get("/").status_code == 200
    page = browser.get(f"/bots/{bot_id}/")
    assert page.status_code == 200
    return unescape(page.content.decode())


def assert_told(api: Caller, user: User, bot_id: int, reason: str, words: str = "") -> None:
    """The reason's own explanation stands in the API and on the page, with the details."""
    state, explanation = state_of(api, bot_id), explain(reason)
    assert explanation is not None
    assert state["reason"] == reason
    assert state["explanation"]["what"] == str(explanation.what)
    assert str(explanation.what) in state["last_error_message"]
    assert words in state["last_error_message"]
    page = seen_on_page(user, bot_id)
    assert str(explanation.what) in page
    assert str(explanation.todo) in page


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_at_the_exchange_is_told_and_heals_by_itself(
    name: str,
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
    alice: User,
) -> None:
    trouble, bot = TROUBLES[name], live_bot()
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"
    trouble.cause(exchange)
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["duty"]) == ("waiting", "trade"), state
    assert_told(as_alice, alice, bot.pk, trouble.reason, trouble.words)
    trouble.lift(exchange)
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["last_error_message"]) == ("running", "")
    assert not Order.objects.exists()


def test_a_failure_before_the_first_good_tick_is_an_error_and_heals_too(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    exchange.add_fault("html", path="api/*", times=None)
    bot = live_bot()
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["duty"], state["text"]) == (
        "error",
        "trade",
        "error (bad answer)",
    )
    exchange.clear_faults()
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"


def test_from_the_third_failure_in_a_row_waiting_becomes_an_error(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> None:
    bot = live_bot()
    tick_now(bot.pk)
    exchange.refuse()
    seen = []
    for _ in range(3):
        tick_now(bot.pk)
        seen.append(BotState.objects.get(pk=bot.pk).status)
    assert seen == ["waiting", "waiting", "error"]


def test_a_rate_limit_says_when_it_ends(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> None:
    bot = live_bot()
    exchange.add_fault("rate_limit", retry_after=33)
    tick_now(bot.pk)
    state = BotState.objects.get(pk=bot.pk)
    assert state.retry_at is not None
    assert state.last_run_at is not None
    assert timedelta(seconds=30) < state.retry_at - state.last_run_at <= timedelta(seconds=33)


def test_too_little_money_tells_what_is_needed_and_what_is_there(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller, alice: User
) -> None:
    exchange.set_balance("default", "USDT", "123.45")
    bot = live_bot()
    control.command(bot, "enter", by=alice, via="api")
    tick_now(bot.pk)
    assert_told(as_alice, alice, bot.pk, "insufficient_funds", "have 123.45")
    assert "need 1001" in state_of(as_alice, bot.pk)["last_error_message"]
    exchange.set_balance("default", "USDT", 5000)
    control.command(bot, "enter", by=alice, via="api")
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["in_position"]


def test_an_order_below_the_minimum_is_never_raised(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller, alice: User
) -> None:
    bot = live_bot(position_size_fixed="4.9")
    control.command(bot, "enter", by=alice, via="api")
    tick_now(bot.pk)
    assert_told(as_alice, alice, bot.pk, "below_minimum", "need 5")
    assert not Order.objects.exists()


def no_key(bot: BotConfig, exchange: ExchangeControl, settings: Any) -> None:
    ApiKey.objects.all().delete()


def another_fernet_key(bot: BotConfig, exchange: ExchangeControl, settings: Any) -> None:
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]


def refused_key(bot: BotConfig, exchange: ExchangeControl, settings: Any) -> None:
    ApiKey.objects.all().delete()
    secrets = {"api_key": "N" * 64, "secret_key": "M" * 64}
    ApiKey.put(owner=bot.owner, exchange="binance", mode="live", label="main", **secrets)


def wrong_secret(bot: BotConfig, exchange: ExchangeControl, settings: Any) -> None:
    key = ApiKey.objects.get()
    key.secret_key = "not the secret"
    key.save()


def withdrawing_key(bot: BotConfig, exchange: ExchangeControl, settings: Any) -> None:
    ApiKey.objects.update(
        check_fault="api_key_rights", check_message="may withdraw", is_valid=False
    )


def unknown_exchange(bot: BotConfig, exchange: ExchangeControl, settings: Any) -> None:
    BotConfig.objects.filter(pk=bot.pk).update(exchange="nowhere")
    type(bot.account).objects.update(exchange="nowhere")


FATAL = {
    "api_key_missing": no_key,
    "api_key_decrypt_failed": another_fernet_key,
    "api_key_invalid": refused_key,
    "api_key_rights": withdrawing_key,
    "client_init_failed": unknown_exchange,
}


@pytest.mark.parametrize("reason", FATAL)
def test_what_trying_again_cannot_heal_switches_the_bot_off(
    reason: str,
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
    alice: User,
    settings: Any,
) -> None:
    bot = live_bot()
    FATAL[reason](bot, exchange, settings)
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["reason"], state["duty"]) == ("error", reason, "none")
    assert (
        state["text"] == f"error ({reason.replace('_', ' ').replace('client init', 'client init')})"
    )
    assert_told(as_alice, alice, bot.pk, reason)
    assert as_alice.get(f"/bot-configs/{bot.pk}").body["is_active"] is False
    assert tick_now(bot.pk) is None
    # The site goes on, and so do the bots of others.
    assert as_alice.get("/bot-configs").status == 200


def test_a_secret_that_does_not_fit_is_told_as_a_refused_key(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller, settings: Any
) -> None:
    bot = live_bot()
    wrong_secret(bot, exchange, settings)
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["text"] == "error (api key invalid)"


def test_a_key_revoked_while_the_bot_runs_is_noticed(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot = live_bot()
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"
    exchange.revoke_key(DEFAULT_API_KEY)
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["text"] == "error (api key invalid)"


def test_the_market_list_that_never_comes_is_told(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller, alice: User
) -> None:
    exchange.add_fault("html", path="api/v3/exchangeInfo", times=None)
    bot = live_bot()
    tick_now(bot.pk)
    assert_told(as_alice, alice, bot.pk, "bad_answer")


def test_an_exchange_that_is_down_is_waited_for_by_the_worker(
    worker: Worker, market: TestExchange, live_bot: MakeBot, as_alice: Caller, alice: User
) -> None:
    bot = live_bot()
    wait_for(as_alice, bot.pk, status="running")
    market.kill()

    def ticks_and_is(name: str, value: str) -> bool:
        schedule.nudge(bot.pk)
        return bool(state_of(as_alice, bot.pk)[name] == value)

    try:
        wait_until(lambda: ticks_and_is("reason", "network"), every=0.3)
        assert_told(as_alice, alice, bot.pk, "network")
    finally:
        market.start()
    wait_until(lambda: ticks_and_is("status", "running"), every=0.3)
