"""What the parameters of futures orders and algo orders say, checked for form."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tests.testexchange.errors import ApiError, missing
from tests.testexchange.forms import BaseForm, client_id, read_side
from tests.testexchange.messages import Request
from tests.testexchange.money import ZERO

ALGO_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
LIMIT_ALGOS = ("STOP", "TAKE_PROFIT")
USE_ALGO = "Order type not supported for this endpoint. Please use the Algo Order API endpoints."


@dataclass(frozen=True, kw_only=True)
class FuturesForm(BaseForm):
    """An order or algo order."""

    trigger_price: Decimal
    reduce_only: bool
    close_position: bool
    by_mark: bool


def flag(request: Request, name: str) -> bool:
    """A Boolean parameter, False when absent; -1102 when it is neither true nor false."""
    value = request.text(name, "false").lower()
    if value not in ("true", "false"):
        raise missing(name)
    return value == "true"


def _amount(request: Request, name: str, *, needed: bool, code: int, text: str) -> Decimal:
    if needed:
        request.text(name)
    value = request.decimal(name)
    if value is not None and value <= 0 and needed:
        raise ApiError(code, text)
    return value or ZERO


def _time_in_force(request: Request, *, limit: bool) -> str:
    if not limit:
        return "GTC"
    given = request.text("timeInForce", "GTC")
    if given not in ("GTC", "IOC", "FOK", "GTX"):
        raise ApiError(-1115)
    return given


def _read(request: Request, kind: str, *, limit: bool, trigger: bool, name: str) -> FuturesForm:
    if request.text("positionSide", "BOTH") != "BOTH":
        raise ApiError(-4061)
    closes = flag(request, "closePosition")
    working = request.text("workingType", "CONTRACT_PRICE")
    return FuturesForm(
        side=read_side(request),
        type=kind,
        time_in_force=_time_in_force(request, limit=limit),
        client_id=client_id(request, name),
        price=_amount(
            request, "price", needed=limit, code=-4001, text="Price less than or equal to zero."
        ),
        trigger_price=_amount(
            request,
            "triggerPrice",
            needed=trigger,
            code=-4006,
            text="Stop price less than or equal to zero.",
        ),
        quantity=_amount(
            request,
            "quantity",
            needed=not closes,
            code=-4003,
            text="Quantity less than or equal to zero.",
        ),
        reduce_only=flag(request, "reduceOnly"),
        close_position=closes,
        by_mark=working == "MARK_PRICE",
    )


def read_order(request: Request) -> FuturesForm:
    """The parameters of `POST order`; -4120 for the types that have moved to algo orders."""
    kind = request.text("type")
    if kind in (*ALGO_TYPES, "TRAILING_STOP_MARKET"):
        raise ApiError(-4120, USE_ALGO)
    if kind not in ("LIMIT", "MARKET"):
        raise ApiError(-1116)
    if flag(request, "closePosition"):
        raise ApiError(-4136, "Target strategy invalid for orderType.")
    return _read(request, kind, limit=kind == "LIMIT", trigger=False, name="newClientOrderId")


def read_algo(request: Request) -> FuturesForm:
    """The parameters of `POST algoOrder`."""
    if request.text("algoType") != "CONDITIONAL":
        raise ApiError(-1102, "Mandatory parameter 'algoType' was malformed.")
    kind = request.text("type")
    if kind not in ALGO_TYPES:
        raise ApiError(-1116)
    form = _read(request, kind, limit=kind in LIMIT_ALGOS, trigger=True, name="clientAlgoId")
    if form.close_position and (form.reduce_only or form.quantity or kind in LIMIT_ALGOS):
        raise ApiError(-1106, "Parameter 'quantity' or 'reduceonly' sent when not required.")
    return form
