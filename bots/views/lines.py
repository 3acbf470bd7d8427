"""The time line in words: what happened, what became of it, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bots.activity import Item
from bots.lifecycle import Move, Reason, Status, WindDown
from bots.markets import MarketKey
from bots.messages import about_key, explain
from bots.models import (
    AccessEvent,
    ApiKey,
    BotConfig,
    Command,
    Funding,
    KeyEvent,
    Market,
    Order,
    StateEvent,
    Transfer,
)
from bots.models.bot import Direction
from bots.models.ledger import TYPES
from bots.models.state import Protection
from bots.templatetags.show import SHAPES, amount, money, plain_number, price, side_of, sign
from bots.views import words
from trading.market import OrderStatus, Side

#: The chips of what orders, commands and transfers became: colours and shapes of bots' statuses.
ORDER_CHIPS = {
    OrderStatus.SENT: Status.PENDING,
    OrderStatus.UNKNOWN: Status.WAITING,
    OrderStatus.OPEN: Status.PENDING,
    OrderStatus.PARTIAL: Status.PENDING,
    OrderStatus.FILLED: Status.RUNNING,
    OrderStatus.REJECTED: Status.ERROR,
    OrderStatus.ABANDONED: Status.ERROR,
}
COMMAND_CHIPS = {
    Command.Status.PENDING: Status.PENDING,
    Command.Status.DONE: Status.RUNNING,
    Command.Status.REFUSED: Status.ERROR,
    Command.Status.EXPIRED: Status.ERROR,
}
TRANSFER_CHIPS = {
    Transfer.Status.REQUESTED: Status.PENDING,
    Transfer.Status.SENT: Status.PENDING,
    Transfer.Status.UNKNOWN: Status.WAITING,
    Transfer.Status.DONE: Status.RUNNING,
    Transfer.Status.FAILED: Status.ERROR,
}

ACCESS_CHIPS = {
    AccessEvent.What.FACTOR_ON: Status.RUNNING,
    AccessEvent.What.FACTOR_OFF: Status.WAITING,
    AccessEvent.What.CODE_USED: Status.WAITING,
    AccessEvent.What.CODE_REFUSED: Status.ERROR,
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line for people: `result` is the chip's text, `chip` its kind; `url` leads on.

    `raw` is what the exchange said, in its own words.
    """

    item: Item
    what: str
    result: str
    chip: str
    url: str
    bot: BotConfig | None = None
    place: str = ""
    details: str = ""
    raw: str = ""
    by: str = ""
    via: str = ""

    @property
    def shape(self) -> str:
        return SHAPES[Status(self.chip)]


def line_of(item: Item, bots: Mapping[int, BotConfig], markets: Mapping[MarketKey, Market]) -> Line:
    """Put one item into words of the active language."""
    row = item.row
    if isinstance(row, StateEvent):
        return _state(item, row, bots[row.bot_id])
    if isinstance(row, Order):
        bot = bots[row.bot_id]
        return _order(item, row, bot, markets.get((bot.exchange, bot.mode, bot.symbol)))
    if isinstance(row, Command):
        return _command(item, row, bots[row.bot_id])
    if isinstance(row, Funding):
        return _funding(item, row, bots[row.bot_id])
    if isinstance(row, Transfer):
        return _transfer(item, row)
    if isinstance(row, KeyEvent):
        return _key(item, row)
    if isinstance(row, AccessEvent):
        return _access(item, row)
    return _check(item, row)


def _url(bot: BotConfig, name: str) -> str:
    """Return a page of the bot; a deleted one has none."""
    return "" if bot.deleted_at else reverse(name, args=[bot.pk])


def _state(item: Item, row: StateEvent, bot: BotConfig) -> Line:
    status, reason = Status(row.new_status), Reason(row.new_reason)
    details, raw = _details(row)
    return Line(
        item=item,
        what=capfirst(row.get_move_display()),
        result=f"{status.label} - {reason.label}",
        chip=status.value,
        url=_url(bot, "bot-events"),
        bot=bot,
        details=details,
        raw=raw,
        by=row.by.get_username() if row.by else "",
        via=str(words.DOORS.get(row.via, row.via)),
    )


def _details(row: StateEvent) -> tuple[str, str]:
    """Return what an event tells besides: in the reader's language, and the raw words."""
    if row.move == Move.EDIT:
        return ", ".join(_setting(name) for name in row.why.split(", ") if name), ""
    if row.move == Move.STOP and row.why in WindDown.values:
        return str(WindDown(row.why).label), ""
    if row.move == Move.PROTECT:
        known = row.why in Protection.values
        failed = Protection.FAILED.label
        return (str(Protection(row.why).label), "") if known else (str(failed), row.why)
    text, bracket, raw = row.why.partition(" [")
    explained = explain(row.new_reason) if row.via == "tick" and text else None
    if explained is None:
        return "", row.why
    return str(explained.what), raw.removesuffix("]") if bracket else ""


def _setting(name: str) -> str:
    """Return a setting's label; a word that is none stays as it is."""
    if name in {field.name for field in BotConfig._meta.get_fields()}:
        return str(getattr(BotConfig._meta.get_field(name), "verbose_name", name))
    return name


def _order(item: Item, row: Order, bot: BotConfig, market: Market | None) -> Line:
    is_protective = row.purpose == Order.Purpose.PROTECT
    url = _url(bot, "bot-orders")
    base = row.symbol.partition("/")[0]
    size = amount(row.filled or row.amount, market.amount_step if market else None)
    at = row.average or row.trigger or row.price
    tick = market.price_tick if market else None
    reasons = words.LEVELS if is_protective else words.ORDER_REASONS
    told = [str(reasons.get(row.reason, row.reason))]
    if row.cancel_reason:
        why = words.CANCEL_REASONS.get(row.cancel_reason, row.cancel_reason)
        told.append(_("cancelled: %(why)s") % {"why": why})
    return Line(
        item=item,
        what=f"{capfirst(row.get_purpose_display())}: {side_of(row)} {size} {base}"
        f" @ {price(at, tick) if at else TYPES[row.type]}",
        result=words.order_status(row),
        chip=ORDER_CHIPS.get(OrderStatus(row.status), Status.STOPPED).value,
        url=f"{url}?kind=protect" if url and is_protective else url,
        bot=bot,
        details=" ".join(told),
        raw=row.message,
    )


def _command(item: Item, row: Command, bot: BotConfig) -> Line:
    outcome = Command.Status(item.row.outcome)
    details = words.refusal(row.result)
    if outcome == Command.Status.EXPIRED:
        details = _("No tick followed it in time.")
    return Line(
        item=item,
        what=_asked(row, bot),
        result=str(outcome.label),
        chip=COMMAND_CHIPS[outcome].value,
        url=_url(bot, "bot-orders" if row.order_id else "bot"),
        bot=bot,
        details=details,
        by=row.by.get_username() if row.by else "",
        via=str(words.DOORS.get(row.via, row.via)),
    )


def _asked(row: Command, bot: BotConfig) -> str:
    """Return the button that gave this command; which way it went, its order knows best."""
    if row.kind == Command.Kind.CANCEL:
        return capfirst(row.get_kind_display())
    if row.kind == Command.Kind.EXIT:
        return _("Close position")
    is_short = row.side == Side.SELL if row.side else bot.direction == Direction.SHORT
    if row.order:
        is_short = row.order.side == Side.SELL
    return _("Sell short now") if is_short else _("Buy now")


def _funding(item: Item, row: Funding, bot: BotConfig) -> Line:
    is_paid = row.amount < 0
    url = _url(bot, "bot-fills")
    day = row.trading_day.isoformat()
    what = capfirst(row._meta.verbose_name)
    return Line(
        item=item,
        what=f"{what}: {sign(row.amount)}{money(abs(row.amount))} {row.currency}",
        result=_("paid") if is_paid else _("received"),
        chip=(Status.STOPPED if is_paid else Status.RUNNING).value,
        url=f"{url}?from={day}&to={day}#funding" if url else "",
        bot=bot,
    )


def _transfer(item: Item, row: Transfer) -> Line:
    return Line(
        item=item,
        what=f"{plain_number(row.amount)} {row.currency} {row.get_direction_display()}",
        result=str(row.get_status_display()),
        chip=TRANSFER_CHIPS[Transfer.Status(row.status)].value,
        url=reverse("account-transfer", args=[row.account_id]),
        place=row.account.label,
        raw=row.message,
        by=row.by.get_username() if row.by else "",
        via=str(words.DOORS.get(row.via, row.via)),
    )


def _key(item: Item, row: KeyEvent) -> Line:
    return Line(
        item=item,
        what=_("Key …%(last4)s") % {"last4": row.last4},
        result=str(row.get_what_display()),
        chip=Status.STOPPED.value,
        url=reverse("keys"),
        place=row.account.label,
        by=row.by.get_username(),
        via=str(words.DOORS.get(row.via, row.via)),
    )


def _access(item: Item, row: AccessEvent) -> Line:
    details = row.details
    if row.what == AccessEvent.What.CODE_USED and details.isdecimal():
        details = ngettext("%(n)d code is left.", "%(n)d codes are left.", int(details))
        details = details % {"n": int(row.details)}
    return Line(
        item=item,
        what=_("Sign-in"),
        result=str(row.get_what_display()),
        chip=ACCESS_CHIPS.get(AccessEvent.What(row.what), Status.STOPPED).value,
        url=reverse("profile"),
        place=row.ip or "",
        details=details,
        by=row.by.get_username() if row.by else "",
        via=str(words.DOORS.get(row.via, row.via)),
    )


def _check(item: Item, row: ApiKey) -> Line:
    return Line(
        item=item,
        what=_("Key …%(last4)s") % {"last4": row.last4},
        result=_("refused"),
        chip=Status.ERROR.value,
        url=reverse("keys"),
        place=row.account.label,
        details=about_key(row.check_fault),
        raw=row.check_message,
    )
