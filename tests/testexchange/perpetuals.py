"""USDT-margined perpetual contracts: markets whose price follows a spot market's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from tests.testexchange.errors import ApiError
from tests.testexchange.markets import Market, Spec
from tests.testexchange.money import ZERO, number

# Notional up to, highest leverage, maintenance margin rate: the first tiers of BTCUSDT.
TIERS = (
    (Decimal(50_000), 125, Decimal("0.004")),
    (Decimal(600_000), 100, Decimal("0.005")),
    (Decimal(3_000_000), 75, Decimal("0.0065")),
    (Decimal(12_000_000), 50, Decimal("0.01")),
    (Decimal(70_000_000), 25, Decimal("0.02")),
)
ORDER_TYPES = ("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A leverage bracket: `cum` is what the maintenance margin is less than rate times notional."""

    floor: Decimal
    cap: Decimal
    max_leverage: int
    rate: Decimal
    cum: Decimal


def _tiers() -> tuple[Tier, ...]:
    found: list[Tier] = []
    floor = cum = rate = ZERO
    for cap, leverage, next_rate in TIERS:
        cum += floor * (next_rate - rate) if found else ZERO
        found.append(Tier(floor=floor, cap=cap, max_leverage=leverage, rate=next_rate, cum=cum))
        floor, rate = cap, next_rate
    return tuple(found)


class ContractSpec(Spec):
    """The filters of a contract, which have codes of their own."""

    def filters(self) -> list[dict[str, Any]]:
        prices = {"minPrice": number(self.tick_size), "maxPrice": "1000000"}
        step = {"minQty": number(self.min_qty), "stepSize": number(self.step_size)}
        return [
            {"filterType": "PRICE_FILTER", **prices, "tickSize": number(self.tick_size)},
            {"filterType": "LOT_SIZE", **step, "maxQty": number(self.max_qty)},
            {"filterType": "MARKET_LOT_SIZE", **step, "maxQty": number(self.market_max_qty)},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": number(self.min_notional)},
        ]

    def check_price(self, price: Decimal) -> None:
        if not self.tick_size <= price <= 1_000_000:
            raise ApiError(-4001, "Price less than 0 or above the maximum.")
        if price % self.tick_size:
            raise ApiError(-4014, "Price not increased by tick size.")

    def check_quantity(self, quantity: Decimal, *, market: bool) -> None:
        if quantity % self.step_size:
            raise ApiError(-1111, "Precision is over the maximum defined for this asset.")
        if quantity < self.min_qty:
            raise ApiError(-4003, "Quantity less than or equal to zero.")
        if quantity > (self.market_max_qty if market else self.max_qty):
            raise ApiError(-4005, "Quantity greater than max quantity.")

    def check_notional(self, notional: Decimal, *, market: bool) -> None:
        if notional < self.min_notional:
            least = self.min_notional
            text = f"Order's notional must be no smaller than {least}"
            raise ApiError(-4164, f"{text} (unless you choose reduce only).")


@dataclass(kw_only=True)
class Perpetual(Market):
    """A contract; it has the price of `underlying` unless one of its own is set."""

    underlying: Market
    explicit_mark: Decimal | None = None
    funding_rate: Decimal
    liquidation_fee: Decimal
    tiers: tuple[Tier, ...] = _tiers()

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        underlying: Market,
        *,
        rate: Decimal,
        liquidation_fee: Decimal,
    ) -> Perpetual:
        parts = {"base": underlying.spec.base, "quote": underlying.spec.quote}
        return cls(
            spec=ContractSpec.from_config(parts | dict(config)),
            chart=underlying.chart,
            underlying=underlying,
            spread=underlying.spread,
            funding_rate=rate,
            liquidation_fee=liquidation_fee,
        )

    def fixed_price(self) -> Decimal | None:
        if self.explicit_price is not None:
            return self.explicit_price
        fixed = self.underlying.fixed_price()
        return None if fixed is None else self._ticks(fixed, ROUND_FLOOR)

    def mark(self, now_ms: int) -> Decimal:
        """The mark price: the last price unless one is set."""
        return self.price(now_ms) if self.explicit_mark is None else self.explicit_mark

    def first_mark(
        self, after_ms: int, until_ms: int, met: Callable[[Decimal], bool]
    ) -> int | None:
        """As `first`, for the mark price."""
        if self.explicit_mark is None:
            return self.first(after_ms, until_ms, met)
        return until_ms if met(self.explicit_mark) else None

    def tier(self, notional: Decimal) -> Tier:
        """The bracket of a position's notional; the last one beyond all."""
        return next((tier for tier in self.tiers if notional <= tier.cap), self.tiers[-1])
