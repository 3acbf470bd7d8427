"""What a trader trusts us with: stops that stop, watched positions, secrets, sound data."""

from collections.abc import Iterator
from datetime import datetime

from allauth.mfa.models import Authenticator
from django.db import connection
from django.db.models import Q

from bots.invariants.among import EVERY, Among
from bots.invariants.violation import Violation
from bots.lifecycle import Duty, Move
from bots.models import BotState, Order, StateEvent
from bots.rotation import FACTOR_SECRETS
from trading.market import Side

#: Moves after which nothing may be opened, until a start or the reset of a pause.
OFF = frozenset({Move.STOP, Move.SWITCH_OFF, Move.PAUSE})

#: What holds secrets, by the name of its rows.
SECRETS = {
    "key": "SELECT id, api_key, secret_key, passphrase FROM bots_apikey",
    "alert channel": "SELECT id, secret_url FROM bots_alertchannel",
    "signal address": "SELECT id, secret FROM bots_hook",
}


def nothing_is_opened_after_a_stop(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I4: no entry was written in an epoch in which its bot was off."""
    opening = Q(purpose=Order.Purpose.ENTRY) | Q(purpose=Order.Purpose.RUNG, side=Side.BUY)
    entries = Order.objects.filter(opening).exclude(reason="adopted")
    by_bot: dict[int, list[Order]] = {}
    for order in among.of(entries).order_by("bot_id", "pk"):
        by_bot.setdefault(order.bot_id, []).append(order)
    for bot_id, orders in by_bot.items():
        epochs = _epochs(bot_id)
        for order in orders:
            before = [is_off for epoch, is_off in epochs if epoch <= order.run_epoch]
            if before and before[-1]:
                text = f"{order.client_order_id} was written while the bot was off"
                yield Violation(code="I4", bot_id=bot_id, text=text)


def _epochs(bot_id: int) -> list[tuple[int, bool]]:
    """Return since which epoch a bot was off or on, in the order of its history."""
    found: list[tuple[int, bool]] = []
    events = StateEvent.objects.filter(bot_id=bot_id).order_by("pk")
    for move, old_status, epoch in events.values_list("move", "old_status", "run_epoch"):
        if move in OFF:
            found.append((epoch, True))
        elif move == Move.START or (move == Move.RESET and old_status == "paused"):
            found.append((epoch, False))
    return found


def positions_have_their_stops(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I8: a bot that watches a position knows the stop that its settings ask for."""
    held = BotState.objects.filter(in_position=True).exclude(duty=Duty.NONE)
    for state in among.of(held.select_related("bot")):
        if state.bot.stop_loss_perc is not None and state.stop_loss_price is None:
            text = "in position without the stop that its settings ask for"
            # An edit is followed by the next tick; until then the row is of the old settings.
            if state.ticked_epoch == state.run_epoch and state.tick_started_at is None:
                yield Violation(code="I8", bot_id=state.pk, text=text)


def secrets_are_encrypted(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I10: every secret holds a Fernet token, and nothing else: of keys and of second factors."""
    if not among.is_first:
        return
    with connection.cursor() as cursor:
        for name, query in SECRETS.items():
            cursor.execute(query)
            for pk, *columns in cursor.fetchall():
                tokens = [bytes(column) for column in columns if column not in (None, b"", "")]
                if not all(token.startswith(b"gAAAA") for token in tokens):
                    text = f"{name} {pk} is stored in the clear"
                    yield Violation(code="I10", bot_id=None, text=text)
    for pk, data in Authenticator.objects.values_list("pk", "data"):
        stored = [data[name] for name in FACTOR_SECRETS if name in data]
        if not all(token.startswith("gAAAA") for token in stored):
            text = f"second factor {pk} is stored in the clear"
            yield Violation(code="I10", bot_id=None, text=text)


def orders_have_a_price_behind_them(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I12: each order was decided on a price, and filled near it where that is known."""
    ours = Order.objects.exclude(reason__in=["adopted", "liquidation"])
    ours = ours.exclude(purpose=Order.Purpose.PROTECT)
    for order in among.of(ours).iterator(chunk_size=500):
        if order.expected_price is None or order.expected_price <= 0:
            text = f"{order.client_order_id} was sent without a price"
            yield Violation(code="I12", bot_id=order.bot_id, text=text)
