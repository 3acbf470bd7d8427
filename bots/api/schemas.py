"""The shapes of what goes in and out. Decimals leave as plain strings; unknown fields are a 422."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from django.utils import timezone
from ninja import Schema
from pydantic import Field

from bots.api.shapes import Money, Strict, Text
from bots.lifecycle import WindDown
from bots.messages import explain
from bots.models import BotState, Comparison, Order


class Started(Schema):
    message: str
    bot_config_id: int


class StopIn(Strict):
    position: WindDown = Field(WindDown.LEAVE, description="what becomes of an open position")


class Stopped(Schema):
    """`duty` is exit while something is left to do, and null for a bot that never started."""

    message: str
    bot_config_id: int
    duty: str | None


class CommandOut(Schema):
    id: int
    kind: str
    status: str
    created_at: datetime
    expires_at: datetime


class ExplanationOut(Schema):
    what: str
    now: str
    todo: str


class ComparisonOut(Schema):
    as_of: datetime
    ok: bool
    ours: Money = Field(description="what the ledger says, base units, negative when short")
    there: Money = Field(description="what the exchange holds")
    text: str


class StateOut(Schema):
    bot_config_id: int = Field(alias="bot_id")
    status: str
    reason: str
    text: str = Field(description="e.g. `error (api key decrypt failed)`")
    explanation: ExplanationOut | None
    duty: str
    wind_down: str
    in_position: bool
    position_side: str = Field(description="long, short, or empty when flat")
    entry_price: Money | None
    current_position_size: Money = Field(description="never negative: position_side has the sign")
    stop_loss_price: Money | None
    take_profit_price: Money | None
    trailing_stop_price: Money | None
    max_price_since_entry: Money | None
    position_opened_at: datetime | None
    has_unsettled_orders: bool
    has_ladder: bool = Field(description="orders of the strategy's ladder rest")
    protection: str = Field(description="watched, resting (at the exchange), failed; empty: flat")
    protection_message: str
    liquidation_price: Money | None
    profit: Money = Field(description="realised, of all fills and funding")
    is_unwatched: bool = Field(description="a position lies there and no tick watches it")
    is_late: bool = Field(description="three intervals passed without a tick")
    daily_pnl: Money
    daily_trades_count: int
    counter_day: date
    day_ends_at: datetime
    last_price: Money | None
    last_price_at: datetime | None
    last_run_at: datetime | None
    retry_at: datetime | None
    failures: int
    last_error_message: str
    last_error_at: datetime | None
    last_updated_at: datetime
    version: int
    comparison: ComparisonOut | None = Field(
        description="the newest one of the account's market with the exchange"
    )

    @staticmethod
    def resolve_comparison(state: BotState) -> Comparison | None:
        bot = state.bot
        return Comparison.objects.filter(account=bot.account_id, symbol=bot.symbol).first()

    @staticmethod
    def resolve_is_late(state: BotState) -> bool:
        return state.is_late(timezone.now())

    @staticmethod
    def resolve_explanation(state: BotState) -> dict[str, str] | None:
        found = explain(state.reason)
        if found is None:
            return None
        return {"what": str(found.what), "now": str(found.now), "todo": str(found.todo)}


class OrderOut(Schema):
    id: int
    client_order_id: str
    exchange_order_id: str | None
    symbol: str
    status: str
    side: str
    type: str
    purpose: str
    reason: str
    amount: Money
    price: Money | None = Field(description="the limit price")
    level: int | None = Field(description="its place on the strategy's ladder")
    trigger: Money | None
    reduce_only: bool
    pair: str = Field(description="orders with the same pair cancel each other")
    cancel_reason: str
    filled: Money
    average: Money | None
    fee: Money = Field(description="of the fills; in quote currency where their currencies differ")
    fee_currency: str | None
    is_settled: bool
    message: str
    created_at: datetime
    updated_at: datetime

    @staticmethod
    def resolve_fee(order: Order) -> Decimal:
        fills = order.fills.all()
        one_currency = len({fill.fee_currency for fill in fills}) == 1
        return sum((f.fee if one_currency else f.fee_quote for f in fills), Decimal(0))

    @staticmethod
    def resolve_fee_currency(order: Order) -> str | None:
        currencies = {fill.fee_currency for fill in order.fills.all()}
        if len(currencies) > 1:
            return order.symbol.partition("/")[2].partition(":")[0]
        return next(iter(currencies), None)


class TradeOut(Schema):
    id: int
    trade_id: str
    client_order_id: str = Field(alias="order.client_order_id")
    symbol: str
    side: str
    price: Money
    amount: Money
    quote: Money
    fee: Money
    fee_currency: str
    fee_quote: Money
    realized_pnl: Money
    at: datetime
    trading_day: date


class EventOut(Schema):
    id: int
    at: datetime
    move: str
    old_status: str
    old_reason: str
    new_status: str
    new_reason: str
    by: str | None = Field(None, alias="by.username")
    via: str
    why: str


class DayOut(Schema):
    day: date
    pnl: Money
    fees: Money
    trades: int
    closed_at: datetime | None


class KeyIn(Strict):
    """A key of an exchange. It never comes back: answers show its last four characters."""

    exchange: Text
    mode: Literal["testnet", "live"]
    label: Annotated[Text, Field(min_length=1, max_length=60)]
    api_key: Annotated[str, Field(pattern=r"^[!-~]+$", max_length=500)]
    # A private key in PEM form has lines.
    secret_key: Annotated[str, Field(pattern=r"^[ -~\r\n]+$", max_length=5000)]
    passphrase: Annotated[str, Field(pattern=r"^[ -~]*$", max_length=500)] = ""


class KeyOut(Schema):
    id: int
    account: int = Field(alias="account_id")
    exchange: str = Field(alias="account.exchange")
    mode: str = Field(alias="account.mode")
    label: str = Field(alias="account.label")
    last4: str
    is_valid: bool | None = Field(description="null until a worker has asked the exchange")
    may_trade: bool | None
    may_trade_futures: bool | None
    may_withdraw: bool | None
    ip_bound: bool | None
    checked_at: datetime | None
    check_fault: str
    check_message: str
    created_at: datetime


class AccountIn(Strict):
    """The limits of an account; what is left out stays, null takes a limit away."""

    max_open_positions: int | None = Field(None, description="of all bots of the account")
    max_daily_loss: Money | None = Field(None, description="of all its bots, in quote currency")


class AccountOut(Schema):
    id: int
    exchange: str
    mode: str
    label: str
    api_key: int | None = Field(None, alias="key_id")
    max_open_positions: int | None
    max_daily_loss: Money | None
    created_at: datetime


class BalanceOut(Schema):
    """Currency -> units. `as_of` is null until a worker has asked the exchange."""

    spot: dict[str, str]
    futures: dict[str, str]
    total: dict[str, str]
    as_of: datetime | None
    message: str
