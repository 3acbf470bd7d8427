"""Commissions: rates and the currency in which they are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.testexchange.money import down

MODES = ("default", "bnb", "quote")


@dataclass(frozen=True, kw_only=True)
class FeeSchedule:
    """Rates are fractions. `mode`: "default" takes the commission from what the trade brings in
    (base when buying, quote when selling), "bnb" in BNB at `bnb_price` quote units each, "quote"
    always in quote. Where there is too little BNB the default applies, as on Binance.
    """

    maker: Decimal
    taker: Decimal
    mode: str
    bnb_price: Decimal

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FeeSchedule:
        if config["mode"] not in MODES:
            raise ValueError(f"fee mode {config['mode']!r} is none of {', '.join(MODES)}")
        rates = {name: Decimal(str(config[name])) for name in ("maker", "taker", "bnb_price")}
        return cls(mode=config["mode"], **rates)

    def rate(self, *, maker: bool) -> Decimal:
        return self.maker if maker else self.taker

    def quote_rate(self) -> Decimal:
        """What a buyer must keep ready in quote beside the price, as a fraction of it."""
        return max(self.maker, self.taker) if self.mode == "quote" else Decimal(0)

    def in_bnb(self, quote_quantity: Decimal, *, maker: bool) -> Decimal:
        return down(quote_quantity * self.rate(maker=maker) / self.bnb_price)
