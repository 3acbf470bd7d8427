"""What bots and accounts are set up to be: by their owner, checked like a form."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from bots import schedule
from bots.change import outpacing, read, record
from bots.following import follow
from bots.lifecycle import Duty, Mode, Move
from bots.models import Account, BotConfig, BotState, User

#: What its owner may change of a bot.
SETTINGS = frozenset(field.name for field in BotConfig._meta.concrete_fields if field.editable) - {
    "id",
    "owner",
}
#: What a paper twin has of its bot.
FOLLOWED = SETTINGS - {"name", "mode", "account"}
#: What its owner may change of an account.
ACCOUNT_LIMITS = ("max_open_positions", "max_daily_loss")
MOST_POSITIONS = 10_000


def create(owner: User, values: Mapping[str, Any]) -> BotConfig:
    """Make a bot from BotConfig fields (checked: ValidationError names the field).

    A paper bot gets an account, and so a book, of its own.
    """
    with transaction.atomic():
        bot = BotConfig(owner=owner, **in_one_way(values))
        if bot.mode == Mode.PAPER:
            bot.account = None
        _keep_own_book(bot)
        # clean() has words for each of the database's checks, and the insert asks them anyway:
        # to ask them one by one before it takes ten queries and most of the time of an import.
        bot.full_clean(validate_constraints=False)
        bot.save()
        return bot


def in_one_way(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the market's names as exchanges spell them."""
    found = dict(values)
    if isinstance(symbol := found.get("symbol"), str):
        found["symbol"] = symbol.strip().upper()
    if isinstance(exchange := found.get("exchange"), str):
        found["exchange"] = exchange.strip().lower()
    return found


def _keep_own_book(bot: BotConfig) -> None:
    """Give a paper bot an account of its own for its exchange, unless it has that already."""
    if bot.mode != Mode.PAPER:
        return
    account = bot.account
    if account is None or (account.exchange, account.mode) != (bot.exchange, bot.mode):
        bot.account = Account.objects.create(
            owner=bot.owner, exchange=bot.exchange, mode=Mode.PAPER, label=f"paper {uuid4().hex}"
        )


def _assign(row: Model, changes: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Set these fields; ValidationError names one that its owner may not change."""
    for name, value in changes.items():
        if name not in allowed:
            raise ValidationError({name: _("This is not a setting.")})
        setattr(row, name, value)


def edit(
    bot: BotConfig,
    changes: Mapping[str, Any],
    *,
    by: User | None,
    via: str,
    keeps_params: bool = False,
) -> BotConfig:
    """Change a bot's settings (checked). A tick in flight places no order on the old ones.

    `keeps_params`: parameters of the same strategy that `changes` leaves out stay as they are.
    """

    def attempt() -> BotConfig:
        fresh = read(bot.pk)
        old_strategy, old_params = fresh.strategy, fresh.params
        before = {name: getattr(fresh, name, None) for name in changes}
        _assign(fresh, in_one_way(changes), SETTINGS)
        if fresh.strategy != old_strategy:
            # Parameters are their strategy's own: another one begins with its defaults.
            fresh.params = changes.get("params", {})
        elif keeps_params and "params" in changes:
            fresh.params = {**old_params, **changes["params"]}
        _keep_own_book(fresh)
        fresh.full_clean()
        changed = sorted(name for name in changes if getattr(fresh, name) != before[name])
        old = fresh.state_or_none
        if old is not None:
            new = old.change(None, guard={"version": old.version}, run_epoch=old.run_epoch + 1)
            record(old, new, Move.EDIT, by=by, via=via, why=", ".join(changed))
            if new.duty != Duty.NONE:
                schedule.sync(fresh.pk, fresh.check_interval_seconds)
        # These columns alone: a start or a delete at the same time keeps what it wrote.
        fresh.save(update_fields={*changes, "params", "account", "updated_at"})
        return fresh

    edited = outpacing(attempt)
    follow(edited, lambda twin: keep_in_step(edited, twin, by=by, via=via))
    return edited


def keep_in_step(bot: BotConfig, twin: BotConfig, *, by: User | None, via: str) -> None:
    """Give a paper twin the settings of its bot that it has not got yet (checked, as any edit)."""
    changes = {name: getattr(bot, name) for name in FOLLOWED}
    changes = {name: value for name, value in changes.items() if getattr(twin, name) != value}
    if changes:
        edit(twin, {**changes, "params": bot.params}, by=by, via=via)


def edit_account(
    account: Account, changes: Mapping[str, Any], *, by: User | None, via: str
) -> Account:
    """Change an account's limits (checked: ValidationError names the field); None takes one away.

    `max_open_positions` counts the account's bots, `max_daily_loss` is quote currency. Each of its
    bots keeps the change in its history, and a tick in flight places no order on the old limits.
    """

    def attempt() -> Account:
        fresh = Account.objects.get(pk=account.pk)
        before = {name: getattr(fresh, name) for name in ACCOUNT_LIMITS}
        _assign(fresh, changes, ACCOUNT_LIMITS)
        check_limits(fresh)
        changed = sorted(name for name in before if getattr(fresh, name) != before[name])
        if not changed:
            return fresh
        # The state rows first, as in every verb and in the ticks, so that nobody waits in a ring.
        for old in BotState.objects.filter(bot__account=fresh).order_by("pk"):
            new = old.change(None, guard={"version": old.version}, run_epoch=old.run_epoch + 1)
            why = ", ".join(f"account: {name}" for name in changed)
            record(old, new, Move.EDIT, by=by, via=via, why=why)
        fresh.save(update_fields=changed)
        return fresh

    return outpacing(attempt)


def check_limits(account: Account) -> None:
    """Raise a ValidationError that names the limits of an account that cannot be."""
    # Texts become numbers here, and what no column holds is refused.
    account.clean_fields(exclude=["owner", "exchange", "mode", "label"])
    errors: dict[str, Any] = {}
    most, loss = account.max_open_positions, account.max_daily_loss
    if most is not None and not 1 <= most <= MOST_POSITIONS:
        errors["max_open_positions"] = _("Between 1 and %d.") % MOST_POSITIONS
    if loss is not None and loss <= Decimal(0):
        errors["max_daily_loss"] = _("Must be more than zero.")
    if errors:
        raise ValidationError(errors)
