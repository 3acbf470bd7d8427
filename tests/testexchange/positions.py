"""Futures wallets and positions: one-way mode, isolated or crossed margin, USDT as collateral.

Every change of a wallet is an income record, so a wallet is always the sum of its records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.testexchange.accounts import Account
from tests.testexchange.money import ZERO, down, number
from tests.testexchange.perpetuals import Perpetual

ASSET = "USDT"


@dataclass(kw_only=True, slots=True)
class Position:
    """What an account holds of a contract; `amount` is negative when it is short.

    `value` is the sum of price times quantity of what is open, `margin` the isolated wallet.
    """

    market: Perpetual
    amount: Decimal = ZERO
    value: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: int = 20
    isolated: bool = False
    updated_ms: int = 0
    watched_ms: int = 0
    version: int = 0

    @property
    def size(self) -> Decimal:
        return abs(self.amount)

    @property
    def entry(self) -> Decimal:
        return self.value / self.size if self.amount else ZERO

    def opposes(self, side: str) -> bool:
        """Whether an order of this side reduces the position."""
        return self.amount < 0 if side == "BUY" else self.amount > 0

    def unrealized(self, mark: Decimal) -> Decimal:
        return down(self.amount * mark - (self.value if self.amount > 0 else -self.value))

    def apply(self, quantity: Decimal, price: Decimal, now_ms: int) -> Decimal:
        """Adds a fill (negative when sold); the realised PnL of what it closed, 8 decimals."""
        self.updated_ms = now_ms
        self.version += 1
        closed = ZERO
        pnl = ZERO
        if self.amount * quantity < 0:
            closed = min(abs(quantity), self.size)
            released = self.value * closed / self.size
            sign = 1 if self.amount > 0 else -1
            pnl = down(sign * (price * closed - released))
            self.margin -= down(self.margin * closed / self.size)
            self.value -= released
            self.amount -= sign * closed
            if not self.amount:
                self.value = self.margin = ZERO
        opened = abs(quantity) - closed
        if opened:
            self.value += opened * price
            self.amount += opened if quantity > 0 else -opened
            if self.isolated:
                self.margin += down(opened * price / self.leverage)
        return pnl

    def liquidation_price(self, collateral: Decimal) -> Decimal:
        """Where collateral and loss leave just the maintenance margin; 0 when there is no such."""
        if not self.amount:
            return ZERO
        tier = self.market.tier(self.value)
        if self.amount > 0:
            price = (self.value - collateral - tier.cum) / (self.size * (1 - tier.rate))
        else:
            price = (self.value + collateral + tier.cum) / (self.size * (1 + tier.rate))
        return max(ZERO, down(price))

    def bankruptcy_price(self, collateral: Decimal) -> Decimal:
        """Where the collateral is gone."""
        sign = -1 if self.amount > 0 else 1
        return max(self.market.spec.tick_size, (self.value + sign * collateral) / self.size)


@dataclass(kw_only=True)
class FuturesAccount:
    """The USDT-M side of an account."""

    account: Account
    wallet: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    income: list[dict[str, Any]] = field(default_factory=list)
    dual_side: bool = False
    updated_ms: int = 0

    def position(self, market: Perpetual) -> Position:
        return self.positions.setdefault(market.spec.symbol, Position(market=market))

    def post(
        self,
        amount: Decimal,
        kind: str,
        now_ms: int,
        *,
        asset: str = ASSET,
        symbol: str = "",
        trade_id: str = "",
    ) -> None:
        """Books an income record; its transaction id is unique within the account."""
        self.wallet[asset] = self.wallet.get(asset, ZERO) + amount
        self.updated_ms = now_ms
        self.income.append(
            {
                "symbol": symbol,
                "incomeType": kind,
                "income": number(amount),
                "asset": asset,
                "info": kind,
                "time": now_ms,
                "tranId": self.account.uid * 10**9 + len(self.income) + 1,
                "tradeId": trade_id,
            }
        )

    def crossed_wallet(self) -> Decimal:
        """The wallet without the margins of isolated positions."""
        isolated = sum((p.margin for p in self.positions.values() if p.isolated), ZERO)
        return self.wallet.get(ASSET, ZERO) - isolated

    def collateral(self, position: Position) -> Decimal:
        return position.margin if position.isolated else self.crossed_wallet()
