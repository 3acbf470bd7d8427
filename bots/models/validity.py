"""What has to fit together in a bot's settings: one function, asked by form, API and commands."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Mode, PositionType
from trading import strategies
from trading.exchanges import names
from trading.strategies import HasLadder, Message, ParamErrors

if TYPE_CHECKING:
    from bots.models.bot import BotConfig

SIMULATED = "simulated"
#: Once an order exists these say what its rows mean; a change wants a new bot (clone).
FROZEN_AFTER_FIRST_ORDER = ("exchange", "mode", "position_type", "symbol")
#: These may change only when the bot is flat and no order is open.
FROZEN_IN_POSITION = ("account", "leverage")

SPOT_SYMBOL = re.compile(r"[A-Z0-9.\-]+/[A-Z0-9]+")
FUTURES_SYMBOL = re.compile(r"[A-Z0-9.\-]+/USDT:USDT")


def translated(message: Message) -> str:
    """Return a strategy's message in the active language."""
    return gettext(message.msgid) % message.params if message.params else gettext(message.msgid)


def in_words(error: Exception) -> str:
    """Return what an error says, in the active language where it is a strategy's message."""
    said = error.args[0] if error.args else None
    return translated(said) if isinstance(said, Message) else str(error)


def errors_of(bot: "BotConfig") -> dict[str, Any]:
    """Return what is wrong with a bot's settings, field by field; also completes its params."""
    errors: dict[str, Any] = {}
    rules = (_names, _market, _futures, _money, _protections, _account, _strategy)
    for rule in rules:
        errors.update(rule(bot))
    if bot.pk:
        errors.update(_frozen(bot))
    return errors


def _names(bot: "BotConfig") -> Mapping[str, Any]:
    errors: dict[str, Any] = {}
    # An empty name has its error already.
    if bot.symbol and bot.position_type == PositionType.SPOT:
        if not SPOT_SYMBOL.fullmatch(bot.symbol):
            errors["symbol"] = _("Write it as BASE/QUOTE, for example BTC/USDT.")
    elif bot.symbol and not FUTURES_SYMBOL.fullmatch(bot.symbol):
        errors["symbol"] = _("Write it as BASE/USDT:USDT, for example BTC/USDT:USDT.")
    if bot.exchange and bot.exchange not in {SIMULATED, *names.known()}:
        errors["exchange"] = _("There is no such exchange.")
    return errors


def _market(bot: "BotConfig") -> Mapping[str, Any]:
    if bot.exchange == SIMULATED and bot.mode != Mode.PAPER:
        return {"mode": _("The simulated exchange is for paper bots only.")}
    if bot.twin_of_id is not None and bot.mode != Mode.PAPER:
        return {"mode": _("A paper twin stays a paper bot.")}
    if bot.mode != Mode.PAPER and bot.exchange not in settings.LIVE_EXCHANGES:
        return {"exchange": _("This exchange is offered for paper bots only.")}
    if bot.check_interval_seconds < settings.MIN_CHECK_INTERVAL_SECONDS:
        least = settings.MIN_CHECK_INTERVAL_SECONDS
        return {"check_interval_seconds": _("At least %d seconds.") % least}
    return {}


def _futures(bot: "BotConfig") -> Mapping[str, Any]:
    if bot.position_type == PositionType.SPOT:
        errors: dict[str, Any] = {}
        if bot.leverage != 1:
            errors["leverage"] = _("Spot bots trade without leverage: set 1.")
        if bot.direction != "long":
            errors["direction"] = _("Spot bots only buy first: going short needs futures.")
        return errors
    if bot.mode == Mode.PAPER:
        return {"position_type": _("Futures are not offered for paper bots yet.")}
    if bot.mode == Mode.TESTNET:
        return {"mode": _("The futures testnet is not offered.")}
    if bot.leverage > settings.MAX_LEVERAGE:
        most = settings.MAX_LEVERAGE
        return {"leverage": _("At most %d in this installation.") % most}
    return {}


def _money(bot: "BotConfig") -> Mapping[str, Any]:
    if (bot.position_size_fixed is None) == (bot.position_size_perc is None):
        return {"position_size_fixed": _("Set either a fixed size or a percentage.")}
    if bot.trailing_stop_active and bot.trailing_stop_perc is None:
        return {"trailing_stop_perc": _("The trailing stop needs its distance in %.")}
    return {}


def _protections(bot: "BotConfig") -> Mapping[str, Any]:
    if (bot.stop_guard_stops is None) != (bot.stop_guard_minutes is None):
        missing = "stop_guard_stops" if bot.stop_guard_stops is None else "stop_guard_minutes"
        return {missing: _("The stop guard needs both: how many stops, within how many minutes.")}
    if bot.loss_includes_open and bot.max_daily_loss_perc is None:
        return {"max_daily_loss_perc": _("Set the daily loss that the open position counts to.")}
    return {}


def _account(bot: "BotConfig") -> Mapping[str, Any]:
    account = bot.account
    if account is None:
        return {}
    if account.owner_id != bot.owner_id:
        return {"account": _("There is no such account.")}
    if (account.exchange, account.mode) != (bot.exchange, bot.mode):
        return {"account": _("This key is for another exchange or mode.")}
    if bot.mode == Mode.PAPER and account.bots.exclude(pk=bot.pk).exists():
        return {"account": _("A paper account belongs to one bot.")}
    return {}


def _strategy(bot: "BotConfig") -> Mapping[str, Any]:
    try:
        strategy = strategies.get(bot.strategy)
        bot.params = strategies.clean(strategy, bot.params or {})
    except strategies.UnknownStrategy:
        return {"strategy": _("There is no such strategy.")}
    except ParamErrors as error:
        return {"params": [f"{name}: {translated(text)}" for name, text in error.errors.items()]}
    return _ladder(bot, strategy) if isinstance(strategy, HasLadder) else {}


def _ladder(bot: "BotConfig", strategy: HasLadder) -> Mapping[str, Any]:
    """Check what a strategy of several resting orders needs."""
    if bot.position_type != PositionType.SPOT:
        return {"strategy": _("This strategy trades spot markets only.")}
    ends = bot.take_profit_perc or (bot.trailing_stop_active and bot.trailing_stop_perc)
    if not strategy.sells and not ends:
        return {"take_profit_perc": _("A round ends at its target: set one, or a trailing stop.")}
    return {}


def _frozen(bot: "BotConfig") -> Mapping[str, Any]:
    old = type(bot).objects.get(pk=bot.pk)
    errors: dict[str, Any] = {}
    if bot.orders.exists():
        for name in FROZEN_AFTER_FIRST_ORDER:
            if getattr(old, name) != getattr(bot, name):
                errors[name] = _("Fixed since the first order. Make a new bot instead.")
    state = bot.state_or_none
    if state and (state.in_position or state.has_open_orders):
        for name in FROZEN_IN_POSITION:
            if getattr(old, name) != getattr(bot, name):
                errors[name] = _("Can be changed only while flat and settled.")
    return errors
