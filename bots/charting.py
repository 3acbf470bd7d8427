"""What the chart of a bot is made of: stored candles, its position's levels, and its fills."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from bots import candles
from bots.models import BotConfig, Fill, Market, Order
from trading.market import TIMEFRAMES

#: Fills looked at for the marks of a chart: of the newest.
FILLS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One closed candle; `at` is its opening time, Unix ms; prices are quote currency."""

    at: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The fills of one order: average price (quote currency), base units, time of the newest.

    `bar` is the opening time (Unix ms) of the candle that it falls into, closed or not.
    """

    order: Order
    price: Decimal
    amount: Decimal
    at: datetime
    bar: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`bars` are those that were asked for; `oldest`, `newest` (Unix ms) and `count` speak of all
    that are stored.

    `levels`: entry, stop, trailing, target and liquidation of the open position, and the last
    price that the bot saw, in quote currency; those that there are. `rungs`: side and price of
    each order of a ladder that rests.
    """

    key: str
    length: int
    tick: Decimal | None
    oldest: int | None
    newest: int | None
    count: int
    bars: tuple[Bar, ...]
    levels: dict[str, Decimal]
    rungs: tuple[tuple[str, Decimal], ...] = ()
    marks: tuple[Mark, ...] = ()


def key_of(bot: BotConfig) -> candles.Key:
    """Return whose candles the chart of a bot shows."""
    return candles.key_of(bot.exchange, bot.mode, bot.symbol, bot.timeframe)


def version_of(bot: BotConfig) -> str:
    """Return a text that changes with whatever the bot's chart shows. Two small queries."""
    key = key_of(bot)
    fill = bot.fills.order_by("-pk").values_list("pk", flat=True).first()
    shown = (key, candles.stamp(key), fill, sorted(levels_of(bot).items()), rungs_of(bot))
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def levels_of(bot: BotConfig) -> dict[str, Decimal]:
    """Return the prices that a chart draws a line at, as the bot's newest tick wrote them."""
    state = bot.state_or_none
    if state is None:
        return {}
    named = {"last": state.last_price}
    if state.in_position:
        named |= {
            "entry": state.entry_price,
            "stop": state.stop_loss_price,
            "trailing": state.trailing_stop_price,
            "target": state.take_profit_price,
            "liquidation": state.liquidation_price,
        }
    return {name: price for name, price in named.items() if price is not None}


def rungs_of(bot: BotConfig) -> tuple[tuple[str, Decimal], ...]:
    """Return side and price of each order of a ladder that rests, oldest first."""
    state = bot.state_or_none
    if state is None or not state.has_ladder:
        return ()
    rows = bot.orders.filter(purpose=Order.Purpose.RUNG, is_settled=False).order_by("pk")
    return tuple((row.side, row.price) for row in rows if row.price is not None)


def chart_of(
    bot: BotConfig, market: Market | None, *, since: int = 0, count: int = candles.LIMIT
) -> Chart:
    """Return the chart of a bot, with the newest `count` candles that opened `since` (Unix ms).

    `market` gives the tick that prices are rounded to; without it they stay as they were seen.
    """
    key = key_of(bot)
    stored = candles.latest_of([key]).get(key)
    tick = market.price_tick if market else None
    rows = candles.rows_of(stored.last(count)) if stored else ()
    return Chart(
        key=" ".join(key),
        length=TIMEFRAMES[bot.timeframe],
        tick=tick,
        oldest=stored.times[0] if stored else None,
        newest=stored.times[-1] if stored else None,
        count=len(stored) if stored else 0,
        bars=tuple(_bar(row, tick) for row in rows if row[0] >= since),
        levels=levels_of(bot),
        rungs=rungs_of(bot),
        marks=marks_of(bot, stored.times[0]) if stored else (),
    )


def _bar(row: tuple[float, ...], tick: Decimal | None) -> Bar:
    at, *prices, volume = row
    opened, high, low, close = (_to_tick(price, tick) for price in prices)
    return Bar(at=int(at), open=opened, high=high, low=low, close=close, volume=exact(volume))


def exact(value: float) -> Decimal:
    """Return a float as the shortest Decimal that reads back as it."""
    return Decimal(repr(float(value)))


def _to_tick(price: float, tick: Decimal | None) -> Decimal:
    value = exact(price)
    return (value / tick).to_integral_value() * tick if tick else value


def marks_of(bot: BotConfig, since: int) -> tuple[Mark, ...]:
    """Return the bot's executed orders since then (Unix ms) in its market, oldest first."""
    begin = datetime.fromtimestamp(since / 1000, UTC)
    newest = Fill.objects.filter(bot=bot).select_related("order").order_by("-pk")[:FILLS]
    orders: dict[int, list[Fill]] = {}
    for fill in newest:
        if fill.at >= begin and fill.symbol == bot.symbol and fill.amount:
            orders.setdefault(fill.order_id, []).append(fill)
    marks = [_mark(fills, TIMEFRAMES[bot.timeframe]) for fills in orders.values()]
    return tuple(sorted(marks, key=lambda mark: (mark.at, mark.order.pk)))


def _mark(fills: list[Fill], length: int) -> Mark:
    amount = sum((fill.amount for fill in fills), Decimal(0))
    value = sum((fill.price * fill.amount for fill in fills), Decimal(0))
    at = max(fill.at for fill in fills)
    return Mark(
        order=fills[0].order,
        price=value / amount,
        amount=amount,
        at=at,
        bar=round(at.timestamp() * 1000) // length * length,
    )
