"""A backtest on a perpetual has the orders and payments of a live bot, ticked candle by candle."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from bots import control
from bots.models import Account, BotConfig, BotState, DayStats, Funding, User
from bots.world import World
from tests.engine.exchange import ScriptedExchange
from tests.trading.candles import series
from tests.whole.test_backtest import (
    FUNDS,
    STEPS,
    ZONE,
    Engine,
    Touch,
    booked,
    met,
    part_of,
    told,
)
from trading import backtest, strategies
from trading.backtest import Costs, Plan, Terms
from trading.day import day_end
from trading.exchange import Can
from trading.exchanges.recorded import ReplayClock
from trading.fills import buy_price, sell_price
from trading.market import TIMEFRAMES, Candles, FundingReport, OrderRequest, Rules, Side
from trading.market_data import MarketData

D = Decimal
SYMBOL = "BTC/USDT:USDT"
#: Candles after those that only feed the strategy; funding often enough to be met in them.
PART, HOUR, RATE, SLIPPAGE = 60, 3_600_000, D("0.0003"), D("0.0005")


class Slipping(ScriptedExchange):
    """Fills market orders as a backtest assumes that they are filled."""

    def _execute(self, request: OrderRequest, price: Decimal) -> None:
        filled = buy_price if request.side is Side.BUY else sell_price
        super()._execute(request, filled(price, SLIPPAGE, self.market.market))


class Live(Engine):
    """The live engine under a futures bot, on an exchange that fills at the price of the moment."""

    def __init__(self, bot: BotConfig, candles: Candles, rules: Rules) -> None:
        self.bot, self.candles = bot, candles
        self.clock = ReplayClock(candles.times[0])
        columns = ("times", "open", "high", "low", "close", "volume")
        rows = zip(*(getattr(candles, name) for name in columns), strict=True)
        self.feed = Touch(rows, SYMBOL, rules, self.clock, timeframe=candles.timeframe)
        market: Any = self.feed
        market.market = rules
        self.exchange = Slipping(market, can=frozenset({Can.FUTURES}))
        data = MarketData(price_ttl_s=0, markets_ttl_s=10**9)
        self.world = World(clock=self.now, data=data, feed=self.feed, exchange=self.exchange)

    def candle(self, at: int) -> None:
        """Pay funding, look at the opening, watch the price's way against the position first."""
        candles, length = self.candles, TIMEFRAMES[self.candles.timeframe]
        opens, first = candles.times[at], D(repr(candles.open[at]))
        if opens % HOUR == 0:
            self.pay(opens, first)
        state = self.tick(opens, first)
        is_short = state.position_side == "short"
        worst, best = (candles.high, candles.low) if is_short else (candles.low, candles.high)
        way = [first, *(D(repr(column[at])) for column in (worst, best, candles.close))]
        for quarter in (1, 2, 3):
            if not state.in_position:
                return
            price = reached(state, way[quarter - 1], way[quarter], is_short=is_short)
            state = self.tick(opens + quarter * length // 4, price)

    def pay(self, at: int, price: Decimal) -> None:
        units = self.exchange._units(SYMBOL)
        if units:
            paid = FundingReport(
                funding_id=str(at),
                symbol=SYMBOL,
                amount=-units * price * RATE,
                currency="USDT",
                at=at,
            )
            self.exchange.payments.append(paid)


class Mirrored:
    """The levels of a short position as those of a long one whose prices are negative."""

    def __init__(self, state: BotState) -> None:
        for name in ("stop", "trailing", "target"):
            level = getattr(state.levels, name)
            setattr(self, name, None if level is None else -level)
        self.levels = self


def reached(state: BotState, begin: Decimal, end: Decimal, *, is_short: bool) -> Decimal:
    mirrored: Any = Mirrored(state)
    return -met(mirrored, -begin, -end) if is_short else met(state, begin, end)


def started(owner: User, candles: Candles, values: dict[str, Any]) -> BotConfig:
    account = Account.objects.create(owner=owner, exchange="binance", mode="live", label="f")
    fields = {
        "exchange": "binance",
        "mode": "live",
        "position_type": "futures",
        "symbol": SYMBOL,
        "timeframe": candles.timeframe,
        "initial_capital": D(1000),
        "position_size_fixed": D(900),
        "protect_on_exchange": False,
    }
    bot = control.create(owner, {"name": "F", "account": account, **fields, **values})
    control.start(bot, by=owner, via="command")
    day = datetime.fromtimestamp(candles.times[0] / 1000, ZONE).date()
    BotState.objects.filter(pk=bot.pk).update(counter_day=day, day_ends_at=day_end(ZONE, day))
    return bot


@pytest.mark.replay
@pytest.mark.parametrize(
    "values",
    [
        {
            "direction": "both",
            "leverage": 10,
            "stop_loss_perc": D("0.4"),
            "take_profit_perc": D("0.8"),
        },
        {
            "direction": "short",
            "leverage": 3,
            "trailing_stop_perc": D("0.3"),
            "trailing_stop_active": True,
        },
    ],
)
def test_a_backtest_has_the_orders_and_payments_of_a_live_futures_bot(
    values: dict[str, Any], alice: User, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED, settings.RECONCILE_SECONDS = True, 0
    alice.time_zone = ZONE.key
    alice.save()
    name = "XRPUSDT-perp-5m-2021-11"
    price_tick, step = STEPS[name]
    rules = Rules(
        symbol=SYMBOL, base="BTC", quote="USDT", price_tick=D(price_tick), amount_step=D(step)
    )
    strategy = strategies.get("macd")
    params = strategies.clean(strategy, {})
    candles = part_of(series(name), strategy.window(params), PART)
    bot = started(alice, candles, {"strategy": "macd", **values})
    plan = Plan(
        candles=candles,
        rules=rules,
        settings=bot.risk_settings,
        strategy=strategy,
        values=params,
        zone=ZONE,
        funds=FUNDS,
        costs=Costs(fee_rate=D("0.001"), slippage=SLIPPAGE),
        terms=Terms(funding_rate=RATE, every_ms=HOUR),
    )
    result, engine = backtest.run(plan), Live(bot, candles, rules)
    for at in range(strategy.window(params), len(candles)):
        engine.candle(at)
    assert list(told(result)) == list(booked(bot))
    assert len(result.orders) > 5
    assert {order.side for order in result.orders if order.is_entry} >= {"sell"}
    paid = Funding.objects.filter(bot=bot).order_by("at").values_list("amount", "trading_day")
    assert [(one.amount, one.day) for one in result.funding] == list(paid) != []
    state = BotState.objects.get(pk=bot.pk)
    assert result.position == state.position
    assert state.profit == backtest.report(plan, result).pnl
    stats = DayStats.objects.filter(bot=bot).exclude(trades=0, pnl=0)
    days = {row.day: (row.pnl, row.trades) for row in stats}
    found = {day: (one.pnl, one.trades) for day, one in result.days.items()}
    assert {day: sums for day, sums in found.items() if any(sums)} == days
