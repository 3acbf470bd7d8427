"""Where the lines of a time line come from: one source for each kind of rows, with its index."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, TextChoices, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models import (
    AccessEvent,
    Account,
    ApiKey,
    BotConfig,
    Command,
    Funding,
    KeyEvent,
    Order,
    StateEvent,
    Transfer,
    User,
)
from bots.models.command import MOMENT, UNDONE_COMMANDS
from bots.models.event import BAD_EVENTS
from bots.models.ledger import BAD_ORDERS

NEVER = Q(pk=None)


class Kind(TextChoices):
    """What a reader can ask for."""

    STATE = "state", _("Bots")
    ORDER = "order", _("Orders")
    COMMAND = "command", _("Commands")
    FUNDING = "funding", _("Funding")
    TRANSFER = "transfer", _("Transfers")
    KEY = "key", _("Keys")
    ACCESS = "access", _("Sign-in")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One kind of rows: `name` in a cursor, the column of its time, and which rows are errors.

    `rows` are everybody's, each of a bot, an account or, where both is false, a user. `is_indexed`:
    they can be read by time; the others are read by their accounts.
    """

    name: str
    kind: Kind
    at: str
    rows: Callable[[], QuerySet[Any]]
    bad: Q = NEVER
    is_of_bots: bool = True
    is_of_accounts: bool = False
    is_indexed: bool = True

    def of(self, user: User) -> Q:
        """Return the condition on rows of one user: it starts from the bots or accounts."""
        if self.is_of_accounts:
            return Q(account__owner=user)
        return Q(bot__owner=user) if self.is_of_bots else Q(owner=user)

    def checked_of(self, user: User) -> Exists | Q:
        """Return the same as a question to each row, so that the rows can be read by their time.

        SQLite would start from the bots all the same, and sort their whole history.
        """
        if self.is_of_bots:
            return Exists(BotConfig.objects.filter(pk=OuterRef("bot"), owner=user))
        if not self.is_of_accounts:
            return Q(owner=user)
        return Exists(Account.objects.filter(pk=OuterRef("account"), owner=user))


def _events() -> QuerySet[Any]:
    return StateEvent.objects.select_related("by")


def _commands() -> QuerySet[Any]:
    """Return commands with their `moment` and `outcome`: one that waits past its time has expired.

    Nobody writes that down before the bot's next tick, which may be long in coming.
    """
    overdue = When(
        status=Command.Status.PENDING, expires_at__lte=timezone.now(), then=Value("expired")
    )
    rows = Command.objects.select_related("by", "order")
    return rows.annotate(moment=MOMENT, outcome=Case(overdue, default=F("status")))


def _transfers() -> QuerySet[Any]:
    rows = Transfer.objects.select_related("account", "by")
    return rows.annotate(moment=Coalesce("ended_at", "created_at"))


def _keys() -> QuerySet[Any]:
    return KeyEvent.objects.select_related("account", "by")


def _accesses() -> QuerySet[Any]:
    return AccessEvent.objects.select_related("by")


def _checks() -> QuerySet[Any]:
    rows = ApiKey.objects.select_related("account")
    return rows.exclude(checked_at=None).exclude(check_fault="")


#: In the order in which rows of one instant are told.
SOURCES: tuple[Source, ...] = (
    Source(name="state", kind=Kind.STATE, at="at", rows=_events, bad=BAD_EVENTS),
    # The newest change of its status: of an order that is over, when it ended.
    Source(name="order", kind=Kind.ORDER, at="updated_at", rows=Order.objects.all, bad=BAD_ORDERS),
    Source(
        name="command",
        kind=Kind.COMMAND,
        at="moment",
        rows=_commands,
        # The first condition is the index's.
        bad=UNDONE_COMMANDS & Q(outcome__in=[Command.Status.REFUSED, Command.Status.EXPIRED]),
    ),
    Source(name="funding", kind=Kind.FUNDING, at="at", rows=Funding.objects.all),
    Source(
        name="transfer",
        kind=Kind.TRANSFER,
        at="moment",
        rows=_transfers,
        bad=Q(status__in=[Transfer.Status.UNKNOWN, Transfer.Status.FAILED]),
        is_of_bots=False,
        is_of_accounts=True,
        is_indexed=False,
    ),
    Source(name="key", kind=Kind.KEY, at="at", rows=_keys, is_of_bots=False, is_of_accounts=True),
    Source(
        name="check",
        kind=Kind.KEY,
        at="checked_at",
        rows=_checks,
        bad=Q(pk__isnull=False),
        is_of_bots=False,
        is_of_accounts=True,
        is_indexed=False,
    ),
    Source(
        name="access",
        kind=Kind.ACCESS,
        at="at",
        rows=_accesses,
        bad=Q(what=AccessEvent.What.CODE_REFUSED),
        is_of_bots=False,
    ),
)
RANKS = {source.name: rank for rank, source in enumerate(SOURCES)}
