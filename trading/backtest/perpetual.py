"""What holding a perpetual brings besides its fills: funding, and the end of its margin. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from trading.market import EXACT, quantize
from trading.risk import Settings
from trading.sizing import MAINTENANCE
from trading.strategies import Message
from trading.strategies.base import gettext_noop

ZERO, ONE = Decimal(0), Decimal(1)
#: Binance pays funding at 00:00, 08:00 and 16:00 UTC unless a market says otherwise.
EIGHT_HOURS = 28_800_000
#: Binance's interest component for 8 h, which its rate is while contract and index agree: 0.01 %.
FUNDING_RATE = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A funding time (Unix ms) and the fraction that longs pay to shorts; negative: they receive.

    `is_assumed`: nobody told the rate.
    """

    at: int
    rate: Decimal
    is_assumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Funding rates that an exchange told, as (Unix ms, fraction), oldest first.

    `asked`: the stretches (begin, end) in which there was no other funding time.
    """

    told: tuple[tuple[int, Decimal], ...] = ()
    asked: tuple[tuple[int, int], ...] = ()

    def covers(self, at: int) -> bool:
        """Whether all about this instant is known."""
        return any(begin <= at < end for begin, end in self.asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a perpetual is held; they count for no spot market.

    `maintenance`: the one maintenance margin rate, a fraction of the position's value; the default
    is what bots reckon with before they enter (trading.sizing). `funding_rate`: what is paid every
    `every_ms`, from midnight UTC on, where `rates` do not tell.
    """

    maintenance: Decimal = MAINTENANCE
    funding_rate: Decimal = FUNDING_RATE
    every_ms: int = EIGHT_HOURS
    rates: Rates = field(default_factory=Rates)

    def problem(self, settings: Settings) -> Message | None:
        """Return why a position cannot be held on these terms; None: it can."""
        if not ZERO <= self.maintenance < ONE:
            return Message(gettext_noop("The maintenance margin is from 0 up to 100 percent."))
        if self.maintenance * settings.leverage >= ONE:
            text = gettext_noop(
                "With leverage %(leverage)s and %(rate)s %% maintenance margin each position would"
                " be liquidated at once."
            )
            rate = f"{(self.maintenance * 100).normalize():f}"
            return Message(text, leverage=str(settings.leverage), rate=rate)
        return None

    def dues(self, since: int, until: int) -> Iterator[Due]:
        """Yield the funding times from `since` up to, not with, `until`, oldest first."""
        told = [Due(at=at, rate=rate, is_assumed=False) for at, rate in self.rates.told]
        first = -(-since // self.every_ms) * self.every_ms
        grid = (at for at in range(first, until, self.every_ms) if not self.rates.covers(at))
        assumed = [Due(at=at, rate=self.funding_rate, is_assumed=True) for at in grid]
        for due in sorted((*told, *assumed), key=lambda one: one.at):
            if since <= due.at < until:
                yield due


def liquidated_at(
    value: Decimal, amount: Decimal, margin: Decimal, maintenance: Decimal, *, is_short: bool
) -> Decimal | None:
    """Return the price (quote currency) at which an isolated position is liquidated; None: never.

    There just what has to be maintained is left: (value - margin) / (amount x (1 - m))
    when long, (value + margin) / (amount x (1 + m)) when short. `value`: of its entry, `amount`:
    base units. Binance's formula ("How to Calculate Liquidation Price of USDⓈ-M Futures
    Contracts") for one isolated position in one-way mode, with one rate and no maintenance amount.
    """
    if is_short:
        top, bottom = EXACT.add(value, margin), EXACT.multiply(amount, ONE + maintenance)
    else:
        top, bottom = EXACT.subtract(value, margin), EXACT.multiply(amount, ONE - maintenance)
    price = quantize(EXACT.divide(top, bottom))
    return price if price > ZERO else None


def payment(
    amount: Decimal, price: Decimal, rate: Decimal, wallet: Decimal, *, is_short: bool
) -> Decimal:
    """Return what a position receives at a funding time, negative when it pays (quote currency).

    Its value at `price` times the rate; never more than the wallet has.
    """
    paid = quantize(EXACT.multiply(EXACT.multiply(amount, price), rate))
    return max(paid if is_short else EXACT.minus(paid), EXACT.minus(max(wallet, ZERO)))
