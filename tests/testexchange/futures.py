"""The USDT-M side of the exchange: placing and cancelling, leverage and margin, transfers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.testexchange.accounts import Account, ApiKey
from tests.testexchange.errors import ApiError
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.futures_engine import FuturesEngine
from tests.testexchange.futures_forms import FuturesForm, read_algo, read_order
from tests.testexchange.futures_matching import FuturesMatcher
from tests.testexchange.futures_orders import AlgoOrder, FuturesOrder
from tests.testexchange.markets import Market
from tests.testexchange.messages import Request
from tests.testexchange.money import ZERO
from tests.testexchange.orders import triggers
from tests.testexchange.perpetuals import Perpetual
from tests.testexchange.positions import FuturesAccount, Position


class Futures:
    """Everything of the USDT-M side. Callers hold the exchange's lock and settle before."""

    def __init__(
        self, config: Mapping[str, Any], markets: Mapping[str, Market], now_ms: int
    ) -> None:
        rate = Decimal(str(config["funding_rate"]))
        charge = Decimal(str(config["liquidation_fee"]))
        self.markets = {
            entry["symbol"]: Perpetual.of(
                entry, markets[entry["symbol"]], rate=rate, liquidation_fee=charge
            )
            for entry in config["symbols"]
            if entry["symbol"] in markets
        }
        self.engine = FuturesEngine(FeeSchedule.from_config(config["fee"]))
        hours = float(config["funding_hours"])
        self.matcher = FuturesMatcher(self.engine, funding_hours=hours, now_ms=now_ms)
        self.transfers: list[dict[str, Any]] = []

    def market(self, symbol: str) -> Perpetual:
        """-1121 for a symbol without a contract."""
        market = self.markets.get(symbol)
        if market is None or market.delisted:
            raise ApiError(-1121)
        return market

    def place(self, request: Request, key: ApiKey, now_ms: int) -> FuturesOrder:
        """A new order of `POST order`, as it stands."""
        market = self.market(request.text("symbol"))
        form = read_order(request)
        owner = self._check(form, key, market)
        order_id = len(self.engine.orders) + 1
        order = FuturesOrder(
            order_id=order_id,
            owner=owner,
            client_id=form.client_id or f"web_{order_id:020d}",
            reduce_only=form.reduce_only,
            close_position=False,
            **form.terms(key, market, now_ms),
        )
        if any(o.owner is owner and o.client_id == form.client_id for o in self._open()):
            raise ApiError(-4116)
        touch = market.touch(form.side, market.price(now_ms))
        if not form.reduce_only:
            notional = form.quantity * (form.price or touch)
            market.spec.check_notional(notional, market=form.type == "MARKET")
        self.matcher.submit(order, now_ms)
        position = owner.position(market)
        position.watched_ms = now_ms
        return order

    def _open(self) -> list[FuturesOrder]:
        return list(self.engine.open.values())

    def _check(self, form: FuturesForm, key: ApiKey, market: Perpetual) -> FuturesAccount:
        """What holds for orders and algo orders alike."""
        spec, owner = market.spec, self.engine.account(key.account)
        if owner.dual_side:
            raise ApiError(-4061)
        if market.status != "TRADING":
            raise ApiError(-4108, "Symbol is in delivering or settling or closed or pre-trading.")
        for price in (form.price, form.trigger_price):
            if price:
                spec.check_price(price)
        if not form.close_position:
            spec.check_quantity(form.quantity, market=form.type == "MARKET")
        return owner

    def place_algo(self, request: Request, key: ApiKey, now_ms: int) -> AlgoOrder:
        """A new algo order of `POST algoOrder`; its funds are checked only when it is triggered."""
        market = self.market(request.text("symbol"))
        form = read_algo(request)
        owner = self._check(form, key, market)
        price = market.mark(now_ms) if form.by_mark else market.price(now_ms)
        if triggers(form.type, form.side, form.trigger_price, price):
            raise ApiError(-2021)
        waiting = self.engine.waiting.values()
        if form.client_id and any(
            a.owner is owner and a.client_id == form.client_id for a in waiting
        ):
            raise ApiError(-4116)
        algo_id = len(self.engine.algos) + 1
        algo = AlgoOrder(
            algo_id=algo_id,
            owner=owner,
            client_id=form.client_id or f"algo_{algo_id:020d}",
            trigger_price=form.trigger_price,
            reduce_only=form.reduce_only,
            close_position=form.close_position,
            by_mark=form.by_mark,
            **form.terms(key, market, now_ms),
        )
        self.engine.algos[algo_id] = self.engine.waiting[algo_id] = algo
        return algo

    # Looking up

    def find(
        self, owner: FuturesAccount, symbol: str, order_id: int | None, name: str
    ) -> FuturesOrder | None:
        """An order of this account by id, else the latest of that client id; None."""
        for order in reversed(self.engine.orders.values()):
            if order.owner is not owner or order.market.spec.symbol != symbol:
                continue
            if order.order_id == order_id or (order_id is None and order.client_id == name):
                return order
        return None

    def find_algo(self, owner: FuturesAccount, algo_id: int | None, name: str) -> AlgoOrder | None:
        for algo in reversed(self.engine.algos.values()):
            named = algo.algo_id == algo_id or (algo_id is None and algo.client_id == name)
            if named and algo.owner is owner:
                return algo
        return None

    # Settings of a position

    def has_orders(self, owner: FuturesAccount, market: Perpetual | None) -> bool:
        """Whether orders or algo orders are open, in one market or in any."""
        waiting: list[FuturesOrder | AlgoOrder] = [*self.engine.open.values()]
        waiting += self.engine.waiting.values()
        return any(o.owner is owner and market in (None, o.market) for o in waiting)

    def set_leverage(self, position: Position, leverage: int, now_ms: int) -> None:
        """-4028 beyond the bracket, -4161 when less while an isolated position is open."""
        notional = position.size * position.market.mark(now_ms)
        if not 1 <= leverage <= position.market.tier(notional).max_leverage:
            raise ApiError(-4028, f"Leverage {leverage} is not valid")
        if position.amount and position.isolated and leverage < position.leverage:
            raise ApiError(-4161)
        position.leverage = leverage

    def set_margin_type(self, owner: FuturesAccount, position: Position, isolated: bool) -> None:
        """-4046 when it is so already, -4047 with open orders, -4048 with a position."""
        if position.isolated == isolated:
            raise ApiError(-4046)
        if self.has_orders(owner, position.market):
            raise ApiError(-4047)
        if position.amount:
            raise ApiError(-4048)
        position.isolated = isolated

    def set_dual_side(self, owner: FuturesAccount, dual: bool) -> None:
        """-4059 when it is so already, -4067 with open orders, -4068 with positions."""
        if owner.dual_side == dual:
            raise ApiError(-4059)
        if self.has_orders(owner, None):
            raise ApiError(-4067)
        if any(position.amount for position in owner.positions.values()):
            raise ApiError(-4068)
        owner.dual_side = dual

    # Transfers

    def transfer(
        self, account: Account, kind: str, asset: str, amount: Decimal, now_ms: int
    ) -> int:
        """Moves funds between spot and futures; -5013 when there are too few. The transfer's id."""
        owner, spot = self.engine.account(account), account.balance(asset)
        into = kind == "MAIN_UMFUTURE"
        if into:
            free = spot.free
        else:
            held = owner.wallet.get(asset, ZERO)
            free = self.engine.available(owner, now_ms) if asset == "USDT" else held
        if free < amount:
            raise ApiError(-5013)
        account.move_out(asset, amount if into else -amount, now_ms)
        owner.post(amount if into else -amount, "TRANSFER", now_ms, asset=asset)
        number = 43_000_000_000 + len(self.transfers) + 1
        row = {"timestamp": now_ms, "asset": asset, "amount": f"{amount:f}", "type": kind}
        row |= {"status": "CONFIRMED", "tranId": number, "account": account.name}
        self.transfers.append(row)
        return number
