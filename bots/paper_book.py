"""The rows behind a paper account: answer, fill and balance commit together."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from bots.models import Account, PaperBalance, PaperOrder
from bots.models.fields import plain
from trading.exchange import Fault, Rejected
from trading.exchanges.book import Resting
from trading.market import EXACT, FillReport, Holding, OrderReport, OrderStatus, Side

ZERO = Decimal(0)


class PaperBook:
    """Implements trading.exchanges.book.Book for one account.

    A new account starts with PAPER_START_BALANCE, or the bot's capital if that is more, of its
    quote currency.
    """

    def __init__(self, account: Account, *, quote: str, capital: Decimal) -> None:
        self.account = account
        self.quote = quote
        self.capital = capital

    def find(self, client_order_id: str) -> OrderReport | None:
        row = self._orders().filter(client_order_id=client_order_id).first()
        # An empty report is the mark of an order that was given up.
        return _read_report(row.report) if row and row.report else None

    def conclude(self, client_order_id: str) -> OrderReport | None:
        row, _ = PaperOrder.objects.get_or_create(
            account=self.account, client_order_id=client_order_id, defaults={"report": {}}
        )
        return _read_report(row.report) if row.report else None

    def record(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        return self._insert(report, deltas)

    def rest(self, order: Resting) -> OrderReport:
        return self._insert(
            order.report,
            {order.currency: Decimal(0)},
            is_open=True,
            price=order.price,
            fee=order.fee,
            currency=order.currency,
            held=order.held,
        )

    def _insert(
        self, report: OrderReport, deltas: Mapping[str, Decimal], **open_order: Any
    ) -> OrderReport:
        try:
            with transaction.atomic():
                PaperOrder.objects.create(
                    account=self.account,
                    client_order_id=report.client_order_id,
                    report=_write_report(report),
                    **open_order,
                )
                self._change(deltas)
        except IntegrityError:
            stored = self.find(report.client_order_id)
            if stored is None:
                raise Rejected(Fault.ORDER_REJECTED, "it came after it had been given up") from None
            return stored
        return report

    def close(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        with transaction.atomic():
            # Whoever turns is_open off books the fill; all others read what became of it.
            closed = (
                self._orders()
                .filter(client_order_id=report.client_order_id, is_open=True)
                .update(is_open=False, report=_write_report(report))
            )
            if closed:
                self._change(deltas)
                return report
        return self.find(report.client_order_id) or report

    def resting(self) -> list[Resting]:
        return [
            Resting(
                report=_read_report(row.report),
                price=row.price or Decimal(0),
                fee=row.fee,
                currency=row.currency,
                held=row.held,
            )
            for row in self._orders().filter(is_open=True).order_by("pk")
        ]

    def since(self, at: int) -> list[OrderReport]:
        # An order may change long after it was made; JSON has no index worth the trouble.
        rows = self._orders().order_by("pk").values_list("report", flat=True)
        return [_read_report(report) for report in rows if report and report["at"] >= at]

    def balance(self) -> Mapping[str, Holding]:
        self._open()
        rows = PaperBalance.objects.filter(account=self.account)
        held = self._held()
        return {
            row.currency: Holding(
                free=EXACT.subtract(row.units, held.get(row.currency, ZERO)),
                used=held.get(row.currency, ZERO),
            )
            for row in rows
            if row.units
        }

    def _orders(self) -> QuerySet[PaperOrder]:
        return PaperOrder.objects.filter(account=self.account)

    def _held(self) -> dict[str, Decimal]:
        """Return what open orders hold back, by currency."""
        held: dict[str, Decimal] = {}
        rows = self._orders().filter(is_open=True).values_list("currency", "held")
        for currency, units in rows:
            held[currency] = EXACT.add(held.get(currency, ZERO), units)
        return held

    def _open(self) -> None:
        start = max(settings.PAPER_START_BALANCE, self.capital)
        PaperBalance.objects.get_or_create(
            account=self.account, currency=self.quote, defaults={"units": start}
        )

    def _change(self, deltas: Mapping[str, Decimal]) -> None:
        """Add to the balance, in an order that no two writers can lock each other out by."""
        self._open()
        for currency in sorted(deltas):
            self._add(currency, deltas[currency])

    def _add(self, currency: str, delta: Decimal) -> None:
        PaperBalance.objects.get_or_create(account=self.account, currency=currency)
        row = PaperBalance.objects.select_for_update().get(account=self.account, currency=currency)
        units = EXACT.add(row.units, delta)
        held = self._held().get(currency, ZERO)
        if units < held:
            free = EXACT.subtract(row.units, held) if delta else row.units
            raise Rejected(
                Fault.INSUFFICIENT_FUNDS,
                f"need {plain(-delta or held)} {currency}, have {plain(free)}",
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
    amount, filled = Decimal(data["amount"]), Decimal(data["filled"])
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
        amount=amount,
        filled=filled,
    )


def _read_fill(data: Mapping[str, Any]) -> FillReport:
    decimals = {name: Decimal(data[name]) for name in ("price", "amount", "quote", "fee")}
    return FillReport(
        trade_id=data["trade_id"], fee_currency=data["fee_currency"], at=data["at"], **decimals
    )
