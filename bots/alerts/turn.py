"""One turn of the alerts: scan, plan, deliver. One worker at a time has it, the others trade."""

import time
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from bots.alerts import delivery
from bots.alerts.plan import plan
from bots.alerts.scan import scan
from bots.models import AlertScan, Heartbeat, Outpaced

#: A turn's task is killed after 45 s.
LEASE = timedelta(seconds=60)
#: A portion that begins before this ends before the task is interrupted.
MORE_SECONDS = 10.0


def run() -> int:
    """Take the turn, if nobody has it. Returns how many messages were tried."""
    now = timezone.now()
    AlertScan.objects.get_or_create(pk=1)
    free = AlertScan.objects.filter(pk=1).exclude(lease_until__gt=now)
    if not free.update(fence=F("fence") + 1, lease_until=now + LEASE):
        return 0
    mine = AlertScan.objects.get(pk=1)
    try:
        scan(mine, now)
        plan(now)
        tried = _deliver()
        Heartbeat.beat("alerts", f"{tried} messages")
    except Outpaced:
        return 0
    finally:
        AlertScan.objects.filter(pk=1, fence=mine.fence).update(lease_until=None)
    return tried


def _deliver() -> int:
    """Send what is due in portions, while there is time for another one."""
    begun, tried = time.monotonic(), 0
    while True:
        count = delivery.deliver()
        tried += count
        if count < delivery.MOST or time.monotonic() - begun > MORE_SECONDS:
            return tried
