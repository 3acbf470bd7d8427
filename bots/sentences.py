"""Where a bot stands and what comes next, in one sentence of the reader's language."""

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext

from bots.lifecycle import FATAL, Duty, Reason, Status, WindDown
from bots.models import BotState


def duration(seconds: float) -> str:
    """Return a length of time for people, in the active language: "12 s", "3 min", "3 h 12 min"."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return gettext("%(n)d s") % {"n": whole}
    if whole < 3600:
        return gettext("%(n)d min") % {"n": whole // 60}
    if whole < 86_400:
        hours, minutes = whole // 3600, whole % 3600 // 60
        text = gettext("%(n)d h") % {"n": hours}
        return f"{text} {gettext('%(n)d min') % {'n': minutes}}" if minutes else text
    return gettext("%(n)d d") % {"n": whole // 86_400}


def next_run(state: BotState) -> datetime | None:
    """Return when the next tick is due, or None where nobody ticks the bot."""
    if state.duty == Duty.NONE:
        return None
    since = state.last_run_at or state.last_updated_at
    due = since + timedelta(seconds=state.bot.check_interval_seconds)
    return max(due, state.retry_at) if state.retry_at else due


def sentence(state: BotState | None, now: datetime) -> str:
    """Return one sentence: status, why, and what comes next, in the active language."""
    if state is None:
        return gettext("Never started")
    head = _head(state, now)
    tail = _tail(state, now)
    return f"{head}; {tail}" if tail else head


def _head(state: BotState, now: datetime) -> str:
    if state.status == Status.PENDING:
        return gettext("Starting - the first tick is on its way")
    status, reason = Status(state.status).label, Reason(state.reason).label
    if state.status == Status.WAITING and state.last_ok_at and state.last_ok_at < now:
        words = {
            "status": status,
            "reason": reason,
            "duration": duration((now - state.last_ok_at).total_seconds()),
        }
        return gettext("%(status)s - %(reason)s for %(duration)s") % words
    return f"{status} - {reason}"


def _tail(state: BotState, now: datetime) -> str:
    if state.duty == Duty.EXIT:
        return winding_down(state)
    if state.status == Status.PAUSED:
        ends = timezone.localtime(state.day_ends_at)
        words = {
            "time": f"{ends:%H:%M}",
            "duration": duration((state.day_ends_at - now).total_seconds()),
        }
        return gettext("resumes at %(time)s, in %(duration)s") % words
    if state.status == Status.ERROR and state.reason in FATAL:
        return gettext("switched off until you start it")
    due = next_run(state)
    if due is None:
        return ""
    if state.is_late(now):
        late = duration((now - due).total_seconds())
        return gettext("late: should have run %(duration)s ago") % {"duration": late}
    if state.status == Status.STOPPED:
        return gettext("goes on by itself")
    words = {"duration": duration((due - now).total_seconds())}
    if state.status == Status.PENDING:
        return ""
    if state.status in (Status.WAITING, Status.ERROR):
        return gettext("tries again in %(duration)s") % words
    return gettext("looks again in %(duration)s") % words


def winding_down(state: BotState) -> str:
    """Return what a bot under duty exit still does: settling, closing or watching."""
    if state.has_unsettled_orders or state.has_ladder:
        return gettext("stopping: an order is not settled yet")
    if not state.in_position:
        return gettext("stopping: the last tick ends")
    if state.is_unwatched:
        return gettext("cannot read the price: nobody watches the position")
    if state.wind_down == WindDown.CLOSE:
        return gettext("closing the position")
    if state.wind_down == WindDown.AFTER_EXIT:
        return gettext("watching the position until its next exit")
    return gettext("watching the position")
