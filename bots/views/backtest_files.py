"""What the page of a backtest asks for besides: candles for its chart, and files to save."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots.backtests import results
from bots.backtests.figures import instant
from bots.backtests.results import Kept
from bots.models import BacktestRun
from bots.models.ledger import SIDES
from bots.templatetags.show import amount, decimals_of, price
from bots.views import exports
from bots.views.backtest_report import Report
from bots.views.chart import COLOURS, ROWS, price_text
from bots.views.common import Request, unchanged
from trading.backtest import Order
from trading.equity import Unit

#: Orders that the chart marks: of the newest.
MARKS = 1_000
#: A result never changes: the chart asks once.
NEVER = 86_400
TRADES = (
    *("trade", "opened_at", "closed_at", "trading_day", "amount", "entry_price", "exit_price"),
    *("pnl", "percent", "fees", "exit_reason", "held_seconds", "side"),
)
SUMS = ("first_day", "last_day", "result", "fees", "trades_closed", "won", "lost", "funding")


def _report(request: Request, pk: int) -> Report:
    done = {"status": BacktestRun.Status.DONE, "kind": BacktestRun.Kind.SINGLE}
    run = request.user.backtests.filter(pk=pk, **done).first()
    kept = results.load(run) if run is not None else None
    if run is None or kept is None:
        raise Http404
    return Report(run=run, kept=kept)


def chart_context(report: Report) -> dict[str, Any]:
    """Return what the chart's part of the page shows before any script runs."""
    bars = report.kept.bars
    rows = [
        {"opened": instant(int(bar[0])), "values": [_number(value) for value in bar[1:]]}
        for bar in bars[: -ROWS - 1 : -1]
    ]
    return {"colours": COLOURS, "bars": rows, "chart_label": _label(report), "marks": MARKS}


def _number(value: float) -> Decimal:
    return Decimal(repr(value))


def _label(report: Report) -> str:
    text = _("Candles of %(symbol)s with the trades of the backtest; the table below has them all.")
    return text % {"symbol": report.run.symbol}


@login_required
@never_cache
@require_safe
def candles(request: Request, pk: int) -> HttpResponse:
    """Tell the chart candles and trades; `v`: it has them; `table`: the newest as HTML."""
    report = _report(request, pk)
    if request.GET.get("v") == str(pk):
        return unchanged()
    if "table" in request.GET:
        context = {"run": report.run, "report": report, **chart_context(report)}
        return render(request, "bots/_backtest_candles.html", context)
    kept = report.kept
    return JsonResponse(
        {
            "v": str(pk),
            "key": str(pk),
            "every": NEVER,
            "length": kept.bar_ms,
            "places": decimals_of(report.tick) or 0,
            "oldest": kept.bars[0][0] if kept.bars else None,
            "count": len(kept.bars),
            "label": _label(report),
            "candles": kept.bars,
            "levels": [],
            "fills": [_mark(report, kept, one) for one in enumerate(kept.orders[-MARKS:])],
        }
    )


def _mark(report: Report, kept: Kept, numbered: tuple[int, Order]) -> dict[str, Any]:
    number, order = numbered
    size = f"{amount(order.amount, report.step)} {report.base}"
    return {
        "id": number,
        "bar": order.at // kept.bar_ms * kept.bar_ms,
        "side": order.side.value,
        "price": price_text(order.price, report.tick),
        "text": f"{SIDES[order.side.value]} {size} @ {price(order.price, report.tick)}",
    }


# -- CSV ------------------------------------------------------------------------------------------
@login_required
@require_safe
def save(request: Request, pk: int, what: str) -> HttpResponse:
    """Send the trades, or what each day or month came to."""
    report = _report(request, pk)
    name = f"backtest-{pk}-{what}"
    if what == "trades":
        return exports.answer(name, TRADES, _trades(report))
    unit = Unit.DAY if what == "days" else Unit.MONTH
    return exports.answer(name, SUMS, _sums(report, unit))


def _trades(report: Report) -> Iterator[exports.Cells]:
    for number, trade in enumerate(report.history.folded.trades, start=1):
        yield (
            *(number, trade.opened_at, trade.closed_at, trade.day, trade.amount),
            *(trade.entry_price, trade.exit_price, trade.pnl, trade.percent, trade.fees),
            *(trade.reason, int(trade.held.total_seconds()), trade.side),
        )


def _sums(report: Report, unit: Unit) -> Iterator[exports.Cells]:
    for row in reversed(report.by(unit)):
        done = row.summary
        yield (
            *(row.first, row.last, row.sums.total, row.sums.fees),
            *(done.trades, done.wins, done.losses, row.sums.funding),
        )
