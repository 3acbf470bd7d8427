"""A bot's settings tried on candles of the past: what its plan is made of. Nothing is written."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _

from bots import markets, portable
from bots.backtests import perpetuals
from bots.models import BacktestRun, BotConfig
from bots.models.fields import plain
from trading import strategies
from trading.backtest import Costs, Plan, Terms
from trading.exchange import Unusable
from trading.exchanges.simulated import SimulatedFeed
from trading.market import Candles, Rules

HUNDRED = Decimal(100)


class NoRules(LookupError):
    """Nobody has read what the bot's market accepts: a worker does, once a bot is there."""


def rules_of(bot: BotConfig) -> Rules:
    """Return what the bot's market accepts, as a worker last read it. NoRules: none has."""
    if bot.exchange == SimulatedFeed.name:
        try:
            return SimulatedFeed(settings.MARKET_SEED, lambda: 0).rules(bot.symbol)
        except Unusable as error:
            raise NoRules(error.text) from error
    listed = markets.listed(bot.exchange, bot.mode, bot.position_type)
    row = listed.filter(symbol=bot.symbol).first()
    if row is None:
        text = _("No worker has read the markets of %(exchange)s with %(symbol)s among them yet.")
        raise NoRules(text % {"exchange": bot.exchange, "symbol": bot.symbol})
    return Rules(
        symbol=row.symbol,
        base=row.base,
        quote=row.quote,
        amount_step=row.amount_step,
        price_tick=row.price_tick,
        min_amount=row.min_amount,
        min_notional=row.min_notional,
        taker_fee=row.taker_fee,
    )


def paper_costs() -> Costs:
    """Return what trading costs a paper bot of this installation."""
    return Costs(
        fee_rate=settings.PAPER_FEE_PERC / HUNDRED,
        slippage=settings.PAPER_SLIPPAGE_PERC / HUNDRED,
    )


def paper_funds(bot: BotConfig) -> Decimal:
    """Return what a new paper account of this bot has, in quote currency."""
    capital: Decimal = bot.initial_capital
    return max(Decimal(settings.PAPER_START_BALANCE), capital)


def no_candles(bot: BotConfig) -> Candles:
    """Return no candles of a bot's market: a plan on them tells whether it can be tried at all."""
    return Candles.from_rows(bot.symbol, bot.timeframe, ())


def plan_of(
    bot: BotConfig,
    candles: Candles,
    *,
    costs: Costs | None = None,
    funds: Decimal | None = None,
    terms: Terms | None = None,
) -> Plan:
    """Return the plan that tries a bot as it is set now.

    `costs` (None: those of paper bots), `funds` on its account in quote currency (None: those of a
    new paper account), `terms` of a perpetual.
    NoRules, strategies.UnknownStrategy, strategies.ParamErrors.
    """
    strategy = strategies.get(bot.strategy)
    return Plan(
        candles=candles,
        rules=rules_of(bot),
        settings=bot.risk_settings,
        strategy=strategy,
        values=strategies.clean(strategy, bot.params),
        zone=bot.owner.zone,
        funds=paper_funds(bot) if funds is None else funds,
        costs=costs or paper_costs(),
        terms=terms or Terms(),
    )


def draft_of(run: BacktestRun) -> BotConfig:
    """Return an unsaved bot with what a run froze; what this version cannot read is left out."""
    bot = portable.read_draft(run.settings)
    bot.owner = run.owner
    return bot


def capital_of(run: BacktestRun) -> Decimal:
    """Return what a run's figures are percentages of, in quote currency."""
    return Decimal(str(run.settings["initial_capital"]))


def costs_of(run: BacktestRun) -> Costs:
    """Return what a run assumes that trading costs."""
    return costs_in(run.assumed)


def costs_in(assumed: Mapping[str, Any]) -> Costs:
    """Return the costs among a run's assumptions."""
    perc = {name: Decimal(assumed[f"{name}_perc"]) for name in ("fee", "slippage", "spread")}
    return Costs(
        fee_rate=perc["fee"] / HUNDRED,
        slippage=perc["slippage"] / HUNDRED,
        spread=perc["spread"] / HUNDRED,
    )


def plan_of_run(run: BacktestRun) -> Plan:
    """Return the plan of a run but for its candles, with the market's rules as they are known now.

    NoRules, strategies.UnknownStrategy, strategies.ParamErrors.
    """
    draft = draft_of(run)
    funds, zone = Decimal(run.assumed["funds"]), ZoneInfo(run.assumed["zone"])
    plan = plan_of(draft, no_candles(draft), costs=costs_of(run), funds=funds)
    return replace(plan, zone=zone, terms=perpetuals.terms_of(run.assumed))


def told(rules: Rules) -> Mapping[str, Any]:
    """Return a market's rules as a run keeps them: numbers as text."""
    numbers = ("amount_step", "price_tick", "min_amount", "min_notional", "taker_fee")
    texts = {name: plain(getattr(rules, name)) for name in numbers}
    return {"base": rules.base, "quote": rules.quote, **texts}
