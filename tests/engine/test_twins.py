"""A paper twin does what its bot is told, and never stands in its way."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from bots import control, tick, twins
from bots.change import Refusal
from bots.expectation import beside
from bots.following import twin_of
from bots.models import Account, BotConfig, BotState, Command, Order, User
from tests.engine.conftest import Maker
from tests.pages.builders import bot_of, filled, holding
from trading.exchange import Fault, Rejected
from trading.expectation import Parts

D = Decimal


def real_bot(owner: User, **values: Any) -> BotConfig:
    """A bot on an account of an exchange."""
    fields = {"exchange": "binance", "mode": "testnet", **values}
    place = {"exchange": "binance", "mode": fields["mode"], "label": f"key {len(fields)}"}
    account, _made = Account.objects.get_or_create(owner=owner, **place)
    return bot_of(owner, account=account, **fields)


def twin_beside(bot: BotConfig) -> BotConfig:
    return twins.make(bot, by=bot.owner, via="page")


def duty(bot: BotConfig) -> str:
    return BotState.objects.get(pk=bot.pk).duty


def test_a_twin_is_a_paper_bot_with_the_same_settings(alice: User) -> None:
    bot = real_bot(alice, name="N" * 80, params={"ema_fast": 5})
    twin = twin_beside(bot)
    assert (twin.mode, twin.exchange, twin.twin_of) == ("paper", "binance", bot)
    assert twin.account is not None
    assert twin.account.mode == "paper"
    assert twins.differences(bot, twin) == []
    assert twin.params == bot.params
    assert twin.name.endswith("NN (paper twin)")
    assert twin.state_or_none is None  # it starts with its bot
    assert twin_beside(bot) == twin  # a second click makes no second twin
    control.start(bot, by=alice, via="page")
    late = twin_beside(real_bot(alice, symbol="ETH/USDT"))
    assert duty(twin) == "trade"
    assert late.state_or_none is None


def test_start_stop_commands_and_edits_reach_the_twin(alice: User) -> None:
    bot = real_bot(alice)
    control.start(bot, by=alice, via="page")
    twin = twin_beside(bot)
    assert duty(twin) == "trade"
    control.command(bot, Command.Kind.ENTER, by=alice, via="page")
    assert twin.commands.get().kind == "enter"
    control.edit(bot, {"stop_loss_perc": D(7), "name": "Other"}, by=alice, via="page")
    twin.refresh_from_db()
    assert (twin.stop_loss_perc, twin.name) == (D(7), "Dip buyer (paper twin)")
    control.stop(bot, by=alice, via="page", position="after_exit")
    assert duty(twin) == "none"
    control.delete(bot, by=alice, via="page")
    twin.refresh_from_db()
    assert twin.deleted_at is not None


def test_what_the_twin_cannot_do_never_hinders_its_bot(alice: User) -> None:
    bot = real_bot(alice)
    control.start(bot, by=alice, via="page")
    twin = twin_beside(bot)
    filled(twin, "buy", "1", "100")  # its market is fixed from now on, its bot's is not
    BotState.objects.filter(pk=twin.pk).update(**holding())
    control.edit(bot, {"symbol": "ETH/USDT", "stop_loss_perc": D(7)}, by=alice, via="page")
    control.command(bot, Command.Kind.ENTER, by=alice, via="page")  # the twin holds one already
    bot.refresh_from_db()
    twin.refresh_from_db()
    assert (bot.symbol, bot.stop_loss_perc, twin.symbol) == ("ETH/USDT", D(7), "BTC/USDT")
    assert not twin.commands.exists()
    assert twins.differences(bot, twin) == ["symbol", "stop loss, %"]
    with pytest.raises(ValidationError):
        twin_beside(bot)


def test_neither_paper_bots_nor_futures_have_a_twin(alice: User) -> None:
    futures = {"symbol": "BTC/USDT:USDT", "position_type": "futures", "mode": "live"}
    for bot, reason in ((bot_of(alice), "paper_bot"), (real_bot(alice, **futures), "futures")):
        with pytest.raises(Refusal) as refused:
            twin_beside(bot)
        assert refused.value.reason == reason
    twin = twin_beside(real_bot(alice))
    with pytest.raises(ValidationError, match="stays a paper bot"):
        control.edit(twin, {"mode": "testnet"}, by=alice, via="page")


def test_a_twin_that_holds_a_position_closes_it_and_stays_by_itself(alice: User) -> None:
    bot = real_bot(alice)
    control.start(bot, by=alice, via="page")
    first = twin_beside(bot)
    assert twins.remove(bot, by=alice, via="page")
    second = twin_beside(bot)
    BotState.objects.filter(pk=second.pk).update(**holding())
    assert not twins.remove(bot, by=alice, via="page")
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.deleted_at
    assert first.twin_of == bot
    assert (second.deleted_at, second.twin_of) == (None, None)
    assert BotState.objects.get(pk=second.pk).wind_down == "close"
    assert twin_of(bot) is None
    with pytest.raises(Refusal):
        twins.remove(bot, by=alice, via="page")


def test_both_ledgers_are_compared_since_both_had_started(alice: User) -> None:
    bot = real_bot(alice)
    assert beside(bot) is None
    control.start(bot, by=alice, via="page")
    filled(bot, "buy", "1", "90")
    filled(bot, "sell", "1", "95")
    twin = twin_beside(bot)
    for one, price, fee in ((bot, "101", "0.2"), (twin, "100", "0.1")):
        filled(one, "buy", "2", price, fee=fee)
        filled(one, "buy", "1", "100", fee="0")
    Order.objects.filter(amount=2).update(expected_price=D(100))
    BotState.objects.filter(pk=twin.pk).update(**holding(last_price=D(110)))
    # A rung that had been resting for long was filled by the same price.
    rungs = Order.objects.filter(bot=bot, amount=2)
    rungs.update(purpose=Order.Purpose.RUNG, created_at=bot.created_at - timedelta(days=1))
    found = beside(bot)
    assert found is not None
    assert len(found.result.pairs if found.result else []) == 1
    assert found.result is not None
    assert found.result.twin.total == D("29.9")  # three units, each 10 up at the twin's last price
    assert found.result.gap == Parts(fees=D("-0.1"), slippage=D(-2))


def test_what_the_engine_made_of_both_is_the_gap_to_the_last_digit(bench: Maker) -> None:
    b = bench(start=False)
    exchange = b.scripted()
    b.bot.refresh_from_db()
    twin = twin_beside(b.bot)
    control.start(b.bot, by=b.owner, via="page", at=b.market.at)

    def step(trend: str) -> None:
        b.market.trend = trend
        b.tick()
        tick.run(twin.pk, replace(b.world, exchange=None))

    for trend in ("up", "flat", "down", "flat"):
        step(trend)
    exchange.refuse = Rejected(Fault.ORDER_REJECTED, "filter failure")
    step("up")
    exchange.refuse = None
    b.market.price = D(107)
    for trend in ("flat", "down"):
        step(trend)
    found = beside(b.bot)
    assert found is not None
    assert found.result is not None
    assert (len(found.result.pairs), len(found.result.twin_only)) == (1, 1)
    profits = dict(BotState.objects.values_list("bot", "profit"))
    assert found.result.live.total == profits[b.bot.pk] != 0
    assert found.result.twin.total == profits[twin.pk] != 0
    assert found.result.gap.total == profits[b.bot.pk] - profits[twin.pk]
    assert found.result.gap.slippage > 0  # the scripted exchange fills better than paper assumes
