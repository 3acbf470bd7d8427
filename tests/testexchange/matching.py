"""Matching of spot orders: what fills at once, what rests, what the moving price brings about."""

from __future__ import annotations

import heapq
from decimal import Decimal

from tests.testexchange.engine import Engine
from tests.testexchange.errors import ApiError
from tests.testexchange.markets import Fill
from tests.testexchange.money import ZERO
from tests.testexchange.orders import Order, Trade, triggers

Due = list[tuple[int, int]]  # time in ms, order id


class Matcher:
    """Places orders in an engine and brings resting ones up to date."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def place(self, order: Order, touch: Decimal, now_ms: int) -> list[Trade]:
        """Accepts an order and fills what the market gives at once; -2010 when it cannot be."""
        if order.waits:
            self.check_trigger(order, now_ms)
            self._check_funds(order, *self.engine.lock_for(order, order.quantity))
            self.engine.accept(order)
            self.engine.lock(order)
            return []
        takes, fills = self._fills(order, touch)
        if takes and order.type == "LIMIT_MAKER":
            raise ApiError(-2010, "Order would immediately match and take.")
        rests = not order.unpriced and order.time_in_force == "GTC"
        engine = self.engine
        needed = engine.lock_for(order, order.quantity) if rests else engine.cost_of(order, fills)
        self._check_funds(order, *needed)
        engine.accept(order)
        if rests:
            engine.lock(order)
        return self._take(order, touch, fills, now_ms) if takes else self._leave(order, now_ms)

    def check_trigger(self, order: Order, now_ms: int) -> None:
        """-2010 when a conditional order would not have to wait."""
        if triggers(order.type, order.side, order.stop_price, order.market.price(now_ms)):
            raise ApiError(-2010, "Stop price would trigger immediately.")

    def _check_funds(self, order: Order, asset: str, amount: Decimal) -> None:
        if order.account.balance(asset).free < amount:
            raise ApiError(-2010)

    def _fills(self, order: Order, touch: Decimal) -> tuple[bool, list[Fill]]:
        """Whether the order takes at `touch`, and what it gets there by the fill plan."""
        if not order.unpriced and not order.within(touch):
            return False, []
        fills = order.market.planned(order.side, order.remaining, touch)
        if not order.unpriced:
            bound = min if order.side == "BUY" else max
            fills = [(bound(price, order.price), size) for price, size in fills]
        filled = sum((size for _, size in fills), ZERO)
        if order.time_in_force == "FOK" and filled < order.remaining:
            fills = []
        return True, fills

    def _take(self, order: Order, touch: Decimal, fills: list[Fill], now_ms: int) -> list[Trade]:
        """Books the fills at once; what is left rests as the plan says, or expires."""
        follows = order.market.use_plan()
        trades = [self.engine.fill(order, fill, now_ms, maker=False) for fill in fills]
        self._leave(order, now_ms)
        if order.is_open:
            order.held, order.parked_at = not follows, touch
        return trades

    def _leave(self, order: Order, now_ms: int) -> list[Trade]:
        if order.is_open and (order.unpriced or order.time_in_force != "GTC"):
            self.engine.close(order, "EXPIRED", now_ms)
        return []

    def settle(self, now_ms: int) -> None:
        """Triggers and fills what the price has reached, each at the ms at which it did."""
        due: Due = []
        for order in list(self.engine.open.values()):
            self._watch(order, now_ms, due)
        while due:
            at_ms, order_id = heapq.heappop(due)
            order = self.engine.orders[order_id]
            if not order.is_open:
                continue  # the other leg of its list came first
            if not order.waits:
                self.engine.fill(order, (order.price, order.remaining), at_ms, maker=True)
                continue
            self._trigger(order, at_ms)
            if order.is_open:
                self._watch(order, now_ms, due)

    def _watch(self, order: Order, now_ms: int, due: Due) -> None:
        """Puts into `due` when the price reaches the order, if it has since it last looked."""
        since, order.watched_ms = order.watched_ms, now_ms
        if order.held or order.market.status != "TRADING":
            return
        reached = order.market.first(since, now_ms, lambda price: self._reached(order, price))
        if reached is not None:
            heapq.heappush(due, (reached, order.order_id))

    def _reached(self, order: Order, price: Decimal) -> bool:
        if order.waits:
            return triggers(order.type, order.side, order.stop_price, price)
        return order.reached(price)

    def _trigger(self, order: Order, at_ms: int) -> None:
        """A conditional order comes to the market; it expires where it cannot be paid for."""
        engine, market = self.engine, order.market
        engine.bring_to_market(order, at_ms)
        touch = market.touch(order.side, market.price(at_ms))
        takes, fills = self._fills(order, touch)
        if not takes:
            self._leave(order, at_ms)
            return
        asset, cost = engine.cost_of(order, fills)
        if cost > order.account.balance(asset).free + order.locked:
            engine.close(order, "EXPIRED", at_ms)
            return
        self._take(order, touch, fills, at_ms)
