"""After a soak: the futures side of the ledger against what the exchange did."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bots import reconcile
from bots.models import BotConfig, BotState, Fill, Funding, Order
from bots.models.ledger import PREFIX
from tests.testexchange import ExchangeControl


def settled() -> list[str]:
    """Compare every bot once more, as `manage.py reconcile` does; what cannot be is a violation.

    Funding and what a liquidation cost are booked with a comparison, and the last one may be older
    than they are.
    """
    return [
        f"bot {bot.pk} does not agree: {finding.text}"
        for bot in BotConfig.objects.filter(state__isnull=False)
        for finding in reconcile.reconcile(bot.pk)
        if not finding.ok
    ]


def counts() -> dict[str, int]:
    """Return how much of what went on was of perpetuals."""
    orders = Order.objects.filter(bot__symbol__contains=":")
    return {
        "orders": orders.count(),
        "fills": Fill.objects.filter(bot__symbol__contains=":").count(),
        "liquidations": orders.filter(purpose=Order.Purpose.LIQUIDATION).count(),
        "payments of funding and penalties": Funding.objects.count(),
    }


def violations(exchange: ExchangeControl, deposited: Decimal) -> list[str]:
    """Return what differs; `deposited`: USDT in each account's futures wallet at the beginning."""
    truth = exchange.futures()
    return [
        *_orders(truth),
        *_fills(truth),
        *_positions(truth),
        *_wallets(truth, deposited),
    ]


def _is_perpetual(symbol: str) -> bool:
    return ":" in symbol


def _orders(truth: dict[str, Any]) -> Iterator[str]:
    plain = {row["clientOrderId"]: row for row in truth["orders"]}
    algos = {row["clientAlgoId"]: row for row in truth["algo_orders"]}
    mine = {
        row.client_order_id: row
        for row in Order.objects.select_related("bot")
        if _is_perpetual(row.bot.symbol)
    }
    for name in plain.keys() | algos.keys():
        if name.startswith(PREFIX) and name not in mine:
            yield f"{name} lies at the futures exchange without a row"
    for name, row in mine.items():
        there = _executed(algos[name]) if name in algos else None
        if name in plain:
            there = Decimal(plain[name]["executedQty"])
        if not row.is_settled:
            yield f"{name} is still {row.status}"
        elif there is None and row.status not in ("abandoned", "rejected"):
            yield f"{name} is {row.status}, but the futures exchange has no such order"
        elif there is not None and there != row.filled:
            yield f"{name} is {row.status} {row.filled}, there {there}"


def _executed(algo: dict[str, Any]) -> Decimal:
    return Decimal(algo["actualQty"]) if algo["actualOrderId"] else Decimal(0)


def _fills(truth: dict[str, Any]) -> Iterator[str]:
    """Compare trade by trade, digit by digit: on futures nobody else trades these accounts."""
    names = ("price", "qty", "quoteQty", "commission")
    theirs = {
        (row["symbol"], str(row["id"])): (
            *(Decimal(row[name]) for name in names),
            row["commissionAsset"],
        )
        for row in truth["trades"]
    }
    mine = {
        (_contract(fill.bot.symbol), fill.trade_id): (
            fill.price,
            fill.amount,
            fill.quote,
            fill.fee,
            fill.fee_currency,
        )
        for fill in Fill.objects.select_related("bot")
        if _is_perpetual(fill.bot.symbol)
    }
    for key in theirs.keys() ^ mine.keys():
        yield f"futures trade {key} is only {'there' if key in theirs else 'in the ledger'}"
    for key in theirs.keys() & mine.keys():
        if theirs[key] != mine[key]:
            yield f"futures fill {key}: {mine[key]}, there {theirs[key]}"


def _contract(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


def _positions(truth: dict[str, Any]) -> Iterator[str]:
    theirs = {
        (account, row["symbol"]): Decimal(row["amount"])
        for account, rows in truth["positions"].items()
        for row in rows
    }
    mine = {
        (state.bot.account.label, _contract(state.bot.symbol)): state.position.signed_amount  # type: ignore[union-attr]
        for state in BotState.objects.select_related("bot__account").filter(in_position=True)
        if _is_perpetual(state.bot.symbol)
    }
    for key in theirs.keys() | mine.keys():
        there, ours = theirs.get(key, Decimal(0)), mine.get(key, Decimal(0))
        if there != ours:
            yield f"futures position {key}: {ours}, there {there}"


def _wallets(truth: dict[str, Any], deposited: Decimal) -> Iterator[str]:
    """What the ledger earned is what the wallets grew by: fees, funding, liquidations and all."""
    earned: Counter[str] = Counter()
    for fill in Fill.objects.select_related("bot__account"):
        if _is_perpetual(fill.bot.symbol):
            earned[fill.bot.account.label] += fill.realized_pnl  # type: ignore[union-attr]
    for paid in Funding.objects.select_related("bot__account"):
        earned[paid.bot.account.label] += paid.amount  # type: ignore[union-attr]
    for account, wallet in truth["wallets"].items():
        grown = Decimal(wallet.get("USDT", "0")) - deposited
        if grown != earned[account]:
            yield f"account {account}: wallet grew by {grown}, the ledger says {earned[account]}"
