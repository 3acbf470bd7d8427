"""What the admin pages share: read-only rows, and money as people write it."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from bots.models.fields import MoneyField, SecretField, plain

Row = TypeVar("Row", bound=Model)
#: A column of a list or page: the name of a field, or a function of the row.
Column = str | Callable[[Any], Any]


@cache
def money(model: type[Model], name: str) -> Callable[[Any], str]:
    """Return a column that shows a money field of `model` without its eighteen decimals."""

    @admin.display(description=cast("MoneyField", model._meta.get_field(name)).verbose_name)
    def show(row: Model) -> str:
        value = getattr(row, name)
        return "" if value is None else plain(value)

    show.__name__ = name
    return show


class NoChanges(admin.ModelAdmin[Row]):
    """Rows that nobody adds or deletes here."""

    list_per_page = 50
    show_full_result_count = False
    ordering = ["-pk"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(NoChanges[Row]):
    """Rows to look at. Encrypted columns, and those in `hidden`, are not even read."""

    hidden: tuple[str, ...] = ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [
            money(self.model, field.name) if isinstance(field, MoneyField) else field.name
            for field in self.opts.concrete_fields
            if field.name not in self.hidden and not isinstance(field, SecretField)
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)
