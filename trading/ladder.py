"""Several limit orders of one bot that rest at once, as rungs of a ladder. Pure.

A strategy says which rungs it wants (`Drawn`), the limits of bot and account which of them it may
have (`allowed`), and what the fills of each rung left is folded into lots (`book`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext

from trading.market import EXACT, Quote, Rules, Side
from trading.position import BookedFill, Position
from trading.risk import Blocked, Gate, Settings
from trading.sizing import funds_needed, least_amount, need_and_have

ZERO = Decimal(0)
#: The level of the order that opens a position at market, from which a ladder may hang.
BASE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One limit order: `level` names its place for good, `amount` (base) is what is left of it."""

    level: int
    side: Side
    price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What a level's fills left: units held, units ever bought (fees not taken off), their value.

    Base currency, base currency, quote currency.
    """

    amount: Decimal = ZERO
    bought: Decimal = ZERO
    value: Decimal = ZERO


Lots = Mapping[int, Lot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Everything that a strategy draws its ladder on."""

    settings: Settings
    rules: Rules
    position: Position
    lots: Lots
    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The rungs that a strategy wants, the most urgent first.

    While the ask stays above `low` and at or under `high` (None: anywhere) and nothing is filled,
    it wants the same.
    """

    rungs: tuple[Rung, ...] = ()
    low: Decimal | None = None
    high: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What a strategy wants to rest, and what does."""

    wanted: tuple[Rung, ...] = ()
    resting: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The rungs that may rest; `short`: what kept the first of the others back, for lack of money.

    `cut`: how many were wanted and are left out.
    """

    rungs: tuple[Rung, ...] = ()
    cut: int = 0
    short: Blocked | None = field(default=None)


def allowed(
    ladder: Ladder,
    settings: Settings,
    rules: Rules,
    free_quote: Decimal | None,
    cost_margin: Decimal | None,
    *,
    holds: Decimal,
    buys: bool,
    sells: bool,
) -> Allowed:
    """Return the rungs that may rest: none is raised to a minimum, and all of them are paid for.

    What is left of one that the market has taken stays, however little it is. Sales come to no
    more than the position `holds` (base): what else the account has is the owner's own.
    `free_quote`: the quote currency beside what resting orders hold back (None: not known, the
    exchange will say).
    """
    rungs: list[Rung] = []
    short, need, left = None, ZERO, holds
    wanted = [rung for rung in ladder.wanted if (buys if rung.side is Side.BUY else sells)]
    for rung in wanted:
        is_new = rung not in ladder.resting
        if is_new and not _fits(rules, rung):
            continue
        if rung.side is Side.SELL:
            if rung.amount > left:
                continue
            left = EXACT.subtract(left, rung.amount)
        elif is_new and free_quote is not None:
            with localcontext(EXACT):
                more = funds_needed(settings, rules, rung.amount * rung.price, cost_margin)
            if need + more > free_quote:
                numbers = need_and_have(more, free_quote - need, rules.quote)
                short = short or Blocked(gate=Gate.INSUFFICIENT_FUNDS, numbers=numbers)
                continue
            need += more
        rungs.append(rung)
    return Allowed(rungs=tuple(rungs), cut=len(wanted) - len(rungs), short=short)


def _fits(rules: Rules, rung: Rung) -> bool:
    """Whether the market takes an order of this size."""
    if rules.max_amount is not None and rung.amount > rules.max_amount:
        return False
    return rung.amount >= least_amount(rules, rung.price)


def missing(wanted: Sequence[Rung], resting: Sequence[Rung]) -> Iterator[Rung]:
    """Yield the rungs that are wanted and do not rest yet, in the order wanted."""
    there = list(resting)
    for rung in wanted:
        if rung in there:
            there.remove(rung)
        else:
            yield rung


def book(
    lots: Lots, level: int | None, fill: BookedFill, before: Position, after: Position
) -> Lots:
    """Fold one fill of a level into the lots; a position that closes leaves none.

    `level` None: the order was no rung. A lot of which less than the fill's dust is left is over:
    the rest is the position's.
    """
    if before.is_open and not after.is_open:
        return {}
    if level is None:
        return lots
    lot = lots.get(level, Lot())
    with localcontext(EXACT):
        if fill.side is Side.BUY:
            more = Lot(
                amount=lot.amount + fill.amount - fill.fee_units,
                bought=lot.bought + fill.amount,
                value=lot.value + fill.quote,
            )
            return {**lots, level: more}
        left = lot.amount - fill.amount - fill.fee_units
    if left > 0 and left >= fill.dust:
        return {**lots, level: replace(lot, amount=left)}
    return {name: one for name, one in lots.items() if name != level}
