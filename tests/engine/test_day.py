"""Where a trading day ends: zones with days of 23, 24 and 25 hours, or without a midnight."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from bots.models import User
from trading.day import day_end, local_day

#: Zone, day, its length in hours, and the UTC instant when it ends.
DAYS = [
    ("UTC", date(2026, 11, 22), 24, "2026-11-23T00:00"),
    ("Europe/Istanbul", date(2026, 11, 22), 24, "2026-11-22T21:00"),
    ("Europe/London", date(2026, 3, 29), 23, "2026-03-29T23:00"),
    ("Europe/London", date(2026, 10, 25), 25, "2026-10-26T00:00"),
    ("America/New_York", date(2026, 3, 8), 23, "2026-03-09T04:00"),
    ("America/New_York", date(2026, 11, 1), 25, "2026-11-02T05:00"),
    # The clock jumps from 23:59:59 to 01:00: the day before ends at the jump.
    ("Africa/Cairo", date(2026, 4, 23), 24, "2026-04-23T22:00"),
    ("Africa/Cairo", date(2026, 4, 24), 23, "2026-04-24T21:00"),
    ("America/Sao_Paulo", date(2018, 11, 3), 24, "2018-11-04T03:00"),
    ("America/Sao_Paulo", date(2018, 11, 4), 23, "2018-11-05T02:00"),
    # 24:00 is set back to 23:00: the hour before midnight comes twice.
    ("America/Sao_Paulo", date(2018, 2, 17), 25, "2018-02-18T03:00"),
    # 01:00 is set back to 00:00: midnight itself comes twice.
    ("America/Havana", date(2026, 11, 1), 25, "2026-11-02T05:00"),
    # Samoa had no 30 December 2011 at all.
    ("Pacific/Apia", date(2011, 12, 29), 24, "2011-12-30T10:00"),
]


@pytest.mark.parametrize(("name", "day", "hours", "ends"), DAYS)
def test_a_day_ends_where_the_next_begins(name: str, day: date, hours: int, ends: str) -> None:
    zone = ZoneInfo(name)
    end = day_end(zone, day)
    assert end == datetime.fromisoformat(ends).replace(tzinfo=UTC)
    assert local_day(zone, end - timedelta(microseconds=1)) == day
    assert local_day(zone, end) > day
    assert end - day_end(zone, day - timedelta(days=1)) == timedelta(hours=hours)


def test_in_every_zone_each_instant_belongs_to_one_day() -> None:
    for name in available_timezones():
        zone = ZoneInfo(name)
        for month in range(1, 13):
            at = datetime(2026, month, 15, 12, tzinfo=UTC)
            day = local_day(zone, at)
            assert day_end(zone, day - timedelta(days=1)) <= at < day_end(zone, day), name


def test_a_zone_that_no_longer_exists_falls_back_to_the_sites(alice: User) -> None:
    alice.time_zone = "Atlantis/Capital"
    assert alice.zone == ZoneInfo("UTC")
