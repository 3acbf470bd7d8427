"""What a state row and its days hold beside the fills, folded anew and put right."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

from django.db import transaction
from django.utils import timezone

from bots import booking
from bots.booking import Fold
from bots.change import record
from bots.lifecycle import Move
from bots.models import BotState, DayStats, User
from trading.market import EXACT, quantize

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One stored value that is not what the fills give; `day`: it is a day's, not the state's."""

    bot_id: int
    name: str
    stored: Any
    folded: Any
    day: date | None = None

    def __str__(self) -> str:
        where = f"{self.day} {self.name}" if self.day else self.name
        return f"{where} {_plain(self.stored)}, fills say {_plain(self.folded)}"


def recompute(bot_id: int, *, by: User | None, via: str, dry_run: bool = False) -> list[Difference]:
    """Fold a bot's fills anew and write what differs; returns the differences.

    With `dry_run` nothing is written. The row is locked meanwhile: a tick that is under way books
    before or after, never in between. Raises BotState.DoesNotExist for a bot that never started.
    """
    with localcontext(EXACT), transaction.atomic():
        row = BotState.objects.select_for_update(of=("self",)).get(pk=bot_id)
        fold = booking.fold(bot_id)
        columns = _columns(row, fold)
        of_state = list(_of_state(row, columns))
        of_days = list(_of_days(row, fold))
        found = of_state + of_days
        if dry_run or not found:
            return found
        if of_state:
            BotState.objects.filter(pk=bot_id).update(**columns)
        for day in {one.day for one in of_days if one.day is not None}:
            sums = _day(fold, day)
            # A day of the past that gets its row only now is over.
            over = {"closed_at": timezone.now() if day < row.counter_day else None}
            DayStats.objects.update_or_create(
                bot_id=bot_id, day=day, defaults=sums, create_defaults=sums | over
            )
        new = BotState.objects.get(pk=bot_id)
        record(row, new, Move.RECOMPUTE, by=by, via=via, why="; ".join(map(str, found))[:500])
    return found


def differences(row: BotState) -> Iterator[Difference]:
    """Yield what a state row and its days hold otherwise than the fills give."""
    fold = booking.fold(row.pk)
    yield from _of_state(row, _columns(row, fold))
    yield from _of_days(row, fold)


def _columns(row: BotState, fold: Fold) -> dict[str, Any]:
    today = _day(fold, row.counter_day)
    # Stop and target stay where they are as long as the side does: they may have trailed.
    return booking.position_columns(fold.position, row.bot.risk_settings, row.position) | {
        "profit": quantize(fold.profit),
        "daily_pnl": today["pnl"],
        "daily_trades_count": today["trades"],
        "lots": booking.lots_column(fold.lots),
    }


def _of_state(row: BotState, columns: Mapping[str, Any]) -> Iterator[Difference]:
    for name, folded in columns.items():
        stored = getattr(row, name)
        if stored != folded:
            yield Difference(bot_id=row.pk, name=name, stored=stored, folded=folded)


def _of_days(row: BotState, fold: Fold) -> Iterator[Difference]:
    stored = {day.day: day for day in DayStats.objects.filter(bot_id=row.pk)}
    for day in sorted(fold.pnl.keys() | fold.fees.keys() | stored.keys()):
        for name, folded in _day(fold, day).items():
            value = getattr(stored[day], name) if day in stored else None
            if value != folded:
                yield Difference(bot_id=row.pk, name=name, stored=value, folded=folded, day=day)


def _day(fold: Fold, day: date) -> dict[str, Any]:
    return {
        "pnl": quantize(fold.pnl.get(day, ZERO)),
        "fees": quantize(fold.fees.get(day, ZERO)),
        "trades": fold.trades.get(day, 0),
    }


def _plain(value: Any) -> str:
    return f"{value.normalize(EXACT):f}" if isinstance(value, Decimal) else str(value)
