"""Bots as their owners set them up, where they stand, and how they got there."""

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots import control
from bots.admin.acts import OUTPACED, VIA
from bots.admin.base import NoChanges, OfBots, ReadOnly
from bots.admin.filters import Door, OfBotOwner, OfOwner, Watching, WatchingStates
from bots.admin.verbs import Verbs
from bots.models import BotConfig, BotState, Outpaced, StateEvent, User
from bots.templatetags import show
from trading.symbols import quote_of


@admin.display(description=_("PnL today"))
def pnl_today(state: BotState) -> str:
    """Return a bot's realised PnL of its day as its own pages write it, with its currency."""
    value = state.daily_pnl
    currency = quote_of(state.bot.symbol)
    return f"{show.sign(value)}{show.money(abs(value))}\N{NO-BREAK SPACE}{currency}"


@admin.register(BotConfig)
class Bots(Verbs, NoChanges[BotConfig]):
    """Settings are changed by the owner's verb, so a tick in flight trades on no old ones."""

    list_display = ["name", "owner", "exchange", "mode", "symbol", "status", "pnl", "last_run"]
    list_filter = [
        WatchingStates,
        "state__status",
        "mode",
        "exchange",
        OfOwner,
        ("deleted_at", admin.EmptyFieldListFilter),
        "state__reason",
    ]
    list_select_related = ["owner", "state"]
    of_bots = ""
    search_fields = ["name"]
    search_help_text = OfBots.search_help_text
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
        return pnl_today(bot.state_or_none) if bot.state_or_none else ""

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
class States(Verbs, ReadOnly[BotState]):
    list_display = [
        "bot",
        "owner",
        "mode",
        "status",
        "reason",
        "duty",
        "in_position",
        "protection",
        pnl_today,
        "daily_trades_count",
        "last_run_at",
    ]
    list_filter = [
        Watching,
        "status",
        "duty",
        "in_position",
        "protection",
        "bot__mode",
        OfBotOwner,
        "reason",
    ]
    list_select_related = ["bot__owner"]
    of_bots = ""
    search_fields = ["bot__name"]
    search_help_text = OfBots.search_help_text

    @admin.display(description=_("owner"), ordering="bot__owner")
    def owner(self, state: BotState) -> str:
        return state.bot.owner.get_username()

    @admin.display(description=_("mode"), ordering="bot__mode")
    def mode(self, state: BotState) -> str:
        return state.bot.get_mode_display()


@admin.register(StateEvent)
class Events(OfBots[StateEvent]):
    list_display = [
        "at",
        "bot",
        "move",
        "old_status",
        "new_status",
        "new_reason",
        "by",
        "via",
        "why",
    ]
    list_filter = ["move", "new_status", "new_reason", Door, OfBotOwner]
    list_select_related = ["bot", "by"]
