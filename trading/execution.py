"""What a tick does with what it sees: one pure function, used by live, paper and backtest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Literal

from trading.market import (
    EXACT,
    FillReport,
    OrderRequest,
    Quote,
    Rules,
    Side,
    floor_to,
    quantize,
)
from trading.position import Position
from trading.risk import (
    Blocked,
    Day,
    Gate,
    Levels,
    Settings,
    exit_reason,
    follow,
    limit_numbers,
    limit_reached,
    need_and_have,
    size,
)
from trading.rounding import ceil_to, readable
from trading.strategies.base import Action, Signal

Duty = Literal["trade", "exit", "none"]
WindDown = Literal["leave", "close", "after_exit"]
Command = Literal["enter", "exit"]
Verdict = Literal["enter", "exit", "hold", "blocked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything a decision is made of. Nothing else may influence it.

    `free_base` and `free_quote` are what the account has free of the market's two currencies
    (None: not known). `cost_margin` is the fraction of its value that a market buy costs at most
    on top, fee and slippage (None: the taker fee). `wind_down` counts under duty exit only.
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
    free_base: Decimal | None = None
    free_quote: Decimal | None = None
    cost_margin: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, and the gate that said so, with its numbers as text for people.

    `side`, `amount` (base currency) and `price` (expected, quote currency) are those of the order
    to send, None unless `action` is enter or exit; the order's reason is `gate`. `levels` are
    those after this tick's price (empty when flat). `pause`: the daily limit that pauses the bot
    as soon as it is flat.
    """

    action: Verdict
    gate: Gate
    numbers: Mapping[str, str] = field(default_factory=dict)
    side: Side | None = None
    amount: Decimal | None = None
    price: Decimal | None = None
    levels: Levels = field(default_factory=Levels)
    pause: Gate | None = None


def decide(view: View) -> Decision:
    """Decide one tick: trailing stop, then exits, then (only when flat) entries.

    Stops, target and sales are judged at the bid, entries at the ask: the prices a taker gets.
    """
    limit = limit_reached(view.settings, view.day)
    pause = limit if view.duty == "trade" else None
    entry_price = view.position.entry_price
    if view.position.is_open and entry_price is not None:
        return _in_position(view, entry_price, pause)
    return _flat(view, limit, pause)


def _in_position(view: View, entry_price: Decimal, pause: Gate | None) -> Decision:
    bid = view.quote.bid
    levels = follow(view.settings, entry_price, view.levels, bid)
    gate = _exit_gate(view, levels)
    numbers = _position_numbers(entry_price, levels, bid)
    if gate is None:
        watched = _watched(view)
        return Decision(
            action="hold",
            gate=Gate.IN_POSITION if watched else Gate.DUTY_EXIT,
            numbers=numbers,
            levels=levels,
            pause=pause,
        )
    amount = _sellable(view)
    if gate is Gate.SIGNAL:
        numbers = {**numbers, **_signal_numbers(view.signal)}
    if blocked := _exit_blocked(view, gate, amount):
        return Decision(
            action="blocked",
            gate=blocked.gate,
            numbers=blocked.numbers,
            levels=levels,
            pause=pause,
        )
    return Decision(
        action="exit",
        gate=gate,
        numbers={**numbers, "amount": readable(amount)},
        side=Side.SELL,
        amount=amount,
        price=bid,
        levels=levels,
        pause=pause,
    )


def _watched(view: View) -> bool:
    """Whether the bot may leave its position by itself.

    "Stop and leave the position" means it: the bot ticks on only until its last order is settled.
    """
    return view.duty == "trade" or (view.duty == "exit" and view.wind_down != "leave")


def _exit_gate(view: View, levels: Levels) -> Gate | None:
    watched = _watched(view)
    if watched and (reached := exit_reason(levels, view.quote.bid)):
        return reached
    if view.command == "exit":
        return Gate.COMMAND
    if view.duty == "exit" and view.wind_down == "close":
        return Gate.CLOSING
    if watched and view.signal.action is Action.SELL:
        return Gate.SIGNAL
    return None


def _sellable(view: View) -> Decimal:
    """Return the bot's own units that can be sold in one order, rounded down to the step."""
    bounds = (view.position.amount, view.free_base, view.rules.max_amount)
    with localcontext(EXACT, rounding=ROUND_DOWN):
        amount = view.rules.floor_amount(min(bound for bound in bounds if bound is not None))
    return max(amount, Decimal(0))


def _exit_blocked(view: View, gate: Gate, amount: Decimal) -> Blocked | None:
    if not view.rules.active:
        return Blocked(gate=Gate.MARKET_HALTED, numbers={"exit": gate})
    with localcontext(EXACT):
        least = view.rules.dust_below(view.quote.bid)
        held, free = view.position.amount, view.free_base
        if free is not None and held - free >= least:
            # Not a fee's rest: coins are gone, and what became of them is for people to find out.
            numbers = {**need_and_have(held, free, view.rules.base), "exit": gate}
            return Blocked(gate=Gate.RECONCILE, numbers=numbers)
    if amount >= least:
        return None
    numbers = {**need_and_have(least, amount, view.rules.base), "exit": gate}
    return Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)


def _flat(view: View, limit: Gate | None, pause: Gate | None) -> Decision:
    if view.command == "exit":
        return Decision(action="hold", gate=Gate.FLAT, pause=pause)
    if view.duty != "trade":
        return Decision(action="hold", gate=Gate.DUTY_EXIT)
    if limit is not None:
        numbers = limit_numbers(view.settings, view.day, limit)
        return Decision(action="blocked", gate=limit, numbers=numbers, pause=pause)
    if not view.rules.active:
        return Decision(action="blocked", gate=Gate.MARKET_HALTED)
    forced = view.command == "enter"
    numbers = _signal_numbers(view.signal)
    if not forced and view.signal.action is not Action.BUY:
        return Decision(action="hold", gate=Gate.NO_SIGNAL, numbers=numbers)
    ask = view.quote.ask
    sized = size(view.settings, view.rules, ask, view.free_quote, view.cost_margin)
    if isinstance(sized, Blocked):
        return Decision(action="blocked", gate=sized.gate, numbers=sized.numbers)
    order = {"amount": readable(sized.amount), "notional": readable(sized.notional)}
    return Decision(
        action="enter",
        gate=Gate.COMMAND if forced else Gate.SIGNAL,
        numbers={**numbers, "price": readable(ask), **order},
        side=Side.BUY,
        amount=sized.amount,
        price=ask,
    )


def _signal_numbers(signal: Signal) -> Mapping[str, str]:
    return {**signal.numbers, "why": signal.why}


def _position_numbers(entry_price: Decimal, levels: Levels, bid: Decimal) -> Mapping[str, str]:
    prices = {
        "price": bid,
        "entry_price": entry_price,
        "stop": levels.stop,
        "trailing": levels.trailing,
        "target": levels.target,
    }
    return {name: readable(price) for name, price in prices.items() if price is not None}


def buy_price(ask: Decimal, slippage: Decimal, rules: Rules) -> Decimal:
    """Return what a market buy pays on paper: `ask` x (1 + `slippage`), up to the next tick."""
    with localcontext(EXACT):
        return ceil_to(ask * (1 + slippage), rules.price_tick)


def fill_market(
    request: OrderRequest,
    quote: Quote,
    slippage: Decimal,
    fee_rate: Decimal,
    rules: Rules,
    at: int,
) -> FillReport:
    """Return the one fill that a market order gets on paper at `at` (Unix ms).

    Buys at ask x (1 + slippage), sells at bid x (1 - slippage), rounded to the tick against the
    taker; `slippage` and `fee_rate` are fractions (0.001 is 0.1 %). The fee is quote currency.
    """
    with localcontext(EXACT):
        if request.side is Side.BUY:
            price = buy_price(quote.ask, slippage, rules)
        else:
            # One tick is the least price there is: nothing is sold for nothing.
            price = floor_to(quote.bid * (1 - slippage), rules.price_tick)
            price = max(price, rules.price_tick)
        value = quantize(price * request.amount)
        return FillReport(
            trade_id=f"{request.client_order_id}-1",
            price=price,
            amount=request.amount,
            quote=value,
            fee=quantize(value * fee_rate),
            fee_currency=rules.quote,
            at=at,
        )
