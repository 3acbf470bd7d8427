"""Kraken's errors (REST API, "Errors"): texts instead of numbers, in a list."""

from collections.abc import Mapping
from typing import Any

from trading.exchanges.codes.verdicts import (
    BAD_KEY,
    HALTED,
    LIMITED,
    MALFORMED,
    NO_FUNDS,
    NO_MARKET,
    NO_ORDER,
    NO_RIGHT,
    TOO_SMALL,
    UNCERTAIN,
    Code,
    Table,
    rows,
)


def read(body: Mapping[str, Any]) -> tuple[Code | None, str]:
    """Return the first error's text, as code and as message."""
    errors = body.get("error")
    first = errors[0] if isinstance(errors, list) and errors else None
    return (first, first) if isinstance(first, str) else (None, "")


TABLE = Table(
    read=read,
    account_limits=frozenset({"EOrder:Rate limit exceeded"}),
    messages=(
        ("insufficient", NO_FUNDS),
        ("invalid arguments", MALFORMED),
        ("invalid order", MALFORMED),
        ("rate limit exceeded", LIMITED),
    ),
    rows={
        **rows(UNCERTAIN, "EService:Unavailable", "EService:Busy", "EService:Deadline elapsed"),
        **rows(UNCERTAIN, "EGeneral:Internal error", "EDatabase:Internal error"),
        **rows(LIMITED, "EAPI:Rate limit exceeded", "EGeneral:Temporary lockout"),
        **rows(LIMITED, "EGeneral:Too many requests", "EOrder:Rate limit exceeded"),
        **rows(BAD_KEY, "EAPI:Invalid key", "EAPI:Invalid signature", "ESession:Invalid session"),
        **rows(NO_RIGHT, "EGeneral:Permission denied", "ETrade:User Locked", "EAccount:Locked"),
        **rows(NO_MARKET, "EQuery:Unknown asset pair", "EQuery:Invalid asset pair"),
        **rows(NO_MARKET, "EQuery:Unknown asset"),
        **rows(HALTED, "EService:Market in cancel_only mode", "EService:Market in post_only mode"),
        **rows(HALTED, "EService:Market in limit_only mode"),
        **rows(NO_ORDER, "EOrder:Unknown order"),
        **rows(NO_FUNDS, "EOrder:Insufficient funds", "EOrder:Insufficient margin"),
        **rows(TOO_SMALL, "EOrder:Order minimum not met", "EOrder:Cost minimum not met"),
        **rows(TOO_SMALL, "EGeneral:Invalid arguments:volume minimum not met"),
        **rows(MALFORMED, "EGeneral:Invalid arguments", "EGeneral:Invalid arguments:price"),
        **rows(MALFORMED, "EGeneral:Invalid arguments:volume", "EOrder:Tick size check failed"),
        **rows(MALFORMED, "EOrder:Invalid price", "EOrder:Invalid price:Invalid price argument"),
        **rows(MALFORMED, "EOrder:Orders limit exceeded", "EOrder:Positions limit exceeded"),
        **rows(MALFORMED, "EOrder:Post only order", "EOrder:Trading agreement required"),
        **rows(MALFORMED, "EOrder:Reduce only:Non-PC", "EOrder:Margin allowance exceeded"),
    },
)
