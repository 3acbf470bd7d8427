"""Real candles, replayed tick by tick through the engine and the paper exchange."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots import control, invariants, reset, tick
from bots.lease import Outcome
from bots.models import BotConfig, BotState, DayStats, Decision, Fill, Order, PaperBalance, User
from bots.world import World
from tests.trading.candles import MINUTE, btcusdt_1m
from tests.trading.feeds import RULES, SYMBOL, rows
from tests.whole.replaying import WINDOW, said, start_in_the_past, talib_signals
from trading import strategies
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market_data import MarketData

#: When in each minute the bot looks: the price has left the open and not reached the close.
OFFSET = 20_000
SETTINGS: dict[str, Any] = {
    "name": "Replay",
    "exchange": "binance",
    "mode": "paper",
    "symbol": SYMBOL,
    "initial_capital": Decimal(1000),
    "position_size_fixed": Decimal(900),
    "stop_loss_perc": Decimal("0.3"),
    "take_profit_perc": Decimal("0.9"),
    "trailing_stop_perc": Decimal("0.5"),
    "trailing_stop_active": True,
    "max_daily_trades": 30,
    "max_daily_loss_perc": Decimal(4),
}


def replay(bot: BotConfig, count: int) -> Iterator[tuple[int, bool, Outcome]]:
    """Tick the bot once in each minute from candle 200 on.

    Yields the index of the open candle, whether the bot was in position, and what its tick found.
    While a limit pauses the bot nobody ticks it; the rollover sets it going again.
    """
    candles = rows(count)
    clock = ReplayClock(0)
    feed = RecordedFeed(candles, SYMBOL, RULES, clock)
    data = MarketData(price_ttl_s=1, markets_ttl_s=10**9)
    world = World(clock=lambda: datetime.fromtimestamp(clock() / 1000, UTC), data=data, feed=feed)
    in_position, paused_until = False, None
    for index in range(WINDOW, count):
        clock.at = int(candles[index][0]) + OFFSET
        if paused_until is not None:
            if world.clock() < paused_until:
                continue
            assert reset.roll_over(world.clock()) == [bot.pk]
            paused_until = None
        found = tick.run(bot.pk, world)
        assert found is not None, f"candle {index}: nobody else ticks this bot"
        yield index, in_position, found
        in_position ^= found.order is not None
        if found.move == "pause":
            assert tick.run(bot.pk, world) is None
            paused_until = BotState.objects.get(pk=bot.pk).day_ends_at


@pytest.mark.slow
def test_thirty_thousand_real_candles_leave_nothing_that_does_not_add_up(alice: User) -> None:
    closes = btcusdt_1m().close
    expected = talib_signals(closes)
    bot, gates = start_in_the_past(alice, SETTINGS), Counter[str]()
    for index, in_position, decision in replay(bot, len(closes)):
        gates[decision.gate] += 1
        assert decision.action != "failed", (index, decision.message)
        # The candle that is open does not count: the window ends with the one before.
        assert expected[index - WINDOW] in said(decision, in_position), (index, decision.gate)
    assert gates.keys() >= {"signal", "stop_loss", "take_profit", "trailing_stop", "no_signal"}
    assert BotState.objects.get(pk=bot.pk).fence == gates.total()
    assert sum(row.count for row in Decision.objects.filter(bot=bot)) == gates.total()
    _assert_it_adds_up(bot)


def _assert_it_adds_up(bot: BotConfig) -> None:
    """Bring the bot to today, ask for every invariant, and sum the money up a second time."""
    control.stop(bot, by=None, via="command")
    reset.roll_over(timezone.now())
    assert invariants.check() == []
    days = DayStats.objects.filter(bot=bot, day__lt=timezone.now().date())
    assert len(days) == 21
    state, fills = BotState.objects.get(pk=bot.pk), Fill.objects.filter(bot=bot)
    spent = sum((f.quote + f.fee_quote for f in fills if f.side == "buy"), Decimal(0))
    earned = sum((f.quote - f.fee_quote for f in fills if f.side == "sell"), Decimal(0))
    pnl = sum((day.pnl for day in days), Decimal(0))
    assert earned - spent == pnl - state.position_cost
    usdt = PaperBalance.objects.get(account=bot.account, currency="USDT").units
    assert usdt == Decimal(10_000) + earned - spent
    entries = Order.objects.filter(bot=bot, purpose="entry").count()
    assert sum(day.trades for day in days) == entries
    assert max(day.trades for day in days) <= 30


@pytest.mark.slow
def test_the_engines_own_signals_are_talibs_on_every_window() -> None:
    closes = btcusdt_1m().close
    strategy = strategies.get("ema_rsi")
    values = strategies.clean(strategy, {})
    clock = ReplayClock(0)
    feed = RecordedFeed(rows(len(closes)), SYMBOL, RULES, clock)
    data = MarketData()
    expected = talib_signals(closes)
    for index, signal in enumerate(expected):
        clock.at = int(btcusdt_1m().times[index + WINDOW - 1]) + MINUTE + OFFSET
        candles = data.candles(feed, SYMBOL, "1m", WINDOW)
        assert strategy.signal(candles, values).action.value == signal, index
