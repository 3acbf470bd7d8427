"""How the bot form is laid out: groups of fields, and plain words for each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Text
else:
    Text = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Fields that belong together. One that `folds` is closed while it holds nothing but defaults.

    `help` is a sentence under the heading, None where the fields speak for themselves.
    """

    key: str
    label: Text
    names: tuple[str, ...]
    help: Text | None = None
    folds: bool = False


GROUPS = (
    Group(
        key="market",
        label=_("Market"),
        names=("name", "exchange", "mode", "account", "position_type", "symbol", "timeframe"),
    ),
    Group(
        key="futures",
        label=_("Futures"),
        names=("direction", "leverage"),
        help=_("USDT perpetuals with isolated margin. A short position earns when prices fall."),
    ),
    Group(key="strategy", label=_("Strategy"), names=("strategy",)),
    Group(
        key="position",
        label=_("Position"),
        names=("initial_capital", "position_size_perc", "position_size_fixed"),
    ),
    Group(
        key="risk",
        label=_("Risk"),
        names=(
            "stop_loss_perc",
            "take_profit_perc",
            "trailing_stop_active",
            "trailing_stop_perc",
            "protect_on_exchange",
            "max_daily_trades",
            "max_daily_loss_perc",
            "loss_includes_open",
            "daily_target_perc",
        ),
    ),
    Group(
        key="entry",
        label=_("Entry order"),
        names=(
            "entry_type",
            "entry_offset_perc",
            "entry_timeout_seconds",
            "entry_fallback",
            "max_spread_perc",
        ),
        help=_("How a position is opened: at the market, or at your own price and with patience."),
        folds=True,
    ),
    Group(
        key="protections",
        label=_("Protections"),
        names=(
            "cooldown_minutes",
            "stop_guard_stops",
            "stop_guard_minutes",
            "max_drawdown_perc",
        ),
        help=_("They keep the bot from entering after a bad time. Empty means off."),
        folds=True,
    ),
    Group(key="schedule", label=_("Schedule"), names=("check_interval_seconds",)),
)
LABELS = {
    "entry_timeout_seconds": _("patience, seconds"),
    "entry_fallback": _("when the patience is over"),
    "stop_guard_stops": _("stop guard: number of stops"),
    "loss_includes_open": _("Loss counts the open position"),
}
HELP = {
    "name": _("Your own word for it."),
    "exchange": _(
        "The simulated one needs no network. Paper bots may name any exchange that ccxt knows."
    ),
    "mode": _("Paper trades with play money, on simulated or real prices."),
    "account": _("The key to trade with. Paper bots need none."),
    "position_type": _("Spot buys coins. Futures are for live mode only."),
    "symbol": _("For example BTC/USDT, as futures BTC/USDT:USDT. Type to search."),
    "timeframe": _("The length of the candles that the strategy looks at."),
    "direction": _("Which positions the strategy's signals may open."),
    "leverage": _("It divides the margin, not the size: 100 USDT at 5 bind 20 USDT."),
    "initial_capital": _("In quote currency. All limits are percentages of it."),
    "position_size_perc": _("Of the initial capital, per entry. Fill in this or a fixed size."),
    "position_size_fixed": _("In quote currency, per entry. Fill in this or a percentage."),
    "stop_loss_perc": _("Closes the position when the price moved this far against it."),
    "take_profit_perc": _("Closes the position when the price moved this far in its favour."),
    "trailing_stop_active": _("The stop follows the best price since the entry."),
    "trailing_stop_perc": _("Distance from the best price."),
    "protect_on_exchange": _(
        "Stop and target rest there where the exchange can, and work while this site is down."
    ),
    "max_daily_trades": _("Positions opened a day; then the bot pauses until the day ends."),
    "max_daily_loss_perc": _("Of the initial capital; then the bot pauses until the day ends."),
    "daily_target_perc": _("Of the initial capital; then the bot pauses until the day ends."),
    "entry_type": _(
        "A limit order waits at its price. Never taking: it only waits, at lower fees."
    ),
    "entry_offset_perc": _("Below the bid when buying, above the ask when selling. Empty: at it."),
    "entry_timeout_seconds": _(
        "How long a limit order waits for its price. What was filled stays."
    ),
    "entry_fallback": _("What comes if nothing of the limit order was filled by then."),
    "max_spread_perc": _("At the market the bot enters only while ask and bid are this close."),
    "cooldown_minutes": _("No entry for so long after a position closed with a loss."),
    "stop_guard_stops": _(
        "So many stops within the minutes beside it: no entry until one is past."
    ),
    "stop_guard_minutes": _("The time in which those stops are counted."),
    "max_drawdown_perc": _(
        "Of the initial capital, below the highest profit since the start: switches the bot off."
    ),
    "loss_includes_open": _("The daily loss, that is; at the limit the position is closed, too."),
    "check_interval_seconds": _("How often the bot looks at the market."),
}
