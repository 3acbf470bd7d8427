"""Channels that lead to receivers on this machine."""

from bots.alerts import addresses, channels
from bots.models import AlertChannel, AlertDelivery, User
from bots.models.alert import AlertKind
from tests.receivers import Received

ALL = [kind.value for kind in AlertKind]


def webhook_of(owner: User, received: Received, kinds: list[str] | None = None) -> AlertChannel:
    """Make a channel of all kinds that leads to a receiver of webhooks."""
    address = addresses.webhook(f"http://127.0.0.1:{received.port}/hook?room=1")
    kinds = ALL if kinds is None else kinds
    return channels.add(owner, "webhook", address, label="hook", kinds=kinds)


def mail_of(owner: User) -> AlertChannel:
    """Make a confirmed channel of all kinds that mails alice@example.org."""
    made = channels.add(owner, "mail", addresses.mail("alice@example.org"), label="", kinds=ALL)
    AlertChannel.objects.filter(pk=made.pk).update(is_confirmed=True)
    AlertDelivery.objects.filter(channel=made).delete()
    return made
