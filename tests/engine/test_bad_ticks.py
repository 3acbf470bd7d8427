"""Bad ticks in a row: what counts, what is kept to be read, and what heals."""

from dataclasses import replace

from bots.models import BotConfig, BotState
from tests.engine.bench import D
from tests.engine.conftest import Maker
from trading.exchange import Fault, Unreachable, Unusable

NETWORK = Unreachable(Fault.NETWORK, "connection refused", sent=False)


def test_failures_that_differ_in_a_number_only_are_one_row(bench: Maker) -> None:
    b = bench()
    for seconds in (121, 181, 241):
        text = f"newest candle closed {seconds} s ago"
        b.market.candle_error = Unusable(Fault.STALE_DATA, text)
        b.tick()
    (row,) = b.decisions
    assert (row.action, row.gate, row.count) == ("failed", "stale_data", 3)
    assert "closed 241 s ago" in row.message


def test_waiting_for_money_does_not_count_as_failing(bench: Maker) -> None:
    b = bench()
    b.tick()
    b.market.market = replace(b.market.market, active=False)
    for _ in range(3):
        b.tick()
    b.market.quote_error = NETWORK
    b.tick()
    assert b.where == ("waiting", "network", "trade")


def test_what_switched_a_bot_off_stays_to_be_read_while_it_winds_down(bench: Maker) -> None:
    b = bench()
    b.enter()
    BotConfig.objects.filter(pk=b.bot.pk).update(params={"ema_fast": 99, "ema_slow": 3})
    b.tick()
    assert b.where == ("error", "bad_settings", "exit")
    text = b.state.last_error_message
    b.market.quote_error = NETWORK
    b.tick()
    assert b.state.last_error_message == text


def test_a_winding_down_bot_forgets_an_error_that_healed(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop("after_exit")
    b.market.quote_error = NETWORK
    b.tick()
    assert "could not be reached" in b.state.last_error_message
    b.market.quote_error = None
    b.tick()
    assert b.state.last_error_message == ""


def test_coins_that_are_gone_switch_the_bot_off_until_they_are_back(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    account = b.scripted()
    b.enter()
    account.holdings["BTC"] = D("0.5")
    BotState.objects.filter(pk=b.bot.pk).update(reconciled_at=None)
    b.market.price = D(90)
    for _ in range(2):
        b.tick()
        assert b.where == ("error", "reconcile", "exit")
        assert "the bots hold 2 BTC, the exchange 0.5 BTC" in b.state.last_error_message
    assert (b.state.wind_down, b.is_active) == ("after_exit", False)
    assert [order.side for order in b.orders] == ["buy"]
    account.holdings["BTC"] = D(2)
    b.tick()
    assert (b.order.side, b.order.amount, b.order.reason) == ("sell", 2, "stop_loss")
    assert b.where == ("error", "reconcile", "none")
