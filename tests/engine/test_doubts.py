"""Late orders, fees without a price, keys that lost a right, positions that nobody can watch."""

from datetime import timedelta
from typing import Any

import pytest

from bots import control, lease, schedule, sweep
from bots.connect import exchange_of
from bots.models import ApiKey, BotState, Fill, PaperBalance
from tests.engine.bench import D
from tests.engine.conftest import Maker
from trading.exchange import Fault, Rejected, Unreachable

NETWORK = Unreachable(Fault.NETWORK, "connection refused", sent=False)


def test_a_paper_order_that_was_given_up_is_refused_when_it_comes_after_all(bench: Maker) -> None:
    """A tick frozen between intent and send wakes up when the next one has given its order up."""
    b = bench()
    b.enter()
    b.tick()
    sleeper = b.order
    type(sleeper).objects.filter(pk=sleeper.pk).update(client_order_id="bsxxx00001aaaaaaaa")
    sleeper.refresh_from_db()
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    exchange = exchange_of(held.bot, held.world)
    assert exchange.find(sleeper.request) is None
    with pytest.raises(Rejected, match="given up"):
        exchange.place(sleeper.request)
    assert exchange.find(sleeper.request) is None
    base = PaperBalance.objects.get(account=b.bot.account, currency="BTC")
    assert base.units == b.state.current_position_size


def test_a_fee_in_a_coin_without_any_market_does_not_hide_the_position(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.fee_currency, exchange.rate = "OBSCURE", D("0.5")
    b.market.missing |= {"OBSCURE/USDT", "USDT/OBSCURE"}
    b.enter()
    fill = Fill.objects.get(bot=b.bot)
    assert (fill.fee, fill.fee_currency, fill.fee_quote) == (D("0.5"), "OBSCURE", D(0))
    assert b.state.in_position
    assert not b.state.has_unsettled_orders


def test_a_fee_is_priced_by_the_inverse_market_where_that_is_the_one(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.fee_currency, exchange.rate = "EUR", D("0.5")
    b.market.missing.add("EUR/USDT")
    b.market.others["USDT/EUR"] = D("0.8")
    b.enter()
    assert Fill.objects.get(bot=b.bot).fee_quote == D("0.625")


def test_an_order_whose_fee_has_no_price_yet_keeps_what_the_exchange_said(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.fee_currency = "BNB"
    b.market.others["BNB/USDT"] = D("NaN")
    b.enter()
    order = b.order
    assert (order.status, order.filled, order.booked) == ("filled", D(2), D(0))
    assert order.exchange_order_id
    assert not order.is_settled
    assert "fee" in order.message


def test_a_key_that_lost_a_right_still_sells_but_buys_no_more(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    b.scripted()
    b.enter()
    account = b.bot.__class__.objects.get(pk=b.bot.pk).account
    ApiKey.objects.create(
        account=account, api_key="k", secret_key="s", last4="kkkk", check_fault="api_key_rights"
    )
    b.tick()
    assert b.where == ("error", "api_key_rights", "exit")
    b.market.price = D(50)
    b.tick()
    assert not b.state.in_position
    assert b.order.side == "sell"
    control.start(b.bot, by=b.owner, via="page")
    ApiKey.objects.update(check_fault="", is_valid=True)
    b.tick()
    assert b.where[0] == "running"


def test_a_position_whose_price_nobody_can_read_is_said_to_be_unwatched(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.market.quote_error = NETWORK
    b.tick()
    assert not b.state.is_unwatched
    b.tick()
    assert b.state.is_unwatched
    b.market.quote_error = None
    b.tick()
    assert not b.state.is_unwatched


def test_the_sweep_nudges_the_bots_it_rolled_over(
    bench: Maker, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RESET_SPREAD_SECONDS = 0
    b = bench()
    b.tick()
    idle = bench()
    idle.stop()
    BotState.objects.update(
        day_ends_at=b.market.at - timedelta(days=1), last_run_at=b.market.at + timedelta(days=2)
    )
    BotState.objects.filter(pk=b.bot.pk).update(counter_day=b.state.counter_day - timedelta(days=2))
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(schedule, "nudge_spread", lambda ids, seconds: sent.append(tuple(ids)))
    sweep.sweep()
    assert sent == [(b.bot.pk,)]
