"""From a figure to the fills behind it: the address of the page that lists them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import urlencode

from django import template
from django.utils.translation import gettext_lazy as _

from bots.performance import Span
from bots.templatetags.show import NOTHING, number

register = template.Library()

#: Asks the fills tab for all fills with their sums.
SUMS = ("sums", "1")
#: What ended a trade: the reason of the order that closed it.
EXITS = {
    "signal": _("Strategy signal"),
    "stop_loss": _("Stop loss"),
    "trailing_stop": _("Trailing stop"),
    "take_profit": _("Take profit"),
    "ladder": _("Ladder"),
    "command": _("Your command"),
    "closing": _("Stopped and closed"),
    "max_daily_loss": _("Daily loss limit"),
    "max_drawdown": _("Drawdown limit"),
    "liquidation": _("Liquidation"),
    "adjusted": _("Booked by hand"),
    "adopted": _("Found at the exchange"),
}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A page of fills, and what is fixed in its address (mode, currency, bot)."""

    path: str
    fixed: tuple[tuple[str, str], ...] = ()


@register.filter
def share(value: Decimal | None) -> str:
    """Write a percentage without a sign: 62.5 %."""
    return NOTHING if value is None else f"{number(value, 1)} %"


@register.filter
def factor(value: Decimal | None) -> str:
    """Write a ratio: 1.84."""
    return NOTHING if value is None else number(value, 2)


@register.filter
def exit_label(reason: str) -> str:
    """Return what an order was sent for in a few words; an unknown reason as it is."""
    return str(EXITS.get(reason, reason))


@register.simple_tag
def opens(scope: Scope, span: Span | None = None, **wanted: object) -> str:
    """Return the address of the fills of `span`, narrowed as bots.performance.Wanted says."""
    span = span or Span()
    days: list[tuple[str, date | None]] = [("from", span.first), ("to", span.last)]
    found = [(name, day.isoformat()) for name, day in days if day is not None]
    for name, value in wanted.items():
        if value not in (None, ""):
            found.append((name, value.isoformat() if isinstance(value, datetime) else str(value)))
    # Nothing narrows it: still the page that adds up, not the plain list of fills.
    return f"{scope.path}?{urlencode([*scope.fixed, *found] or [SUMS])}"
