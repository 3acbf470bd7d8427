"""What tests use: the process handle and the control plane's client (see the package)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.testexchange.settings import ROOT

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

    def set_time(self, now_ms: int, *, running: bool = False, auth: str | None = None) -> int:
        """Sets the clock, which stands unless `running`; `auth` "exchange" or "wall"."""
        return int(self.call("set_time", now_ms=now_ms, running=running, auth=auth))

    def advance(self, ms: int) -> int:
        return int(self.call("advance", ms=ms))

    def real_time(self) -> int:
        return int(self.call("real_time"))

    def set_skew(self, ms: int) -> None:
        """Shifts `GET time` and the timestamp checks, nothing else."""
        self.call("set_skew", ms=ms)

    def price(self, symbol: str) -> Decimal:
        return Decimal(self.call("price", symbol=symbol))

    def set_price(self, symbol: str, price: Amount) -> None:
        """Overrides the candles' price until clear_price; resting orders it reaches are filled."""
        self.call("set_price", symbol=symbol, price=str(price))

    def clear_price(self, symbol: str) -> None:
        self.call("clear_price", symbol=symbol)

    def set_spread(self, fraction: Amount) -> None:
        """The whole spread as a fraction of the price, for all markets."""
        self.call("set_spread", fraction=str(fraction))

    def set_fee(self, **changes: Amount) -> None:
        """maker, taker (fractions), mode (default, bnb, quote), bnb_price; for new orders."""
        self.call("set_fee", **{name: str(value) for name, value in changes.items()})

    def halt(self, symbol: str) -> None:
        self.call("set_status", symbol=symbol, status="BREAK")

    def resume(self, symbol: str) -> None:
        self.call("set_status", symbol=symbol, status="TRADING")

    def delist(self, symbol: str) -> None:
        """The symbol is unknown from now on; its orders and trades stay in the truth."""
        self.call("set_delisted", symbol=symbol, delisted=True)

    def list_symbol(self, symbol: str) -> None:
        self.call("set_delisted", symbol=symbol, delisted=False)

    def set_fill_plan(
        self, symbol: str, parts: Sequence[Mapping[str, Amount]], *, times: int = 1
    ) -> None:
        """How the next `times` orders that take are filled: see engine.py."""
        plan = [{name: str(value) for name, value in part.items()} for part in parts]
        self.call("set_fill_plan", symbol=symbol, parts=plan, times=times)

    def fill_order(
        self, client_id: str, quantity: Amount, price: Amount | None = None
    ) -> dict[str, Any]:
        """One more fill of an open order, as maker; the trade's body."""
        at = None if price is None else str(price)
        return dict(self.call("fill_order", client_id=client_id, quantity=str(quantity), price=at))

    def add_account(
        self,
        name: str,
        *,
        api_key: str,
        secret: str,
        balances: Mapping[str, Amount] | None = None,
        permissions: Mapping[str, bool] | None = None,
    ) -> None:
        """A new account, or one more key of the account `name`."""
        self.call(
            "add_account",
            name=name,
            api_key=api_key,
            secret=secret,
            balances={asset: str(free) for asset, free in (balances or {}).items()},
            permissions=dict(permissions or {}),
        )

    def set_balance(self, account: str, asset: str, free: Amount) -> None:
        self.call("set_balance", account=account, asset=asset, free=str(free))

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
        **details: Any,
    ) -> int:
        """A fault rule's id; actions and details are in faults.py."""
        match = {"path": path, "method": method, "params": dict(params or {}), "api_key": api_key}
        match |= {"times": times, "after": after, "when": when}
        return int(self.call("add_fault", action=action, details=details, **match))

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

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Logged requests with a sequence number above `since`."""
        return list(self.call("requests", since=since))

    def reset_log(self) -> None:
        self.call("reset_log")


class TestExchange:
    """The exchange as a child process on a loopback port."""

    __test__ = False  # not a test case, for all its name

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        port: int = 0,
        start_timeout: float = 15.0,
    ) -> None:
        self.config = dict(config or {})
        self.port = port
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_base(self) -> str:
        """The value for EXCHANGE_API_BASE."""
        return f"binance={self.url}"

    @property
    def control(self) -> ExchangeControl:
        return ExchangeControl(self.url)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the test exchange is not running")
        return self._process.pid

    def start(self) -> Self:
        """Starts the process and waits until it listens; RuntimeError when it does not."""
        command = [sys.executable, "-m", "tests.testexchange", "--config", "-", "--until-eof"]
        self._process = process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes of the test exchange are missing")
        process.stdin.write(json.dumps(self.config, default=str).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._start_timeout)
        line = process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            raise RuntimeError("the test exchange did not start; its error is on standard error")
        self.port = urlsplit(json.loads(line)["url"]).port or 0
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds; harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """SIGKILL: the port refuses connections, the state is lost."""
        if self._process is not None:
            self._process.kill()
        self._reap()

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def install(self, exchange: Any) -> None:
        """Points a ccxt binance instance here: hosts replaced, paths kept."""
        exchange.urls["api"] = {
            name: self.url + urlsplit(address).path
            for name, address in exchange.urls["api"].items()
            if isinstance(address, str)
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
