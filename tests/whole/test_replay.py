"""Real candles, replayed tick by tick through the engine and the paper exchange."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots import control, invariants, reset, tick
from bots.lease import Outcome
from bots.models import (
    BotConfig,
    BotState,
    DayStats,
    Decision,
    Fill,
    Order,
    PaperBalance,
    StateEvent,
    User,
)
from bots.world import World
from tests.trading.candles import btcusdt_1m
from tests.trading.feeds import RULES, SYMBOL, rows
from tests.whole.replaying import WINDOW, said, start_in_the_past, talib_signals
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market import Candles
from trading.market_data import MarketData
from trading.strategies import Signal
from trading.strategies.ema_rsi import EmaRsi

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
}
LIMITS: dict[str, Any] = {"max_daily_trades": 15, "max_daily_loss_perc": Decimal(4)}
DAY = 1440
#: Two days, or with REPLAY=month the whole month, which takes four minutes.
CANDLES = 30_240 if os.environ.get("REPLAY") == "month" else 2 * DAY


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


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the shipped strategy told the ticks, as they asked."""
    signals: list[str] = []
    judge = EmaRsi.signal

    def signal(self: EmaRsi, candles: Candles, values: Mapping[str, Any]) -> Signal:
        found = judge(self, candles, values)
        signals.append(found.action.value)
        return found

    monkeypatch.setattr(EmaRsi, "signal", signal)
    return signals


@pytest.mark.replay
def test_real_candles_tick_by_tick(alice: User, heard: list[str]) -> None:
    closes = btcusdt_1m().close[:CANDLES]
    expected = talib_signals(closes)
    bot, gates = start_in_the_past(alice, SETTINGS), Counter[str]()
    for index, in_position, decision in replay(bot, len(closes)):
        gates[decision.gate] += 1
        assert decision.action != "failed", (index, decision.message)
        # The candle that is open does not count: the window ends with the one before.
        signal = expected[index - WINDOW]
        assert heard == [signal], (index, decision.gate)
        heard.clear()
        assert signal in said(decision, in_position), (index, decision.gate)
        if index % DAY == 0:
            assert invariants.check(now=_time_of(index)) == []
    assert gates.total() == CANDLES - WINDOW
    assert gates.keys() >= {"signal", "stop_loss", "take_profit", "trailing_stop", "no_signal"}
    _assert_it_adds_up(bot, ticks=gates.total())


@pytest.mark.replay
def test_five_days_of_candles_within_daily_limits(alice: User) -> None:
    count = 5 * DAY
    expected = talib_signals(btcusdt_1m().close[:count])
    bot, ticks = start_in_the_past(alice, SETTINGS | LIMITS), 0
    for index, in_position, decision in replay(bot, count):
        ticks += 1
        assert decision.action != "failed", (index, decision.message)
        assert expected[index - WINDOW] in said(decision, in_position), (index, decision.gate)
    paused = StateEvent.objects.filter(bot=bot, move="pause")
    assert {event.new_reason for event in paused} == {"max_daily_trades", "max_daily_loss"}
    assert ticks < count - WINDOW - DAY, "the limits kept the bot off for a good part of it"
    _assert_it_adds_up(bot, ticks=ticks)
    assert max(day.trades for day in DayStats.objects.filter(bot=bot)) <= LIMITS["max_daily_trades"]


def _time_of(index: int) -> datetime:
    return datetime.fromtimestamp(btcusdt_1m().times[index] / 1000, UTC)


def _assert_it_adds_up(bot: BotConfig, *, ticks: int) -> None:
    """Bring the bot to today, ask for every invariant, and sum the money up a second time."""
    assert BotState.objects.get(pk=bot.pk).fence == ticks
    assert sum(row.count for row in Decision.objects.filter(bot=bot)) == ticks
    control.stop(bot, by=None, via="command")
    reset.roll_over(timezone.now())
    assert invariants.check() == []
    days = DayStats.objects.filter(bot=bot, day__lt=timezone.now().date())
    traded = Fill.objects.filter(bot=bot).values_list("trading_day", flat=True)
    assert {day.day for day in days} >= set(traded)
    state, fills = BotState.objects.get(pk=bot.pk), Fill.objects.filter(bot=bot)
    spent = sum((f.quote + f.fee_quote for f in fills if f.side == "buy"), Decimal(0))
    earned = sum((f.quote - f.fee_quote for f in fills if f.side == "sell"), Decimal(0))
    pnl = sum((day.pnl for day in days), Decimal(0))
    assert earned - spent == pnl - state.position_cost
    usdt = PaperBalance.objects.get(account=bot.account, currency="USDT").units
    assert usdt == Decimal(10_000) + earned - spent
    entries = Order.objects.filter(bot=bot, purpose="entry").count()
    assert sum(day.trades for day in days) == entries
