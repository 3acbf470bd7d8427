"""One turn of the alerts: scan, plan, deliver. One worker at a time has it, the others trade."""

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from bots.alerts import delivery
from bots.alerts.plan import plan
from bots.alerts.scan import scan
from bots.models import AlertScan, Heartbeat, Outpaced

#: A turn's task is killed after 45 s.
LEASE = timedelta(seconds=60)


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
        tried = delivery.deliver()
        Heartbeat.beat("alerts", f"{tried} messages")
    except Outpaced:
        return 0
    finally:
        AlertScan.objects.filter(pk=1, fence=mine.fence).update(lease_until=None)
    return tried
