"""From a request to an answer: log, faults, limits, authentication, endpoint."""

from __future__ import annotations

from typing import Any

from tests.testexchange import faults
from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.futures_routes import ROUTES
from tests.testexchange.ledger import Ledger
from tests.testexchange.limits import Limits, TooMany
from tests.testexchange.messages import DropConnection, Request, Response, authenticate, check_time
from tests.testexchange.routes import Route


class App:
    """One exchange behind HTTP; safe for many threads."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.faults = faults.Faults()
        self.ledger = Ledger()
        self.limits = Limits()
        self.refuses = False

    def handle(self, request: Request) -> Response:
        """The answer; DropConnection when the connection is to be reset."""
        with self.exchange.lock:
            entry = self.ledger.enter(request, self.exchange.clock.auth_now())
            if self.refuses:
                entry["fault"] = "refuse"
                raise DropConnection
            rule = self.faults.take(request)
            entry["fault"] = rule and rule.action
        answer = self._answer(request, rule, entry)
        entry["status"], entry["code"] = answer.status, answer.code
        return answer

    def _answer(
        self, request: Request, rule: faults.Rule | None, entry: dict[str, Any]
    ) -> Response:
        if rule is not None and rule.replaces_request:
            return faults.apply(rule, None)
        answer = self._carry_out(request, rule, entry)
        if rule is not None and (rule.when == "after" or rule.action == "klines"):
            return faults.apply(rule, answer)
        return answer

    def _carry_out(
        self, request: Request, rule: faults.Rule | None, entry: dict[str, Any]
    ) -> Response:
        route = ROUTES.get((request.method, request.path))
        if route is None:
            return Response(status=404, body=faults.HTML.encode(), content_type="text/html")
        headers: dict[str, str] = {}
        try:
            with self.exchange.lock:
                self._admit(request, route, headers)
            if rule is not None:
                faults.prepare(rule, request)
                if rule.waits and rule.when == "before":
                    rule.wait()
            with self.exchange.lock:
                if route.trades:
                    check_time(request, self.exchange.clock.auth_now())
                answer = route.handler(self.exchange, request)
                self.ledger.accept(request, entry)
        except TooMany as error:
            answer = Response.error(error)
            headers["Retry-After"] = str(error.retry_after)
        except ApiError as error:
            answer = Response.error(error)
        answer.headers.update(headers)
        return answer

    def _admit(self, request: Request, route: Route, headers: dict[str, str]) -> None:
        """Counts the request and checks who sent it; fills in the headers of the counters."""
        now_ms, path = self.exchange.clock.auth_now(), request.path
        headers |= self.limits.weigh(path, route.cost(request), now_ms)
        if not route.signed:
            return
        request.key = key = authenticate(request, self.exchange.accounts, now_ms)
        needed = [] if route.trades else ["enableReading"]
        if path.startswith("fapi/"):
            needed.append("enableFutures")
        if not all(key.permissions[name] for name in needed):
            raise ApiError(-2015)
        if route.orders:
            headers |= self.limits.count_orders(path, key.account.name, route.orders, now_ms)
