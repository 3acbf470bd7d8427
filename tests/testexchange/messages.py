"""Requests, their parameters, and the checks of key, signature and timestamp."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from tests.testexchange.accounts import Accounts, ApiKey
from tests.testexchange.errors import ApiError, missing

MAX_RECV_WINDOW = 60_000
AHEAD_MS = 1000


@dataclass(kw_only=True)
class Request:
    """One HTTP request; `path` without the leading slash, header names in lower case."""

    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    key: ApiKey | None = None

    @cached_property
    def params(self) -> dict[str, str]:
        """Parameters of the query, then of the form."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        if self.body:
            pairs += parse_qsl(self.body, keep_blank_values=True)
        return dict(pairs)

    @property
    def api_key(self) -> str:
        return self.headers.get("x-mbx-apikey", "")

    @property
    def signer(self) -> ApiKey:
        """The key that signed an authenticated request."""
        if self.key is None:
            raise AssertionError(f"{self.path} is not routed as signed")
        return self.key

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter; -1102 when it is absent and has no default."""
        value = self.params.get(name, "")
        if value:
            return value
        if default is None:
            raise missing(name)
        return default

    def integer(self, name: str) -> int | None:
        """A whole number, None when absent; -1100 when it is something else."""
        value = self.params.get(name, "")
        if not value:
            return None
        if not value.lstrip("-").isdigit():
            raise illegal(name)
        return int(value)

    def decimal(self, name: str) -> Decimal | None:
        """An amount, None when absent; -1100 malformed, -1111 more than eight decimals."""
        value = self.params.get(name, "")
        if not value:
            return None
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise illegal(name) from None
        if not amount.is_finite():
            raise illegal(name)
        if amount != round(amount, 8):
            raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
        return amount

    def limit(self) -> int:
        """The `limit` of list answers: 500 unless given, at most 1000."""
        given = self.integer("limit")
        if given is not None and given < 1:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(given or 500, 1000)

    def signed_payload(self) -> str:
        """What the signature signs: query and form, each without the signature itself."""
        parts = (
            "&".join(pair for pair in part.split("&") if not pair.startswith("signature="))
            for part in (self.query, self.body)
        )
        return "".join(parts)


def in_time(request: Request, at_ms: int) -> bool:
    """Whether a time lies within the request's startTime and endTime."""
    start, end = request.integer("startTime"), request.integer("endTime")
    return (start is None or at_ms >= start) and (end is None or at_ms <= end)


def page(request: Request, found: list[Any], *, ahead: bool) -> list[Any]:
    """The first entries from a given id or time on, else the last ones."""
    ahead = ahead or request.integer("startTime") is not None
    return found[: request.limit()] if ahead else found[-request.limit() :]


def page_of_trades(request: Request, trades: list[Any], market: Any) -> list[Any]:
    """Of `trades` those of a market and, if they are given, of an order, from an id on, in time."""
    first, order_id = request.integer("fromId"), request.integer("orderId")
    found = [
        trade
        for trade in trades
        if trade.order.market is market
        and (order_id is None or trade.order.order_id == order_id)
        and (first is None or trade.trade_id >= first)
        and in_time(request, trade.time_ms)
    ]
    return page(request, found, ahead=first is not None)


def illegal(name: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'.")


def authenticate(request: Request, accounts: Accounts, now_ms: int) -> ApiKey:
    """The key that signed the request; -2014, -2015, -1102, -1021 or -1022 otherwise."""
    key = accounts.find(request.api_key)
    request.text("timestamp")
    signature = request.text("signature")
    payload = request.signed_payload().encode()
    expected = hmac.new(key.secret.encode(), payload, hashlib.sha256).hexdigest()
    check_time(request, now_ms)
    if not hmac.compare_digest(expected, signature):
        raise ApiError(-1022)
    return key


def check_time(request: Request, now_ms: int) -> None:
    """-1021 unless the timestamp is at most recvWindow old and less than a second ahead.

    Binance does this on arrival and again just before an order reaches the matching engine.
    """
    stamp = request.integer("timestamp")
    window = request.integer("recvWindow")
    window = 5000 if window is None else window
    if stamp is None:
        raise missing("timestamp")
    if not 0 < window <= MAX_RECV_WINDOW:
        raise ApiError(-1131, "recvWindow must be less than 60000.")
    if stamp >= now_ms + AHEAD_MS:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - stamp > window:
        raise ApiError(-1021)


@dataclass(kw_only=True)
class Response:
    """One HTTP answer. `cut` sends only half of the body and closes."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    code: int | None = None  # of an error answer, for the log

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Response:
        return cls(status=status, body=json.dumps(value, separators=(",", ":")).encode())

    @classmethod
    def error(cls, error: ApiError) -> Response:
        answer = cls.json({"code": error.code, "msg": error.message}, error.status)
        answer.code = error.code
        return answer


class DropConnection(Exception):
    """The connection is to be reset without an answer."""
