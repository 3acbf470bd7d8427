"""The figures of one quote currency as their page shows them: rows, charts, and their twins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _

from bots.models import BotConfig
from bots.performance import History, Report, Span, report
from bots.templatetags.performance import Scope, exit_label
from bots.templatetags.show import money, sign
from bots.views import charts
from trading.equity import Bucket, Unit
from trading.market import EXACT
from trading.performance import Summary
from trading.trades import Trade

#: Bars and points that a chart has room for; more are drawn by week and month, or by day.
MOST_BARS, MOST_POINTS = 100, 120
#: Rows of days that are shown unless all are asked for.
NEWEST = 14


@dataclass(frozen=True, kw_only=True)
class Row:
    """One day, week or month, with the days of it that the report covers."""

    label: str
    hint: str
    bucket: Bucket
    span: Span


@dataclass(frozen=True, kw_only=True)
class BotRow:
    """One bot's part of a currency's figures."""

    bot: BotConfig
    report: Report
    scope: Scope


@dataclass(frozen=True, kw_only=True)
class TwinRow:
    """One step of the equity curve: at an instant, or, where there are many, over a day."""

    at: datetime | None
    day: date
    change: Decimal
    value: Decimal


@dataclass(frozen=True, kw_only=True)
class Block:
    """All figures of one quote currency (and mode): of one bot, or of several with a row each."""

    currency: str
    report: Report
    scope: Scope
    unit: Unit
    today: date
    bots: Mapping[int, BotConfig]
    found: Mapping[int, History]
    has_all_rows: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was realised, paid or charged in the span."""
        return not self.report.parts and not self.report.payments

    @property
    def summary(self) -> Summary:
        return self.report.summary

    @property
    def rest(self) -> Decimal:
        """What was realised so far of positions that are not closed; asked for without a span."""
        return EXACT.subtract(self.report.sums.realized, self.summary.pnl)

    @property
    def exits(self) -> list[tuple[str, str, Summary]]:
        """What ended the trades: (reason, its label, the figures of those trades)."""
        return [(reason, exit_label(reason), row) for reason, row in self.report.reasons]

    @cached_property
    def bot_rows(self) -> list[BotRow]:
        """Each bot with a figure in the span, the best result first."""
        rows = [self._bot_row(bot, self.found[pk]) for pk, bot in self.bots.items()]
        rows = [row for row in rows if row.report.parts or row.report.payments]
        return sorted(rows, key=lambda row: row.report.sums.total, reverse=True)

    def _bot_row(self, bot: BotConfig, history: History) -> BotRow:
        if bot.deleted_at is None:
            scope = Scope(path=reverse("bot-fills", args=[bot.pk]))
        else:
            # Its own pages are gone; its fills are not.
            scope = Scope(path=self.scope.path, fixed=(*self.scope.fixed, ("bot", str(bot.pk))))
        cut = report([history], self.report.span, bot.initial_capital)
        return BotRow(bot=bot, report=cut, scope=scope)

    # -- Days, weeks, months ----------------------------------------------------------------------
    @cached_property
    def _buckets(self) -> list[Bucket]:
        return self.report.by(self.unit)

    @property
    def hidden_rows(self) -> int:
        return 0 if self.has_all_rows else max(len(self._buckets) - NEWEST, 0)

    @cached_property
    def rows(self) -> list[Row]:
        """The units of time, newest first."""
        shown = self._buckets if self.has_all_rows else self._buckets[:NEWEST]
        return [self._row(bucket, self.unit) for bucket in shown]

    def _row(self, bucket: Bucket, unit: Unit) -> Row:
        label, hint = _unit_label(unit, bucket.first, bucket.last)
        span = self.report.span.cut(bucket.first, bucket.last)
        return Row(label=label, hint=hint, bucket=bucket, span=span)

    # -- Charts -----------------------------------------------------------------------------------
    @property
    def _days(self) -> tuple[date, date]:
        """The first and the last day that the charts show."""
        days = list(self.report.days)
        first = self.report.span.first or days[0]
        last = self.report.span.last or max(
            days[-1], self.today if self.report.span.first else first
        )
        return min(first, days[0]), last

    @cached_property
    def equity_rows(self) -> list[TwinRow]:
        """The points of the curve, oldest first: each result, or each day where they are many."""
        points = self.report.points
        if len(points) <= MOST_POINTS:
            return [
                TwinRow(at=one.at, day=one.at.date(), change=one.change, value=one.value)
                for one in points
            ]
        value, rows = Decimal(0), []
        for day, sums in self.report.days.items():
            value = EXACT.add(value, sums.total)
            rows.append(TwinRow(at=None, day=day, change=sums.total, value=value))
        return rows

    @property
    def curve(self) -> charts.Curve:
        fall = self.report.drawdown
        next_day = timedelta(days=1)
        points = [(r.at or charts.midnight(r.day + next_day), r.value) for r in self.equity_rows]
        stretch = (fall.peak_at, fall.trough_at) if fall.trough_at else None
        return charts.curve(points, self._days, stretch)

    @cached_property
    def bar_unit(self) -> Unit:
        first, last = self._days
        days = (last - first).days + 1
        return next(u for u, n in _LENGTHS if days <= n * MOST_BARS or u is Unit.MONTH)

    @cached_property
    def bar_rows(self) -> list[Row]:
        """What the bars stand for, newest first; units without any result have none."""
        found = self.report.by(self.bar_unit)
        return [self._row(bucket, self.bar_unit) for bucket in found]

    @property
    def bars(self) -> charts.Bars:
        sums = {row.bucket.first: row for row in self.bar_rows}
        values = []
        for start in _starts(self.bar_unit, *self._days):
            row = sums.get(start)
            total = row.bucket.sums.total if row else Decimal(0)
            label = row.label if row else ""
            title = f"{label}: {sign(total)}{money(abs(total))} {self.currency}" if row else ""
            values.append((start, total, title))
        return charts.bars(values)


_LENGTHS = ((Unit.DAY, 1), (Unit.WEEK, 7), (Unit.MONTH, 31))


def _starts(unit: Unit, first: date, last: date) -> Iterator[date]:
    start = unit.start_of(first)
    while start <= last:
        yield start
        start = unit.end_of(start) + timedelta(days=1)


def _unit_label(unit: Unit, first: date, last: date) -> tuple[str, str]:
    """Return what a day, week or month is called, and its days where the name hides them."""
    if unit is Unit.MONTH:
        return formats.date_format(first, "F Y"), ""
    if unit is Unit.WEEK:
        year, week, _weekday = first.isocalendar()
        days = f"{formats.date_format(first, 'j M')} \N{EN DASH} {formats.date_format(last, 'j M')}"
        return _("Week %(week)d, %(year)d") % {"week": week, "year": year}, days
    return formats.date_format(first, "j M Y"), formats.date_format(first, "D")


@dataclass(frozen=True, kw_only=True)
class TradeRow:
    """One closed trade with its bot and the words for what ended it."""

    trade: Trade
    bot: BotConfig
    exit: str


def trade_rows(trades: list[Trade], bots: Mapping[int, BotConfig]) -> list[TradeRow]:
    """Pair trades with what a page says of them."""
    return [
        TradeRow(trade=trade, bot=bots[trade.bot_id], exit=exit_label(trade.reason))
        for trade in trades
    ]
