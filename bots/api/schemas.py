"""The shapes of what goes in and out. Decimals leave as plain strings; unknown fields are a 422."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.utils import timezone
from ninja import Schema
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from bots.api.numbers import finite
from bots.lifecycle import Mode, PositionType, WindDown
from bots.messages import explain
from bots.models import BotConfig, BotState, Order
from bots.models.fields import plain

Money = Annotated[Decimal, BeforeValidator(finite), PlainSerializer(plain, return_type=str)]


def _no_nul(text: str) -> str:
    # PostgreSQL cannot hold it; SQLite could.
    if "\x00" in text:
        raise ValueError("Null characters are not allowed.")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_no_nul)]

#: An id that a database can look up.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _default(name: str) -> Any:
    """Return the default of a BotConfig field: it is declared there, once."""
    return getattr(BotConfig(), name)


class Strict(Schema):
    """A body: fields that are not listed are refused by name."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)


class BotIn(Strict):
    """A bot as its owner wants it. Set either position_size_fixed or position_size_perc."""

    name: Text
    exchange: Text = _default("exchange")
    mode: Mode = _default("mode")
    position_type: PositionType = _default("position_type")
    symbol: Text
    timeframe: Text = _default("timeframe")
    strategy: Text = _default("strategy")
    params: dict[str, Any] = Field({}, description="as the strategy declares them")
    initial_capital: Money = _default("initial_capital")
    position_size_fixed: Money | None = Field(None, description="quote currency per entry")
    position_size_perc: Money | None = Field(None, description="% of initial_capital")
    stop_loss_perc: Money | None = None
    take_profit_perc: Money | None = None
    trailing_stop_perc: Money | None = None
    trailing_stop_active: bool = False
    max_daily_trades: int | None = None
    max_daily_loss_perc: Money | None = Field(None, description="% of initial_capital")
    daily_target_perc: Money | None = Field(None, description="% of initial_capital")
    leverage: int = _default("leverage")
    check_interval_seconds: int = _default("check_interval_seconds")
    api_key: Id | None = Field(None, description="the id of an api-key: names the account")
    account: Id | None = Field(None, description="instead of api_key: the account's id")


class BotPatch(BotIn):
    """Some of a bot's settings; what is left out stays, also within `params`."""

    name: Text = ""
    symbol: Text = ""


class BotOut(Schema):
    id: int
    name: str
    exchange: str
    mode: str
    position_type: str
    symbol: str
    timeframe: str
    strategy: str
    params: dict[str, Any]
    initial_capital: Money
    position_size_fixed: Money | None
    position_size_perc: Money | None
    stop_loss_perc: Money | None
    take_profit_perc: Money | None
    trailing_stop_perc: Money | None
    trailing_stop_active: bool
    max_daily_trades: int | None
    max_daily_loss_perc: Money | None
    daily_target_perc: Money | None
    leverage: int
    check_interval_seconds: int
    account: int | None = Field(None, alias="account_id")
    api_key: int | None = Field(None, alias="key_id")
    is_active: bool
    created_at: datetime
    updated_at: datetime


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


class StateOut(Schema):
    bot_config_id: int = Field(alias="bot_id")
    status: str
    reason: str
    text: str = Field(description="e.g. `error (api key decrypt failed)`")
    explanation: ExplanationOut | None
    duty: str
    wind_down: str
    in_position: bool
    entry_price: Money | None
    current_position_size: Money
    stop_loss_price: Money | None
    take_profit_price: Money | None
    trailing_stop_price: Money | None
    max_price_since_entry: Money | None
    position_opened_at: datetime | None
    has_unsettled_orders: bool
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
    price: Money | None
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
    may_withdraw: bool | None
    ip_bound: bool | None
    checked_at: datetime | None
    check_fault: str
    check_message: str
    created_at: datetime


class BalanceOut(Schema):
    """Currency -> units. `as_of` is null until a worker has asked the exchange."""

    spot: dict[str, str]
    futures: dict[str, str]
    total: dict[str, str]
    as_of: datetime | None
    message: str
