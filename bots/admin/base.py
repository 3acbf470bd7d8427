"""What the admin pages share: read-only rows, money as people write it, lists that stay fast."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots.models import Account, BotConfig
from bots.models.fields import MoneyField, SecretField, plain

Row = TypeVar("Row", bound=Model)
#: A column of a list or page: the name of a field, or a function of the row.
Column = str | Callable[[Any], Any]
#: How many rows of a list are counted: pages beyond are not walked to, but filtered to.
COUNTED = 10_000
#: How many bots one search looks into.
FOUND = 500


@cache
def money(model: type[Model], name: str) -> Callable[[Any], str]:
    """Return a column that shows a money field of `model` without its eighteen decimals."""

    @admin.display(description=cast("MoneyField", model._meta.get_field(name)).verbose_name)
    def show(row: Model) -> str:
        value = getattr(row, name)
        return "" if value is None else plain(value)

    show.__name__ = name
    return show


class Pages(Paginator[Any]):
    """Pages of the newest rows: a table of millions is not counted for each look at its top."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are, COUNTED at most."""
        rows = cast("QuerySet[Any]", self.object_list)
        return int(rows[:COUNTED].count())


class NoChanges(admin.ModelAdmin[Row]):
    """Rows that nobody adds or deletes here.

    `of_bots`: the path from a row to its bot ("" for a bot itself); such a list is searched by a
    bot's name or number, its owner's name, and `exact` columns, all of them indexed or small.
    """

    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    paginator = Pages
    ordering = ["-pk"]
    of_bots: str | None = None
    exact: tuple[str, ...] = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        """Look the bots up first: a join with every order or decision would read them all."""
        term = search_term.strip()
        if self.of_bots is None or not term:
            return super().get_search_results(request, queryset, search_term)
        named = Q(name__icontains=term) | Q(symbol__iexact=term)
        if term.isdecimal() and len(term) < 19:
            named |= Q(pk=int(term))
        bots = BotConfig.objects.filter(named | Q(owner__username__icontains=term)).order_by("-pk")
        found = list(bots.values_list("pk", flat=True)[: FOUND + 1])
        if len(found) > FOUND:
            text = gettext("More than %d bots match: only the newest of them are searched.")
            self.message_user(request, text % FOUND, messages.WARNING)
        where = Q(**{f"{self.of_bots or 'pk'}__in": found[:FOUND]})
        for name in self.exact:
            where |= Q(**{name: term})
        return queryset.filter(where), False


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


class OfBots(ReadOnly[Row]):
    """Rows that belong to a bot each, to look at."""

    of_bots = "bot"
    search_fields = ("bot__name",)
    search_help_text = _("A bot's name, number or symbol, or its owner's name.")
    list_select_related: ClassVar[bool | list[str] | tuple[str, ...]] = ("bot",)


class OfAccounts(ReadOnly[Row]):
    """Rows that belong to an account each, to look at."""

    list_select_related: ClassVar[bool | list[str] | tuple[str, ...]] = ("account__owner",)

    @admin.display(description=_("owner"), ordering="account__owner")
    def owner(self, row: Any) -> str:
        """Name who the account belongs to."""
        account: Account = row.account
        return account.owner.get_username()
