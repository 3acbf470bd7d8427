"""What an operator does to chosen bots: the owner's verbs, each with a reason, each in the log."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from bots import bulk, control, reset, schedule
from bots.admin.acts import VIA, Act, Acting, each
from bots.lifecycle import Duty, Mode, Reason, Status, WindDown
from bots.models import ApiKey, BotConfig, BotState, User
from bots.templatetags.show import number
from trading.day import local_day

#: Statuses of a bot that a start leaves as it is.
AT_WORK = (Status.PENDING, Status.RUNNING, Status.WAITING)


def start(bot: BotConfig, by: User, why: str) -> bool:
    """Start a bot; False where it is at work already."""
    was_at_work = _is_at_work(bot.state_or_none)
    control.start(bot, by=by, via=VIA, why=why)
    return not was_at_work


def stop(
    bot: BotConfig, by: User, why: str, *, position: WindDown, reason: Reason = Reason.BY_OPERATOR
) -> bool:
    """Stop a bot in one of three ways; False where it already was stopped like that."""
    before = bot.state_or_none and bot.state.run_epoch
    state = control.stop(bot, by=by, via=VIA, position=position, reason=reason, why=why)
    return state is not None and state.run_epoch != before


def roll_over(bot: BotConfig, _by: User, _why: str) -> bool:
    """Begin the bot's next trading day now; twice on one date does nothing more."""
    now = timezone.now()
    tomorrow = local_day(bot.owner.zone, now) + timedelta(days=1)
    if not reset.roll_over(now, day=tomorrow, bot_ids=[bot.pk]):
        return False
    if BotState.objects.filter(pk=bot.pk).exclude(duty=Duty.NONE).exists():
        schedule.nudge(bot.pk)
    return True


def compare(bot: BotConfig, _by: User, _why: str) -> bool:
    """Have a worker compare the bot with its exchange."""
    control.compare(bot)
    return True


def check_key(bot: BotConfig, _by: User, _why: str) -> bool:
    """Have a worker ask the exchange what the key of the bot's account may do."""
    key = ApiKey.objects.filter(account=bot.account_id).first() if bot.account_id else None
    if key is None:
        raise control.Refusal("no_key", gettext("The account of this bot has no key."))
    control.check_key(key)
    return True


# -- What will happen -----------------------------------------------------------------------------
def _is_at_work(state: BotState | None) -> bool:
    return state is not None and state.duty == Duty.TRADE and state.status in AT_WORK


def _holds(bot: BotConfig) -> bool:
    state = bot.state_or_none
    return state is not None and state.in_position


def _position(state: BotState, bot: BotConfig) -> dict[str, str]:
    size = number(state.current_position_size)
    return {"size": size, "coin": bot.symbol.partition("/")[0]}


def will_start(bots: Sequence[BotConfig]) -> list[str]:
    """Say what a start would do to each."""
    return [_will_start(one) for one in bulk.foresee(bots, bulk.Act.START)]


def _will_start(one: bulk.Foreseen) -> str:
    if one.fate == bulk.Fate.REFUSED:
        return gettext("Will be refused: %s") % one.why
    if one.fate == bulk.Fate.RUNS:
        return gettext("Runs already: stays as it is.")
    if one.is_keyless:
        return gettext("Starts, and its first tick switches it off: its account has no key.")
    if one.holds:
        text = gettext("Starts, and watches its position of %(size)s %(coin)s again.")
        return text % _position(one.bot.state, one.bot)
    return gettext("Starts; its next tick may open a position.")


def will_stop(bot: BotConfig, *, position: WindDown) -> str:
    """Say what a stop would do, and to the position."""
    state = bot.state_or_none
    if state is None:
        return gettext("Was never started: nothing is to be done.")
    left = position == WindDown.LEAVE
    if not state.in_position:
        if state.duty == Duty.NONE and state.status == Status.STOPPED:
            return gettext("Is stopped and flat: nothing is to be done.")
        if state.has_open_orders:
            return gettext("Stops; its open order is settled first. It holds no position.")
        return gettext("Stops. It holds no position.")
    texts = {
        WindDown.LEAVE: _("Stops. Nobody watches its position of %(size)s %(coin)s any more."),
        WindDown.CLOSE: _("Stops; its next ticks close the position of %(size)s %(coin)s."),
        WindDown.AFTER_EXIT: _(
            "Opens nothing more; its position of %(size)s %(coin)s is watched until its exit."
        ),
    }
    text = str(texts[position] % _position(state, bot))
    if left and state.has_protection:
        text += " " + gettext("Its stop at the exchange stays where it is.")
    return text


def will_roll_over(bot: BotConfig) -> str:
    """Say what a forced rollover would do."""
    state = bot.state_or_none
    if state is None:
        return gettext("Was never started: nothing is to be done.")
    if state.status == Status.PAUSED:
        return gettext("Its counters of the day begin at 0, and the paused bot goes on.")
    return gettext("Its counters of the day begin at 0; it goes on as it was.")


def will_compare(bot: BotConfig) -> str:
    """Say what a comparison asked for now would do."""
    if bot.mode == Mode.PAPER:
        return gettext("Will be refused: %s") % gettext("A paper bot has no exchange.")
    if bot.state_or_none is None:
        return gettext("Was never started: nothing is to be done.")
    return gettext("A worker compares ledger and exchange; a deficit switches the bot off.")


def will_check_key(bot: BotConfig) -> str:
    """Say what a check of the bot's key would do."""
    if bot.mode == Mode.PAPER:
        return gettext("Will be refused: %s") % gettext("A paper bot has no key.")
    return gettext("A worker asks the exchange what the key of the account may do.")


def _stopping(name: str, title: Any, done: str, position: WindDown, reason: Reason) -> Act:
    return Act(
        name=name,
        title=title,
        done=done,
        run=partial(stop, position=position, reason=reason),
        foresee=each(partial(will_stop, position=position)),
        leaves=_holds if name == "stop_and_leave" else None,
    )


OPERATOR = Reason.BY_OPERATOR
ACTS = (
    Act(name="start", title=_("Start"), done=gettext_noop("Started."), run=start,
        foresee=will_start),
    _stopping("stop_and_leave", _("Stop and leave the position"), gettext_noop("Stopped."),
              WindDown.LEAVE, OPERATOR),
    _stopping("stop_and_close", _("Stop and close the position"),
              gettext_noop("Stopped, closing."), WindDown.CLOSE, OPERATOR),
    _stopping("stop_after_exit", _("Stop after the next exit"),
              gettext_noop("Stops after its next exit."), WindDown.AFTER_EXIT, OPERATOR),
    _stopping("halt", _("Halt: stop at once, leave the positions"), gettext_noop("Halted."),
              WindDown.LEAVE, Reason.HALT),
    Act(name="compare", title=_("Compare with the exchange now"),
        done=gettext_noop("A comparison was asked for."), run=compare, foresee=each(will_compare)),
    Act(name="check_key", title=_("Check the key now"),
        done=gettext_noop("A check of the key was asked for."), run=check_key,
        foresee=each(will_check_key)),
    Act(name="reset_day", title=_("Begin the next trading day now"),
        done=gettext_noop("Rolled over to the next trading day."), run=roll_over,
        foresee=each(will_roll_over)),
)  # fmt: skip


class Verbs(Acting):
    """Adds the acts to a list of bots, or of rows that belong to one bot each."""

    acts = ACTS

    def subjects(self, rows: QuerySet[Any]) -> QuerySet[BotConfig]:
        """Return the bots behind the chosen rows, with what the acts look at."""
        bots = BotConfig.objects.filter(pk__in=rows.values("pk"))
        return bots.select_related("owner", "account__key", "state").order_by("pk")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may act on bots."""
        return request.user.has_perm("bots.change_botconfig")
