"""Where a bot stands and what comes next, in one sentence of the reader's language."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
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


def in_utc(value: datetime) -> tuple[str, str]:
    """Return an instant in UTC for machines and for people."""
    utc = value.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S} UTC"


def counting(value: datetime, text: str, kind: str) -> SafeString:
    """Return a time as HTML whose text app.js keeps counting.

    `kind` is how the page words it: "since" and "until" as phrases ("3 min ago", "in 3 min"),
    "past" and "left" as the bare length of time, for a sentence that has the words around it.
    """
    return format_html(
        '<time datetime="{}" title="{}" data-count="{}">{}</time>', *in_utc(value), kind, text
    )


def past(value: datetime, now: datetime) -> SafeString:
    """Return how long ago an instant was, counting: the bare length of time."""
    return counting(value, duration((now - value).total_seconds()), "past")


def left(value: datetime, now: datetime) -> SafeString:
    """Return how long it is until an instant, counting: the bare length of time."""
    return counting(value, duration((value - now).total_seconds()), "left")


def next_run(state: BotState) -> datetime | None:
    """Return when the next tick is due, or None where nobody ticks the bot."""
    if state.duty == Duty.NONE:
        return None
    since = state.last_run_at or state.last_updated_at
    due = since + timedelta(seconds=state.bot.check_interval_seconds)
    return max(due, state.retry_at) if state.retry_at else due


def sentence(state: BotState | None, now: datetime) -> SafeString:
    """Return one sentence as HTML: status, why, and what comes next, in the active language.

    Its lengths of time count in the page, which is polled for what changes otherwise.
    """
    if state is None:
        return conditional_escape(gettext("Never started"))
    head = _head(state, now)
    tail = _tail(state, now)
    return format_html("{}; {}", head, tail) if tail else head


def _head(state: BotState, now: datetime) -> SafeString:
    if state.status == Status.PENDING:
        return conditional_escape(gettext("Starting - the first tick is on its way"))
    words = {"status": Status(state.status).label, "reason": Reason(state.reason).label}
    if state.status == Status.WAITING and state.last_ok_at and state.last_ok_at < now:
        pattern = gettext("{status} - {reason} for {duration}")
        return format_html(pattern, **words, duration=past(state.last_ok_at, now))
    return format_html("{status} - {reason}", **words)


def _tail(state: BotState, now: datetime) -> str | SafeString:
    if state.duty == Duty.EXIT:
        return winding_down(state)
    if state.status == Status.PAUSED:
        time = f"{timezone.localtime(state.day_ends_at):%H:%M}"
        pattern = gettext("resumes at {time}, in {duration}")
        return format_html(pattern, time=time, duration=left(state.day_ends_at, now))
    if state.status == Status.ERROR and state.reason in FATAL:
        return gettext("switched off until you start it")
    due = next_run(state)
    if due is None:
        return ""
    if state.is_late(now):
        return format_html(gettext("late: should have run {duration} ago"), duration=past(due, now))
    if state.status == Status.STOPPED:
        return gettext("goes on by itself")
    if state.status == Status.PENDING:
        return ""
    if state.status in (Status.WAITING, Status.ERROR):
        return format_html(gettext("tries again in {duration}"), duration=left(due, now))
    return format_html(gettext("looks again in {duration}"), duration=left(due, now))


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
