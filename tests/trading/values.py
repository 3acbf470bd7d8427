"""Values for tests of the pure parts: a market, its price, an owner's settings, a position."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from trading.execution import View
from trading.market import Quote, Rules
from trading.position import Position
from trading.protections import Record
from trading.risk import Day, Levels, Settings
from trading.strategies import Action, Signal

D = Decimal

RULES = Rules(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    amount_step=D("0.001"),
    price_tick=D("0.01"),
    min_amount=D("0.002"),
    max_amount=D("50"),
    min_notional=D("5"),
    taker_fee=D("0.001"),
)
SETTINGS = Settings(initial_capital=D(1000), position_size_fixed=D(200))
BUY = Signal(action=Action.BUY, why="ema_rsi.buy", numbers={"rsi": "50"})
SELL = Signal(action=Action.SELL, why="ema_rsi.sell", numbers={"rsi": "50"})
NONE = Signal(action=Action.NONE, why="ema_rsi.no_trend", numbers={"rsi": "50"})
FLAT = Position()
#: Two units bought at 100: a stop of 2 % lies at 98.
HELD = Position(amount=D(2), cost=D(200), is_open=True, entry_amount=D(2), entry_quote=D(200))
#: Two units sold at 100: a stop of 2 % lies at 102.
SHORT = Position(
    amount=D(2), cost=D(200), is_open=True, is_short=True, entry_amount=D(2), entry_quote=D(200)
)
#: The fields of Rules that `view` takes: its `quote` is the price, not the currency.
MARKET = set(Rules.__slots__) - set(View.__slots__)


def quote(bid: str, ask: str | None = None) -> Quote:
    """Return a quote of BTC/USDT, last traded at the ask; without `ask` there is no spread."""
    return Quote(symbol="BTC/USDT", bid=D(bid), ask=D(ask or bid), last=D(ask or bid), at=0)


def view(price: str = "100", **changes: Any) -> View:
    """Return what a flat bot under duty trade sees without a signal, with `changes`.

    Names of Settings change the settings, of Rules the rules, of Record the record, all others the
    view.
    """
    record = {name: changes.pop(name) for name in Record.__slots__ if name in changes}
    settings = {name: changes.pop(name) for name in Settings.__slots__ if name in changes}
    rules = {name: changes.pop(name) for name in MARKET if name in changes}
    seen = View(
        settings=replace(SETTINGS, **settings),
        rules=replace(RULES, **rules),
        position=FLAT,
        levels=Levels(),
        day=Day(),
        quote=quote(price),
        signal=NONE,
        duty="trade",
        record=Record(**record),
    )
    return replace(seen, **changes)
