"""manage.py backtest ID"""

import csv
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from bots.backtests import plans
from bots.backtests.figures import Tried
from bots.management.commands._bot import BotCommand, find_bot
from bots.management.commands._past import (
    add_past,
    costs_of,
    instant,
    past_of,
    terms_of,
    with_capital,
)
from bots.models import BotConfig
from trading import backtest, strategies
from trading.backtest import Plan, Report, Result, Unsupported
from trading.history import BadHistory, History
from trading.rounding import readable

DAY_MS = 86_400_000
COLUMNS = ("at", "day", "side", "reason", "amount", "price", "value", "fee", "pnl")


class Command(BotCommand):
    help = (
        "Try a bot as it is set now on candles of the past, by the engine's own decisions, fills"
        " and limits. Sends nothing and changes nothing. Candles come from a CSV file (time, open,"
        " high, low, close, volume; may be .gz) or, with --days, from what `history fetch` keeps;"
        " the simulated exchange needs no files."
        " Exit codes: 1 it cannot be tried, 2 no such bot."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_past(parser)
        parser.add_argument("--orders", type=Path, metavar="FILE", help="write each order as CSV")

    def handle(self, *, bot_id: int, **options: Any) -> None:
        bot = with_capital(find_bot(bot_id), options["capital"])
        try:
            past = past_of(bot, options["candles"], options["days"])
            costs = costs_of(options)
            terms = terms_of(bot, past, options)
            plan = plans.plan_of(bot, past.candles, costs=costs, terms=terms)
            begun = time.perf_counter()
            result = backtest.run(plan)
        except (plans.NoRules, BadHistory, Unsupported, OSError) as error:
            raise CommandError(str(error)) from None
        except (strategies.UnknownStrategy, strategies.ParamErrors) as error:
            raise CommandError(f"bot {bot.pk}: {error}") from None
        seconds = time.perf_counter() - begun
        self._tell(bot, past, plan, result, seconds)
        if options["orders"] is not None:
            _write(options["orders"], result)

    def _tell(
        self, bot: BotConfig, past: History, plan: Plan, result: Result, seconds: float
    ) -> None:
        say, found = self.stdout.write, backtest.report(plan, result)
        say(f"bot {bot.pk} ({bot.name}): {bot.strategy} on {bot.symbol}, {bot.timeframe}")
        say(
            f"{len(plan.candles):,} candles, {instant(result.first)} to {instant(result.end)}"
            f" ({seconds:.1f} s)"
        )
        if past.missing or past.repeated:
            say(
                f"{past.missing:,} candles are missing in {len(past.gaps)} gaps, no signal looks"
                f" across one; {past.repeated:,} lines told a candle twice"
            )
        say(
            f"assumed: fee {percent(plan.fee_rate)}, slippage {percent(plan.costs.slippage)},"
            f" spread {percent(plan.costs.spread)}, {readable(plan.capital)} {plan.rules.quote}"
            f" at the start; a look at each opening, stops watched all the time, stop before target"
        )
        for line in (
            *_waiting(plan, result),
            *_held(plan, found),
            *_figures(Tried(plan=plan, result=result, past=past, since=result.first), found),
        ):
            say(line)
        if result.ended is not None:
            say(f"ended early: {result.ended}")


def _waiting(plan: Plan, result: Result) -> list[str]:
    """Return how entries that rest are judged, and what became of them."""
    if result.waits is None:
        return []
    patience, waits = plan.settings.entry_timeout_seconds, result.waits
    judged = (
        "assumed: entries as limit orders, filled whole at their price when a candle comes to it"
        f" within {patience} s, else given up as the next candle opens"
    )
    return [judged, f"entry orders {waits.sent}, filled {waits.filled}"]


def _held(plan: Plan, found: Report) -> list[str]:
    """Return what a perpetual has besides: its terms, and what they came to."""
    if not plan.is_perpetual:
        return []
    terms, quote = plan.terms, plan.rules.quote
    held = (
        f"assumed: isolated margin at leverage {plan.settings.leverage}, liquidation by"
        f" {percent(terms.maintenance)} maintenance margin (the whole margin is lost), funding"
        f" {percent(terms.funding_rate)} in 8 h where no rate is known"
    )
    came = (
        f"by prices alone {found.gross:+.2f} {quote}, funding {found.funding:+.2f} in"
        f" {found.payments} payments, {found.assumed} of them at the assumed rate;"
        f" liquidations {found.liquidations}"
    )
    return [held, came]


def _figures(tried: Tried, found: Report) -> list[str]:
    summary, fall, quote = found.summary, tried.fall, tried.plan.rules.quote
    lines = []
    rate = "-" if summary.win_rate is None else f"{summary.win_rate:.1f} %"
    factor = "-" if summary.profit_factor is None else f"{summary.profit_factor:.2f}"
    hold = "-" if found.hold is None else f"{found.hold:+.2f} %"
    lines.append(
        f"trades {summary.trades} (won {summary.wins}, lost {summary.losses}), win rate {rate},"
        f" profit factor {factor}"
    )
    lines.append(
        f"realised {found.pnl:+.2f} {quote}, fees {found.fees:.2f}, open {found.open_pnl:+.2f},"
        f" largest drawdown {fall.percent:.2f} %, in money {fall.amount:.2f}"
    )
    lines.append(f"capital {found.value:.2f} {quote} ({found.percent:+.2f} %), buy and hold {hold}")
    return lines


def percent(fraction: Decimal) -> str:
    """Return a fraction in percent."""
    return f"{readable(fraction * 100)} %"


def _write(path: Path, result: Result) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for one in result.orders:
            at = datetime.fromtimestamp(one.at / 1000, UTC).isoformat()
            numbers = (one.amount, one.price, one.value, one.fee, one.pnl)
            rows.writerow([at, one.day, one.side, one.reason, *(f"{n:f}" for n in numbers)])
