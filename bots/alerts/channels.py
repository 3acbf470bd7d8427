"""What users do with their channels: add, change, test, confirm, switch off, forget."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from bots import schedule
from bots.alerts.addresses import Address
from bots.models import AlertChannel, AlertDelivery, User
from bots.models.alert import AlertKind

MOST = 10
#: So many test messages an hour: they go wherever somebody says.
TESTS = 10
SALT = "alerts.confirm"
TURN = "bots.tasks.send_alerts"


def add(
    owner: User, service: str, address: Address, *, label: str, kinds: Sequence[str]
) -> AlertChannel:
    """Store a channel; ValidationError beyond MOST. Mail asks its receiver to confirm it."""
    with transaction.atomic():
        # Locked, so that two at once are counted.
        User.objects.select_for_update().get(pk=owner.pk)
        if AlertChannel.objects.filter(owner=owner).count() >= MOST:
            raise ValidationError(_("You have %(n)d channels: delete one first.") % {"n": MOST})
        channel = AlertChannel.objects.create(
            owner=owner,
            service=service,
            label=label,
            secret_url=address.url,
            hint=address.hint,
            kinds=list(kinds),
            is_confirmed=service != AlertChannel.Service.MAIL,
        )
    if not channel.is_confirmed:
        test(channel)
    return channel


def change(
    channel: AlertChannel,
    *,
    label: str,
    kinds: Sequence[str],
    is_on: bool,
    address: Address | None = None,
) -> None:
    """Change a channel; without a new address the stored one stays, and is not even read."""
    was_on = channel.is_on
    changes: dict[str, object] = {"label": label, "kinds": list(kinds), "is_on": is_on}
    if is_on and not was_on:
        changes |= {"off_reason": "", "failing_since": None}
    elif was_on and not is_on:
        changes["off_reason"] = AlertChannel.Off.BY_OWNER
    if address is not None:
        is_confirmed = channel.service != AlertChannel.Service.MAIL
        changes |= {"secret_url": address.url, "hint": address.hint, "failing_since": None}
        changes |= {"changed_at": timezone.now(), "is_confirmed": is_confirmed}
    for name, value in changes.items():
        setattr(channel, name, value)
    channel.save(update_fields=list(changes))
    if address is not None and not channel.is_confirmed:
        test(channel)


def test(channel: AlertChannel) -> AlertDelivery | None:
    """Write a test message and have a worker send it. None: too many of them within the hour."""
    owner = channel.owner
    # Not the rows: they go with a channel, and the next one could be made at once.
    counter = f"alert-tests-{owner.pk}-{timezone.now():%Y%m%d%H}"
    cache.add(counter, 0, 2 * 3600)
    if cache.incr(counter) > TESTS:
        return None
    with translation.override(owner.language or translation.get_language()):
        subject, body = _test_text(channel)
    made = AlertDelivery.objects.create(
        channel=channel, kind=AlertDelivery.TEST, subject=subject, body=body
    )
    transaction.on_commit(lambda: schedule.send(TURN))
    return made


def _test_text(channel: AlertChannel) -> tuple[str, str]:
    if not channel.is_confirmed:
        text = _(
            "Somebody, you we hope, wants alerts of Botsite to be sent to this address. Open this "
            "link and confirm it; without that nothing more is sent."
        )
        return _("Confirm this address for alerts"), text
    link = reverse("alerts")
    text = _("This is a test: alerts of your bots arrive here.")
    return _("Test message"), f"{text}\n{settings.SITE_URL}{link}"


def confirmation(channel: AlertChannel) -> str:
    """Return the link that proves that somebody reads what is sent to this address.

    It is made when the message leaves and is stored nowhere, so that nobody finds it elsewhere.
    """
    mark = [channel.pk, channel.changed_at.isoformat()]
    token = signing.dumps(mark, salt=SALT)
    return f"{settings.SITE_URL}{reverse('channel-confirm', args=[channel.pk, token])}"


def confirm(channel: AlertChannel, text: str) -> bool:
    """Take a channel's address as confirmed, where `text` is its own newest token."""
    try:
        mark = signing.loads(text, salt=SALT, max_age=timedelta(days=7))
    except signing.BadSignature:
        return False
    if mark != [channel.pk, channel.changed_at.isoformat()]:
        return False
    AlertChannel.objects.filter(pk=channel.pk).update(is_confirmed=True)
    return True


def wanted(kinds: Sequence[str]) -> list[str]:
    """Return those of the texts that are kinds, in their own order."""
    return [kind.value for kind in AlertKind if kind.value in kinds]
