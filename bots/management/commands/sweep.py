"""manage.py sweep ID"""

import csv
import os
import time
from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connections

from bots.backtests import plans
from bots.management.commands._bot import BotCommand, find_bot
from bots.management.commands._past import (
    add_past,
    costs_of,
    instant,
    past_of,
    terms_of,
    with_capital,
)
from trading import strategies
from trading.backtest import Unsupported
from trading.backtest.sets import combined
from trading.history import BadHistory
from trading.rounding import readable

#: What a table is sorted by: the best first.
ORDERS = {
    "pnl": lambda one: -one.pnl,
    "drawdown": lambda one: one.drawdown,
    "trades": lambda one: -one.trades,
}
FIGURES = ("trades", "wins", "pnl", "fees", "drawdown", "value")
MOST_VALUES = 1000


class Command(BotCommand):
    help = (
        "Try a bot on candles of the past with many sets of parameters, and list the best."
        " --vary names one of its strategy's parameters, or stop_loss_perc or take_profit_perc,"
        " with its values: `ema_fast=5:15` (by 1), `ema_slow=20:60:5`, `sell_at=upper,middle`."
        " Every combination is tried. What did best in the past is fitted to it: try the winner"
        " on other days. Exit codes: 1 it cannot be tried, 2 no such bot."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_past(parser)
        parser.add_argument("--vary", type=varied, action="append", required=True, metavar="N=A:B")
        parser.add_argument("--sort", choices=list(ORDERS), default="pnl")
        parser.add_argument("--top", type=int, default=20, help="how many sets to list")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="write every set as CSV")
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)

    def handle(self, *, bot_id: int, **options: Any) -> None:
        from trading.backtest.sweep import sweep

        bot = with_capital(find_bot(bot_id), options["capital"])
        grid = dict(options["vary"])
        try:
            past = past_of(bot, options["candles"], options["days"])
            costs = costs_of(options)
            terms = terms_of(bot, past, options)
            plan = plans.plan_of(bot, past.candles, costs=costs, terms=terms)
            chosen = combined(plan, grid)
            connections.close_all()  # forks must not share one
            begun = time.perf_counter()
            found = list(sweep(plan, chosen, processes=max(options["processes"], 1)))
        except (plans.NoRules, BadHistory, Unsupported, OSError) as error:
            raise CommandError(str(error)) from None
        except (strategies.UnknownStrategy, strategies.ParamErrors) as error:
            raise CommandError(f"bot {bot.pk}: {error}") from None
        seconds = time.perf_counter() - begun
        say, candles = self.stdout.write, plan.candles
        say(f"bot {bot.pk} ({bot.name}): {bot.strategy} on {bot.symbol}, {bot.timeframe}")
        begin, end = instant(candles.times[0]), instant(candles.times[-1])
        say(f"{len(candles):,} candles, {begin} to {end}; {len(found):,} sets in {seconds:.1f} s")
        found.sort(key=ORDERS[options["sort"]])
        say("  ".join([*grid, *FIGURES]))
        for one in found[: max(options["top"], 0)]:
            figures = (readable(getattr(one, name)) for name in FIGURES[2:])
            row = [*map(str, one.chosen.values()), str(one.trades), str(one.wins), *figures]
            say("  ".join(row))
        if options["csv"] is not None:
            with options["csv"].open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow([*grid, *FIGURES])
                for one in found:
                    figures = (getattr(one, name) for name in FIGURES)
                    rows.writerow([*one.chosen.values(), *figures])


def varied(text: str) -> tuple[str, list[str]]:
    """Read `name=a,b,c` or `name=from:to:step`; ValueError for anything else."""
    name, _, values = text.partition("=")
    if not name or not values:
        raise ValueError(text)
    if ":" not in values:
        return name, values.split(",")
    try:
        low, high, step = (Decimal(part) for part in (*values.split(":"), "1")[:3])
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not (low.is_finite() and high.is_finite() and step.is_finite() and step > 0):
        raise ValueError(text)
    count = int((high - low) / step) + 1
    if not 0 < count <= MOST_VALUES:
        raise ValueError(text)
    return name, [f"{low + step * number:f}" for number in range(count)]
