"""Matching on the USDT-M side, and what the moving price and the hours bring about."""

from __future__ import annotations

import heapq
from decimal import Decimal

from tests.testexchange.errors import ApiError
from tests.testexchange.futures_engine import FuturesEngine
from tests.testexchange.futures_orders import AlgoOrder, FuturesOrder
from tests.testexchange.markets import Fill
from tests.testexchange.money import ZERO, down
from tests.testexchange.orders import triggers
from tests.testexchange.positions import FuturesAccount, Position

HOUR = 3_600_000
# At one moment stops come first, then limits, then liquidations: the nearer price is met first.
ALGO, ORDER, POSITION = range(3)
Event = tuple[int, int, int]  # time in ms, one of the above, id or index


class FuturesMatcher:
    """Brings orders to the market and keeps an engine up to date with the clock."""

    def __init__(self, engine: FuturesEngine, *, funding_hours: float, now_ms: int) -> None:
        self.engine = engine
        self.funding_ms = round(funding_hours * HOUR)
        self.settled_ms = now_ms
        self._due: list[Event] = []
        self._held: list[tuple[FuturesAccount, Position, int]] = []  # with the version watched

    def submit(self, order: FuturesOrder, now_ms: int) -> None:
        """Accepts an order and fills what the market gives; -2022, -2019 or -5022 otherwise."""
        engine, market = self.engine, order.market
        position = order.owner.position(market)
        if order.reduce_only:
            if not position.opposes(order.side):
                raise ApiError(-2022)
            order.quantity = min(order.quantity, position.size)
        touch = market.touch(order.side, market.price(now_ms))
        takes = order.type == "MARKET" or order.within(touch)
        if takes and order.time_in_force == "GTX":
            raise ApiError(-5022)
        fills = self._fills(order, touch) if takes else []
        self._check_margin(order, position, touch if takes else order.price, now_ms)
        engine.accept(order)
        follows = market.use_plan() if takes else True
        for fill in fills:
            engine.fill(order, fill, now_ms, maker=False)
        if order.is_open and (order.type == "MARKET" or order.time_in_force in ("IOC", "FOK")):
            engine.close(order, "EXPIRED", now_ms)
        if order.is_open and takes:
            order.held, order.parked_at = not follows, touch

    def _fills(self, order: FuturesOrder, touch: Decimal) -> list[Fill]:
        fills = order.market.planned(order.side, order.quantity, touch)
        if order.type == "LIMIT":
            bound = min if order.side == "BUY" else max
            fills = [(bound(price, order.price), size) for price, size in fills]
        if order.time_in_force == "FOK" and sum(size for _, size in fills) < order.quantity:
            return []
        return fills

    def _check_margin(
        self, order: FuturesOrder, position: Position, price: Decimal, now_ms: int
    ) -> None:
        """-2019 unless what the order opens can be paid for, with its fee."""
        if order.reduce_only:
            return
        closing = min(order.quantity, position.size) if position.opposes(order.side) else ZERO
        opening = order.quantity - closing
        if not opening:
            return
        free = self.engine.available(order.owner, now_ms)
        if closing:
            sign = 1 if position.amount > 0 else -1
            free += position.margin + sign * (price * closing - position.value)
        cost = opening * price
        if free < down(cost / position.leverage) + down(cost * self.engine.fee.taker):
            raise ApiError(-2019)

    # The course of time

    def settle(self, now_ms: int) -> None:
        """Everything between the last time and now, in its order; funding at its full hours."""
        since, self.settled_ms = self.settled_ms, now_ms
        if not self.engine.is_busy():
            return
        at_ms = (since // self.funding_ms + 1) * self.funding_ms
        while at_ms <= now_ms:
            self._until(at_ms)
            self.engine.pay_funding(at_ms)
            at_ms += self.funding_ms
        self._until(now_ms)

    def _until(self, until_ms: int) -> None:
        self._due, self._held = [], []
        for algo in list(self.engine.waiting.values()):
            self._watch_algo(algo, until_ms)
        for order in list(self.engine.open.values()):
            self._watch_order(order, until_ms)
        for owner, position in self.engine.positions():
            self._watch_position(owner, position, position.watched_ms, until_ms)
        while self._due:
            at_ms, kind, key = heapq.heappop(self._due)
            if kind == POSITION:
                self._liquidate(key, at_ms)
            elif kind == ORDER:
                self._fill(self.engine.orders[key], at_ms, until_ms)
            elif self.engine.algos[key].is_open:
                self._trigger(self.engine.algos[key], at_ms, until_ms)

    def _watch_algo(self, algo: AlgoOrder, until_ms: int) -> None:
        since, algo.watched_ms = algo.watched_ms, until_ms
        if algo.market.status != "TRADING":
            return
        look = algo.market.first_mark if algo.by_mark else algo.market.first
        stop = algo.trigger_price
        at_ms = look(since, until_ms, lambda price: triggers(algo.type, algo.side, stop, price))
        if at_ms is not None:
            heapq.heappush(self._due, (at_ms, ALGO, algo.algo_id))

    def _watch_order(self, order: FuturesOrder, until_ms: int) -> None:
        since, order.watched_ms = order.watched_ms, until_ms
        if order.held or order.market.status != "TRADING":
            return
        at_ms = order.market.first(since, until_ms, order.reached)
        if at_ms is not None:
            heapq.heappush(self._due, (at_ms, ORDER, order.order_id))

    def _watch_position(
        self, owner: FuturesAccount, position: Position, since: int, until_ms: int
    ) -> None:
        position.watched_ms = until_ms
        limit = position.liquidation_price(owner.collateral(position))
        if not limit or position.market.status != "TRADING":
            return
        long = position.amount > 0
        at_ms = position.market.first_mark(
            since, until_ms, lambda mark: mark <= limit if long else mark >= limit
        )
        if at_ms is not None:
            self._held.append((owner, position, position.version))
            heapq.heappush(self._due, (at_ms, POSITION, len(self._held) - 1))

    def _liquidate(self, index: int, at_ms: int) -> None:
        owner, position, version = self._held[index]
        if position.amount and position.version == version:
            self.engine.liquidate(owner, position, at_ms)

    def _fill(self, order: FuturesOrder, at_ms: int, until_ms: int) -> None:
        if not order.is_open:
            return
        position = order.owner.position(order.market)
        size = min(order.remaining, position.size) if order.reduce_only else order.remaining
        self.engine.fill(order, (order.price, size), at_ms, maker=True)
        if order.is_open:  # reduce-only, and the position was smaller
            self.engine.close(order, "EXPIRED", at_ms)
        self._watch_position(order.owner, position, at_ms, until_ms)

    def _trigger(self, algo: AlgoOrder, at_ms: int, until_ms: int) -> None:
        """The algo service sends its order to the matching engine, which may refuse it."""
        engine, position = self.engine, algo.owner.position(algo.market)
        quantity = position.size if algo.close_position else algo.quantity
        order = FuturesOrder(
            order_id=len(engine.orders) + 1,
            owner=algo.owner,
            api_key=algo.api_key,
            market=algo.market,
            client_id=algo.client_id,
            side=algo.side,
            type="LIMIT" if algo.price else "MARKET",
            time_in_force=algo.time_in_force,
            price=algo.price,
            quantity=quantity,
            reduce_only=algo.reduce_only or algo.close_position,
            close_position=algo.close_position,
            created_ms=at_ms,
            updated_ms=at_ms,
            watched_ms=at_ms,
            origin=algo.type,
            stop_price=algo.trigger_price,
        )
        algo.triggered_ms = at_ms
        try:
            self.submit(order, at_ms)
        except ApiError:
            engine.end_algo(algo, "REJECTED", at_ms)
            return
        algo.order = order
        engine.end_algo(algo, "TRIGGERED", at_ms)
        if order.is_open:
            self._watch_order(order, until_ms)
        self._watch_position(algo.owner, position, at_ms, until_ms)
