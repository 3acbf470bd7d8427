"""What a backtest is tried with: the settings, and on which terms a perpetual is held."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext as _

from bots.backtests import perpetuals, plans
from bots.forms.backtest import label_of
from bots.models import BacktestRun, BotConfig
from bots.models.bot import EntryType, Fallback
from bots.templatetags.show import number, plain_number, read
from trading import strategies
from trading.symbols import quote_of
from trading.trades import ZERO


def held(run: BacktestRun, figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was assumed of margin, liquidation and funding, one line each."""
    rates = {
        name: number(read(run.assumed[f"{name}_perc"]) or ZERO)
        for name in ("maintenance", "funding")
    }
    text = _("isolated, leverage %(leverage)d; prices traded stand for the mark price")
    yield _("Margin"), text % {"leverage": plans.draft_of(run).leverage}
    text = _("of %(rate)s %% maintenance margin and one bracket; the whole margin is lost")
    yield _("Liquidation"), text % {"rate": rates["maintenance"]}
    if run.is_sweep:
        text = _("%(rate)s %% in 8 hours where no rate is known: %(assumed)d of %(all)d times")
    else:
        text = _("%(rate)s %% in 8 hours where no rate is known: %(assumed)d of %(all)d payments")
    counts = {"assumed": figures["payments_assumed"], "all": figures["payments"]}
    yield _("Funding"), text % {"rate": rates["funding"], **counts}
    yield _("Buy and hold"), _("of as many contracts as the capital pays, without funding")


def settings_of(run: BacktestRun) -> list[tuple[str, str]]:
    """Return the settings that were tried and say something, each with its name."""
    bot = plans.draft_of(run)
    found = list(rules_of(bot))
    if perpetuals.is_perpetual(bot.symbol):
        found.append((label_of("direction"), bot.get_direction_display()))
        found.append((label_of("leverage"), str(bot.leverage)))
    return [*found, *_entry(bot), *_params(bot)]


def rules_of(bot: BotConfig, apart: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield sizes, stops and limits that are set, but those `apart`, each with its name."""
    quote = quote_of(bot.symbol)
    unused = set() if bot.trailing_stop_active else {"trailing_stop_perc"}
    unused |= set() if bot.max_daily_loss_perc else {"loss_includes_open"}
    for name in SHOWN:
        is_off = name in unused
        text = _value(getattr(bot, name), name, quote)
        if text and not is_off and name not in apart:
            yield label_of(name), text


def _entry(bot: BotConfig) -> Iterator[tuple[str, str]]:
    """Yield how entries rest, where they do."""
    if bot.entry_type == EntryType.MARKET:
        return
    yield label_of("entry_type"), str(EntryType(bot.entry_type).label)
    yield label_of("entry_offset_perc"), number(bot.entry_offset_perc or ZERO)
    yield label_of("entry_timeout_seconds"), str(bot.entry_timeout_seconds)
    yield label_of("entry_fallback"), str(Fallback(bot.entry_fallback).label)


def _params(bot: BotConfig) -> Iterator[tuple[str, str]]:
    """Yield the strategy's parameters by their names, those left out with their defaults."""
    strategy = strategies.STRATEGIES.get(bot.strategy)
    for param in strategy.params if strategy else ():
        value = bot.params.get(param.name, param.default)
        named = dict(param.choices).get(str(value))
        yield gettext(param.label), gettext(named) if named else str(plain_number(str(value)))


#: What the page of a result tells of the settings, beside the parameters of the strategy.
SHOWN = (
    "initial_capital",
    "position_size_fixed",
    "position_size_perc",
    "stop_loss_perc",
    "take_profit_perc",
    "trailing_stop_perc",
    "max_daily_trades",
    "max_daily_loss_perc",
    "daily_target_perc",
    "loss_includes_open",
    "max_drawdown_perc",
    "cooldown_minutes",
    "stop_guard_stops",
    "stop_guard_minutes",
)


def _value(value: object, name: str, quote: str) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return gettext("yes")
    if isinstance(value, Decimal):
        return f"{number(value)} {quote}" if not name.endswith("_perc") else number(value)
    return str(value)
