"""Booking: what an order does to trades and wallets.

The market takes any quantity at its price, unless a fill plan says otherwise. A plan is a list of
parts, `{"part": fraction of the order's quantity, "slip": fraction of the price}`: each becomes
one trade, the price made worse for the taker by `slip` (never beyond a limit). When the parts make
less than 1 the rest is not filled: it expires (MARKET, IOC) or rests and is left alone by the price
(GTC) until `fill_order`, `release_order` or a cancel; a part with "follows" lets the rest follow
the price again once it has moved. A FOK order that a plan would fill in part expires unfilled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from tests.testexchange.accounts import Account
from tests.testexchange.markets import Fill
from tests.testexchange.money import ZERO, down, up
from tests.testexchange.orders import Order, Trade


class Engine:
    """Orders and trades of all accounts; `house` is the counterparty's side of every booking."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.trades: list[Trade] = []
        self.open: dict[int, Order] = {}
        self.house: dict[str, Decimal] = {}
        self._orders_of: dict[str, list[Order]] = defaultdict(list)
        self._trades_of: dict[str, list[Trade]] = defaultdict(list)
        self._latest: dict[tuple[str, str, str], Order] = {}

    def orders_of(self, account: Account) -> list[Order]:
        return self._orders_of[account.name]

    def trades_of(self, account: Account) -> list[Trade]:
        return self._trades_of[account.name]

    def find(
        self, account: Account, symbol: str, order_id: int | None, client_id: str
    ) -> Order | None:
        """By id, which must fit the client id if both are given; else the latest of that id."""
        if order_id is not None:
            order = self.orders.get(order_id)
            same = order is not None and order.account is account
            if order is None or not same or order.market.spec.symbol != symbol:
                return None
            return order if client_id in ("", order.client_id) else None
        return self._latest.get((account.name, symbol, client_id))

    def is_duplicate(self, account: Account, client_id: str) -> bool:
        """Whether an order of this client id is still open; a finished one may be repeated."""
        return any(o.client_id == client_id and o.account is account for o in self.open.values())

    def lock_for(self, order: Order, quantity: Decimal) -> tuple[str, Decimal]:
        """Asset and amount that a resting limit order over `quantity` keeps locked."""
        spec = order.market.spec
        if order.side == "SELL":
            return spec.base, quantity
        price = order.price or order.stop_price
        return spec.quote, up(quantity * price * (1 + order.fee.quote_rate()))

    def cost_of(self, order: Order, fills: Iterable[Fill]) -> tuple[str, Decimal]:
        """Asset and amount that the fills take from the account."""
        spec, rate = order.market.spec, order.fee.quote_rate()
        if order.side == "SELL":
            return spec.base, sum((size for _, size in fills), ZERO)
        paid = [down(price * size) for price, size in fills]
        return spec.quote, sum((cost + up(cost * rate) for cost in paid), ZERO)

    def accept(self, order: Order) -> None:
        self.orders[order.order_id] = order
        self.open[order.order_id] = order
        self._orders_of[order.account.name].append(order)
        self._latest[(order.account.name, order.market.spec.symbol, order.client_id)] = order

    def lock(self, order: Order) -> None:
        asset, amount = self.lock_for(order, order.remaining)
        balance = order.account.balance(asset)
        balance.free -= amount - order.locked
        balance.locked += amount - order.locked
        order.locked = amount

    def close(self, order: Order, status: str, now_ms: int) -> None:
        """Ends an order and sets free what it still locks."""
        asset, _ = self.lock_for(order, ZERO)
        balance = order.account.balance(asset)
        balance.locked -= order.locked
        balance.free += order.locked
        order.locked = ZERO
        order.status, order.updated_ms = status, now_ms
        self.open.pop(order.order_id, None)

    def fill(self, order: Order, fill: Fill, now_ms: int, *, maker: bool) -> Trade:
        """Books one fill of an accepted order."""
        price, quantity = fill
        spec, account = order.market.spec, order.account
        cost = down(price * quantity)
        out, in_ = (spec.quote, spec.base) if order.side == "BUY" else (spec.base, spec.quote)
        paid, got = (cost, quantity) if order.side == "BUY" else (quantity, cost)
        expired = self._expire_others(order, now_ms)
        order.executed += quantity
        order.quote_executed += cost
        order.updated_ms = account.last_change_ms = now_ms
        if order.locked or expired:
            self.lock(order)
        self._move(account, out, -paid)
        self._move(account, in_, got)
        asset, commission = self._commission(order, got, cost, maker=maker)
        self._move(account, asset, -commission)
        trade = Trade(
            trade_id=len(self.trades) + 1,
            order=order,
            price=price,
            quantity=quantity,
            quote_quantity=cost,
            commission=commission,
            commission_asset=asset,
            time_ms=now_ms,
            maker=maker,
        )
        self.trades.append(trade)
        self._trades_of[account.name].append(trade)
        if not order.is_open:  # the fill of a cancelled order that is reported late
            return trade
        if order.remaining:
            order.status = "PARTIALLY_FILLED"
        else:
            self.close(order, "FILLED", now_ms)
        return trade

    def _expire_others(self, order: Order, now_ms: int) -> bool:
        """Ends the other leg of an OCO; whether there was one."""
        others = [] if order.order_list is None else order.order_list.orders
        ended = [other for other in others if other is not order and other.is_open]
        for other in ended:
            self.close(other, "EXPIRED", now_ms)
        return bool(ended)

    def bring_to_market(self, order: Order, now_ms: int) -> None:
        """A conditional order is triggered: from now on it stands alone and locks what it needs."""
        order.working_ms = order.updated_ms = order.watched_ms = now_ms
        if self._expire_others(order, now_ms):
            self.lock(order)

    def _move(self, account: Account, asset: str, amount: Decimal) -> None:
        account.balance(asset).free += amount
        self.house[asset] = self.house.get(asset, ZERO) - amount

    def _commission(
        self, order: Order, got: Decimal, cost: Decimal, *, maker: bool
    ) -> tuple[str, Decimal]:
        spec, fee = order.market.spec, order.fee
        if fee.mode == "bnb":
            amount = fee.in_bnb(cost, maker=maker)
            if order.account.balance("BNB").free >= amount:
                return "BNB", amount
        if fee.mode == "quote":
            return spec.quote, down(cost * fee.rate(maker=maker))
        received = spec.base if order.side == "BUY" else spec.quote
        return received, down(got * fee.rate(maker=maker))
