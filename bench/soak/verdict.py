"""After a soak: what the ledger says against what the exchange did; the spot side in full."""

from collections import Counter
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from bots import invariants, recompute
from bots.models import BotState, Order
from bots.models.ledger import PREFIX
from tests.testexchange import ExchangeControl

#: The exchange's words for the end of an order, in ours.
ENDS = {
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
    "REJECTED": "rejected",
}
#: Where a request that orders carries our names: one order, or stop and target as a pair.
NAMES = ("newClientOrderId", "aboveClientOrderId", "belowClientOrderId", "clientAlgoId")
NEVER_TAKEN = ("abandoned", "rejected")


def violations(exchange: ExchangeControl) -> list[str]:
    """Return everything that is not as it must be, in plain words; empty: all holds."""
    truth = exchange.truth()
    theirs = {row["clientOrderId"]: row for row in truth["orders"] if _is_ours(row)}
    trades = [row for row in truth["trades"] if _is_ours(row)]
    found = [str(violation) for violation in invariants.check()]
    found += _orders(theirs)
    found += _fills(trades)
    found += _posts(truth["requests"])
    found += recomputed()
    found += _books(exchange)
    return found


def recomputed() -> list[str]:
    """Return where a fresh fold over the fills is not what the state row holds."""
    return [
        f"recompute would change bot {state.pk}: {found}"
        for state in BotState.objects.select_related("bot")
        for found in recompute.differences(state)
    ]


def _is_ours(row: dict[str, Any]) -> bool:
    return str(row["clientOrderId"]).startswith(PREFIX)


def _of_spot() -> QuerySet[Order]:
    return Order.objects.exclude(bot__symbol__contains=":")


def _orders(theirs: dict[str, dict[str, Any]]) -> list[str]:
    mine = {row.client_order_id: row for row in _of_spot()}
    found = [f"{name} lies at the exchange without a row" for name in theirs.keys() - mine.keys()]
    for name, row in mine.items():
        there = theirs.get(name)
        if not row.is_settled:
            found.append(f"{name} is still {row.status}")
        elif there is None and row.status not in NEVER_TAKEN:
            found.append(f"{name} is {row.status}, but the exchange has no such order")
        elif there is not None:
            told = (ENDS.get(there["status"], there["status"]), Decimal(there["executedQty"]))
            if told != (row.status, row.filled):
                found.append(f"{name} is {row.status} {row.filled}, there {told[0]} {told[1]}")
    return found


def _fills(trades: list[dict[str, Any]]) -> list[str]:
    """Compare trade by trade, digit by digit; a trade id is unique within an order."""
    names = ("price", "qty", "quoteQty", "commission")
    theirs = {
        (row["clientOrderId"], str(row["id"])): (
            *(Decimal(row[name]) for name in names),
            row["commissionAsset"],
        )
        for row in trades
    }
    mine: dict[tuple[str, str], tuple[Any, ...]] = {}
    for order in _of_spot().prefetch_related("fills"):
        for fill in order.fills.all():
            told = (fill.price, fill.amount, fill.quote, fill.fee, fill.fee_currency)
            mine[order.client_order_id, fill.trade_id] = told
    found = [f"trade {key} is missing in the ledger" for key in theirs.keys() - mine.keys()]
    found += [f"fill {key} never happened" for key in mine.keys() - theirs.keys()]
    both = theirs.keys() & mine.keys()
    found += [
        f"fill {key}: {mine[key]}, there {theirs[key]}" for key in both if mine[key] != theirs[key]
    ]
    return found


def _posts(requests: list[dict[str, Any]]) -> list[str]:
    """No order leaves twice, and none without its row."""
    posts = Counter(
        row["params"][name]
        for row in requests
        if row["method"] == "POST"
        for name in NAMES
        if name in row["params"]
    )
    known = set(Order.objects.values_list("client_order_id", flat=True))
    found = [f"{name} was posted {n} times" for name, n in posts.items() if n > 1]
    return found + [f"{name} was posted without a row" for name in posts.keys() - known]


def _books(exchange: ExchangeControl) -> list[str]:
    """An account holds at least what its bots' fills left there."""
    found = []
    held: Counter[tuple[str, str]] = Counter()
    for state in BotState.objects.select_related("bot__account").exclude(bot__symbol__contains=":"):
        coin = state.bot.symbol.partition("/")[0]
        held[state.bot.account.label, coin] += state.current_position_size  # type: ignore[union-attr]
    for (account, coin), units in held.items():
        there = exchange.balances(account).get(coin, {}).values()
        if sum(there, Decimal(0)) != units:
            found.append(f"account {account}: {sum(there, Decimal(0))} {coin}, bots hold {units}")
    return found
