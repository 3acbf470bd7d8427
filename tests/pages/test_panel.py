"""The bot page and its polled panel."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots.lifecycle import Move
from bots.models import Account, Balance, BotState, PaperBalance, StateEvent, User
from tests.pages.builders import HTMX, bot_of, decision, holding, market, sign_in, state_of, text_of


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def test_an_unchanged_poll_answers_204_and_a_changed_one_the_fragment(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    state = state_of(bot, "running", "no_signal", "trade")
    path = f"/bots/{bot.pk}/panel/"
    assert client.get(f"{path}?v={state.version}", headers=HTMX).status_code == 204
    BotState.objects.filter(pk=bot.pk).update(last_run_at=timezone.now())
    answer = client.get(f"{path}?v={state.version}", headers=HTMX)
    assert answer.status_code == 200
    assert f"?v={state.version + 1}" in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_a_deleted_bot_stops_the_poll_with_286(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    client.post(f"/bots/{bot.pk}/delete/")
    answer = client.get(f"/bots/{bot.pk}/panel/?v=1", headers=HTMX)
    assert answer.status_code == 286
    assert "There is no such bot." in answer.content.decode()
    assert "hx-trigger" not in answer.content.decode()
    assert client.get(f"/bots/{bot.pk}/panel/?v=1").status_code == 404


def test_an_unknown_bot_leads_back_to_the_dashboard_with_a_message(client: Client) -> None:
    page = client.get("/bots/12345/", follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert "There is no such bot." in page.content.decode()


@pytest.mark.parametrize(
    ("status", "reason", "duty", "seconds"),
    [
        ("pending", "start", "trade", 3),
        ("running", "no_signal", "trade", 10),
        ("waiting", "network", "trade", 10),
        ("stopped", "by_owner", "none", 60),
        ("error", "api_key_missing", "none", 60),
    ],
)
def test_the_server_sets_the_cadence(
    alice: User, client: Client, status: str, reason: str, duty: str, seconds: int
) -> None:
    bot = bot_of(alice)
    state_of(bot, status, reason, duty)
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert f'hx-trigger="every {seconds}s, wake"' in body


def test_a_waiting_command_quickens_the_poll_and_hides_the_button(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    state = state_of(bot, "running", "no_signal", "trade")
    assert "Buy now" in text_of(client.get(f"/bots/{bot.pk}/panel/?v=0"))
    client.post(f"/bots/{bot.pk}/enter/")
    answer = client.get(f"/bots/{bot.pk}/panel/?v={state.version}")
    assert answer.status_code == 200
    assert "every 3s" in answer.content.decode()
    assert "Your command waits" in text_of(answer)
    assert "Buy now" not in text_of(answer)


def test_time_alone_makes_a_bot_late(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    ago = timezone.now() - timedelta(hours=1)
    state = state_of(bot, "running", "no_signal", "trade", last_run_at=ago)
    answer = client.get(f"/bots/{bot.pk}/panel/?v={state.version}")
    assert answer.status_code == 200
    assert "late: should have run 59 min ago" in text_of(answer)


def test_the_position_shows_its_levels_distances_and_unrealised_profit(
    alice: User, client: Client
) -> None:
    market()
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    text = text_of(client.get(f"/bots/{bot.pk}/"))
    assert "0.00150 BTC" in text
    assert "66,500.12" in text
    # 0.0015 x 67120.55 - 99.75018 = 0.930645; 65170.11 / 67120.55 - 1 = -2.9059 %
    assert "+0.93 USDT" in text
    assert "65,170.11 −2.91 %" in text


def test_without_a_position_the_levels_are_what_the_settings_plan(
    alice: User, client: Client
) -> None:
    market()
    percents = {"stop_loss_perc": 2, "take_profit_perc": Decimal("3.5"), "trailing_stop_perc": 1}
    bot = bot_of(alice, **percents, trailing_stop_active=True)
    state_of(bot, "running", "no_signal", "trade")
    text = text_of(client.get(f"/bots/{bot.pk}/panel/"))
    assert "Stop loss 2 % of the entry Trailing stop 1 % of the best price" in text
    assert "Take profit 3.5 % of the entry" in text
    # In a position only a price counts; a trailing stop comes with the price.
    BotState.objects.filter(bot=bot).update(**holding(stop_loss_price=None))
    text = text_of(client.get(f"/bots/{bot.pk}/panel/"))
    assert "Trailing stop 1 % of the best price" in text
    assert "Stop loss" not in text
    assert "Take profit" not in text


def test_an_unwatched_position_is_a_red_banner_with_two_ways_out(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    state_of(bot, "stopped", "by_owner", "none", **holding())
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert "Nobody watches this position" in body
    assert 'name="position" value="close"' in body
    client.post(f"/bots/{bot.pk}/stop/", {"position": "close"})
    state = BotState.objects.get(pk=bot.pk)
    assert (state.duty, state.wind_down) == ("exit", "close")
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert "Nobody watches this position" not in body
    assert "closing the position" in body


def test_an_error_says_what_now_and_what_to_do_and_folds_the_raw_text(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    raw = "The stored api key cannot be decrypted [InvalidToken]"
    state_of(bot, "error", "api_key_decrypt_failed", "none", last_error_message=raw)
    page = client.get(f"/bots/{bot.pk}/")
    text = text_of(page)
    assert "The stored api key cannot be decrypted on this machine." in text
    assert "The bot switched itself off. Enter the key again" in text
    body = page.content.decode()
    assert 'href="/keys/">Open the keys' in body
    assert body.index("<details>") < body.index("InvalidToken")
    assert "icon-error.svg" in body


def test_a_cleared_error_stays_visible_until_the_next_start(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state = state_of(bot, "running", "no_signal", "trade")
    StateEvent.objects.create(
        bot=bot,
        at=timezone.now() - timedelta(hours=14),
        move=Move.FAIL,
        new_status="error",
        new_reason="network",
        via="tick",
        why="connection reset",
    )
    text = text_of(client.get(f"/bots/{bot.pk}/panel/?v=0"))
    assert "Last error: exchange not reachable, 14 h ago" in text
    assert "connection reset" in text
    assert state.last_error_message == ""
    client.post(f"/bots/{bot.pk}/stop/")
    client.post(f"/bots/{bot.pk}/start/")
    assert "Last error" not in text_of(client.get(f"/bots/{bot.pk}/panel/?v=0"))


def test_limits_are_bars_and_say_when_the_day_ends_in_the_owners_zone(
    alice: User, client: Client
) -> None:
    alice.time_zone = "Europe/Istanbul"
    alice.save()
    bot = bot_of(alice)
    counters: dict[str, Any] = {"daily_pnl": Decimal("-15"), "daily_trades_count": 4}
    state_of(bot, "running", "no_signal", "trade", **counters)
    page = client.get(f"/bots/{bot.pk}/")
    text, body = text_of(page), page.content.decode()
    assert "4 / 10" in text
    assert "15.00 / 20.00 USDT" in text
    assert '<meter min="0" max="100" high="99" value="75" aria-label="Loss">' in body
    assert "00:00</time>" in body
    assert 'T21:00:00Z"' in body


def test_the_decision_log_says_why_with_numbers_and_counts(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    numbers = {"rsi": "71.25", "why": "ema_rsi.rsi_too_high"}
    decision(bot, numbers=numbers, count=7)
    decision(bot, "below_minimum", action="blocked", numbers={"need": "5.1", "have": "3.2"})
    text = text_of(client.get(f"/bots/{bot.pk}/"))
    assert "The trend is up, but the RSI says overbought. ×7" in text
    assert "RSI 71.25" in text
    assert "needed 5.1 there is 3.2" in text


def test_a_decision_of_before_is_told_as_it_was_or_by_its_gate_alone(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice, strategy="macd")
    state_of(bot, "running", "no_signal", "trade")
    decision(bot, numbers={"rsi": "71.25", "why": "ema_rsi.rsi_too_high"})
    text = text_of(client.get(f"/bots/{bot.pk}/"))
    assert "The trend is up, but the RSI says overbought." in text, "the strategy of then"
    for code in ("ema_rsi.forgotten", "taken_out.buy", "", "no_candles"):
        decision(bot, numbers={"why": code})
        row, *_older = client.get(f"/bots/{bot.pk}/").context["decisions"]
        assert row["why"] == "The strategy gives no signal."


def test_a_changed_panel_is_small_and_asks_few_questions(
    alice: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    market()
    bot = bot_of(alice, daily_target_perc=Decimal(4), take_profit_perc=Decimal(4))
    message = "The exchange could not be reached, or did not answer in time. [timeout]"
    state_of(bot, "waiting", "network", "trade", **holding(last_error_message=message))
    PaperBalance.objects.create(account=bot.account, currency="USDT", units=Decimal(9900))
    for _ in range(6):
        decision(bot, "in_position", numbers={"price": "1", "stop": "2", "target": "3"})
    path = f"/bots/{bot.pk}/panel/?v=0"
    with django_assert_max_num_queries(8):
        answer = client.get(path)
    assert len(answer.content) < 6 * 1024 + 1
    version = BotState.objects.get(pk=bot.pk).version
    with django_assert_max_num_queries(4):
        assert client.get(f"/bots/{bot.pk}/panel/?v={version}").status_code == 204


def test_polled_regions_hold_no_inputs(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    for path in (f"/bots/{bot.pk}/panel/?v=0", "/board/"):
        body = client.get(path).content.decode()
        assert "<input" not in body
        assert "<select" not in body
        assert "<form" not in body


def test_a_new_balance_and_a_failure_to_read_it_change_the_panel(
    alice: User, client: Client
) -> None:
    account = Account.objects.create(owner=alice, exchange="binance", mode="testnet", label="m")
    bot = bot_of(alice, exchange="binance", mode="testnet", account=account)
    state_of(bot, "running", "no_signal", "trade")
    seen = set()
    now = timezone.now()
    before = now - timedelta(minutes=1)
    for values in ({}, {"as_of": before}, {"as_of": now}, {"fault": "network"}):
        if values:
            Balance.objects.update_or_create(account=account, defaults=values)
        page = client.get(f"/bots/{bot.pk}/").content.decode()
        token = re.findall(r"panel/\?v=([^\"]+)", page)[0]
        path = f"/bots/{bot.pk}/panel/?v={token}"
        assert client.get(path, headers=HTMX).status_code == 204
        seen.add(token)
    assert len(seen) == 4


def test_the_numbers_of_a_decision_are_rounded_to_the_market(alice: User, client: Client) -> None:
    market()
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    numbers = {
        "price": "65170.117",
        "amount": "0.00152349",
        "notional": "99.287654",
        "rsi": "47.123456",
        "ema_fast": "65170.123",
    }
    decision(bot, "signal", numbers=numbers, action="enter")
    decision(bot, "max_daily_loss", numbers={"have": "-20.123456", "limit": "-20"})
    decision(bot, "reconcile", numbers={"need": "0.5", "have": "0.4"}, action="blocked")
    for path in (f"/bots/{bot.pk}/", f"/bots/{bot.pk}/decisions/"):
        text = text_of(client.get(path))
        assert "price 65,170.12 " in text
        assert "amount 0.00152 " in text
        assert "value 99.29 " in text
        assert "RSI 47.12 " in text
        assert "fast EMA 65,170.123 " in text
        assert "there is -20.12 limit -20.00 " in text
        assert "Account and ledger do not agree: nothing was sent." in text


def test_buying_warns_of_a_standing_sell_signal(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    warning = "If the strategy gives its exit signal, the tick after that closes it again."
    assert warning in text_of(client.get(f"/bots/{bot.pk}/enter/"))
    assert warning in text_of(client.get(f"/bots/{bot.pk}/"))
