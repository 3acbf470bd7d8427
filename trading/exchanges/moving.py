"""Transfers between the wallets of a Binance account: what ccxt wants, and what its answers say."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from trading.exchange import Fault, Rejected
from trading.exchanges.answers import bad, number
from trading.exchanges.errors import Call
from trading.exchanges.sending import plain
from trading.wallets import TransferReport, Wallet

#: ccxt's names of the wallets: of futures the USDT-margined ones.
ACCOUNTS: Mapping[Wallet, str] = {Wallet.SPOT: "spot", Wallet.FUTURES: "linear"}
#: Binance's names of the two ways.
WAYS: Mapping[Wallet, str] = {Wallet.SPOT: "MAIN_UMFUTURE", Wallet.FUTURES: "UMFUTURE_MAIN"}
#: The most that Binance lists at once.
PAGE = 100


def transfer_args(
    raw: Any, currency: str, amount: Decimal, source: Wallet, target: Wallet
) -> tuple[str, str | None, str, str]:
    """Return the arguments of ccxt's transfer.

    Rejected for a currency that is not known, an amount that is not positive, and one with more
    decimals than ccxt would send: nobody rounds it in silence.
    """
    if currency not in (raw.currencies or {}):
        raise Rejected(Fault.ORDER_REJECTED, f"there is no currency {currency} on futures")
    if not amount.is_finite() or amount <= 0 or source is target:
        raise Rejected(Fault.ORDER_REJECTED, "a transfer moves an amount to another wallet")
    try:
        sent = Decimal(raw.currency_to_precision(currency, plain(amount)))
    except InvalidOperation:
        sent = Decimal(0)
    if sent != amount:
        text = f"{amount:f} {currency} has more decimals than the exchange takes"
        raise Rejected(Fault.ORDER_REJECTED, text)
    return currency, plain(amount), ACCOUNTS[source], ACCOUNTS[target]


def transfer_id(answer: object) -> str:
    """Return the id that the exchange gave the transfer, or raise BAD_ANSWER: outcome unknown."""
    found = answer.get("id") if isinstance(answer, Mapping) else None
    if not found:
        raise bad("the answer is about no transfer")
    return str(found)


def listed_transfers(
    read: Callable[..., Any],
    currency: str,
    source: Wallet,
    *,
    since: int,
    until: int,
) -> Sequence[TransferReport]:
    """Return the account's transfers out of a wallet between two moments (Unix ms)."""
    # Not by ccxt's names of the wallets: it would send those on.
    way = {"type": WAYS[source], "until": until}
    rows = read(Call.READ, "fetch_transfers", currency, since, PAGE, way)
    if not isinstance(rows, list) or len(rows) >= PAGE:
        raise bad("the answer is no whole list of transfers")
    reports = [_report(row) for row in rows if row.get("currency") == currency]
    return [report for report in reports if since <= report.at <= until]


def _report(row: Mapping[str, Any]) -> TransferReport:
    at = row.get("timestamp")
    if not row.get("id") or not row.get("currency") or not isinstance(at, int):
        raise bad("a transfer without id, currency or time")
    return TransferReport(
        transfer_id=str(row["id"]),
        currency=str(row["currency"]),
        amount=number(row.get("amount"), "a transfer's amount"),
        at=at,
        is_done=row.get("status") == "ok",
    )
