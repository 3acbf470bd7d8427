"""A backtest's orders are those of the paper engine, ticked candle by candle, digit by digit."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bots import control, reset, tick
from bots.lease import Outcome
from bots.lifecycle import Duty
from bots.models import (
    BotConfig,
    BotState,
    DayStats,
    Fill,
    Order,
    PaperBalance,
    StateEvent,
    User,
)
from bots.world import World
from tests.trading.candles import SERIES, series
from trading import backtest, strategies
from trading.backtest import Costs, Plan, Result
from trading.day import day_end
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market import TIMEFRAMES, Candles, Quote, Rules
from trading.market_data import MarketData

D = Decimal
SYMBOL = "BTC/USDT"
ZONE = ZoneInfo("Europe/Istanbul")
#: A part of each series, or with REPLAY=month all of them.
IS_WHOLE = os.environ.get("REPLAY") == "month"
BEGIN, PART, LADDER_PART, RESTING_PART = 450, 150, 32, 90
FUNDS = D(10_000)
#: Ticks and steps in which the prices of the series are told.
STEPS = {
    "BTCUSDT-1m-2023-03": ("0.01", "0.00001"),
    "ETHBTC-5m-2018-01": ("0.000001", "0.001"),
    "XRPUSDT-perp-5m-2021-11": ("0.0001", "0.1"),
}
LEVELS: dict[str, dict[str, Any]] = {
    "tight": {"stop_loss_perc": D("0.2"), "take_profit_perc": D("0.3"), "max_daily_trades": 9},
    "trailing": {
        "stop_loss_perc": D("0.6"),
        "trailing_stop_perc": D("0.25"),
        "trailing_stop_active": True,
        "max_daily_loss_perc": D(1),
        "cooldown_minutes": 7,
    },
    "guarded": {
        "stop_loss_perc": D("0.3"),
        "stop_guard_stops": 2,
        "stop_guard_minutes": 90,
    },
    "open": {
        "max_daily_loss_perc": D("0.3"),
        "loss_includes_open": True,
        "max_drawdown_perc": D("0.5"),
    },
}


def rules_of(name: str) -> Rules:
    tick_size, step = STEPS[name]
    return Rules(
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        price_tick=D(tick_size),
        amount_step=D(step),
        min_notional=D("0.0001"),
    )


class Touch(RecordedFeed):
    """Recorded candles, and the price that the test says."""

    price = D(1)

    def quote(self, symbol: str) -> Quote:
        return Quote(symbol=symbol, bid=self.price, ask=self.price, last=self.price, at=self.now())


class Engine:
    """The paper engine under a bot, and the clock and price that it is ticked at."""

    def __init__(self, bot: BotConfig, candles: Candles, rules: Rules) -> None:
        self.bot, self.candles = bot, candles
        self.clock = ReplayClock(candles.times[0])
        columns = ("times", "open", "high", "low", "close", "volume")
        rows = zip(*(getattr(candles, name) for name in columns), strict=True)
        self.feed = Touch(rows, SYMBOL, rules, self.clock, timeframe=candles.timeframe)
        data = MarketData(price_ttl_s=0, markets_ttl_s=10**9)
        self.world = World(clock=self.now, data=data, feed=self.feed)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock() / 1000, UTC)

    def tick(self, at: int, price: Decimal | float) -> BotState:
        """Tick once at an instant (Unix ms) and price; a day that is over is rolled over first."""
        self.clock.at = at
        self.feed.price = price if isinstance(price, Decimal) else D(repr(price))
        state = BotState.objects.get(pk=self.bot.pk)
        if state.day_ends_at <= self.now():
            reset.roll_over(self.now(), bot_ids=[self.bot.pk])
            state = BotState.objects.get(pk=self.bot.pk)
        if state.duty == Duty.TRADE:
            found = tick.run(self.bot.pk, self.world)
            assert found is not None
            assert found.action != "failed" or self.may_refuse(found), found.message
        return BotState.objects.get(pk=self.bot.pk)

    def may_refuse(self, found: Outcome) -> bool:
        """Whether it is the answer to an entry that must not trade at once, and would have."""
        return self.bot.entry_type == "post_only" and found.gate == "order_rejected"

    def candle(self, at: int) -> None:
        """Look at the opening; while a position is open, watch the price's way to the close."""
        candles, length = self.candles, TIMEFRAMES[self.candles.timeframe]
        way = [D(repr(getattr(candles, c)[at])) for c in ("open", "low", "high", "close")]
        state = self.tick(candles.times[at], way[0])
        for quarter in (1, 2, 3):
            begin, end = way[quarter - 1], way[quarter]
            now = candles.times[at] + quarter * length // 4
            if strategies.ladder_of(self.bot.strategy):
                state = self.leg(state, begin, end, now)
                continue
            if not state.in_position and (limit := self.waits_at(now)) and limit >= end:
                state, begin = self.tick(now, limit), limit
            if state.in_position:
                state = self.tick(now, met(state, begin, end))

    def waits_at(self, now: int) -> Decimal | None:
        """Return the limit of an entry that rests and whose time is not over at `now`."""
        row = Order.objects.filter(bot=self.bot, is_settled=False, purpose="entry").first()
        if row is None or now >= ms(row.created_at) + self.bot.entry_timeout_seconds * 1000:
            return None
        return row.price

    def leg(self, state: BotState, begin: Decimal, end: Decimal, now: int) -> BotState:
        """Go from one price to another, and tick at each order and level on the way."""
        last, is_first = begin, True
        while (price := self.ahead(state, last, end, now, is_first=is_first)) is not None:
            state, last, is_first = self.tick(now, price), price, False
        waits = state.in_position or state.has_ladder
        return self.tick(now, end) if waits else state

    def ahead(
        self, state: BotState, last: Decimal, end: Decimal, now: int, *, is_first: bool
    ) -> Decimal | None:
        """Return the next price on the way at which an order rests or a level lies."""
        falls, levels = end < last, state.levels
        rows = Order.objects.filter(bot=self.bot, is_settled=False, purpose="rung")
        prices = [row.price for row in rows if row.side == ("buy" if falls else "sell")]
        prices += [levels.stop, levels.trailing, self.waits_at(now)] if falls else [levels.target]
        # What the price jumped over is met where it begins.
        near = [min(p, last) if falls else max(p, last) for p in prices if p is not None]
        near = [p for p in near if (p >= end if falls else p <= end) and (is_first or p != last)]
        if last == end or not near:
            return None
        return max(near) if falls else min(near)


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def met(state: BotState, begin: Decimal, end: Decimal) -> Decimal:
    """Return where a price on its way meets the bot's own stop or target, else its end."""
    levels = state.levels
    if end > begin:
        reached = levels.target is not None and end >= levels.target
        return max(levels.target, begin) if reached and levels.target is not None else end
    stops = [level for level in (levels.stop, levels.trailing) if level is not None]
    return min(max(stops), begin) if stops and end <= max(stops) else end


def started(owner: User, candles: Candles, values: dict[str, Any]) -> BotConfig:
    bot = control.create(
        owner,
        {
            "name": "Replay",
            "exchange": "binance",
            "mode": "paper",
            "symbol": SYMBOL,
            "timeframe": candles.timeframe,
            "initial_capital": D(1000),
            "position_size_fixed": D(900),
            **values,
        },
    )
    control.start(bot, by=owner, via="command")
    day = datetime.fromtimestamp(candles.times[0] / 1000, ZONE).date()
    BotState.objects.filter(pk=bot.pk).update(counter_day=day, day_ends_at=day_end(ZONE, day))
    return bot


def plan_of(bot: BotConfig, candles: Candles, rules: Rules) -> Plan:
    strategy = strategies.get(bot.strategy)
    return Plan(
        candles=candles,
        rules=rules,
        settings=bot.risk_settings,
        strategy=strategy,
        values=strategies.clean(strategy, bot.params),
        zone=ZONE,
        funds=FUNDS,
        costs=Costs(fee_rate=D("0.001"), slippage=D("0.0005")),
    )


def booked(bot: BotConfig) -> Iterator[tuple[Any, ...]]:
    for fill in Fill.objects.filter(bot=bot).select_related("order").order_by("pk"):
        yield (
            ms(fill.at),
            fill.trading_day,
            fill.side,
            fill.order.reason,
            fill.amount,
            fill.price,
            fill.quote,
            fill.fee_quote,
            fill.realized_pnl,
        )


def told(result: Result) -> Iterator[tuple[Any, ...]]:
    for one in result.orders:
        yield (
            one.at,
            one.day,
            one.side,
            one.reason,
            one.amount,
            one.price,
            one.value,
            one.fee,
            one.pnl,
        )


@pytest.fixture
def trader(alice: User) -> User:
    alice.time_zone = ZONE.key
    alice.save()
    return alice


SHIPPED = ["ema_rsi", "macd", "bollinger", "breakout"]


@pytest.mark.replay
@pytest.mark.parametrize("strategy", SHIPPED)
@pytest.mark.parametrize(
    ("name", "levels"), list(zip(SERIES, ["tight", "trailing", "guarded"], strict=True))
)
def test_a_backtest_has_the_orders_of_the_paper_engine(
    name: str, levels: str, strategy: str, trader: User
) -> None:
    found = both(trader, name, {"strategy": strategy, **LEVELS[levels]})
    assert len(found.orders) > 3
    assert {order.is_entry for order in found.orders} == {True, False}


#: How entries wait, on each series.
ENTRIES: list[dict[str, Any]] = [
    {"entry_type": "limit", "entry_offset_perc": D("0.03")},
    {
        "entry_type": "post_only",
        "entry_offset_perc": D("0.1"),
        "entry_timeout_seconds": 200,
        "entry_fallback": "market",
    },
    {"entry_type": "limit", "entry_offset_perc": D("0.1"), "entry_timeout_seconds": 310},
]


@pytest.mark.replay
@pytest.mark.parametrize(
    ("name", "levels", "waits"),
    list(zip(SERIES, ["tight", "trailing", "guarded"], ENTRIES, strict=True)),
)
def test_entries_that_rest_have_the_orders_of_the_paper_engine(
    name: str, levels: str, waits: dict[str, Any], trader: User
) -> None:
    found = both(trader, name, {"strategy": "macd", **LEVELS[levels], **waits})
    assert len(found.orders) > 3
    orders = Order.objects.filter(bot__owner=trader, purpose="entry")
    assert "entry_timeout" in set(orders.values_list("cancel_reason", flat=True))
    types = {waits["entry_type"], waits.get("entry_fallback", "none")} - {"none"}
    assert set(orders.filter(status="filled").values_list("type", flat=True)) == types


def grid_on(candles: Candles, lines: int) -> dict[str, Any]:
    """Return a grid over the middle of what the prices of a part span: they leave it both ways."""
    low, high = min(candles.low), max(candles.high)
    edge = (high - low) / 5
    bounds = {"lowest": f"{low + edge:.6f}", "highest": f"{high - edge:.6f}"}
    return {"lines": lines, "resting": 3, **bounds}


@pytest.mark.replay
@pytest.mark.parametrize(
    ("name", "below"), list(zip(SERIES, ["wait", "sell", "wait"], strict=True))
)
def test_a_grid_has_the_orders_of_the_paper_engine(name: str, below: str, trader: User) -> None:
    params = grid_on(part_of(series(name), 1, LADDER_PART), 9) | {"below": below}
    values = {"strategy": "grid", "params": params, "position_size_fixed": D(100)}
    found = both(trader, name, values)
    assert len(found.orders) > 3
    assert {order.side for order in found.orders} == {"buy", "sell"}


@pytest.mark.replay
@pytest.mark.parametrize(
    ("name", "levels", "begin"),
    list(zip(SERIES, ["tight", "trailing", "guarded"], ["now", "now", "rsi"], strict=True)),
)
def test_rounds_have_the_orders_of_the_paper_engine(
    name: str, levels: str, begin: str, trader: User
) -> None:
    steps = {"step": "0.1", "step_scale": "1.3", "volume_scale": "1.2", "orders": 4, "resting": 2}
    chosen = LEVELS[levels] | {"stop_loss_perc": D(1), "take_profit_perc": D("0.2")}
    params = {"begin": begin, "rsi_limit": 60, **steps}
    values = {"strategy": "dca", "params": params, "position_size_fixed": D(100), **chosen}
    found = both(trader, name, values)
    assert "ladder" in {order.reason for order in found.orders}


@pytest.mark.replay
def test_rounds_that_begin_with_an_order_at_rest_have_the_orders_of_the_paper_engine(
    trader: User,
) -> None:
    steps = {"step": "0.1", "orders": 3, "begin": "now"}
    waits = {"entry_type": "limit", "entry_offset_perc": D("0.1"), "entry_timeout_seconds": 400}
    levels = {"stop_loss_perc": D("0.6"), "take_profit_perc": D("0.2")}
    values = {"strategy": "dca", "params": steps, "position_size_fixed": D(100)}
    found = both(trader, "XRPUSDT-perp-5m-2021-11", {**values, **waits, **levels})
    assert {"signal", "ladder", "take_profit"} <= {order.reason for order in found.orders}
    orders = Order.objects.filter(bot__owner=trader, purpose="entry")
    assert "entry_timeout" in set(orders.values_list("cancel_reason", flat=True))


@pytest.mark.replay
def test_the_open_positions_loss_closes_it_and_a_drawdown_ends_it_in_both(trader: User) -> None:
    found = both(trader, "XRPUSDT-perp-5m-2021-11", {"strategy": "macd", **LEVELS["open"]})
    assert "max_daily_loss" in {order.reason for order in found.orders}
    assert found.ended == "max_drawdown"


def part_of(candles: Candles, window: int, length: int) -> Candles:
    return candles if IS_WHOLE else candles.cut(BEGIN - window, BEGIN + length)


def both(trader: User, name: str, values: dict[str, Any]) -> Result:
    """Run a bot through both; return what the backtest found, once they agree in everything."""
    rules, candles = rules_of(name), series(name)
    bot = started(trader, candles, values)
    strategy = strategies.get(bot.strategy)
    # A ladder makes four ticks and more of each candle.
    length = LADDER_PART if strategies.ladder_of(bot.strategy) else PART
    length = min(length, PART if bot.entry_type == "market" else RESTING_PART)
    candles = part_of(candles, strategy.window(strategies.clean(strategy, bot.params)), length)
    plan = plan_of(bot, candles, rules)
    result, engine = backtest.run(plan), Engine(bot, candles, rules)
    for at in range(plan.strategy.window(plan.values), len(candles)):
        engine.candle(at)
    assert list(told(result)) == list(booked(bot))
    state = BotState.objects.get(pk=bot.pk)
    assert result.position == state.position
    if result.waits is not None:
        waited = Order.objects.filter(bot=bot, purpose="entry", price__isnull=False)
        filled = waited.filter(status="filled")
        assert (result.waits.sent, result.waits.filled) == (waited.count(), filled.count())
    stats = DayStats.objects.filter(bot=bot).exclude(trades=0, pnl=0)
    days = {row.day: (row.pnl, row.trades) for row in stats}
    found = {day: (one.pnl, one.trades) for day, one in result.days.items()}
    assert {day: sums for day, sums in found.items() if any(sums)} == days
    held = {row.currency: row.units for row in PaperBalance.objects.filter(account=bot.account)}
    assert (result.quote, result.base) == (held.get("USDT", FUNDS), held.get("BTC", D(0)))
    ends = StateEvent.objects.filter(bot=bot, move="switch_off")
    assert [result.ended] == ([row.new_reason for row in ends] or [None])
    return result
