"""A backtest's result as its page shows it: figures, curves, months, trades, assumptions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from bots.backtests import perpetuals, plans
from bots.backtests.figures import instant
from bots.backtests.results import Kept
from bots.models import BacktestRun
from bots.models.bot import EntryType, Fallback
from bots.performance import History
from bots.sentences import duration
from bots.templatetags.performance import exit_label
from bots.templatetags.show import money, number, read
from bots.views import overlay
from bots.views.backtest_terms import held
from trading import strategies
from trading.equity import Bucket, Unit, buckets, by_day
from trading.trades import ZERO, ratio


@dataclass(frozen=True, kw_only=True)
class Month:
    """One month of trading days; `percent` of the starting capital."""

    label: str
    bucket: Bucket
    percent: Decimal


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a run that is done tells of itself; money is quote currency."""

    run: BacktestRun

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The summary, its texts read as numbers; names, counts and what is none stay."""
        names = {"quote", "base", "ended", "chosen"}
        return {
            name: value if name in names or isinstance(value, int) else read(value)
            for name, value in self.run.summary.items()
        }

    @property
    def quote(self) -> str:
        return str(self.run.summary["quote"])

    @property
    def base(self) -> str:
        return str(self.run.summary["base"])

    @property
    def tick(self) -> Decimal | None:
        return read(self.run.assumed["rules"]["price_tick"])

    @property
    def step(self) -> Decimal | None:
        return read(self.run.assumed["rules"]["amount_step"])

    @property
    def capital(self) -> Decimal:
        return plans.capital_of(self.run)

    @property
    def assumptions(self) -> Iterator[tuple[str, str]]:
        """What the result rests on, one line each."""
        assumed = {name: read(value) for name, value in self.run.assumed.items() if name != "rules"}
        for name, label in (
            ("fee_perc", _("Fee of each order")),
            ("slippage_perc", _("Slippage")),
            ("spread_perc", _("Spread, bid to ask")),
        ):
            yield label, f"{number(assumed[name] or ZERO)} %"
        yield _("Starting capital"), f"{money(self.capital)} {self.quote}"
        yield _("Looks"), _("once per candle, as it opens; closed candles only")
        yield (
            _("Stops and targets"),
            _("watched all the time; of both in one candle the stop first"),
        )
        if self.is_perpetual:
            yield from held(self.run, self.figures)
        yield _("Orders"), self._orders
        if entries := self._entries:
            yield _("Entries"), entries
        yield _("Trading day"), str(self.run.assumed["zone"])
        yield _("Market rules"), self._rules()

    @property
    def is_perpetual(self) -> bool:
        """Whether it was tried on a perpetual."""
        return perpetuals.is_perpetual(self.run.symbol)

    @property
    def _orders(self) -> str:
        if strategies.ladder_of(self.run.strategy):
            return _("those of the ladder rest, and trade whole when the price comes to them")
        if plans.draft_of(self.run).entry_type != EntryType.MARKET:
            return _("exits at market, entries as limit orders; each filled whole")
        return _("at market, filled whole at once")

    @property
    def _entries(self) -> str:
        """How entries that rest are judged; empty where none does."""
        bot, spread = plans.draft_of(self.run), read(self.run.assumed["spread_perc"])
        if bot.entry_type == EntryType.MARKET:
            return ""
        if not (spread or bot.entry_offset_perc):
            return _("as limit orders at the one price there is, as no spread is given: at once")
        given_up = {
            Fallback.NONE: _("sent anew while the signal stands"),
            Fallback.MARKET: _("bought at market"),
        }
        return _(
            "limit orders, filled whole at their price when a candle comes to it within"
            " %(patience)s s; else given up as the next candle opens, and then %(then)s"
        ) % {
            "patience": bot.entry_timeout_seconds,
            "then": given_up[Fallback(bot.entry_fallback)],
        }

    def _rules(self) -> str:
        rules = {name: read(value) for name, value in self.run.assumed["rules"].items()}
        return _("step %(step)s, tick %(tick)s, at least %(least)s %(quote)s") % {
            "step": number(rules["amount_step"] or ZERO),
            "tick": number(rules["price_tick"] or ZERO),
            "least": number(rules["min_notional"] or ZERO),
            "quote": self.quote,
        }


@dataclass(frozen=True, kw_only=True)
class Report(Told):
    """The result of one set."""

    kept: Kept

    @property
    def beats_holding(self) -> Decimal | None:
        """By how many points of percent it did better than holding; None without candles."""
        hold = self.figures["hold_percent"]
        return None if hold is None else Decimal(self.figures["percent"]) - hold

    @cached_property
    def history(self) -> History:
        """The orders as the ledger of a bot would have them."""
        return History(bot_id=0, folded=self.kept.folded())

    def by(self, unit: Unit) -> list[Bucket]:
        """Return the days or months in which something was traded, newest first."""
        folded = self.history.folded
        return buckets(unit, by_day(folded.parts, self.kept.payments()), folded.trades)

    @cached_property
    def months(self) -> list[Month]:
        """The months in which something was traded, newest first."""
        return [
            Month(
                label=formats.date_format(row.first, "F Y"),
                bucket=row,
                percent=ratio(row.sums.total * 100, self.capital) if self.capital else ZERO,
            )
            for row in self.by(Unit.MONTH)
        ]

    # -- Curves -----------------------------------------------------------------------------------
    @cached_property
    def equity(self) -> overlay.Drawing | None:
        """The account beside one that only holds, in percent of the starting capital."""
        return overlay.draw(
            [
                ("hold", _("Buy and hold"), overlay.of_hold(self.kept, self.capital)),
                ("own", _("Account"), overlay.of_value(self.kept, self.capital)),
            ],
            self.kept.fall,
        )

    @cached_property
    def drawdown(self) -> overlay.Drawing | None:
        """How far the account was below its highest worth."""
        values = overlay.of_fall(self.kept.points, self.capital)
        return overlay.draw([("fall", _("Below its highest worth"), values)])

    @cached_property
    def curve_rows(self) -> list[dict[str, Any]]:
        """The curves as a table: the last point of each day, newest first."""
        days: dict[date, dict[str, Any]] = {}
        falls = overlay.of_fall(self.kept.points, self.capital)
        for point, (_at, fall) in zip(self.kept.points, falls, strict=True):
            at = instant(point.at - 1)
            row = {"at": at, "value": point.value, "hold": point.hold, "fall": fall}
            days[timezone.localdate(at)] = row
        return list(days.values())[::-1]

    # -- Words ------------------------------------------------------------------------------------
    @property
    def ended(self) -> str:
        """What switched the bot off before the end, or nothing."""
        reason = self.figures["ended"]
        return exit_label(reason) if reason else ""

    @property
    def gaps(self) -> list[tuple[datetime, datetime]]:
        """The first stretches without candles."""
        return [(instant(begin), instant(end)) for begin, end in self.kept.gaps[:20]]

    @property
    def held(self) -> str:
        return duration(self.figures["held_seconds"]) if self.figures["held_seconds"] else "-"


def trade_rows(report: Report, trades: Sequence[Any]) -> list[dict[str, Any]]:
    """Pair trades with the words for what ended them."""
    return [{"trade": trade, "exit": exit_label(trade.reason)} for trade in trades]


class Ends(NamedTuple):
    """When candles begin and end, and a moment of the last day that they are of."""

    begin: datetime
    end: datetime
    last: datetime


def ends_of(run: BacktestRun) -> Ends:
    """Return when the candles of a result begin and end, else what was asked for."""
    begin, end = run.since, run.until
    if run.summary:
        begin, end = (
            datetime.fromtimestamp(run.summary[name] / 1000, UTC) for name in ("first", "end")
        )
    return Ends(begin, end, end - timedelta(milliseconds=1))
