"""What must always hold, evaluated on the database: the I-numbers of docs/concepts.md."""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.utils import timezone

from bots.invariants import ledger, safety, state
from bots.invariants.among import EVERY, Among
from bots.invariants.violation import Violation

__all__ = ["EVERY", "RULES", "Among", "Violation", "check"]

RULES: tuple[Callable[[datetime, Among], Iterator[Violation]], ...] = (
    state.one_tick,
    ledger.ledger_is_whole,
    state.states_are_legal,
    ledger.caches_are_folds,
    state.days_are_closed,
    state.unsettled_is_known,
    ledger.nothing_was_sent_unwritten,
    state.tenants_are_apart,
    state.ticks_are_told,
    state.schedule_is_in_step,
    ledger.paper_books_balance,
    safety.nothing_is_opened_after_a_stop,
    safety.positions_have_their_stops,
    safety.secrets_are_encrypted,
    safety.orders_have_a_price_behind_them,
)


def check(now: datetime | None = None, among: Among = EVERY) -> list[Violation]:
    """Evaluate every invariant that the database alone can show. Empty: all hold.

    `now`: the time to judge days by (replays bring their own). `among`: these bots only.
    """
    at = now or timezone.now()
    return [violation for rule in RULES for violation in rule(at, among)]
