"""The client of the control plane; the package docstring lists its methods."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

Amount = Decimal | int | str
Truth = dict[str, Any]


class ControlError(Exception):
    """The exchange refused a control command; the text says why."""


class ExchangeControl:
    """Steers a running test exchange and reads what really happened there."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url = url
        self.timeout = timeout
        # Tests may run where a proxy is set; loopback must not go through it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, command: str, **arguments: Any) -> Any:
        """One command of control.py; ControlError when it is refused."""
        request = urllib.request.Request(
            f"{self.url}/_control/{command}",
            data=json.dumps(arguments, default=str).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlError(json.load(error)["error"]) from None

    def now(self) -> int:
        return int(self.call("now"))

    def set_time(
        self,
        now_ms: int,
        *,
        running: bool = False,
        auth: str | None = None,
        rate: float | None = None,
    ) -> int:
        """Sets the clock, which stands unless `running` (rate 1) or a `rate` is given.

        `auth` "exchange" or "wall"; see clock.py.
        """
        given = {"now_ms": now_ms, "running": running, "auth": auth, "rate": rate}
        return int(self.call("set_time", **given))

    def set_rate(self, rate: float) -> int:
        """From now on `rate` ms pass in a real one; 0: the clock stands."""
        return int(self.call("set_rate", rate=rate))

    def advance(self, ms: int) -> int:
        """A step of the clock; what the price reaches on the way happens."""
        return int(self.call("advance", ms=ms))

    def real_time(self) -> int:
        return int(self.call("real_time"))

    def set_skew(self, ms: int) -> None:
        """Shifts `GET time` and the timestamp checks, nothing else."""
        self.call("set_skew", ms=ms)

    def price(self, symbol: str, *, futures: bool = False) -> Decimal:
        return Decimal(self.call("price", symbol=symbol, futures=futures))

    def set_price(self, symbol: str, price: Amount, *, futures: bool = False) -> None:
        """Overrides the candles' price until clear_price; what it reaches is triggered and filled.

        The contract of a symbol follows its spot price unless one of its own is set (`futures`).
        """
        self.call("set_price", symbol=symbol, price=str(price), futures=futures)

    def clear_price(self, symbol: str, *, futures: bool = False) -> None:
        self.call("clear_price", symbol=symbol, futures=futures)

    def set_mark(self, symbol: str, price: Amount | None) -> None:
        """The mark price of a contract, which liquidates and funds; None: the last price."""
        self.call("set_mark", symbol=symbol, price=None if price is None else str(price))

    def set_funding_rate(self, symbol: str, rate: Amount) -> None:
        """The fraction that longs pay to shorts at each funding time."""
        self.call("set_funding_rate", symbol=symbol, rate=str(rate))

    def set_spread(self, fraction: Amount) -> None:
        """The whole spread as a fraction of the price, for all markets."""
        self.call("set_spread", fraction=str(fraction))

    def set_fee(self, *, futures: bool = False, **changes: Amount) -> None:
        """maker, taker (fractions), mode (default, bnb, quote), bnb_price; for new orders."""
        given = {name: str(value) for name, value in changes.items()}
        self.call("set_fee", futures=futures, **given)

    def set_limits(self, **limits: int | None) -> None:
        """weight_1m, orders_10s, orders_1d, futures_weight_1m, futures_orders_10s,
        futures_orders_1m, ban_after, ban_s; those not named are not enforced."""
        self.call("set_limits", **limits)

    def reset_limits(self) -> None:
        """What was used so far counts no more: clients that save weight would fall silent."""
        self.call("reset_limits")

    def halt(self, symbol: str, *, futures: bool = False) -> None:
        self.call("set_status", symbol=symbol, status="BREAK", futures=futures)

    def resume(self, symbol: str, *, futures: bool = False) -> None:
        self.call("set_status", symbol=symbol, status="TRADING", futures=futures)

    def delist(self, symbol: str, *, futures: bool = False) -> None:
        """The symbol is unknown from now on; its orders and trades stay in the truth."""
        self.call("set_delisted", symbol=symbol, delisted=True, futures=futures)

    def list_symbol(self, symbol: str, *, futures: bool = False) -> None:
        self.call("set_delisted", symbol=symbol, delisted=False, futures=futures)

    def set_fill_plan(
        self,
        symbol: str,
        parts: Sequence[Mapping[str, Amount]],
        *,
        times: int = 1,
        rest: str = "held",
        futures: bool = False,
    ) -> None:
        """How the next `times` orders that take are filled: see engine.py.

        What is left of a limit order waits for `fill_order` or `release_order` ("held"), or for the
        price to move and reach it again ("price").
        """
        plan = [{name: str(value) for name, value in part.items()} for part in parts]
        given = {"symbol": symbol, "parts": plan, "times": times, "rest": rest}
        self.call("set_fill_plan", **given, futures=futures)

    def fill_order(
        self,
        client_id: str,
        quantity: Amount,
        price: Amount | None = None,
        *,
        late: bool = False,
        futures: bool = False,
    ) -> dict[str, Any]:
        """One more fill of an order, as maker; the trade's body.

        `late`: the order is already cancelled or expired, and the fill is dated back to then.
        """
        at = None if price is None else str(price)
        given = {"client_id": client_id, "quantity": str(quantity), "price": at, "late": late}
        return dict(self.call("fill_order", **given, futures=futures))

    def release_order(self, client_id: str, *, futures: bool = False) -> None:
        """The rest of a partly filled order follows the price again."""
        self.call("release_order", client_id=client_id, futures=futures)

    def add_account(
        self,
        name: str,
        *,
        api_key: str,
        secret: str,
        balances: Mapping[str, Amount] | None = None,
        futures_balances: Mapping[str, Amount] | None = None,
        permissions: Mapping[str, bool] | None = None,
    ) -> None:
        """A new account, or one more key of the account `name`."""
        self.call(
            "add_account",
            name=name,
            api_key=api_key,
            secret=secret,
            balances={asset: str(free) for asset, free in (balances or {}).items()},
            futures_balances={asset: str(v) for asset, v in (futures_balances or {}).items()},
            permissions=dict(permissions or {}),
        )

    def set_balance(self, account: str, asset: str, free: Amount) -> None:
        self.call("set_balance", account=account, asset=asset, free=str(free))

    def deposit_futures(self, account: str, asset: str, amount: Amount) -> None:
        """Into the futures wallet from outside, or out of it when negative."""
        self.call("deposit_futures", account=account, asset=asset, amount=str(amount))

    def balances(self, account: str = "default") -> dict[str, dict[str, Decimal]]:
        dump = self.call("balances", account=account)
        return {
            asset: {part: Decimal(value) for part, value in balance.items()}
            for asset, balance in dump.items()
        }

    def revoke_key(self, api_key: str) -> None:
        self.call("set_revoked", api_key=api_key, revoked=True)

    def restore_key(self, api_key: str) -> None:
        self.call("set_revoked", api_key=api_key, revoked=False)

    def set_permissions(self, api_key: str, **permissions: bool) -> None:
        self.call("set_permissions", api_key=api_key, **permissions)

    def add_fault(
        self,
        action: str,
        *,
        path: str = "*",
        method: str | None = None,
        params: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        times: int | None = 1,
        after: int = 0,
        when: str = "before",
        nth: int | None = None,
        **details: Any,
    ) -> int:
        """A fault rule's id; actions and details are in faults.py."""
        match = {"path": path, "method": method, "params": dict(params or {}), "api_key": api_key}
        count = {"times": times, "after": after, "nth": nth}
        return int(
            self.call("add_fault", action=action, details=details, when=when, **match, **count)
        )

    def script(self, steps: Sequence[Mapping[str, Any]]) -> list[int]:
        """Several rules at once, each a mapping of add_fault's arguments; their ids."""
        return [self.add_fault(**step) for step in steps]

    def release_fault(self, fault_id: int) -> None:
        """Lets go what a rule of `hold` holds."""
        self.call("release_fault", fault_id=fault_id)

    def remove_fault(self, fault_id: int) -> None:
        self.call("remove_fault", fault_id=fault_id)

    def clear_faults(self) -> None:
        self.call("clear_faults")

    def faults(self) -> list[dict[str, Any]]:
        return list(self.call("faults"))

    def refuse(self, on: bool = True) -> None:
        """Resets every connection but the control plane's."""
        self.call("refuse", on=on)

    def truth(self) -> Truth:
        return dict(self.call("truth"))

    def orders(self, account: str | None = None) -> list[dict[str, Any]]:
        return list(self.call("orders", account=account))

    def trades(self, account: str | None = None) -> list[dict[str, Any]]:
        return list(self.call("trades", account=account))

    def futures(self, account: str | None = None) -> dict[str, Any]:
        """The USDT-M side of the truth, of one account or of all."""
        return dict(self.call("futures", account=account))

    def order_posts(self) -> dict[str, dict[str, int]]:
        """By client id how many order requests were "received" and how many "accepted"."""
        return dict(self.call("order_posts"))

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Logged requests with a sequence number above `since`."""
        return list(self.call("requests", since=since))

    def reset_log(self) -> None:
        self.call("reset_log")
