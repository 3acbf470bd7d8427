"""The verbs of an exchange key: store it, have it checked, forget it. Doors go by bots.control."""

from django.db import transaction
from django.utils.translation import gettext as _

from bots import schedule
from bots.change import Refusal
from bots.lifecycle import Duty
from bots.models import ApiKey, BotState, KeyEvent, User


def put_key(owner: User, *, via: str, **fields: str) -> ApiKey:
    """Store a key (see ApiKey.put) and have a worker check it with the exchange."""
    with transaction.atomic():
        key = ApiKey.put(owner=owner, via=via, **fields)
        transaction.on_commit(lambda: schedule.send("bots.tasks.check_key", key.pk))
    return key


def check_key(key: ApiKey) -> None:
    """Have a worker ask the exchange now what a key may do. Refusal while none can be reached."""
    if not schedule.send("bots.tasks.check_key", key.pk):
        raise Refusal("no_worker", _("The workers cannot be reached now: try again shortly."))


def drop_key(key: ApiKey, *, by: User, via: str) -> None:
    """Forget a key; account, orders and bots stay, and a flat bot's next tick says what it misses.

    What stays of it is that it was there, and its last four characters (KeyEvent).
    Refusal while a bot with duty still needs the key to watch a position or to settle an order.
    """
    with transaction.atomic():
        # Locked, so that no order is written in between: intents update these rows.
        states = BotState.objects.select_for_update().filter(bot__account=key.account)
        for state in states.exclude(duty=Duty.NONE):
            if state.in_position or state.has_open_orders:
                raise Refusal(
                    "in_use", _("A bot needs this key for its position: stop or close it first.")
                )
        key.take_away(KeyEvent.What.DELETED, by=by, via=via)
