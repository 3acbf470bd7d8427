"""What an operator does to chosen bots: the owner's verbs, each leaving a row in the admin log."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.options import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from bots import control, reset, schedule
from bots.lifecycle import Duty, Reason, WindDown
from bots.models import BotConfig, BotState, Outpaced, User
from trading.day import local_day

VIA = "admin"
OUTPACED = gettext_noop("The bot changed at the same time: look again.")
#: Does something to a bot and returns whether anything changed.
Verb = Callable[[BotConfig, User], bool]


def start(bot: BotConfig, by: User) -> bool:
    control.start(bot, by=by, via=VIA)
    return True


def stop(bot: BotConfig, by: User, position: str) -> bool:
    state = control.stop(bot, by=by, via=VIA, position=position, reason=Reason.BY_OPERATOR)
    return state is not None


def roll_over(bot: BotConfig, _by: User) -> bool:
    """Begin the bot's next trading day now; twice on one date does nothing more."""
    now = timezone.now()
    tomorrow = local_day(bot.owner.zone, now) + timedelta(days=1)
    if not reset.roll_over(now, day=tomorrow, bot_ids=[bot.pk]):
        return False
    if BotState.objects.filter(pk=bot.pk).exclude(duty=Duty.NONE).exists():
        schedule.nudge(bot.pk)
    return True


class Verbs(ModelAdmin[Any]):
    """Adds the actions to a list of bots, or of rows that belong to bots (`bots_of`)."""

    actions = ["start", "stop_and_leave", "stop_and_close", "reset_day"]

    def bots_of(self, rows: QuerySet[Any]) -> QuerySet[BotConfig]:
        """Return the bots behind the chosen rows."""
        return cast("QuerySet[BotConfig]", rows)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may act on bots."""
        return request.user.has_perm("bots.change_botconfig")

    @admin.action(permissions=["operate"], description=_("Start"))
    def start(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._do(request, rows, start, gettext_noop("Started."))

    @admin.action(permissions=["operate"], description=_("Stop and leave the position"))
    def stop_and_leave(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._do(request, rows, lambda b, by: stop(b, by, WindDown.LEAVE), gettext_noop("Stopped."))

    @admin.action(permissions=["operate"], description=_("Stop and close the position"))
    def stop_and_close(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._do(
            request,
            rows,
            lambda b, by: stop(b, by, WindDown.CLOSE),
            gettext_noop("Stopped, closing."),
        )

    @admin.action(permissions=["operate"], description=_("Begin the next trading day now"))
    def reset_day(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._do(request, rows, roll_over, gettext_noop("Rolled over to the next trading day."))

    def _do(self, request: HttpRequest, rows: QuerySet[Any], verb: Verb, done: str) -> None:
        """Act on each bot; `done` goes to the log as it is, and is translated where it is read."""
        by = cast("User", request.user)
        count = 0
        for bot in self.bots_of(rows).select_related("owner", "state"):
            try:
                changed = verb(bot, by)
            except control.Refusal as refusal:
                self.message_user(request, f"{bot}: {refusal.message}", messages.ERROR)
                continue
            except Outpaced:
                self.message_user(request, f"{bot}: {gettext(OUTPACED)}", messages.ERROR)
                continue
            if changed:
                self.log_change(request, bot, done)
                count += 1
        text = gettext("Done: %(done)d of %(all)d.") % {"done": count, "all": rows.count()}
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
