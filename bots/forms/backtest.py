"""The form that asks for a backtest: which market, which time, and what trading costs there."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.core.validators import MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.backtests import perpetuals, plans
from bots.backtests.asking import OLDEST_YEAR, Wanted
from bots.backtests.axes import Axis
from bots.forms.fields import NumberField
from bots.forms.groups import HELP, LABELS
from bots.forms.params import choices
from bots.forms.vary import BOUNDS, NUMBERS, read_axes, vary_fields
from bots.models import BotConfig
from bots.models.bot import Direction
from trading.market import TIMEFRAMES, OrderType

#: What the form may change of the settings that it was opened with.
MARKET = ("exchange", "symbol", "timeframe", "strategy")
COSTS = ("fee_perc", "slippage_perc", "spread_perc")
#: What only a perpetual asks for: settings of the bot, and terms.
HELD, TERMS = ("direction", "leverage"), ("maintenance_perc", "funding_perc")
#: What only entries that rest ask for.
PATIENCE = "entry_timeout_seconds"
RANGE = ("days", "since", "until")
#: Candles that a first look is made on.
FIRST_LOOK = 20_000
DAYS = (365, 180, 90, 30, 14, 7)
LONGEST_DAYS = 5 * 366
DATE = {"type": "date"}


class BacktestForm(forms.Form):
    """Market, time and costs; all other settings are those of `bot`, which it was opened with.

    Once it is valid, `axes` is what it varies; as an argument, what is shown at first.
    """

    exchange = forms.CharField(label=_("Exchange"), max_length=32)
    symbol = forms.CharField(label=_("Symbol"), max_length=40)
    timeframe = forms.ChoiceField(label=_("Candles"), choices=[(t, t) for t in TIMEFRAMES])
    strategy = forms.ChoiceField(label=_("Strategy"))
    days = forms.IntegerField(
        label=_("Days until now"),
        required=False,
        min_value=1,
        max_value=LONGEST_DAYS,
        help_text=_("Or choose the first and the last day instead."),
    )
    since = forms.DateField(
        label=_("First day"), required=False, widget=forms.DateInput(attrs=DATE, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=forms.DateInput(attrs=DATE, format="%Y-%m-%d"),
        help_text=_("Included; empty: up to now."),
        validators=[MinValueValidator(date(OLDEST_YEAR, 1, 1))],
    )
    initial_capital = NumberField(
        label=_("Starting capital"),
        help_text=_("Quote currency. Sizes, limits and results are percentages of it."),
    )
    fee_perc = NumberField(label=_("Fee, %"), help_text=_("Of each order's value."))
    slippage_perc = NumberField(
        label=_("Slippage, %"), help_text=_("How much worse than the quote an order is filled.")
    )
    spread_perc = NumberField(label=_("Spread, %"), help_text=_("From bid to ask."))
    entry_timeout_seconds = forms.IntegerField(
        label=LABELS[PATIENCE],
        help_text=HELP[PATIENCE],
        required=False,
        min_value=5,
        max_value=86_400,
    )
    direction = forms.ChoiceField(label=_("Direction"), choices=Direction.choices, required=False)
    leverage = forms.IntegerField(label=_("Leverage"), required=False, min_value=1)
    maintenance_perc = NumberField(
        label=_("Maintenance margin, %"),
        required=False,
        help_text=_("Of the position's value: what is left of the margin when it is liquidated."),
    )
    funding_perc = NumberField(
        label=_("Funding in 8 hours, %"),
        required=False,
        help_text=_("Where no rate is known. What longs pay to shorts; below 0 they receive it."),
    )

    def __init__(
        self, *args: Any, bot: BotConfig, axes: Sequence[Axis] = (), **kwargs: Any
    ) -> None:
        self.bot = bot
        self.axes: list[Axis] = []
        kwargs["initial"] = _initial(bot)
        super().__init__(*args, **kwargs)
        self.fields |= vary_fields(bot, axes)
        if bot.entry_type == OrderType.MARKET:
            del self.fields[PATIENCE]
        strategy = self.fields["strategy"]
        if isinstance(strategy, forms.ChoiceField):
            strategy.choices = choices(bot.strategy)
        self.fields["symbol"].widget.attrs |= {
            "autocomplete": "off",
            "role": "combobox",
            "aria-expanded": "false",
            "aria-controls": "symbols",
            "aria-autocomplete": "list",
        }
        self.fields["exchange"].widget.attrs |= {"list": "exchanges", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not found["days"] and not found["since"]:
            self.add_error("days", _("Say how many days, or which was the first."))
        self.axes = read_axes(self)
        return found

    def vary_rows(self) -> list[list[forms.BoundField]]:
        """Return the fields of what is varied, a row for each number."""
        return [[self[f"{name}_{number}"] for name in ("vary", *BOUNDS)] for number in NUMBERS]

    def tried(self) -> BotConfig:
        """Return the bot as the form changed it; unsaved, another strategy with its defaults."""
        for name in MARKET:
            value = self.cleaned_data[name].strip()
            if name == "strategy" and value != self.bot.strategy:
                self.bot.params = {}
            value = value.upper() if name == "symbol" else value
            setattr(self.bot, name, value.lower() if name == "exchange" else value)
        self.bot.initial_capital = self.cleaned_data["initial_capital"]
        asked = HELD if perpetuals.is_perpetual(self.bot.symbol) else ()
        for name in (*asked, PATIENCE):
            if self.cleaned_data.get(name):
                setattr(self.bot, name, self.cleaned_data[name])
        return self.bot

    def wanted(self) -> Wanted:
        """Return the range, in days of the reader's zone, and the costs."""
        found, now = self.cleaned_data, timezone.now()
        until, last = now, found["until"]
        if last and last < timezone.localdate(now):
            until = _midnight(last + timedelta(days=1))
        since = until - timedelta(days=found["days"] or 0)
        if found["since"]:
            since = _midnight(found["since"])
        costs = {name: found[name] for name in (*COSTS, *TERMS)}
        return Wanted(since=since, until=until, **costs)

    def refuse(self, errors: dict[str, list[Any]]) -> None:
        """Show what the settings were refused for; of settings that are not here, as a whole."""
        for name, texts in errors.items():
            if name in self.fields:
                self.add_error(name, texts)
            elif name == "vary":
                self.add_error("vary_1", texts)
            elif name == NON_FIELD_ERRORS:
                self.add_error(None, texts)
            else:
                label = label_of(name)
                self.add_error(None, [f"{label}: {text}" for text in texts])


def label_of(name: str) -> str:
    """Return what a setting of a bot is called."""
    column = BotConfig._meta.get_field(name)
    return str(getattr(column, "verbose_name", name))


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _initial(bot: BotConfig) -> dict[str, Any]:
    usual = plans.paper_costs()
    per_day = 86_400_000 // TIMEFRAMES.get(bot.timeframe, 60_000)
    return {
        **{name: getattr(bot, name) for name in (*MARKET, *HELD, PATIENCE)},
        **perpetuals.usual(),
        "days": next((days for days in DAYS if days * per_day <= FIRST_LOOK), DAYS[-1]),
        "initial_capital": bot.initial_capital,
        "fee_perc": (usual.fee_rate or Decimal(0)) * 100,
        "slippage_perc": usual.slippage * 100,
        "spread_perc": Decimal(0),
    }
