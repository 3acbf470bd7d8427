"""What lists are narrowed by: the operator's questions, an owner, a door; no big table is read."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models import BotConfig, BotState, User
from bots.views.words import DOORS
from bots.watch import Question, of_model

Rows = QuerySet[Any]


class Watching(admin.SimpleListFilter):
    """Rows that need a look, as bots.watch defines them."""

    title = _("needs a look")
    parameter_name = "watch"

    def questions(self, model_admin: ModelAdmin[Any]) -> list[Question]:
        """Return what may be asked of this list."""
        return of_model(model_admin.model)

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        self._questions = {one.name: one for one in self.questions(model_admin)}
        return [(one.name, one.title) for one in self._questions.values()]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        question = self._questions.get(self.value() or "")
        return self.narrow(queryset, question) if question else queryset

    def narrow(self, rows: Rows, question: Question) -> Rows:
        """Leave the rows in question."""
        return rows.filter(question.where(timezone.now()))


class WatchingStates(Watching):
    """The same for bots, by what their state rows say."""

    def questions(self, model_admin: ModelAdmin[Any]) -> list[Question]:
        return of_model(BotState)

    def narrow(self, rows: Rows, question: Question) -> Rows:
        return rows.filter(pk__in=question.rows(timezone.now()).values("pk"))


class OfOwner(admin.SimpleListFilter):
    """Rows of one owner: their page links here. Thousands of names would be no filter."""

    title = _("owner")
    parameter_name = "owner"
    path = "owner"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name, "")
        users = User.objects.filter(pk=int(chosen)) if chosen.isdecimal() else User.objects.none()
        return [(str(user.pk), user.get_username()) for user in users]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        value = self.value() or ""
        return queryset.filter(**{self.path: int(value)}) if value.isdecimal() else queryset


class OfBotOwner(OfOwner):
    """Rows that belong to bots of one owner."""

    path = "bot__owner"

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        value = self.value() or ""
        if not value.isdecimal():
            return queryset
        bots = BotConfig.objects.filter(owner=int(value)).values("pk")
        return queryset.filter(bot__in=list(bots.values_list("pk", flat=True)))


class Door(admin.SimpleListFilter):
    """By which door something was asked for: a known list, not what a million rows hold."""

    title = _("by which door")
    parameter_name = "via"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return list(DOORS.items())

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        return queryset.filter(via=self.value()) if self.value() else queryset
