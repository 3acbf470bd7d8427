"""The rows behind a paper account: answer, fill and balance commit together."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from bots.models import Account, PaperBalance, PaperOrder
from bots.models.fields import plain
from trading.exchange import Fault, Rejected
from trading.market import EXACT, FillReport, Holding, OrderReport, OrderStatus, Side


class PaperBook:
    """Implements trading.exchanges.paper.Book for one account.

    A new account starts with PAPER_START_BALANCE, or the bot's capital if that is more, of its
    quote currency.
    """

    def __init__(self, account: Account, *, quote: str, capital: Decimal) -> None:
        self.account = account
        self.quote = quote
        self.capital = capital

    def find(self, client_order_id: str) -> OrderReport | None:
        row = PaperOrder.objects.filter(
            account=self.account, client_order_id=client_order_id
        ).first()
        # An empty report is the mark of an order that was given up.
        return _read_report(row.report) if row and row.report else None

    def conclude(self, client_order_id: str) -> OrderReport | None:
        row, _ = PaperOrder.objects.get_or_create(
            account=self.account, client_order_id=client_order_id, defaults={"report": {}}
        )
        return _read_report(row.report) if row.report else None

    def record(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        try:
            with transaction.atomic():
                PaperOrder.objects.create(
                    account=self.account,
                    client_order_id=report.client_order_id,
                    report=_write_report(report),
                )
                for currency in sorted(deltas):
                    self._add(currency, deltas[currency])
        except IntegrityError:
            stored = self.find(report.client_order_id)
            if stored is None:
                raise Rejected(Fault.ORDER_REJECTED, "it came after it had been given up") from None
            return stored
        return report

    def balance(self) -> Mapping[str, Holding]:
        self._open()
        rows = PaperBalance.objects.filter(account=self.account)
        return {row.currency: Holding(free=row.units) for row in rows if row.units}

    def _open(self) -> None:
        start = max(settings.PAPER_START_BALANCE, self.capital)
        PaperBalance.objects.get_or_create(
            account=self.account, currency=self.quote, defaults={"units": start}
        )

    def _add(self, currency: str, delta: Decimal) -> None:
        self._open()
        PaperBalance.objects.get_or_create(account=self.account, currency=currency)
        row = PaperBalance.objects.select_for_update().get(account=self.account, currency=currency)
        units = EXACT.add(row.units, delta)
        if units < 0:
            raise Rejected(
                Fault.INSUFFICIENT_FUNDS,
                f"need {plain(-delta)} {currency}, have {plain(row.units)}",
            )
        PaperBalance.objects.filter(pk=row.pk).update(units=units)


def _write_report(report: OrderReport) -> dict[str, Any]:
    data = asdict(report)
    data["fills"] = [_plain_values(fill) for fill in data["fills"]]
    return _plain_values(data)


def _plain_values(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: plain(value) if isinstance(value, Decimal) else value for name, value in data.items()
    }


def _read_report(data: Mapping[str, Any]) -> OrderReport:
    decimals = {name: Decimal(data[name]) for name in ("amount", "filled")}
    average = None if data["average"] is None else Decimal(data["average"])
    fills = tuple(_read_fill(fill) for fill in data["fills"])
    return OrderReport(
        client_order_id=data["client_order_id"],
        exchange_order_id=data["exchange_order_id"],
        symbol=data["symbol"],
        side=Side(data["side"]),
        status=OrderStatus(data["status"]),
        average=average,
        at=data["at"],
        fills=fills,
        **decimals,
    )


def _read_fill(data: Mapping[str, Any]) -> FillReport:
    decimals = {name: Decimal(data[name]) for name in ("price", "amount", "quote", "fee")}
    return FillReport(
        trade_id=data["trade_id"], fee_currency=data["fee_currency"], at=data["at"], **decimals
    )
