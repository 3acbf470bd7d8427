"""/bots/{id}/candles: what the chart of a bot shows."""

from datetime import UTC, datetime, timedelta

from ninja import Query, Router, Schema, Status
from pydantic import Field

from bots.api.access import ApiRequest
from bots.api.bots import own_bot
from bots.api.errors import Problem
from bots.api.shapes import Money
from bots.charting import Bar, Mark, chart_of, version_of
from bots.markets import market_of

router = Router()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(Schema):
    since: int = Field(0, ge=0, le=2**53, description="Unix ms: leaves out what opened before")
    version: str = Field("", max_length=64, description="the answer you have: 204 if it is new")


class BarOut(Schema):
    at: datetime = Field(description="when it opened")
    open: Money
    high: Money
    low: Money
    close: Money
    volume: Money = Field(description="base units")

    @staticmethod
    def resolve_at(bar: Bar) -> datetime:
        return EPOCH + timedelta(milliseconds=bar.at)


class LevelsOut(Schema):
    entry: Money | None = None
    stop: Money | None = None
    trailing: Money | None = None
    target: Money | None = None
    liquidation: Money | None = None
    last: Money | None = Field(None, description="the last price that the bot saw")


class MarkOut(Schema):
    client_order_id: str = Field(alias="order.client_order_id")
    side: str = Field(alias="order.side")
    purpose: str = Field(alias="order.purpose")
    price: Money = Field(description="average of the order's fills")
    amount: Money
    at: datetime = Field(description="the newest of the order's fills")
    candle_at: datetime = Field(description="when the candle opened that it falls into")

    @staticmethod
    def resolve_candle_at(mark: Mark) -> datetime:
        return EPOCH + timedelta(milliseconds=mark.bar)


class ChartOut(Schema):
    version: str
    exchange: str
    symbol: str
    timeframe: str
    count: int = Field(description="candles that are stored, asked for or not")
    candles: list[BarOut]
    levels: LevelsOut
    fills: list[MarkOut] = Field(description="one row an order, oldest first")


@router.get("/{bot_id}/candles", response={200: ChartOut, 204: None, 404: Problem})
def candles(request: ApiRequest, bot_id: int, asked: Query[Asked]) -> object:
    """Tell the newest closed candles of a bot's market, its position's levels, and its fills."""
    bot = own_bot(request, bot_id)
    version = version_of(bot)
    if asked.version == version:
        return Status(204, None)
    chart = chart_of(bot, market_of(bot), since=asked.since)
    return {
        "version": version,
        "exchange": bot.exchange,
        "symbol": bot.symbol,
        "timeframe": bot.timeframe,
        "count": chart.count,
        "candles": chart.bars,
        "levels": chart.levels,
        "fills": chart.marks,
    }
