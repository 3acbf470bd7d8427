"""Numbers, times and statuses as people read them, in the active language and zone."""

from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal
from typing import Literal

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from bots.lifecycle import Reason, Status
from bots.models import BotState, Fill, Order
from bots.models.ledger import SIDES
from bots.sentences import counting, duration, in_utc
from trading import strategies
from trading.market import Side, quantize
from trading.rounding import readable

register = template.Library()

SHAPES = {
    Status.PENDING: "↻",
    Status.RUNNING: "●",
    Status.WAITING: "◔",
    Status.PAUSED: "‖",
    Status.ERROR: "▲",
    Status.STOPPED: "■",
}
NOTHING = "-"


def decimals_of(step: Decimal | None) -> int | None:
    """Return how many decimals a step has (0.010 -> 2), or None without a step."""
    if not step:
        return None
    exponent = step.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else None


def number(value: Decimal, places: int | None = None, rounding: str = ROUND_HALF_EVEN) -> str:
    """Write a Decimal with the active language's separators; by default up to 8 digits."""
    if places is None:
        value = Decimal(readable(value))
        places = max(decimals_of(value) or 0, 0)
    rounded = quantize(value).quantize(Decimal(1).scaleb(-places), rounding=rounding)
    if rounded == 0:
        rounded = abs(rounded)
    return formats.number_format(rounded, places, use_l10n=True, force_grouping=True)


def read(value: object) -> Decimal | None:
    """Return a number, or a text that is one, as a Decimal; None where it is anything else."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        return None
    try:
        parsed = Decimal(value)
    except ArithmeticError:
        return None
    return parsed if parsed.is_finite() else None


@register.filter
def plain_number(value: object) -> object:
    """Write a number, or a text that is one; anything else stays as it is."""
    parsed = read(value)
    return value if parsed is None else number(parsed)


@register.filter
def price(value: Decimal | None, tick: Decimal | None = None) -> str:
    """Write a price to the market's tick."""
    return NOTHING if value is None else number(value, decimals_of(tick))


@register.filter
def amount(value: Decimal | None, step: Decimal | None = None) -> str:
    """Write an amount to the market's step; never more than is there."""
    return NOTHING if value is None else number(value, decimals_of(step), ROUND_DOWN)


@register.filter
def money(value: Decimal | None) -> str:
    """Write an amount of quote currency: two decimals, or two digits where it is tiny."""
    if value is None:
        return NOTHING
    if value == 0 or abs(value) >= Decimal("0.1"):
        return number(value, 2)
    return number(Context(prec=2).plus(value), None)


@register.filter
def perc(value: Decimal | None) -> str:
    """Write a percentage with a sign: +1.25 %."""
    return NOTHING if value is None else f"{sign(value)}{number(abs(value), 2)} %"


def sign(value: Decimal) -> str:
    """Return + or a true minus sign, or nothing for zero."""
    return "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""


@register.simple_tag
def pnl(value: Decimal | None, currency: str = "") -> str | SafeString:
    """Show a profit or loss: sign, arrow and colour."""
    if value is None:
        return NOTHING
    kind, arrow = ("up", "▲") if value > 0 else ("down", "▼") if value < 0 else ("flat", "")
    text = f"{sign(value)}{money(abs(value))}"
    return format_html(
        '<span class="pnl {}"><span aria-hidden="true">{}</span>{} {}</span>',
        kind,
        arrow,
        text,
        currency,
    )


@register.simple_tag
def chip(state: BotState | None) -> SafeString:
    """Show where a bot stands: shape, label and colour."""
    if state is None:
        label, shape, kind = _("Never started"), "○", "never"
    else:
        status = Status(state.status)
        label, shape, kind = str(status.label), SHAPES[status], status.value
    return format_html(
        '<span class="chip {}"><span aria-hidden="true">{}</span> {}</span>', kind, shape, label
    )


@register.simple_tag
def at(value: datetime | Literal[""] | None, style: str = "auto") -> str | SafeString:
    """Show an instant in the viewer's zone, with UTC as title; "auto" leaves out today's date."""
    if not value:
        return NOTHING
    local = timezone.localtime(value)
    day = "" if style == "auto" and local.date() == timezone.localdate() else "j M "
    text = formats.date_format(local, f"{day}H:i" if style == "minute" else f"{day}H:i:s")
    return format_html('<time datetime="{}" title="{}">{}</time>', *in_utc(value), text)


@register.simple_tag
def ago(value: datetime | Literal[""] | None, now: datetime) -> str | SafeString:
    """Show how long ago an instant was; app.js keeps it counting."""
    if not value:
        return NOTHING
    text = _("%(duration)s ago") % {"duration": duration((now - value).total_seconds())}
    return counting(value, text, "since")


@register.simple_tag
def until(value: datetime | Literal[""] | None, now: datetime) -> str | SafeString:
    """Show in how long an instant comes; app.js keeps it counting."""
    if not value:
        return NOTHING
    text = _("in %(duration)s") % {"duration": duration((value - now).total_seconds())}
    return counting(value, text, "until")


@register.filter
def length_of_time(seconds: float | None) -> str:
    """Write seconds as "12 s" or "3 h 12 min"."""
    return NOTHING if seconds is None else duration(seconds)


@register.filter
def strategy_name(name: str) -> str:
    """Return what a strategy is called; one that is not installed keeps its name."""
    known = strategies.STRATEGIES.get(name)
    return _(known.label) if known else name


@register.filter
def get(mapping: dict[object, object], key: object) -> object:
    """Return mapping[key], or an empty text."""
    return mapping.get(key, "")


@register.filter
def side_of(order: Order) -> str:
    """Say which way an order goes; on futures also whether it opens or closes a short position."""
    is_entry = order.purpose == Order.Purpose.ENTRY
    if ":" in order.symbol and is_entry == (order.side == Side.SELL):
        return _("sell short") if is_entry else _("buy back")
    return str(SIDES.get(order.side, order.side))


@register.filter
def fill_side(fill: Fill) -> str:
    """Say which way a fill went, as its order did."""
    return side_of(fill.order)


@register.filter
def status_label(value: str) -> str:
    """Return a stored status for people."""
    return str(Status(value).label)


@register.filter
def reason_label(value: str) -> str:
    """Return a stored reason for people."""
    return str(Reason(value).label) if value else ""


@register.simple_tag
def counting_words() -> SafeString:
    """Return the attributes that app.js counts with: units, "ago" and "in", in this language."""
    units = "|".join((_("%(n)d s"), _("%(n)d min"), _("%(n)d h"), _("%(n)d d")))
    since, until = _("%(duration)s ago"), _("in %(duration)s")
    return format_html('data-units="{}" data-since="{}" data-until="{}"', units, since, until)
