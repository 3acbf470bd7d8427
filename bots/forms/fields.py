"""A number as traders type it: either decimal sign, and never a guess about thousands."""

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import formats
from django.utils.translation import gettext_lazy as _

from bots.models.fields import plain

PLAIN = re.compile(r"[+-]?[0-9]{1,30}([.,][0-9]{0,30})?|[+-]?[.,][0-9]{1,30}")
#: Of a secret that is no password: the page's script keeps it over no lost session.
UNSEEN = {"data-unseen": "1"}
GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}([.,])[0-9]{3}")


def read_number(text: str) -> Decimal:
    """Return what a person typed as a Decimal; ValidationError where it could mean two numbers.

    "1.5" and "1,5" are the same in every language. "1.234" in Turkish (or "1,234" in English)
    may be meant either way, a thousandfold apart, so it is asked back.
    """
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    decimal_sign = formats.get_format("DECIMAL_SEPARATOR")
    thousands = formats.get_format("THOUSAND_SEPARATOR")
    if text.count(decimal_sign) == 1 and thousands in text.partition(decimal_sign)[0]:
        whole, _sign, rest = text.partition(decimal_sign)
        groups = whole.lstrip("+-").split(thousands)
        if all(len(group) == 3 for group in groups[1:]) and 1 <= len(groups[0]) <= 3:
            text = f"{whole.replace(thousands, '')}{decimal_sign}{rest}"
    if not PLAIN.fullmatch(text):
        raise ValidationError(_("Enter a number."), code="invalid")
    grouped = GROUPED.fullmatch(text)
    if grouped and grouped[1] == thousands:
        raise ValidationError(
            _("This could mean two numbers. Write it without a thousands separator."),
            code="ambiguous",
        )
    return Decimal(text.replace(",", "."))


def write_number(value: Decimal) -> str:
    """Return a number for an input: no thousands, the language's decimal sign."""
    return plain(value).replace(".", formats.get_format("DECIMAL_SEPARATOR"))


class NumberField(forms.DecimalField):
    """A Decimal in a text input, so that no browser rewrites it."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]
        if value in self.empty_values:
            return None
        if isinstance(value, Decimal | int):
            return Decimal(value)
        return read_number(str(value))

    def prepare_value(self, value: Any) -> Any:
        return write_number(value) if isinstance(value, Decimal) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal", "autocomplete": "off"}
