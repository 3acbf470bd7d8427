"""From a request to an answer: log, faults, weights, authentication, endpoint."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from tests.testexchange import faults
from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.messages import DropConnection, Request, Response, authenticate, check_time
from tests.testexchange.routes import ROUTES, Route

LOG_LENGTH = 200_000


class App:
    """One exchange behind HTTP; safe for many threads."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.faults = faults.Faults()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.weights: Counter[int] = Counter()  # used weight by the minute's start in ms
        self.order_counts: Counter[tuple[str, str, int]] = Counter()
        self.refuses = False
        self._seq = 0

    def handle(self, request: Request) -> Response:
        """The answer; DropConnection when the connection is to be reset."""
        with self.exchange.lock:
            entry = self._enter(request)
            if self.refuses:
                entry["fault"] = "refuse"
                raise DropConnection
            rule = self.faults.take(request)
            entry["fault"] = rule and rule.action
        answer = self._answer(request, rule)
        entry["status"], entry["code"] = answer.status, answer.code
        return answer

    def _enter(self, request: Request) -> dict[str, Any]:
        """A new entry of the request log; status stays None when no answer was sent."""
        self._seq += 1
        params = dict(request.params)
        entry = {
            "seq": self._seq,
            "at_ms": self.exchange.clock.auth_now(),
            "method": request.method,
            "path": request.path,
            "signature": params.pop("signature", None),
            "params": params,
            "api_key": request.api_key or None,
            "headers": request.headers,
            "status": None,
            "code": None,
            "fault": None,
        }
        self.log.append(entry)
        return entry

    def _answer(self, request: Request, rule: faults.Rule | None) -> Response:
        if rule is not None and rule.replaces_request:
            return faults.apply(rule, None)
        answer = self._carry_out(request, rule)
        if rule is not None and (rule.when == "after" or rule.action == "klines"):
            return faults.apply(rule, answer)
        return answer

    def _carry_out(self, request: Request, rule: faults.Rule | None) -> Response:
        route = ROUTES.get((request.method, request.path))
        if route is None:
            return Response(status=404, body=faults.HTML.encode(), content_type="text/html")
        headers: dict[str, str] = {}
        try:
            with self.exchange.lock:
                self._admit(request, route, headers)
            if rule is not None:
                faults.prepare(rule, request)
                if rule.action == "hang" and rule.when == "before":
                    time.sleep(float(rule.details["seconds"]))
            with self.exchange.lock:
                if route.trades:
                    check_time(request, self.exchange.clock.auth_now())
                answer = route.handler(self.exchange, request)
        except ApiError as error:
            answer = Response.error(error)
        answer.headers.update(headers)
        return answer

    def _admit(self, request: Request, route: Route, headers: dict[str, str]) -> None:
        """Counts the request and checks who sent it; fills in the headers of the counters."""
        now_ms = self.exchange.clock.auth_now()
        minute = now_ms // 60_000 * 60_000
        self.weights[minute] += route.cost(request)
        used = str(self.weights[minute])
        if request.path.startswith("sapi/"):
            headers["X-SAPI-USED-IP-WEIGHT-1M"] = used
        else:
            headers |= {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if not route.signed:
            return
        request.key = authenticate(request, self.exchange.accounts, now_ms)
        if not route.trades and not request.key.permissions["enableReading"]:
            raise ApiError(-2015)
        if request.method == "POST":
            for name, length in (("10S", 10_000), ("1D", 86_400_000)):
                counted = (request.key.account.name, name, now_ms // length)
                self.order_counts[counted] += 1
                headers[f"X-MBX-ORDER-COUNT-{name}"] = str(self.order_counts[counted])
