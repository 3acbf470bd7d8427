"""The trading day: the local date of a time zone, on days of 23, 24 and 25 hours alike."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def local_day(zone: ZoneInfo, at: datetime) -> date:
    """Return the date in `zone` at the aware instant `at`."""
    return at.astimezone(zone).date()


def day_end(zone: ZoneInfo, day: date) -> datetime:
    """Return the first instant (UTC) that no longer belongs to `day` in `zone`.

    Where clocks skip midnight, the wall time 00:00 read with the offset before the change
    (fold=0) is exactly the instant of the change, so the day ends there.
    """
    midnight = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    return midnight.astimezone(UTC)
