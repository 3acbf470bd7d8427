"""Bots as their owners set them up, where they stand, and how they got there."""

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots import control
from bots.admin.base import NoChanges, ReadOnly, money
from bots.admin.verbs import OUTPACED, VIA, Verbs
from bots.models import BotConfig, BotState, Outpaced, StateEvent, User

Owner = ("owner", admin.RelatedOnlyFieldListFilter)
BotOwner = ("bot__owner", admin.RelatedOnlyFieldListFilter)


@admin.register(BotConfig)
class Bots(NoChanges[BotConfig], Verbs):
    """Settings are changed by the owner's verb, so a tick in flight trades on no old ones."""

    list_display = ["name", "owner", "exchange", "mode", "symbol", "status", "pnl", "last_run"]
    list_filter = [
        "state__status",
        "state__reason",
        "mode",
        "exchange",
        Owner,
        ("deleted_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["owner", "state"]
    search_fields = ["name", "symbol", "owner__username"]
    ordering = ["-pk"]
    # What decides about money and ownership stays the owner's own.
    readonly_fields = [
        "owner",
        "account",
        "exchange",
        "mode",
        "position_type",
        "is_active",
        "created_at",
        "updated_at",
        "deleted_at",
    ]

    def has_change_permission(self, request: HttpRequest, obj: BotConfig | None = None) -> bool:
        is_gone = obj is not None and obj.deleted_at is not None
        return not is_gone and super().has_change_permission(request, obj)

    @admin.display(description=_("status"), ordering="state__status")
    def status(self, bot: BotConfig) -> str:
        state = bot.state_or_none
        if state is None:
            return gettext("Never started")
        return f"{state.get_status_display()} ({state.get_reason_display()})"

    @admin.display(description=_("PnL today"))
    def pnl(self, bot: BotConfig) -> str:
        return money(BotState, "daily_pnl")(bot.state_or_none) if bot.state_or_none else ""

    @admin.display(description=_("last run"), ordering="state__last_run_at")
    def last_run(self, bot: BotConfig) -> Any:
        return bot.state_or_none and bot.state_or_none.last_run_at

    def save_model(
        self, request: HttpRequest, obj: BotConfig, form: ModelForm[BotConfig], change: bool
    ) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            control.edit(obj, changes, by=cast("User", request.user), via=VIA)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (ValidationError, Outpaced) as error:
            # The form was right, but the bot moved on between its check and the change.
            text = gettext(OUTPACED)
            if isinstance(error, ValidationError):
                text = "; ".join(error.messages)
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


@admin.register(BotState)
class States(ReadOnly[BotState], Verbs):
    list_display = [
        "bot",
        "owner",
        "mode",
        "status",
        "reason",
        "duty",
        "in_position",
        "protection",
        money(BotState, "daily_pnl"),
        "daily_trades_count",
        "last_run_at",
    ]
    list_filter = ["status", "reason", "duty", "in_position", "protection", "bot__mode", BotOwner]
    list_select_related = ["bot__owner"]
    search_fields = ["bot__name", "bot__symbol", "bot__owner__username", "last_error_message"]
    ordering = ["-last_updated_at"]

    def bots_of(self, rows: QuerySet[Any]) -> QuerySet[BotConfig]:
        return BotConfig.objects.filter(pk__in=rows.values("pk"))

    @admin.display(description=_("owner"), ordering="bot__owner")
    def owner(self, state: BotState) -> str:
        return state.bot.owner.get_username()

    @admin.display(description=_("mode"), ordering="bot__mode")
    def mode(self, state: BotState) -> str:
        return state.bot.get_mode_display()


@admin.register(StateEvent)
class Events(ReadOnly[StateEvent]):
    list_display = ["at", "bot", "move", "old_status", "new_status", "new_reason", "by", "via"]
    list_filter = ["move", "new_status", "new_reason", "via", BotOwner]
    list_select_related = ["bot", "by"]
    search_fields = ["bot__name", "bot__owner__username", "why"]
