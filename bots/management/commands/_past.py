"""What commands that look at the past ask alike: whose candles, and what trading costs."""

import time
from argparse import ArgumentParser
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from bots.backtests import past, perpetuals, plans
from bots.models import BotConfig
from trading import history
from trading.backtest import Costs, Terms
from trading.exchanges.simulated import SimulatedFeed
from trading.history import History
from trading.market import TIMEFRAMES

DAY_MS = 86_400_000


def number(text: str) -> Decimal:
    """Read an amount or a percentage: finite, and not below 0."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not value.is_finite() or value < 0:
        raise ValueError(text)
    return value


def add_past(parser: ArgumentParser) -> None:
    """Add the options that name the candles and the costs."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--candles", type=Path, metavar="FILE", help="a CSV file of candles")
    where.add_argument("--days", type=int, help="days until now, of the candles that are kept")
    parser.add_argument(
        "--capital", type=number, help="quote currency at the start, instead of the bot's"
    )
    parser.add_argument("--fee", type=number, help="percent of each order's value")
    parser.add_argument("--slippage", type=number, help="percent that the price gives way")
    parser.add_argument("--spread", type=number, default=Decimal(0), help="percent, bid to ask")
    usual = perpetuals.usual()
    parser.add_argument(
        "--maintenance",
        type=number,
        default=usual["maintenance_perc"],
        help="perpetuals: maintenance margin, percent of the value (%(default)f)",
    )
    parser.add_argument(
        "--funding",
        type=Decimal,
        default=usual["funding_perc"],
        help="perpetuals: percent in 8 hours where no rate is known (%(default)f)",
    )


def with_capital(bot: BotConfig, capital: Decimal | None) -> BotConfig:
    """Return the bot, not saved, with the capital that was asked for; CommandError for none."""
    if capital is not None:
        bot.initial_capital = capital
    if not bot.initial_capital:
        raise CommandError("--capital must be more than zero")
    return bot


def past_of(bot: BotConfig, path: Path | None, days: int | None) -> History:
    """Return the candles of a file, or those kept of the newest days; CommandError."""
    if path is not None:
        return history.read_csv(path, bot.symbol, bot.timeframe)
    if not days or days < 1:
        raise CommandError("--days is 1 at least")
    length = TIMEFRAMES[bot.timeframe]
    until = int(time.time() * 1000) // length * length
    since = until - days * DAY_MS
    if bot.exchange == SimulatedFeed.name:
        return past.simulated(bot.symbol, bot.timeframe, since, until, lambda _share: None)
    found, lacking = past.stored(past.series_of(bot), since, until)
    # What closed since the last fetch may lack: the backtest ends before it.
    if not len(found.candles) or any(begin < found.candles.times[-1] for begin, _end in lacking):
        begin = instant(since)[:10]
        raise CommandError(
            f"not all of these days are kept: manage.py history fetch {bot.exchange} {bot.symbol}"
            f" {bot.timeframe} --since {begin}; or give --candles FILE"
        )
    return found


def costs_of(options: dict[str, Any]) -> Costs:
    """Return what trading costs by the options, else as for paper bots."""
    usual, hundred = plans.paper_costs(), Decimal(100)
    fee, slippage = options["fee"], options["slippage"]
    return Costs(
        fee_rate=usual.fee_rate if fee is None else fee / hundred,
        slippage=usual.slippage if slippage is None else slippage / hundred,
        spread=options["spread"] / hundred,
    )


def terms_of(bot: BotConfig, found: History, options: dict[str, Any]) -> Terms:
    """Return on which terms a perpetual is held: by the options, and the rates that are kept.

    CommandError.
    """
    told, errors = perpetuals.assumed(options["maintenance"], options["funding"])
    for name, text in errors.items():
        raise CommandError(f"--{name.removesuffix('_perc')}: {text}")
    terms, times = perpetuals.terms_of(told), found.candles.times
    if not times:
        return terms
    end = times[-1] + TIMEFRAMES[bot.timeframe]
    return replace(terms, rates=past.rates_kept(bot, times[0], end))


def instant(at: int) -> str:
    """Return Unix ms as ISO text in UTC, up to the minute."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
