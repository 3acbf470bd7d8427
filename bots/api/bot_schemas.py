"""A bot's settings as they go in and come out. Defaults are those of BotConfig."""

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import Field

from bots.api.shapes import Id, Money, Strict, Text
from bots.lifecycle import Mode, PositionType
from bots.models import BotConfig
from bots.models.bot import Direction, EntryType, Fallback


def _default(name: str) -> Any:
    """Return the default of a BotConfig field: it is declared there, once."""
    return getattr(BotConfig(), name)


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
    direction: Direction = Field(_default("direction"), description="spot bots: long")
    entry_type: EntryType = _default("entry_type")
    entry_offset_perc: Money | None = Field(None, description="of the market's own side")
    entry_timeout_seconds: int = _default("entry_timeout_seconds")
    entry_fallback: Fallback = Field(
        _default("entry_fallback"), description="when the time is over and nothing was filled"
    )
    max_spread_perc: Money | None = Field(None, description="for entries at the market")
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
    loss_includes_open: bool = Field(False, description="in max_daily_loss_perc, and closes it")
    max_drawdown_perc: Money | None = Field(None, description="% of initial_capital")
    cooldown_minutes: int | None = None
    stop_guard_stops: int | None = None
    stop_guard_minutes: int | None = None
    protect_on_exchange: bool = _default("protect_on_exchange")
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
    direction: str
    entry_type: str
    entry_offset_perc: Money | None
    entry_timeout_seconds: int
    entry_fallback: str
    max_spread_perc: Money | None
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
    loss_includes_open: bool
    max_drawdown_perc: Money | None
    cooldown_minutes: int | None
    stop_guard_stops: int | None
    stop_guard_minutes: int | None
    protect_on_exchange: bool
    leverage: int
    check_interval_seconds: int
    account: int | None = Field(None, alias="account_id")
    api_key: int | None = Field(None, alias="key_id")
    twin_of: int | None = Field(None, alias="twin_of_id", description="the bot it stands beside")
    is_active: bool
    created_at: datetime
    updated_at: datetime
