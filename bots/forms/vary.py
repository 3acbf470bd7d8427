"""What a sweep varies, as fields of the form for a backtest: up to two numbers, from, to, step."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots.backtests.axes import MOST_AXES, Axis, numeric, usual_step
from bots.forms.fields import NumberField
from bots.models import BotConfig
from bots.models.fields import plain
from trading import strategies
from trading.backtest.sets import SETTINGS
from trading.strategies import Param, Strategy

NUMBERS = range(1, MOST_AXES + 1)
BOUNDS = ("from", "to", "step")
#: What a bot's own settings are filed under, where a strategy's parameters have its name.
OWN = "bot"


def vary_fields(bot: BotConfig, axes: Sequence[Axis]) -> dict[str, forms.Field]:
    """Return the fields; `axes` are shown in them, labels tell what is in force now."""
    found: dict[str, forms.Field] = {}
    names = list(_names(bot))
    for number in NUMBERS:
        axis = axes[number - 1] if number <= len(axes) else None
        label = _("Vary") if number == 1 else _("And vary")
        found[f"vary_{number}"] = forms.ChoiceField(
            label=label,
            choices=[("", _("nothing")), *names],
            required=False,
            initial=_key(bot.strategy, axis.name) if axis else "",
        )
        shown = {"from": axis.low, "to": axis.high, "step": axis.step} if axis else {}
        for bound, text in zip(BOUNDS, (_("Lowest"), _("Highest"), _("Step")), strict=True):
            field = NumberField(label=text, required=False, initial=shown.get(bound))
            # Two of each are on the page.
            field.widget.attrs["aria-label"] = f"{label}: {text}"
            found[f"{bound}_{number}"] = field
    return found


def _key(strategy: str, name: str) -> str:
    return f"{OWN if name in SETTINGS else strategy}:{name}"


def _names(bot: BotConfig) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield groups of names: the bot's own, its strategy's, those of the others."""
    own = []
    for name in SETTINGS:
        value = getattr(bot, name)
        own.append((f"{OWN}:{name}", f"{label_of(None, name)} ({_now(value)})"))
    yield gettext("Stop and target"), own
    known = sorted(strategies.STRATEGIES.values(), key=lambda one: one.name != bot.strategy)
    for strategy in known:
        values = bot.params if strategy.name == bot.strategy else {}
        rows = [(_key(strategy.name, one.name), _told(one, values)) for one in numeric(strategy)]
        if rows:
            yield gettext(strategy.label), rows


def _told(param: Param, values: Any) -> str:
    value = _now(values.get(param.name, param.default))
    if param.minimum is None or param.maximum is None:
        return f"{gettext(param.label)} ({value})"
    return f"{gettext(param.label)} ({value}; {plain(param.minimum)}–{plain(param.maximum)})"


def _now(value: Any) -> str:
    if value is None:
        return gettext("none now")
    return gettext("now %(value)s") % {"value": plain(Decimal(str(value)))}


def label_of(strategy: Strategy | None, name: str) -> str:
    """Return what a number that is varied is called: `strategy` None for one that is gone."""
    if name in SETTINGS:
        text = str(getattr(BotConfig._meta.get_field(name), "verbose_name", name))
        return text[:1].upper() + text[1:]
    labels = {one.name: one.label for one in strategy.params} if strategy else {}
    return gettext(labels[name]) if name in labels else name


def read_axes(form: forms.Form) -> list[Axis]:
    """Return what is to be varied; mistakes are told to the form."""
    found, data = [], form.cleaned_data
    for number in NUMBERS:
        group, _sign, name = data.get(f"vary_{number}", "").partition(":")
        if not name:
            if any(data.get(f"{bound}_{number}") is not None for bound in BOUNDS):
                form.add_error(f"vary_{number}", _("Say what is to be varied."))
            continue
        if group not in {OWN, data.get("strategy")}:
            form.add_error(f"vary_{number}", _("This belongs to another strategy."))
            continue
        low, high, step = (data.get(f"{bound}_{number}") for bound in BOUNDS)
        if low is None or high is None:
            empty = "from" if low is None else "to"
            form.add_error(f"{empty}_{number}", _("Say from where to where."))
            continue
        strategy = strategies.STRATEGIES.get(str(data.get("strategy")))
        usual = usual_step(strategy, name)
        found.append(Axis(name=name, low=low, high=high, step=usual if step is None else step))
    return found
