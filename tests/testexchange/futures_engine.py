"""Booking on the USDT-M side: fills, margins, funding, liquidation."""

from __future__ import annotations

from decimal import Decimal

from tests.testexchange.accounts import Account
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.futures_orders import AlgoOrder, FuturesOrder, FuturesTrade
from tests.testexchange.markets import Fill
from tests.testexchange.money import ZERO, down
from tests.testexchange.perpetuals import Perpetual
from tests.testexchange.positions import ASSET, FuturesAccount, Position


class FuturesEngine:
    """Orders, algo orders, trades and wallets of all accounts."""

    def __init__(self, fee: FeeSchedule) -> None:
        self.fee = fee
        self.accounts: dict[str, FuturesAccount] = {}
        self.orders: dict[int, FuturesOrder] = {}
        self.open: dict[int, FuturesOrder] = {}
        self.algos: dict[int, AlgoOrder] = {}
        self.waiting: dict[int, AlgoOrder] = {}
        self.trades: list[FuturesTrade] = []

    def account(self, account: Account) -> FuturesAccount:
        return self.accounts.setdefault(account.name, FuturesAccount(account=account))

    def positions(self) -> list[tuple[FuturesAccount, Position]]:
        """All that are not flat."""
        return [
            (owner, position)
            for owner in self.accounts.values()
            for position in owner.positions.values()
            if position.amount
        ]

    def is_busy(self) -> bool:
        return bool(self.open or self.waiting or self.positions())

    def accept(self, order: FuturesOrder) -> None:
        self.orders[order.order_id] = order
        self.open[order.order_id] = order

    def close(self, order: FuturesOrder, status: str, now_ms: int) -> None:
        order.status, order.updated_ms = status, now_ms
        self.open.pop(order.order_id, None)

    def end_algo(self, algo: AlgoOrder, status: str, now_ms: int) -> None:
        algo.own_status, algo.updated_ms = status, now_ms
        self.waiting.pop(algo.algo_id, None)

    # Margin

    def order_margin(self, owner: FuturesAccount, position: Position) -> Decimal:
        """What the open orders of a contract reserve: the dearer side beyond what it closes."""
        needs = [ZERO]
        for side in ("BUY", "SELL"):
            mine = [
                order
                for order in self.open.values()
                if order.owner is owner and order.market is position.market
                if order.side == side and not order.reduce_only
            ]
            quantity = sum((order.remaining for order in mine), ZERO)
            if not quantity:
                continue
            value = sum((order.remaining * order.price for order in mine), ZERO)
            closing = position.size if position.opposes(side) else ZERO
            opening = max(ZERO, quantity - closing)
            needs.append(down(value * opening / quantity / position.leverage))
        return max(needs)

    def position_margin(self, position: Position, now_ms: int) -> Decimal:
        """The initial margin of a position at the mark price."""
        return down(position.size * position.market.mark(now_ms) / position.leverage)

    def available(self, owner: FuturesAccount, now_ms: int) -> Decimal:
        """What may be used for new orders or taken out."""
        free = owner.crossed_wallet()
        for position in owner.positions.values():
            free -= self.order_margin(owner, position)
            if not position.isolated and position.amount:
                free -= self.position_margin(position, now_ms)
                free += position.unrealized(position.market.mark(now_ms))
        return max(ZERO, free)

    # Fills

    def fill(self, order: FuturesOrder, fill: Fill, now_ms: int, *, maker: bool) -> FuturesTrade:
        """Books one fill of an order."""
        price, quantity = fill
        owner = order.owner
        asset, commission = self._commission(owner, down(price * quantity), maker=maker)
        trade = self._book(order, fill, now_ms, asset, commission, maker=maker)
        if not order.is_open:  # the fill of a cancelled order that is reported late
            return trade
        if order.remaining:
            order.status = "PARTIALLY_FILLED"
        else:
            self.close(order, "FILLED", now_ms)
        self._expire_reducing(owner, order.market, now_ms)
        return trade

    def _book(
        self,
        order: FuturesOrder,
        fill: Fill,
        now_ms: int,
        asset: str,
        commission: Decimal,
        *,
        maker: bool,
    ) -> FuturesTrade:
        price, quantity = fill
        owner, symbol, trade_id = order.owner, order.market.spec.symbol, len(self.trades) + 1
        signed = quantity if order.side == "BUY" else -quantity
        pnl = owner.position(order.market).apply(signed, price, now_ms)
        order.executed += quantity
        order.quote_executed += down(price * quantity)
        order.updated_ms = now_ms
        named = {"symbol": symbol, "trade_id": str(trade_id)}
        if pnl:
            owner.post(pnl, "REALIZED_PNL", now_ms, **named)
        owner.post(-commission, "COMMISSION", now_ms, asset=asset, **named)
        trade = FuturesTrade(
            trade_id=trade_id,
            order=order,
            price=price,
            quantity=quantity,
            quote_quantity=down(price * quantity),
            realized=pnl,
            commission=commission,
            commission_asset=asset,
            time_ms=now_ms,
            maker=maker,
        )
        self.trades.append(trade)
        return trade

    def _commission(
        self, owner: FuturesAccount, value: Decimal, *, maker: bool
    ) -> tuple[str, Decimal]:
        if self.fee.mode == "bnb":
            amount = self.fee.in_bnb(value, maker=maker)
            if owner.wallet.get("BNB", ZERO) >= amount:
                return "BNB", amount
        return ASSET, down(value * self.fee.rate(maker=maker))

    def _expire_reducing(self, owner: FuturesAccount, market: Perpetual, now_ms: int) -> None:
        """Reduce-only orders that have nothing left to reduce end."""
        position = owner.position(market)
        for order in list(self.open.values()):
            mine = order.owner is owner and order.market is market and order.reduce_only
            if mine and not position.opposes(order.side):
                self.close(order, "EXPIRED", now_ms)

    # Funding and liquidation

    def pay_funding(self, at_ms: int) -> None:
        """Longs pay shorts the rate times the notional at the mark price."""
        for owner, position in self.positions():
            market = position.market
            fee = down(-position.amount * market.mark(at_ms) * market.funding_rate)
            if not fee:
                continue
            owner.post(fee, "FUNDING_FEE", at_ms, symbol=market.spec.symbol)
            short = -owner.crossed_wallet()
            if position.isolated and short > 0:  # the margin pays what the wallet lacks
                position.margin -= short
                position.version += 1

    def liquidate(self, owner: FuturesAccount, position: Position, at_ms: int) -> None:
        """Closes a position by a forced order; the loss ends where the collateral does."""
        market, side = position.market, "SELL" if position.amount > 0 else "BUY"
        for order in list(self.open.values()):
            if order.owner is owner and order.market is market:
                self.close(order, "CANCELED", at_ms)
        collateral = owner.collateral(position)
        bound = max if side == "SELL" else min
        touch = market.touch(side, market.mark(at_ms))
        price = bound(touch, position.bankruptcy_price(collateral))
        size = position.size
        order = FuturesOrder(
            order_id=len(self.orders) + 1,
            owner=owner,
            api_key="",
            market=market,
            client_id=f"autoclose-{at_ms}{len(self.orders) + 1:06d}",
            side=side,
            type="LIMIT",
            time_in_force="IOC",
            price=price,
            quantity=size,
            reduce_only=True,
            close_position=False,
            created_ms=at_ms,
            updated_ms=at_ms,
            watched_ms=at_ms,
        )
        self.accept(order)
        loss = abs(size * price - position.value)
        left = max(ZERO, down(collateral - loss))
        commission = min(left, down(size * price * self.fee.taker))
        self._book(order, (price, size), at_ms, ASSET, commission, maker=False)
        self.close(order, "FILLED", at_ms)
        charge = min(left - commission, down(size * price * market.liquidation_fee))
        if charge:
            owner.post(-charge, "INSURANCE_CLEAR", at_ms, symbol=market.spec.symbol)
