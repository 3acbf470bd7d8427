"""Trades, days and fills as CSV: RFC 4180 in UTF-8, ISO times in UTC, every digit.

Texts that a spreadsheet would run as a formula are put behind an apostrophe, as OWASP's "CSV
Injection" advises; numbers are numbers and stay as they are.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO

from django.http import HttpResponse

from bots.models import BotConfig, Fill
from bots.models.fields import plain
from bots.performance import History, Selection, Span
from trading.equity import Unit, buckets, by_day
from trading.symbols import quote_of

#: What a spreadsheet takes for the start of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
CHUNK = 2000
Bots = Mapping[int, BotConfig]
Cells = Iterable[object]
OF_BOT = ("bot_id", "bot", "mode", "symbol", "currency")
TRADES = (
    *("trade", *OF_BOT, "side", "opened_at", "closed_at", "trading_day", "amount"),
    *("entry_price", "exit_price", "pnl", "fees", "exit_reason", "held_seconds", "fills"),
)
DAYS = (
    *("trading_day", *OF_BOT, "result", "realized", "funding", "fees"),
    *("trades_closed", "won", "lost"),
)
FILLS = (
    *("kind", *OF_BOT, "time", "trading_day", "side", "price", "amount", "value", "fee"),
    *("fee_currency", "fee_quote", "realized", "reason", "order", "trade_id"),
)


def cell(value: object) -> str:
    """Write one value: numbers in full, instants in UTC, texts so that none is a formula."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | int):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def answer(name: str, header: Cells, rows: Iterable[Cells]) -> HttpResponse:
    """Return a CSV file to be saved under `name`."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return HttpResponse(
        out.getvalue(),
        content_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _of(bot: BotConfig) -> tuple[object, ...]:
    return bot.pk, bot.name, bot.mode, bot.symbol, quote_of(bot.symbol)


def trades(bots: Bots, found: Mapping[int, History], span: Span) -> Iterator[Cells]:
    """Yield the closed trades of a span, bot by bot, oldest first."""
    for pk in sorted(found):
        for trade in found[pk].folded.trades:
            if span.holds(trade.day):
                yield (
                    *(trade.number, *_of(bots[pk]), trade.side, trade.opened_at),
                    *(trade.closed_at, trade.day, trade.amount, trade.entry_price),
                    *(trade.exit_price, trade.pnl, trade.fees, trade.reason),
                    *(int(trade.held.total_seconds()), len({p.number for p in trade.parts})),
                )


def days(bots: Bots, found: Mapping[int, History], span: Span) -> Iterator[Cells]:
    """Yield each bot's trading days of a span, oldest first."""
    for pk in sorted(found):
        folded = found[pk].folded
        sums = by_day(folded.parts, found[pk].payments)
        for row in reversed(buckets(Unit.DAY, sums, folded.trades)):
            if span.holds(row.first):
                done = row.summary
                yield (
                    *(row.first, *_of(bots[pk]), row.sums.total, row.sums.realized),
                    *(row.sums.funding, row.sums.fees, done.trades, done.wins, done.losses),
                )


def fills(bots: Bots, found: Mapping[int, History], selection: Selection) -> Iterator[Cells]:
    """Yield the selected fills, oldest first, and after them the selected funding payments.

    Fees and results are those of the parts that were selected.
    """
    numbers = sorted(selection.parts)
    for start in range(0, len(numbers), CHUNK):
        rows = Fill.objects.filter(pk__in=numbers[start : start + CHUNK], bot__in=list(found))
        for pk, bot_id, *of_fill, reason, order, trade_id in rows.order_by("pk").values_list(
            *("pk", "bot_id", "at", "trading_day", "side", "price", "amount", "quote", "fee"),
            *("fee_currency", "order__reason", "order__client_order_id", "trade_id"),
        ):
            part = selection.parts[pk]
            yield (
                *("fill", *_of(bots[bot_id]), *of_fill, part.fees, part.realized),
                *(reason, order, trade_id),
            )
    chosen = set(selection.payments)
    for pk in sorted(found):
        for payment in found[pk].payments:
            if payment in chosen:
                yield (
                    *("funding", *_of(bots[pk]), payment.at, payment.day, None, None, None),
                    *(None, None, None, None, payment.amount, None, None, None),
                )
