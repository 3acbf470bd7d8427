"""What a decision is made of, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from trading.ladder import Ladder, Rung
from trading.market import OrderType, Quote, Rules, Side
from trading.position import Position
from trading.protections import Record
from trading.risk import Day, Gate, Levels, Settings
from trading.strategies.base import Signal

Duty = Literal["trade", "exit", "none"]
WindDown = Literal["leave", "close", "after_exit"]
Command = Literal["enter", "exit"]
Verdict = Literal["enter", "exit", "hold", "blocked", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """The bot's entry order that rests at the exchange: its limit price, and how long it rests.

    `filled` is base currency, `age` seconds. `forced`: the owner asked for it, so that it needs no
    signal to stay.
    """

    side: Side
    price: Decimal
    filled: Decimal
    age: float
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything a decision is made of. Nothing else may influence it.

    `free_base` and `free_quote` are what the account has free of the market's two currencies
    (None: not known), coins in the bot's own protective orders included: they are cancelled before
    a sale. `cost_margin` is the fraction of its value that a market buy costs at most
    on top, fee and slippage (None: the taker fee). `wind_down` counts under duty exit only.
    `asked_side`: which way a command asks to enter (None: the first that the settings allow).
    `futures`: the market is a USDT perpetual; `maintenance` its maintenance margin as a fraction of
    the notional (None: not known). `fallback_due`: the last decision ended an entry order whose
    time was over, unfilled. `ladder` (None: the strategy has none): the limit orders that it wants
    to rest, and those that do.
    """

    settings: Settings
    rules: Rules
    position: Position
    levels: Levels
    day: Day
    quote: Quote
    signal: Signal
    duty: str
    wind_down: str = "leave"
    command: str | None = None
    asked_side: Side | None = None
    free_base: Decimal | None = None
    free_quote: Decimal | None = None
    cost_margin: Decimal | None = None
    futures: bool = False
    maintenance: Decimal | None = None
    record: Record = field(default_factory=Record)
    resting: Resting | None = None
    fallback_due: bool = False
    ladder: Ladder | None = None

    @property
    def exit_price(self) -> Decimal:
        """What a taker gets who closes the position: the bid of a long one, the ask of a short."""
        return self.quote.ask if self.position.is_short else self.quote.bid

    @property
    def open_pnl(self) -> Decimal:
        """What closing the position now would realise, before exit fees."""
        return self.position.unrealized(self.exit_price) if self.position.is_open else Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, and the gate that said so, with its numbers as text for people.

    `side`, `amount` (base currency), `price` (expected, quote currency), `order_type`, `limit` (the
    limit price, None for market orders) and `reduce_only` are those of the order to send; side,
    amount and price are None unless `action` is enter or exit, and the order's reason is `gate`.
    `cancel` ends the resting entry order and sends nothing. `levels` are those after this tick's
    price (empty when flat). `pause`: the limit that pauses the bot until the reset as soon as it is
    flat; `switch_off`: the one that then switches it off. `rungs`: the limit orders that are to
    rest from now on, and no other.
    """

    action: Verdict
    gate: Gate
    numbers: Mapping[str, str] = field(default_factory=dict)
    side: Side | None = None
    amount: Decimal | None = None
    price: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    limit: Decimal | None = None
    reduce_only: bool = False
    levels: Levels = field(default_factory=Levels)
    pause: Gate | None = None
    switch_off: Gate | None = None
    rungs: tuple[Rung, ...] = ()

    @property
    def buys(self) -> tuple[Rung, ...]:
        """The rungs that need money."""
        return tuple(rung for rung in self.rungs if rung.side is Side.BUY)
