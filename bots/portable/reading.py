"""A value from JSON becomes what a column of BotConfig holds, or is refused in words."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from bots.models import BotConfig
from bots.models.fields import MoneyField, plain
from bots.numbers import bounded


def read_setting(name: str, value: object) -> Any:
    """Return a setting's JSON value as its column's type; ValueError says what is wrong."""
    column = BotConfig._meta.get_field(name)
    if value is None and isinstance(column, models.Field) and column.null:
        return None
    reader = next(read for kind, read in READERS if isinstance(column, kind))
    return reader(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(_("Enter a text."))
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError(_("This text has characters that cannot be stored."))
    return value.strip()


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("Enter true or false."))
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(_("Enter a whole number."))
    return value


def _money(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(_("Enter a number."))
    number = bounded(str(value).strip())
    if number.is_nan():
        raise ValueError(_("Enter a number."))
    return number


def _params(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(_("Enter the parameters by name."))
    # The strategy reads numbers as text, too, and JSON columns take no Decimal.
    return {
        name: _plain(item) if isinstance(item, Decimal) else item for name, item in value.items()
    }


def _plain(number: Decimal) -> str:
    return plain(number) if number.is_finite() else str(number)


READERS: tuple[tuple[type[models.Field[Any, Any]], Callable[[object], Any]], ...] = (
    (MoneyField, _money),
    (models.BooleanField, _bool),
    (models.IntegerField, _whole),
    (models.JSONField, _params),
    (models.CharField, _text),
)
