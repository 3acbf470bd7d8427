"""A bot's result beside that of its paper twin, and where the difference comes from.

Both ledgers are folded into round trips. Each trip's result is split into its fees, its slippage
(what the fills brought beyond the prices that their decisions reckoned with) and the rest: what it
would have come to at those prices. Trips that both sides made of one signal are paired, and their
rests differ by timing; what only one side did is signal. Each part is a sum over trips, so the
parts of a side add up to its result, and those of the gap to the gap, to the last digit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Literal

from trading.market import EXACT, Side, quantize
from trading.position import cut
from trading.trades import Booking, Folding, Payment

ZERO = Decimal(0)
#: What two ticks of one signal may lie apart beyond their interval: beat's jitter, a slow answer.
SLACK = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """A fill with what its order was decided on: when, and at which price (None: not known)."""

    booking: Booking
    decided_at: datetime
    expected: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What one side did: its fills in booking order, all of them, and its funding payments."""

    fills: Sequence[Dealt] = ()
    payments: Sequence[Payment] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What counts, and how.

    Trips that were decided on before `since` are left out. Positions that are open count at `mark`
    on both sides (None: at cost). `interval` is that of the checks, `candle` the length of the
    strategy's candles.
    """

    since: datetime
    mark: Decimal | None
    interval: timedelta
    candle: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One round trip, in quote currency; it is still open while `closed_at` is None.

    `result` is what the position's fold realised, and what closing an open rest at the mark would.
    `fees` and `slippage` are signed like results: a cost is negative. `number` is its first fill's.
    """

    number: int
    side: Literal["long", "short", ""]
    decided_at: datetime
    opened_at: datetime
    closed_at: datetime | None
    amount: Decimal
    result: Decimal
    fees: Decimal
    slippage: Decimal

    @property
    def rest(self) -> Decimal:
        """What it came to at the prices that its decisions reckoned with, without fees."""
        return EXACT.subtract(EXACT.subtract(self.result, self.fees), self.slippage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A result, or the gap between two, as four parts in quote currency."""

    fees: Decimal = ZERO
    slippage: Decimal = ZERO
    timing: Decimal = ZERO
    signal: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        with localcontext(EXACT):
            return self.fees + self.slippage + self.timing + self.signal

    def minus(self, other: "Parts") -> "Parts":
        """Return what lies between this and another, part by part."""
        return Parts(
            fees=EXACT.subtract(self.fees, other.fees),
            slippage=EXACT.subtract(self.slippage, other.slippage),
            timing=EXACT.subtract(self.timing, other.timing),
            signal=EXACT.subtract(self.signal, other.signal),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A trip of each side, made of the same signal."""

    live: Trip
    twin: Trip

    @property
    def gap(self) -> Parts:
        return _matched([self.live]).minus(_matched([self.twin]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Both sides' results in parts, and the trips that they were summed from, oldest first.

    A side's `timing` is what its paired trips came to at the prices decided on.
    """

    live: Parts
    twin: Parts
    pairs: tuple[Pair, ...]
    live_only: tuple[Trip, ...]
    twin_only: tuple[Trip, ...]

    @property
    def gap(self) -> Parts:
        """What live came to beyond its twin."""
        return self.live.minus(self.twin)


def compare(live: Ledger, twin: Ledger, terms: Terms) -> Expectation:
    """Hold a live ledger against that of its paper twin."""
    pairs, live_only, twin_only = _match(_trips(live, terms), _trips(twin, terms), terms)
    return Expectation(
        live=_parts([pair.live for pair in pairs], live_only, live.payments, terms),
        twin=_parts([pair.twin for pair in pairs], twin_only, twin.payments, terms),
        pairs=tuple(pairs),
        live_only=tuple(live_only),
        twin_only=tuple(twin_only),
    )


def _parts(
    paired: Iterable[Trip], alone: Iterable[Trip], payments: Iterable[Payment], terms: Terms
) -> Parts:
    matched = _matched(paired)
    with localcontext(EXACT):
        funding = sum((one.amount for one in payments if one.at >= terms.since), ZERO)
        signal = sum((trip.result for trip in alone), ZERO)
        return replace(matched, fees=matched.fees + funding, signal=signal)


def _matched(trips: Iterable[Trip]) -> Parts:
    every = list(trips)
    with localcontext(EXACT):
        return Parts(
            fees=sum((trip.fees for trip in every), ZERO),
            slippage=sum((trip.slippage for trip in every), ZERO),
            timing=sum((trip.rest for trip in every), ZERO),
        )


# -- The same signal ------------------------------------------------------------------------------
def _match(
    live: list[Trip], twin: list[Trip], terms: Terms
) -> tuple[list[Pair], list[Trip], list[Trip]]:
    """Pair the trips in the order of time: of two that do not fit, the earlier is alone."""
    pairs: list[Pair] = []
    live_only: list[Trip] = []
    twin_only: list[Trip] = []
    ours, theirs = 0, 0
    while ours < len(live) and theirs < len(twin):
        mine, other = live[ours], twin[theirs]
        if _is_same(mine, other, terms):
            pairs.append(Pair(live=mine, twin=other))
            ours, theirs = ours + 1, theirs + 1
        elif mine.decided_at <= other.decided_at:
            live_only.append(mine)
            ours += 1
        else:
            twin_only.append(other)
            theirs += 1
    return pairs, live_only + live[ours:], twin_only + twin[theirs:]


def _is_same(mine: Trip, other: Trip, terms: Terms) -> bool:
    """Whether two entries follow one signal: one direction, and one check or closed candle apart.

    A side that was held up may follow the signal of the same candle some checks later.
    """
    if mine.side != other.side:
        return False
    if abs(mine.decided_at - other.decided_at) <= terms.interval + SLACK:
        return True
    length = terms.candle.total_seconds()
    return mine.decided_at.timestamp() // length == other.decided_at.timestamp() // length


# -- Trips ----------------------------------------------------------------------------------------
def _trips(ledger: Ledger, terms: Terms) -> list[Trip]:
    folding = Folding(0)
    pieces: list[Dealt] = []
    for dealt in ledger.fills:
        for piece in _unturned(dealt, folding):
            # Numbered anew: a fill that turned the position has two.
            folding.add(replace(piece.booking, number=len(pieces)))
            pieces.append(piece)
    trips = [
        _trip(
            [pieces[part.number] for part in trade.parts],
            side=trade.side,
            opened_at=trade.opened_at,
            closed_at=trade.closed_at,
            amount=trade.amount,
            result=trade.pnl,
        )
        for trade in folding.folded.trades
    ]
    position = folding.position
    if position.is_open and folding.opened_at is not None:
        worth = ZERO if terms.mark is None else quantize(position.unrealized(terms.mark))
        trips.append(
            _trip(
                [pieces[part.number] for part in folding.folded.rest],
                side=position.side,
                opened_at=folding.opened_at,
                closed_at=None,
                amount=position.entry_amount,
                result=EXACT.add(folding.pnl, worth),
            )
        )
    found = [trip for trip in trips if trip.decided_at >= terms.since]
    return sorted(found, key=lambda trip: trip.decided_at)


def _unturned(dealt: Dealt, folding: Folding) -> list[Dealt]:
    """Cut a fill that turns the position where the position's own fold cuts it."""
    held, fill = folding.position, dealt.booking.fill
    if not (fill.futures and held.is_open and fill.side is held.exit_side):
        return [dealt]
    if fill.amount <= held.amount:
        return [dealt]
    with localcontext(EXACT):
        parts = cut(fill, held.amount)
    return [replace(dealt, booking=replace(dealt.booking, fill=one)) for one in parts]


def _trip(
    pieces: Sequence[Dealt],
    *,
    side: Literal["long", "short", ""],
    opened_at: datetime,
    closed_at: datetime | None,
    amount: Decimal,
    result: Decimal,
) -> Trip:
    with localcontext(EXACT):
        return Trip(
            number=pieces[0].booking.number,
            side=side,
            decided_at=pieces[0].decided_at,
            opened_at=opened_at,
            closed_at=closed_at,
            amount=amount,
            result=result,
            fees=-sum((piece.booking.fill.fee_quote for piece in pieces), ZERO),
            slippage=sum((_slippage(piece) for piece in pieces), ZERO),
        )


def _slippage(dealt: Dealt) -> Decimal:
    """Return what a fill brought beyond the price decided on; 0 where none was (a liquidation)."""
    fill = dealt.booking.fill
    if dealt.expected is None:
        return ZERO
    reckoned = quantize(EXACT.multiply(dealt.expected, fill.amount))
    beyond = EXACT.subtract(fill.quote, reckoned)
    return beyond if fill.side is Side.SELL else EXACT.minus(beyond)
