"""A strategy's declaration becomes form fields, and its messages speak the reader's language."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext

from bots.forms.fields import NumberField
from bots.models.validity import translated
from trading import strategies
from trading.strategies import Param, ParamErrors, Strategy, clean

PREFIX = "param_"
#: The hidden input that says whose parameters the form shows.
SHOWN = "params_of"


def choices(current: str) -> list[tuple[str, str]]:
    """Return the strategies to choose from; a `current` one that is gone is said to be."""
    known = [(s.name, gettext(s.label)) for s in strategies.STRATEGIES.values()]
    if current and current not in strategies.STRATEGIES:
        known.append((current, gettext("%(name)s (not installed)") % {"name": current}))
    return known


def with_defaults(
    data: Mapping[str, Any], fields: Mapping[str, forms.Field]
) -> MultiValueDict[str, Any]:
    """Return what was sent with these fields' own values in place of other parameters."""
    kept = MultiValueDict({name: [data[name]] for name in data if not name.startswith(PREFIX)})
    for name, field in fields.items():
        value = field.prepare_value(field.initial)
        if value is not False:  # an unchecked box sends nothing
            kept[name] = "on" if value is True else value
    return kept


def fields_of(strategy: Strategy, values: Mapping[str, Any]) -> dict[str, forms.Field]:
    """Return one form field per declared parameter; `values` are the ones in force."""
    return {
        PREFIX + param.name: _field(param, values.get(param.name, param.default))
        for param in strategy.params
    }


def _field(param: Param, value: Any) -> forms.Field:
    label = gettext(param.label)
    text = gettext(param.help)
    if param.type == "bool":
        return forms.BooleanField(label=label, help_text=text, initial=bool(value), required=False)
    if param.type == "choice":
        choices = [(key, gettext(name)) for key, name in param.choices]
        return forms.ChoiceField(label=label, help_text=text, initial=value, choices=choices)
    # The strategy judges range and step, for the form and for the API alike.
    return NumberField(label=label, help_text=text, initial=Decimal(str(value)))


def clean_params(
    strategy: Strategy, data: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the parameters as JSON holds them and the errors by form field name."""
    raw = {
        name.removeprefix(PREFIX): value
        for name, value in data.items()
        if name.startswith(PREFIX) and value is not None
    }
    try:
        return dict(clean(strategy, raw)), {}
    except ParamErrors as errors:
        return {}, {PREFIX + name: translated(text) for name, text in errors.errors.items()}
