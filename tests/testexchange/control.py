"""The control plane: `POST /_control/<name>` with a JSON object of arguments, a JSON value back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.testexchange import truth
from tests.testexchange.app import App
from tests.testexchange.errors import ApiError
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.futures_orders import FuturesOrder
from tests.testexchange.limits import Settings
from tests.testexchange.markets import FillPlan, Market
from tests.testexchange.messages import Request, Response
from tests.testexchange.money import ZERO, number
from tests.testexchange.orders import Order

PREFIX = "_control/"


class Control:
    """Each public method is a command; wrong arguments give status 400 with the reason."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._exchange = app.exchange

    def handle(self, request: Request) -> Response:
        name = request.path.removeprefix(PREFIX)
        command: Callable[..., Any] | None = getattr(self, name, None)
        if name.startswith("_") or name == "handle" or command is None:
            return Response.json({"error": f"unknown command {name!r}"}, 404)
        try:
            arguments = json.loads(request.body or "{}")
            with self._exchange.lock:
                self._exchange.settle()
                result = command(**arguments)
                self._exchange.settle()
        except (ApiError, InvalidOperation, KeyError, TypeError, ValueError) as error:
            return Response.json({"error": f"{type(error).__name__}: {error}"}, 400)
        return Response.json(result)

    def _market(self, symbol: str, futures: bool = False) -> Market:
        return (self._exchange.futures.markets if futures else self._exchange.markets)[symbol]

    # Time

    def now(self) -> int:
        return self._exchange.clock.now()

    def set_time(
        self,
        now_ms: int,
        running: bool = False,
        auth: str | None = None,
        rate: float | None = None,
    ) -> int:
        self._exchange.clock.set(now_ms, rate=float(running) if rate is None else rate)
        if auth is not None:
            self._exchange.clock.set_auth(auth)
        return self.now()

    def set_rate(self, rate: float) -> int:
        self._exchange.clock.set_rate(rate)
        return self.now()

    def advance(self, ms: int) -> int:
        self._exchange.clock.advance(ms)
        return self.now()

    def real_time(self) -> int:
        self._exchange.clock.set_real()
        return self.now()

    def set_skew(self, ms: int) -> None:
        self._exchange.clock.skew_ms = ms

    # Markets

    def price(self, symbol: str, futures: bool = False) -> str:
        return number(self._market(symbol, futures).price(self.now()))

    def set_price(self, symbol: str, price: str, futures: bool = False) -> None:
        market = self._market(symbol, futures)
        market.spec.check_price(Decimal(price))
        market.explicit_price = Decimal(price)

    def clear_price(self, symbol: str, futures: bool = False) -> None:
        self._market(symbol, futures).explicit_price = None

    def set_mark(self, symbol: str, price: str | None) -> None:
        """The mark price of a contract; None: it is the last price again."""
        self._exchange.futures.markets[symbol].explicit_mark = (
            None if price is None else Decimal(price)
        )

    def set_funding_rate(self, symbol: str, rate: str) -> None:
        self._exchange.futures.markets[symbol].funding_rate = Decimal(rate)

    def set_spread(self, fraction: str) -> None:
        futures = self._exchange.futures.markets.values()
        for market in [*self._exchange.markets.values(), *futures]:
            market.spread = Decimal(fraction)

    def set_status(self, symbol: str, status: str, futures: bool = False) -> None:
        self._market(symbol, futures).status = status

    def set_delisted(self, symbol: str, delisted: bool, futures: bool = False) -> None:
        self._market(symbol, futures).delisted = delisted

    def set_fill_plan(
        self,
        symbol: str,
        parts: list[Mapping[str, str]],
        times: int = 1,
        rest: str = "held",
        futures: bool = False,
    ) -> None:
        """See engine.py; no parts: the next orders get no fill at once."""
        if rest not in ("held", "price"):
            raise ValueError("`rest` is 'held' or 'price'")
        plan: FillPlan = [
            {"part": Decimal(entry["part"]), "slip": Decimal(entry.get("slip", "0"))}
            for entry in parts
        ]
        if sum(entry["part"] for entry in plan) > 1:
            raise ValueError("the parts of a fill plan are more than the whole")
        if rest == "price":
            plan.append({"part": ZERO, "slip": ZERO, "follows": True})
        self._market(symbol, futures).fill_plans = [plan] * times

    def fill_order(
        self,
        client_id: str,
        quantity: str,
        price: str | None = None,
        late: bool = False,
        futures: bool = False,
    ) -> dict[str, Any]:
        """One fill, as maker, at the order's own price unless another is given.

        Of an open order; `late`: of one that is already cancelled or expired, dated back to then.
        """
        order = self._order(client_id, late=late, futures=futures)
        size = Decimal(quantity)
        if not 0 < size <= order.remaining:
            raise ValueError(f"{size} is not within the remaining {order.remaining}")
        at = order.price if price is None else Decimal(price)
        if (at > order.price) if order.side == "BUY" else (at < order.price):
            raise ValueError(f"{at} is beyond the order's limit {order.price}")
        now_ms = order.updated_ms if late else self.now()
        if isinstance(order, FuturesOrder):
            engine = self._exchange.futures.engine
            return engine.fill(order, (at, size), now_ms, maker=True).body()
        spot = self._exchange.engine
        asset, cost = spot.cost_of(order, [(at, size)])
        if late and cost > order.account.balance(asset).free:
            raise ValueError(f"the account has less than {cost} {asset}")
        return spot.fill(order, (at, size), now_ms, maker=True).body()

    def release_order(self, client_id: str, futures: bool = False) -> None:
        """A held rest follows the price again."""
        self._order(client_id, late=False, futures=futures).held = False

    def _order(self, client_id: str, *, late: bool, futures: bool) -> Order | FuturesOrder:
        """The latest order of a client id with a limit at the market that is open, or (`late`)
        no longer is."""
        found: list[Order | FuturesOrder] = []
        if futures:
            found += self._exchange.futures.engine.orders.values()
        else:
            found += [o for o in self._exchange.engine.orders.values() if not o.waits]
        fitting = [o for o in found if o.client_id == client_id and o.price and o.is_open != late]
        if not fitting:
            raise ValueError(f"no {'ended' if late else 'open'} order {client_id!r} with a limit")
        return fitting[-1]

    def set_fee(self, futures: bool = False, **changes: str) -> None:
        side = self._exchange.futures.engine if futures else self._exchange
        names = ("maker", "taker", "mode", "bnb_price")
        unknown = set(changes) - set(names)
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        config = {name: getattr(side.fee, name) for name in names} | changes
        side.fee = FeeSchedule.from_config(config)

    # Accounts

    def add_account(self, name: str, **details: Any) -> None:
        self._exchange.add_account(name, **details)

    def set_balance(self, account: str, asset: str, free: str) -> None:
        if Decimal(free) < 0:
            raise ValueError("a balance cannot be negative")
        self._exchange.accounts.by_name[account].set_free(asset, Decimal(free))

    def deposit_futures(self, account: str, asset: str, amount: str) -> None:
        """Books a transfer from outside into the futures wallet, or out of it when negative."""
        owner = self._exchange.futures.engine.account(self._exchange.accounts.by_name[account])
        owner.post(Decimal(amount), "TRANSFER", self.now(), asset=asset)

    def balances(self, account: str) -> dict[str, dict[str, str]]:
        return self._exchange.accounts.by_name[account].dump()

    def set_revoked(self, api_key: str, revoked: bool) -> None:
        self._exchange.accounts.keys[api_key].revoked = revoked

    def set_permissions(self, api_key: str, **permissions: bool) -> None:
        self._exchange.accounts.permit(api_key, permissions)

    # Faults

    def add_fault(self, action: str, details: Mapping[str, Any], **match: Any) -> int:
        return self._app.faults.add(action, now_ms=self.now(), details=details, **match)

    def remove_fault(self, fault_id: int) -> None:
        rules = self._app.faults.rules
        self._app.faults.rules = [rule for rule in rules if rule.id != fault_id]

    def release_fault(self, fault_id: int) -> None:
        self._app.faults.release(fault_id)

    def clear_faults(self) -> None:
        self._app.faults.clear()

    def faults(self) -> list[dict[str, Any]]:
        return self._app.faults.dump()

    def refuse(self, on: bool) -> None:
        self._app.refuses = on

    def set_limits(self, **limits: Any) -> None:
        """What is enforced, see limits.py; what is not named is not."""
        self._app.limits.settings = Settings(**limits)
        self._app.limits.refused = self._app.limits.banned_until_ms = 0

    def reset_limits(self) -> None:
        self._app.limits.start_anew()

    # What really happened

    def orders(self, account: str | None = None) -> list[dict[str, Any]]:
        return truth.orders(self._exchange, account)

    def trades(self, account: str | None = None) -> list[dict[str, Any]]:
        return truth.trades(self._exchange, account)

    def futures(self, account: str | None = None) -> dict[str, Any]:
        return truth.futures(self._exchange, account)

    def order_posts(self) -> dict[str, dict[str, int]]:
        return self._app.ledger.posts

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        return [entry for entry in self._app.ledger.log if entry["seq"] > since]

    def reset_log(self) -> None:
        self._app.ledger.log.clear()

    def truth(self) -> dict[str, Any]:
        return truth.dump(self._app)
