"""Every rule of a decision in the order in which it was asked, with its numbers. Pure.

`decide` says which rule decided; this says what came before and what was not asked any more. The
verdict is never judged a second time here: what stands before the rule that decided has passed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from trading import entries, exits, risk
from trading.execution import decide
from trading.market import OrderType, Side
from trading.protections import drawdown, iso, minutes_since, recent_stops
from trading.risk import Gate, limit_numbers, of_capital
from trading.rounding import readable
from trading.sizing import (
    MAINTENANCE,
    Sized,
    funds_needed,
    least_amount,
    liquidation_price,
    nearest_stop,
    need_and_have,
    size,
    too_large,
    wanted_value,
)
from trading.view import Decision, View

Numbers = Mapping[str, str]
MINUTE_MS = 60_000


class Mark(StrEnum):
    """What became of a rule: it let the decision through, it decided, or it was not asked."""

    PASSED = "passed"
    DECIDED = "decided"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule; `numbers` are those it compared (none where it was not asked).

    `closes`: it is one of those that close a position, which pass while nothing is reached.
    """

    gate: Gate
    mark: Mark
    numbers: Numbers = field(default_factory=dict)
    closes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A rule before its mark is known. `is_hit`: it is the one that decided, or that closes."""

    gate: Gate
    numbers: Numbers
    is_hit: bool
    closes: bool = False


def explain(view: View) -> tuple[Decision, tuple[Check, ...]]:
    """Decide once more; returns the verdict and every rule that was set, in the order asked."""
    decision = decide(view)
    if view.resting is not None:
        groups = [list(_resting(view, decision))]
    elif view.position.is_open and view.position.entry_price is not None:
        groups = [list(_reached(view, decision)), list(_closing(view, decision))]
    else:
        groups = [list(_flat(view, decision))]
    return decision, tuple(check for group in groups for check in _marked(group, decision))


def _marked(steps: list[_Step], decision: Decision) -> Iterator[Check]:
    """Mark a group of rules: the first one that is hit ends it."""
    is_over = False
    for step in steps:
        mark = Mark.UNREACHED if is_over else Mark.DECIDED if step.is_hit else Mark.PASSED
        numbers = {} if is_over else step.numbers
        if mark is Mark.DECIDED and step.gate is decision.gate:
            numbers = decision.numbers
        is_over = is_over or step.is_hit
        yield Check(gate=step.gate, mark=mark, numbers=numbers, closes=step.closes)


# -- flat: what an entry has to pass --------------------------------------------------------------
def _flat(view: View, decision: Decision) -> Iterator[_Step]:
    found = decision.gate

    def step(gate: Gate, numbers: Numbers | None = None) -> _Step:
        return _Step(gate=gate, numbers=numbers or {}, is_hit=found is gate)

    if view.command == "exit":
        yield step(Gate.FLAT)
    yield step(Gate.DUTY_EXIT)
    for gate, numbers in _standing(view):
        yield step(gate, numbers)
    yield step(Gate.MARKET_HALTED)
    by_ladder = _is_of_ladder(view, decision)
    if view.command == "enter":
        yield step(Gate.DIRECTION, {"direction": view.settings.direction})
    elif not by_ladder:
        yield step(Gate.NO_SIGNAL, exits.signal_numbers(view.signal, entries.awaited(view)))
    for gate, numbers in _passing(view):
        yield step(gate, numbers)
    if by_ladder:
        yield step(decision.gate, decision.numbers)
        return
    yield from _sizes(view, decision)
    is_asked = view.command == "enter"
    last = Gate.COMMAND if is_asked else Gate.SIGNAL
    yield _Step(gate=last, numbers=decision.numbers, is_hit=decision.action == "enter")


def _is_of_ladder(view: View, decision: Decision) -> bool:
    """Whether the rungs of a ladder decided: they need no signal."""
    lacks = decision.gate is Gate.INSUFFICIENT_FUNDS and entries.wish_of(view) is None
    return decision.gate is Gate.LADDER or lacks


def _standing(view: View) -> Iterator[tuple[Gate, Numbers]]:
    """Yield the limits that are set, in the order of protections.standing."""
    settings, record = view.settings, view.record
    if limit := of_capital(settings, settings.max_drawdown_perc):
        have = drawdown(record)
        yield Gate.MAX_DRAWDOWN, {"have": readable(have), "limit": readable(limit)}
    limits = (
        (Gate.MAX_DAILY_LOSS, settings.max_daily_loss_perc),
        (Gate.DAILY_TARGET, settings.daily_target_perc),
        (Gate.MAX_DAILY_TRADES, settings.max_daily_trades),
    )
    for gate, is_set in limits:
        if is_set:
            yield gate, limit_numbers(settings, view.day, gate, view.open_pnl)
    if most := record.account_max_daily_loss:
        numbers = {"have": readable(record.account_day_pnl), "limit": readable(-most)}
        yield Gate.ACCOUNT_DAILY_LOSS, numbers


def _passing(view: View) -> Iterator[tuple[Gate, Numbers]]:
    """Yield what keeps an entry back for a while, where it is set, and the spread."""
    settings, record = view.settings, view.record
    if settings.cooldown_minutes:
        numbers = {}
        if record.last_loss_at is not None:
            until = record.last_loss_at + settings.cooldown_minutes * MINUTE_MS
            numbers = {
                "have": str(minutes_since(record, record.last_loss_at)),
                "limit": str(settings.cooldown_minutes),
                "until": iso(until),
            }
        yield Gate.COOLDOWN, numbers
    if settings.stop_guard_stops and settings.stop_guard_minutes:
        have = len(recent_stops(settings, record))
        yield Gate.STOP_GUARD, {"have": str(have), "limit": str(settings.stop_guard_stops)}
    if most := record.account_max_positions:
        numbers = {"have": str(record.account_positions), "limit": str(most)}
        yield Gate.MAX_OPEN_POSITIONS, numbers
    spread_limit = settings.max_spread_perc
    if spread_limit and entries.order_type_of(view) is OrderType.MARKET:
        spread = entries.spread_perc(view.quote)
        yield Gate.SPREAD, {"have": readable(spread), "limit": readable(spread_limit)}


def _sizes(view: View, decision: Decision) -> Iterator[_Step]:
    """Yield what the order's size has to pass, in the order of entries._entry."""
    settings, rules = view.settings, view.rules
    side = entries.wish_of(view) or Side.BUY
    price, _limit = entries.price_of(view, side)
    sized = size(settings, rules, price, view.free_quote, view.cost_margin)
    is_blocked, wanted = not isinstance(sized, Sized), wanted_value(settings)
    least = need_and_have(least_amount(rules, price) * price, wanted, rules.quote)
    is_low = decision.gate is Gate.BELOW_MINIMUM
    yield _Step(gate=Gate.BELOW_MINIMUM, numbers=least, is_hit=is_low and is_blocked)
    if rules.max_amount is not None:
        numbers = too_large(rules, rules.floor_amount(wanted / price)).numbers
        is_hit = decision.gate is Gate.TOO_LARGE
        yield _Step(gate=Gate.TOO_LARGE, numbers=numbers, is_hit=is_hit)
    if view.free_quote is not None:
        notional = sized.notional if isinstance(sized, Sized) else wanted
        need = funds_needed(settings, rules, notional, view.cost_margin)
        numbers = need_and_have(need, view.free_quote, rules.quote)
        is_hit = decision.gate is Gate.INSUFFICIENT_FUNDS
        yield _Step(gate=Gate.INSUFFICIENT_FUNDS, numbers=numbers, is_hit=is_hit)
    if is_low and not is_blocked:
        # Large enough to buy, too small to be sold at its stop.
        yield _Step(gate=Gate.BELOW_MINIMUM, numbers=decision.numbers, is_hit=True)
    if view.futures:
        yield from _liquidation(view, decision, price, is_short=side is Side.SELL)


def _liquidation(
    view: View, decision: Decision, price: Decimal, *, is_short: bool
) -> Iterator[_Step]:
    levels = risk.levels(view.settings, price, is_short=is_short)
    stop = nearest_stop(levels, is_short=is_short)
    if stop is None:
        return
    rate = MAINTENANCE if view.maintenance is None else view.maintenance
    limit = liquidation_price(price, view.settings.leverage, rate, is_short=is_short)
    numbers = {"have": readable(stop), "limit": readable(limit), "entry_price": readable(price)}
    is_hit = decision.gate is Gate.LIQUIDATION
    yield _Step(gate=Gate.LIQUIDATION, numbers=numbers, is_hit=is_hit)


# -- in position: what closes it, and what an exit has to pass ------------------------------------
def _closers(view: View, entry_price: Decimal) -> Iterator[tuple[Gate, Numbers]]:
    """Yield what may close the position, in the order of exits.look."""
    levels, price = exits.look(view, entry_price).levels, readable(view.exit_price)
    if exits.is_watched(view):
        prices = (
            (Gate.STOP_LOSS, "stop", levels.stop),
            (Gate.TRAILING_STOP, "trailing", levels.trailing),
            (Gate.TAKE_PROFIT, "target", levels.target),
        )
        for gate, name, level in prices:
            if level is not None:
                yield gate, {"price": price, name: readable(level)}
        settings = view.settings
        if settings.loss_includes_open and settings.max_daily_loss_perc:
            gate = Gate.MAX_DAILY_LOSS
            yield gate, limit_numbers(settings, view.day, gate, view.open_pnl)
    if view.command == "exit":
        yield Gate.COMMAND, {"price": price}
    if view.duty == "exit" and view.wind_down == "close":
        yield Gate.CLOSING, {"price": price}
    if exits.is_watched(view):
        yield Gate.SIGNAL, exits.signal_numbers(view.signal, view.position.exit_side)


def _reached(view: View, decision: Decision) -> Iterator[_Step]:
    """Yield what may close the position; where nothing is reached it is held."""
    entry_price = view.position.entry_price or Decimal(0)
    fired = exits.look(view, entry_price).gate
    for gate, numbers in _closers(view, entry_price):
        yield _Step(gate=gate, numbers=numbers, is_hit=fired is gate, closes=True)
    if fired is None:
        yield _Step(gate=decision.gate, numbers=decision.numbers, is_hit=True, closes=True)


def _closing(view: View, decision: Decision) -> Iterator[_Step]:
    """Yield what the order that closes the position has to pass; nothing where none is wanted."""
    if decision.action == "hold":
        return
    found = decision.gate
    gates = [Gate.MARKET_HALTED, Gate.BELOW_MINIMUM]
    if not view.futures and view.free_base is not None:
        gates.insert(1, Gate.RECONCILE)
    amounts: dict[Gate, Numbers] = {}
    if view.free_base is not None:
        held, free = view.position.amount, view.free_base
        amounts[Gate.RECONCILE] = need_and_have(held, free, view.rules.base)
    least = exits.least_closable(view.rules, view.exit_price, futures=view.futures)
    sold = need_and_have(least, exits.closable(view), view.rules.base)
    amounts[Gate.BELOW_MINIMUM] = sold
    for gate in gates:
        yield _Step(gate=gate, numbers=amounts.get(gate, {}), is_hit=found is gate)


# -- an entry order rests: what gives it up -------------------------------------------------------
def _resting(view: View, decision: Decision) -> Iterator[_Step]:
    """Yield what gives a resting entry order up, in the order of entries.resting."""
    order, entry_price, fired = view.resting, view.position.entry_price, None
    if order is None:
        return
    if view.position.is_open and entry_price is not None:
        fired = exits.look(view, entry_price).gate
        for gate, numbers in _closers(view, entry_price):
            yield _Step(gate=gate, numbers=numbers, is_hit=fired is gate, closes=True)
    found = None if fired is not None else decision.gate
    told = entries.resting_numbers(order)
    if view.duty == "trade":
        # The order itself is one of the day's.
        for gate, numbers in _standing(replace(view, day=replace(view.day, trades=0))):
            yield _Step(gate=gate, numbers=numbers, is_hit=found is gate)
    if view.command == "exit":
        yield _Step(gate=Gate.COMMAND, numbers=told, is_hit=found is Gate.COMMAND)
    yield _Step(gate=Gate.CLOSING, numbers={}, is_hit=found is Gate.CLOSING)
    if not order.forced:
        numbers = exits.signal_numbers(view.signal, order.side)
        is_hit = found is Gate.SIGNAL_GONE
        yield _Step(gate=Gate.SIGNAL_GONE, numbers=numbers, is_hit=is_hit)
    limit = {"have": str(int(order.age)), "limit": str(view.settings.entry_timeout_seconds)}
    is_hit = found is Gate.ENTRY_TIMEOUT
    yield _Step(gate=Gate.ENTRY_TIMEOUT, numbers=limit, is_hit=is_hit)
    is_left = decision.action == "hold"
    yield _Step(gate=Gate.ENTRY_RESTING, numbers=decision.numbers, is_hit=is_left)
