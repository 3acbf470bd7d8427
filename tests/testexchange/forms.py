"""What a new spot order's parameters say, checked for form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.testexchange.accounts import ApiKey
from tests.testexchange.errors import ApiError, missing
from tests.testexchange.markets import ORDER_TYPES, Market
from tests.testexchange.messages import Request, illegal
from tests.testexchange.money import ZERO
from tests.testexchange.orders import CONDITIONAL, UNPRICED

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")


@dataclass(frozen=True, kw_only=True)
class BaseForm:
    """An order as its sender describes it; amounts that were not sent are 0, ids empty."""

    side: str
    type: str
    time_in_force: str
    client_id: str
    price: Decimal
    quantity: Decimal

    def terms(self, key: ApiKey, market: Market, now_ms: int) -> dict[str, Any]:
        """The fields that every order has from its form, its sender and the moment."""
        return {
            "api_key": key.api_key,
            "market": market,
            "side": self.side,
            "type": self.type,
            "time_in_force": self.time_in_force,
            "price": self.price,
            "quantity": self.quantity,
            "created_ms": now_ms,
            "updated_ms": now_ms,
            "watched_ms": now_ms,
        }


@dataclass(frozen=True, kw_only=True)
class Form(BaseForm):
    """A spot order."""

    stop_price: Decimal
    quote_order_qty: Decimal = ZERO


def read_side(request: Request) -> str:
    side = request.text("side")
    if side not in ("BUY", "SELL"):
        raise ApiError(-1117)
    return side


def client_id(request: Request, name: str) -> str:
    """A client id, empty when absent; -1100 when Binance does not take it."""
    given = request.text(name, "")
    if given and not CLIENT_ID.fullmatch(given):
        raise illegal(name)
    return given


def positive(request: Request, name: str, *, needed: bool) -> Decimal:
    """An amount above 0, or 0 when absent and not needed; -1102, -1013."""
    if needed:
        request.text(name)
    value = request.decimal(name)
    if value is not None and value <= 0:
        raise ApiError(-1013, f"Invalid {name}.")
    return value or ZERO


def refuse(request: Request, *names: str) -> None:
    """-1106 for a parameter that the order type does not take."""
    for name in names:
        if request.params.get(name):
            raise ApiError(-1106, f"Parameter '{name}' sent when not required.")


def read_form(request: Request) -> Form:
    """The parameters of `POST order`; -1116, -1117, -1102, -1106, -1115, -1013."""
    side, kind = read_side(request), request.text("type")
    if kind not in ORDER_TYPES:
        raise ApiError(-1116)
    quote = ZERO
    if kind == "MARKET":
        refuse(request, "price", "timeInForce", "stopPrice")
        quote = positive(request, "quoteOrderQty", needed=False)
        if quote and request.params.get("quantity"):
            raise ApiError(-1106, "Parameter 'quoteOrderQty' sent when not required.")
        if not quote and not request.params.get("quantity"):
            raise missing("quantity")
    return Form(
        side=side,
        type=kind,
        time_in_force=read_time_in_force(request, kind),
        client_id=client_id(request, "newClientOrderId"),
        price=positive(request, "price", needed=kind not in UNPRICED),
        stop_price=positive(request, "stopPrice", needed=kind in CONDITIONAL),
        quantity=positive(request, "quantity", needed=not quote),
        quote_order_qty=quote,
    )


def read_time_in_force(request: Request, kind: str, name: str = "timeInForce") -> str:
    """Needed for orders that may rest at a price of their own; GTC for the others."""
    if kind in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
        given = request.text(name)
        if given not in TIMES_IN_FORCE:
            raise ApiError(-1115)
        return given
    return "GTC"
