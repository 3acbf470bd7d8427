"""The form that makes or edits a bot."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms.boundfield import BoundField
from django.forms.utils import ErrorDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots import markets
from bots.forms.fields import NumberField
from bots.forms.groups import GROUPS, HELP, LABELS, Group
from bots.forms.params import PREFIX, SHOWN, choices, clean_params, fields_of, with_defaults
from bots.lifecycle import Mode, PositionType
from bots.models import Account, BotConfig, User
from bots.models.validity import FROZEN_AFTER_FIRST_ORDER, FROZEN_IN_POSITION, SIMULATED
from trading import strategies

MONEY = (
    "initial_capital",
    "position_size_fixed",
    "position_size_perc",
    "stop_loss_perc",
    "take_profit_perc",
    "trailing_stop_perc",
    "max_daily_loss_perc",
    "daily_target_perc",
    "entry_offset_perc",
    "max_spread_perc",
    "max_drawdown_perc",
)
GONE = _(
    "This strategy is not installed here. Have its package installed, or choose another strategy."
)
#: What only futures have: a spot bot's are the defaults, whatever the hidden fields still hold.
FUTURES_ONLY = ("direction", "leverage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One group as the page shows it. `is_open`: it folds, and something in it is worth seeing."""

    group: Group
    fields: list[BoundField]
    is_open: bool


class BotForm(forms.ModelForm[BotConfig]):
    """All settings of one bot, the strategy's own fields among them.

    `owner` limits the accounts; `frozen` and `in_position` say which fields may not change now.
    """

    confirm_name = forms.CharField(
        label=_("Type the bot's name to trade real money"),
        required=False,
        help_text=_("Only asked for bots in live mode."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    more_symbols = forms.CharField(
        label=_("More symbols"),
        required=False,
        help_text=_(
            "A bot is made for each: ETH/USDT, SOL/USDT. You see all of them before they are made."
        ),
        max_length=2000,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    class Meta:
        model = BotConfig
        fields = [name for group in GROUPS for name in group.names]
        field_classes = dict.fromkeys(MONEY, NumberField)
        widgets = {
            **dict.fromkeys(MONEY, forms.TextInput),
            "exchange": forms.TextInput(attrs={"list": "exchanges", "autocomplete": "off"}),
            "symbol": forms.TextInput(attrs={"autocomplete": "off"}),
            "strategy": forms.Select,
        }
        labels = LABELS
        help_texts = HELP

    def __init__(
        self,
        *args: Any,
        owner: User,
        has_orders: bool = False,
        in_position: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        is_new = self.instance._state.adding
        self.was_live = not is_new and self.instance.mode == Mode.LIVE
        self.instance.owner = owner
        if self.instance.mode == Mode.PAPER:
            # Its own book is no choice of its owner's.
            self.initial["account"] = None
        accounts = Account.objects.filter(owner=owner).exclude(mode=Mode.PAPER)
        account = self.fields["account"]
        assert isinstance(account, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        account.queryset = accounts
        account.empty_label = _("none")
        if not is_new:
            del self.fields["more_symbols"]
        least = settings.MIN_CHECK_INTERVAL_SECONDS
        self.fields["check_interval_seconds"].widget.attrs["min"] = least
        self.fields["leverage"].widget.attrs["max"] = settings.MAX_LEVERAGE
        self._freeze(has_orders, in_position)
        self._show_strategy()

    def _show_strategy(self) -> None:
        """Add the fields of the strategy that is chosen: its own, or none where it is gone."""
        name = str(self.data.get("strategy") or self.initial.get("strategy") or "")
        self.strategy = strategies.STRATEGIES.get(name)
        field = self.fields["strategy"]
        field.widget = forms.Select(choices=choices(name))
        if self.strategy is None:
            field.help_text = GONE
            return
        field.help_text = gettext(self.strategy.help)
        in_force = self.instance.params if self.instance.strategy == name else {}
        shown = fields_of(self.strategy, in_force or {})
        self.fields.update(shown)
        if self.shows_another:
            self.data = with_defaults(self.data, shown)

    @property
    def shown(self) -> str:
        """Whose parameters the form has."""
        return self.strategy.name if self.strategy else ""

    @property
    def shows_another(self) -> bool:
        """Whether another strategy was chosen than the one whose parameters were to be seen."""
        return self.is_bound and self.data.get(SHOWN, self.shown) != self.shown

    def show_again(self) -> None:
        """Show what was sent without judging it: nobody has said yet that this is all."""
        self._errors = ErrorDict()

    def _freeze(self, has_orders: bool, in_position: bool) -> None:
        frozen: dict[str, Any] = {}
        if has_orders:
            why = _("Fixed since the first order: its history belongs to it. Make a copy instead.")
            frozen |= dict.fromkeys(FROZEN_AFTER_FIRST_ORDER, why)
        if in_position:
            why = _("Can be changed once the position is closed and no order is open.")
            frozen |= dict.fromkeys(FROZEN_IN_POSITION, why)
        for name, why in frozen.items():
            if name in self.fields:
                self.fields[name].disabled = True
                self.fields[name].help_text = why

    def clean_symbol(self) -> str:
        """Take `btcusdt` for BTC/USDT where the exchange's list has just that."""
        typed = str(self.cleaned_data["symbol"]).strip()
        return self._spelt([typed])[typed]

    def clean_more_symbols(self) -> list[str]:
        """Return the further symbols as the exchange spells them, each once."""
        typed = markets.split(str(self.cleaned_data["more_symbols"]))
        others = dict.fromkeys(self._spelt(typed).values())
        others.pop(self.cleaned_data.get("symbol", ""), None)
        return list(others)

    def _spelt(self, typed: list[str]) -> dict[str, str]:
        where = (self.cleaned_data.get(name, "") for name in ("exchange", "mode", "position_type"))
        return markets.resolve(typed, *where)

    def clean_exchange(self) -> str:
        return str(self.cleaned_data["exchange"]).strip().lower()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("position_type") == PositionType.SPOT:
            for name in FUTURES_ONLY:
                data[name] = getattr(BotConfig(), name)
                self.errors.pop(name, None)
        if data.get("mode") == Mode.PAPER:
            data["account"] = self._own_book(data)
        if data.get("mode") == Mode.LIVE and not self.was_live:
            self._check_live(data)
        if self.strategy is not None:
            self.instance.params, errors = clean_params(self.strategy, data)
            for name, text in errors.items():
                self.add_error(name if name in self.fields else None, text)
        return data

    def _own_book(self, data: dict[str, Any]) -> Account | None:
        """Return the book that a paper bot has and keeps; where it has none it gets one."""
        account = self.instance.account
        fits = account and (account.exchange, account.mode) == (data.get("exchange"), Mode.PAPER)
        return account if fits else None

    def _check_live(self, data: dict[str, Any]) -> None:
        if not settings.LIVE_TRADING_ENABLED:
            self.add_error("mode", _("Live trading is switched off in this installation."))
        elif data.get("confirm_name") != data.get("name"):
            self.add_error("confirm_name", _("Type the bot's name exactly as above."))

    def _update_errors(self, errors: ValidationError) -> None:
        # A rule may name a field that this form does not show.
        found = getattr(errors, "error_dict", {})
        for name in [name for name in found if name not in self.fields]:
            if name != NON_FIELD_ERRORS:
                found.setdefault(NON_FIELD_ERRORS, []).extend(found.pop(name))
        super()._update_errors(errors)  # type: ignore[misc]

    @property
    def goes_live(self) -> bool:
        """Whether a valid form would have a bot trade real money that did not."""
        return bool(self.cleaned_data.get("mode") == Mode.LIVE and not self.was_live)

    @property
    def values(self) -> dict[str, Any]:
        """The checked BotConfig values, as control.create and control.edit take them."""
        names = [name for name in self.Meta.fields if not self.fields[name].disabled]
        values = {name: self.cleaned_data[name] for name in names}
        return {**values, "params": self.instance.params}

    def refuse_as_outpaced(self) -> None:
        """Refuse what was typed before somebody else saved, and say where the two differ."""
        differing = self.changed_data
        self.add_error(
            None,
            _(
                "The settings were changed meanwhile. The marked fields differ from what is saved "
                "now: look through them and save again."
            )
            if differing
            else _("The settings were changed meanwhile. Look through yours and save again."),
        )
        for name in differing:
            self.add_error(name, _("Saved now: %(value)s") % {"value": self._saved(name)})

    def _saved(self, name: str) -> str:
        """Return what is stored in a field, as a person would choose or type it."""
        field, value = self.fields[name], self[name].initial
        value = field.prepare_value(value)
        if isinstance(field, forms.BooleanField):
            return str(_("on") if value else _("off"))
        if isinstance(field, forms.ChoiceField) or isinstance(field.widget, forms.Select):
            labels = {str(key): str(label) for key, label in field.widget.choices}
            return labels.get(str("" if value is None else value), str(value))
        return str(_("empty") if value in (None, "") else value)

    def groups(self) -> Iterator[Part]:
        """Yield the groups in the order of the page."""
        for group in GROUPS:
            bound = [self[name] for name in group.names]
            if group.key == "market" and "more_symbols" in self.fields:
                bound.insert(group.names.index("symbol") + 1, self["more_symbols"])
            if group.key == "market" and settings.LIVE_TRADING_ENABLED:
                bound.append(self["confirm_name"])
            if group.key == "strategy":
                bound += [self[name] for name in self.fields if name.startswith(PREFIX)]
            is_open = group.folds and any(_says_something(field) for field in bound)
            yield Part(group=group, fields=bound, is_open=is_open)


def _says_something(field: BoundField) -> bool:
    """Whether a field has an error, or holds anything but its default."""
    default = getattr(BotConfig(), field.name)
    empty = (None, "")
    value = field.value()
    same = value == default or str(value) == str(default) or (value in empty and default in empty)
    return bool(field.errors) or not (same or (value == "on" and default is True))


def exchanges() -> list[str]:
    """Return the exchanges to suggest: the simulated one and those where live is offered."""
    return [SIMULATED, *settings.LIVE_EXCHANGES]
