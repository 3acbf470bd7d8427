"""Messages on their way: claimed, handed to the courier, tried again, given up.

The only place that decrypts a channel's address. A message is claimed with a lease before it is
sent, so that two workers do not send it both; a worker that is killed between sending and writing
that down sends it again: at least once, seldom twice.
"""

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from operator import itemgetter
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db.models import Case, F, Min, Q, When
from django.utils import timezone

from bots.alerts.addresses import SITE_MAIL
from bots.alerts.channels import confirmation
from bots.alerts.wording import TYPES
from bots.models import AlertChannel, AlertDelivery
from bots.models.alert import AlertKind
from bots.models.fields import Undecryptable

log = logging.getLogger(__name__)
Status, Fault = AlertDelivery.Status, AlertDelivery.Fault

#: When a message that did not arrive is tried again; after the last it has failed.
BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
#: The courier's time for all messages of one run, and its share of the task's; it is killed then.
COURIER_SECONDS, SHARE = 20.0, 0.6
LEASE = timedelta(seconds=60)
#: A channel that nothing reached for so long is switched off.
FAILING = timedelta(days=3)
#: So many can all fail slowly within the courier's time.
MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    ok: bool
    fault: str = ""
    code: int | None = None


def deliver(now: datetime | None = None) -> int:
    """Send what is due, at most one message for each channel. Returns how many were tried."""
    moment = now or timezone.now()
    _drop(moment)
    claimed = _claim(moment)
    jobs, results = _jobs(claimed)
    if jobs:
        results |= _courier(jobs)
    for delivery in claimed:
        # The courier was killed before it got that far.
        late = Result(ok=False, fault=Fault.TIMEOUT)
        _end(delivery, results.get(delivery.pk, late), now or timezone.now())
    return len(claimed)


def _drop(now: datetime) -> None:
    """Switch channels of inactive owners off, and drop what would go to a channel that is off."""
    gone = AlertChannel.objects.filter(is_on=True, owner__is_active=False)
    gone.update(is_on=False, off_reason=AlertChannel.Off.OWNER_INACTIVE)
    off = Q(channel__is_on=False) | Q(channel__is_confirmed=False)
    waiting = AlertDelivery.objects.filter(off, status=Status.PENDING)
    pks = list(waiting.exclude(kind=AlertDelivery.TEST).values_list("pk", flat=True)[:500])
    rows = AlertDelivery.objects.filter(pk__in=pks, status=Status.PENDING)
    rows.update(status=Status.DROPPED, ended_at=now)


def _claim(now: datetime) -> list[AlertDelivery]:
    due = AlertDelivery.objects.filter(status=Status.PENDING, due_at__lte=now)
    due = due.exclude(lease_until__gt=now)
    # However much waits for channels that nothing reaches: those that work come first.
    fails = Case(When(channel__failing_since=None, then=0), default=1)
    firsts = due.values("channel").annotate(fails=fails, since=Min("due_at"), first=Min("pk"))
    pks = firsts.order_by("fails", "since").values_list("first", flat=True)[: 2 * MOST]
    claimed: dict[int, AlertDelivery] = {}
    waiting = due.in_bulk(list(pks))
    for delivery in (waiting[pk] for pk in pks if pk in waiting):
        if len(claimed) == MOST:
            break
        mine = due.filter(pk=delivery.pk, attempts=delivery.attempts)
        if mine.update(attempts=F("attempts") + 1, lease_until=now + LEASE):
            delivery.attempts += 1
            claimed[delivery.channel_id] = delivery
    return _in_turns(claimed)


def _in_turns(claimed: Mapping[int, AlertDelivery]) -> list[AlertDelivery]:
    """Let everybody's first message go before anybody's second.

    Some channels answer as slowly as they may; they hold up their owner's own messages.
    """
    owners = dict(AlertChannel.objects.filter(pk__in=claimed).values_list("pk", "owner"))
    counts: Counter[int | None] = Counter()
    turns: list[tuple[int, AlertDelivery]] = []
    for channel, delivery in claimed.items():
        owner = owners.get(channel)
        turns.append((counts[owner], delivery))
        counts[owner] += 1
    return [delivery for _turn, delivery in sorted(turns, key=itemgetter(0))]


def _jobs(claimed: Sequence[AlertDelivery]) -> tuple[list[dict[str, Any]], dict[int, Result]]:
    """Return what the courier is to send, and the results of what cannot be sent at all."""
    pks = [delivery.channel_id for delivery in claimed]
    rows = AlertChannel.objects.filter(pk__in=pks).defer(None)
    channels = {row.pk: row for row in rows}
    jobs: list[dict[str, Any]] = []
    results: dict[int, Result] = {}
    for delivery in claimed:
        channel = channels.get(delivery.channel_id)
        url = channel.secret_url if channel else ""
        if channel is None or isinstance(url, Undecryptable):
            results[delivery.pk] = Result(ok=False, fault=Fault.UNREADABLE)
            continue
        is_ours = url.startswith(SITE_MAIL)
        link = "" if channel.is_confirmed else f"\n{confirmation(channel)}"
        jobs.append(
            {
                "id": delivery.pk,
                "url": _by_our_mail(url.removeprefix(SITE_MAIL)) if is_ours else url,
                "title": delivery.subject,
                "body": f"{delivery.body}{link}",
                "type": _type(delivery.kind),
                "trusted": is_ours,
            }
        )
    return jobs, results


def _type(kind: str) -> str:
    return TYPES.get(AlertKind(kind), "info") if kind in AlertKind.values else "info"


def _by_our_mail(to: str) -> str:
    """Return the address by which apprise mails `to` through the site's own mail server."""
    user, password = settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD
    is_secure = settings.EMAIL_USE_SSL or settings.EMAIL_USE_TLS
    mode = "ssl" if settings.EMAIL_USE_SSL else "starttls" if is_secure else "insecure"
    name, sender = _sender()
    options = {"from": sender, "name": name or "Botsite", "to": to, "mode": mode}
    if user:
        options |= {"user": user, "pass": password}
    host = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    scheme = "mailtos" if is_secure else "mailto"
    return (
        f"{scheme}://{host}?{urlencode(options | {'smtp': settings.EMAIL_HOST}, quote_via=quote)}"
    )


def _sender() -> tuple[str, str]:
    """Return name and address that our mail is from.

    A site without a name has a sender whose domain is a number, which is none to apprise: then it
    is the user that the mail server knows.
    """
    name, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    domain = sender.rpartition("@")[2]
    if not domain or ":" in domain or domain.rpartition(".")[2].isdecimal():
        user = settings.EMAIL_HOST_USER
        sender = user if "@" in user else f"{sender.partition('@')[0] or 'botsite'}@localhost"
    return name, sender


def _courier(jobs: Sequence[Mapping[str, Any]]) -> dict[int, Result]:
    """Have the courier send these; those of which it says nothing were not over in time."""
    order = {"allow_private": settings.ALERTS_ALLOW_PRIVATE, "jobs": list(jobs)}
    keep = {"PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    env = {name: value for name, value in os.environ.items() if name in keep}
    program = subprocess.Popen(
        [sys.executable, "-m", "bots.alerts.courier"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A traceback there could name an address.
        stderr=subprocess.DEVNULL,
        cwd=settings.BASE_DIR,
        env=env,
        text=True,
    )
    try:
        limit = min(COURIER_SECONDS, SHARE * settings.CELERY_TASK_SOFT_TIME_LIMIT)
        out, _err = program.communicate(json.dumps(order), timeout=limit)
    except subprocess.TimeoutExpired:
        program.kill()
        out, _err = program.communicate()
    finally:
        program.kill()
    results = {}
    for line in out.splitlines():
        row = json.loads(line)
        results[row["id"]] = Result(ok=row["ok"], fault=row["fault"], code=row["code"])
    if program.returncode and not results:
        log.error("the courier ended with %s", program.returncode)
    return results


def _end(delivery: AlertDelivery, result: Result, now: datetime) -> None:
    """Write down what became of an attempt, unless the lease was over and another one has begun."""
    changes: dict[str, Any] = {"lease_until": None, "fault": result.fault, "code": result.code}
    is_last = delivery.kind == AlertDelivery.TEST or delivery.attempts > len(BACK_OFF)
    if result.ok:
        changes |= {"status": Status.SENT, "ended_at": now}
    elif is_last:
        changes |= {"status": Status.FAILED, "ended_at": now}
    else:
        changes |= {"due_at": now + BACK_OFF[delivery.attempts - 1]}
    mine = AlertDelivery.objects.filter(
        pk=delivery.pk, status=Status.PENDING, attempts=delivery.attempts
    )
    if mine.update(**changes):
        _judge(delivery.channel_id, result, now)


def _judge(channel_id: int, result: Result, now: datetime) -> None:
    """Keep since when a channel fails; one that has failed for days is switched off."""
    channel = AlertChannel.objects.filter(pk=channel_id)
    if result.ok:
        channel.update(failing_since=None)
    elif not channel.filter(failing_since=None).update(failing_since=now):
        old = channel.filter(is_on=True, failing_since__lt=now - FAILING)
        if old.update(is_on=False, off_reason=AlertChannel.Off.FAILING):
            log.warning("alert channel %s is switched off: it fails since days", channel_id)
