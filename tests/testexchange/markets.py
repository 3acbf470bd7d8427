"""Markets: what is traded, its filters, its present price, its orders' fill plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from tests.testexchange.chart import Chart
from tests.testexchange.errors import ApiError
from tests.testexchange.money import number
from tests.testexchange.series import UNIT, FileSeries, GeneratedSeries, units
from tests.testexchange.settings import market_data_file

ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)


FillPlan = list[dict[str, Any]]
Fill = tuple[Decimal, Decimal]  # price, quantity


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The static side of a market; amounts in base, prices in quote."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Spec:
        amounts = {
            "tick_size": "0.01",
            "step_size": "0.00001",
            "min_qty": config.get("step_size", "0.00001"),
            "max_qty": "9000",
            "market_max_qty": config.get("max_qty", "9000"),
            "min_notional": "5",
        }
        return cls(
            symbol=config["symbol"],
            base=config["base"],
            quote=config["quote"],
            **{name: Decimal(str(config.get(name, value))) for name, value in amounts.items()},
        )

    def filters(self) -> list[dict[str, Any]]:
        """The filters as exchangeInfo shows them."""
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": number(self.tick_size),
                "maxPrice": "1000000.00000000",
                "tickSize": number(self.tick_size),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": number(self.min_qty),
                "maxQty": number(self.max_qty),
                "stepSize": number(self.step_size),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": number(Decimal(0)),
                "maxQty": number(self.market_max_qty),
                "stepSize": number(Decimal(0)),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": number(self.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ]

    def check_price(self, price: Decimal) -> None:
        """Raises -1013 PRICE_FILTER."""
        if not self.tick_size <= price <= 1_000_000 or price % self.tick_size:
            raise ApiError(-1013, "Filter failure: PRICE_FILTER")

    def check_quantity(self, quantity: Decimal, *, market: bool) -> None:
        """Raises -1013 LOT_SIZE or MARKET_LOT_SIZE."""
        off_step = (quantity - self.min_qty) % self.step_size
        if not self.min_qty <= quantity <= self.max_qty or off_step:
            raise ApiError(-1013, "Filter failure: LOT_SIZE")
        if market and quantity > self.market_max_qty:
            raise ApiError(-1013, "Filter failure: MARKET_LOT_SIZE")

    def check_notional(self, notional: Decimal, *, market: bool) -> None:
        """Raises -1013 NOTIONAL; the maximum does not apply to market orders."""
        if notional < self.min_notional or (not market and notional > 9_000_000):
            raise ApiError(-1013, "Filter failure: NOTIONAL")


@dataclass(kw_only=True)
class Market:
    """A market in operation; `status` is TRADING or BREAK, an explicit price beats the chart's."""

    spec: Spec
    chart: Chart
    status: str = "TRADING"
    delisted: bool = False
    explicit_price: Decimal | None = None
    spread: Decimal = Decimal(0)
    fill_plans: list[FillPlan] = field(default_factory=list)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, seed: int, spread: Decimal) -> Market:
        spec = Spec.from_config(config)
        path = market_data_file(config["file"]) if config.get("file") else None
        series = (
            FileSeries(path)
            if path
            else GeneratedSeries(
                seed=seed,
                symbol=spec.symbol,
                price=Decimal(str(config.get("price", "100"))),
                tick=spec.tick_size,
            )
        )
        return cls(spec=spec, chart=Chart(series, tick=units(spec.tick_size)), spread=spread)

    def fixed_price(self) -> Decimal | None:
        """The explicit price in force."""
        return self.explicit_price

    def price(self, now_ms: int) -> Decimal:
        """The price at `now_ms`, in ticks (halves go down)."""
        fixed = self.fixed_price()
        if fixed is not None:
            return fixed
        return self._ticks(Decimal(self.chart.price(now_ms)) / UNIT, ROUND_FLOOR)

    def ask(self, price: Decimal) -> Decimal:
        """What a buyer pays at `price`: half the spread above, up to a whole tick."""
        return self._ticks(price * (1 + self.spread / 2), ROUND_CEILING)

    def bid(self, price: Decimal) -> Decimal:
        """What a seller gets at `price`: half the spread below, down to a whole tick."""
        return max(self.spec.tick_size, self._ticks(price * (1 - self.spread / 2), ROUND_FLOOR))

    def touch(self, side: str, price: Decimal) -> Decimal:
        return self.ask(price) if side == "BUY" else self.bid(price)

    def of_units(self, price: int) -> Decimal:
        """A chart price in 1e-8 as a price of this market."""
        return self._ticks(Decimal(price) / UNIT, ROUND_FLOOR)

    def first(self, after_ms: int, until_ms: int, met: Callable[[Decimal], bool]) -> int | None:
        """The first ms in (after_ms, until_ms] at which the price meets a threshold test.

        An explicit price is looked at once, now.
        """
        fixed = self.fixed_price()
        if fixed is not None:
            return until_ms if met(fixed) else None
        return self.chart.first_crossing(after_ms, until_ms, lambda p: met(self.of_units(p)))

    def explicit_units(self) -> int | None:
        fixed = self.fixed_price()
        return None if fixed is None else units(fixed)

    def slipped(self, side: str, touch: Decimal, slip: Decimal) -> Decimal:
        """`touch` made worse for the taker by the fraction `slip`, in whole ticks."""
        if side == "BUY":
            return self._ticks(touch * (1 + slip), ROUND_CEILING)
        return max(self.spec.tick_size, self._ticks(touch * (1 - slip), ROUND_FLOOR))

    def planned(self, side: str, quantity: Decimal, touch: Decimal) -> list[Fill]:
        """The fills of an order that takes `quantity` at `touch`, by the next fill plan if any."""
        if not self.fill_plans:
            return [(touch, quantity)]
        fills: list[Fill] = []
        left, share = quantity, Decimal(0)
        for part in self.fill_plans[0]:
            share += part["part"]
            size = left if share >= 1 else min(left, self.lots(quantity * part["part"]))
            fills.append((self.slipped(side, touch, part["slip"]), size))
            left -= size
        return [fill for fill in fills if fill[1]]

    def use_plan(self) -> bool:
        """Drops the plan that an order has just used; whether its rest follows the price."""
        used = self.fill_plans[:1]
        del self.fill_plans[:1]
        return any(part.get("follows") for plan in used for part in plan)

    def lots(self, quantity: Decimal) -> Decimal:
        """`quantity` rounded down to whole lots."""
        return quantity // self.spec.step_size * self.spec.step_size

    def _ticks(self, price: Decimal, rounding: str) -> Decimal:
        tick = self.spec.tick_size
        return (price / tick).to_integral_value(rounding) * tick
