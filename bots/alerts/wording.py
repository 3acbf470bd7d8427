"""Alerts as people read them: a short subject, a few lines, a link; in their language and zone.

Nothing an exchange said stands here: the bot's page, behind the link, has its words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from bots.lifecycle import Mode, Reason, Status
from bots.messages import about_key, explain
from bots.models import Alert
from bots.models.alert import URGENT, AlertKind
from trading.market import Side
from trading.rounding import readable

#: Discord takes 2,000 characters, title included.
LONGEST = 1500
SUBJECT = 120
LINES = 10
SHAPES = {
    AlertKind.ERROR: "▲",
    AlertKind.KEY_REFUSED: "▲",
    AlertKind.UNWATCHED: "▲",
    AlertKind.HALTED: "■",
    AlertKind.STOPPED: "■",
    AlertKind.PAUSED: "‖",
    AlertKind.RESUMED: "●",
    AlertKind.STARTED: "↻",
    AlertKind.ENTRY: "→",
    AlertKind.EXIT: "←",
    AlertKind.SUMMARY: "≡",
}
#: How apprise marks a message: colour, or an icon.
TYPES = dict.fromkeys(URGENT, "failure") | {AlertKind.PAUSED: "warning"}
#: Why a position was left, in a word or two.
EXITS = {
    "stop_loss": gettext_lazy("stop loss"),
    "trailing_stop": gettext_lazy("trailing stop"),
    "take_profit": gettext_lazy("take profit"),
    "signal": gettext_lazy("signal"),
    "command": gettext_lazy("you asked for it"),
    "closing": gettext_lazy("closing"),
    "ladder": gettext_lazy("ladder"),
    "max_daily_loss": gettext_lazy("daily loss"),
    "liquidation": gettext_lazy("liquidation"),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Equal alerts that are told together, oldest first; `more`: one of them was told before."""

    alerts: Sequence[Alert]
    more: bool

    @property
    def newest(self) -> Alert:
        return self.alerts[-1]

    @property
    def kind(self) -> AlertKind:
        return AlertKind(self.newest.kind)

    @property
    def is_urgent(self) -> bool:
        return self.kind in URGENT


def message(entries: Sequence[Entry]) -> tuple[str, str]:
    """Return subject and text of one message about all of these, the urgent first."""
    ordered = sorted(entries, key=lambda entry: not entry.is_urgent)
    first = f"{headline(ordered[0].newest)}{_times(ordered[0])}"
    rest = len(ordered) - 1
    if rest:
        words = {"first": first, "n": rest}
        first = ngettext("%(first)s, and %(n)d more", "%(first)s, and %(n)d more", rest) % words
    blocks: list[str] = []
    for number, entry in enumerate(ordered):
        block = _block(entry)
        if number and sum(map(len, blocks)) + len(block) > LONGEST:
            left = len(ordered) - number
            blocks.append(_left(left))
            break
        blocks.append(block[:LONGEST])
    return first[:SUBJECT], "\n\n".join(blocks)


def _left(count: int) -> str:
    return ngettext("… and %(n)d more", "… and %(n)d more", count) % {"n": count}


def _times(entry: Entry) -> str:
    count = len(entry.alerts)
    if entry.more:
        return " " + ngettext("(%(n)d more time)", "(%(n)d more times)", count) % {"n": count}
    if count > 1:
        return " " + ngettext("(%(n)d time)", "(%(n)d times)", count) % {"n": count}
    return ""


def _block(entry: Entry) -> str:
    """Return what is said about equal alerts: what, why, when, where to look."""
    alert = entry.newest
    if alert.kind == AlertKind.SUMMARY:
        return f"{headline(alert)}\n{_summary(alert)}\n{_link(alert)}"
    lines = [f"{headline(one)} · {_at(one)}" for one in entry.alerts[-LINES:]]
    if entry.kind not in (AlertKind.ENTRY, AlertKind.EXIT):
        # They say the same: the newest is enough.
        lines = [f"{headline(alert)}{_times(entry)}"]
        if about := _about(alert):
            lines.append(about)
        lines.append(_at(alert))
    elif len(entry.alerts) > LINES:
        left = len(entry.alerts) - LINES
        lines.insert(0, _left(left))
    return "\n".join([*lines, _link(alert)])


def _at(alert: Alert) -> str:
    at = formats.date_format(timezone.localtime(alert.at), "SHORT_DATETIME_FORMAT")
    return f"{at} · {alert.bot.get_mode_display()}" if alert.bot else at


def _link(alert: Alert) -> str:
    if alert.bot is not None:
        path = reverse("bot", args=[alert.bot.pk])
    else:
        path = reverse("keys" if alert.kind == AlertKind.KEY_REFUSED else "performance")
    return f"{settings.SITE_URL}{path}"


def headline(alert: Alert) -> str:
    """Return one line: which bot, what, why."""
    who = alert.bot.name if alert.bot else ""
    return f"{SHAPES[AlertKind(alert.kind)]} {who}{': ' if who else ''}{_what(alert)}"


def _what(alert: Alert) -> str:
    kind, reason = AlertKind(alert.kind), alert.reason
    if kind in (AlertKind.ENTRY, AlertKind.EXIT):
        return _order(alert)
    if kind is AlertKind.SUMMARY:
        return _("summary of %(day)s") % {"day": _day(reason)}
    if kind is AlertKind.UNWATCHED:
        return _("nobody watches the position")
    if kind is AlertKind.KEY_REFUSED and alert.bot is None:
        return _("key %(label)s was refused") % {"label": alert.data["label"]}
    if kind is AlertKind.RESUMED:
        return _("goes on, new trading day") if reason == Reason.DAILY_RESET else _("works again")
    if kind is AlertKind.STARTED:
        return _("started")
    words = {
        AlertKind.ERROR: _("error"),
        AlertKind.KEY_REFUSED: _("error"),
        AlertKind.PAUSED: _("paused"),
        AlertKind.HALTED: _("stopped"),
        AlertKind.STOPPED: _("stopped"),
    }
    return f"{words[kind]} - {Reason(reason).label}"


def _order(alert: Alert) -> str:
    data = alert.data
    is_buy = data["side"] == Side.BUY
    words = {
        "amount": figure(data["amount"]),
        "base": data["symbol"].partition("/")[0],
        "price": figure(data["price"]),
    }
    if alert.kind == AlertKind.ENTRY:
        text = _("bought %(amount)s %(base)s at %(price)s")
        return (text if is_buy else _("sold short %(amount)s %(base)s at %(price)s")) % words
    text = _("bought back %(amount)s %(base)s at %(price)s")
    text = (text if is_buy else _("sold %(amount)s %(base)s at %(price)s")) % words
    why = str(EXITS.get(alert.reason, ""))
    result = f"{money(data['pnl'])} {_currency(data['symbol'])}"
    return f"{text}, {result} ({why})" if why else f"{text}, {result}"


def _currency(symbol: str) -> str:
    return symbol.partition("/")[2].partition(":")[0]


def _about(alert: Alert) -> str:
    if alert.kind == AlertKind.UNWATCHED:
        words = {
            "amount": figure(alert.data["amount"]),
            "base": alert.data["symbol"].partition("/")[0],
        }
        text = _("The bot is stopped and still holds %(amount)s %(base)s.") % words
        if alert.reason == "blind":
            text = _("The bot could not read the price for two intervals.")
        left = _("No stop loss and no target works.")
        if alert.data["protected"]:
            left = _("Only its orders at the exchange protect it.")
        return f"{text} {left}"
    if alert.kind == AlertKind.KEY_REFUSED and alert.bot is None:
        return f"…{alert.data['last4']}: {about_key(alert.reason)}"
    if alert.kind in (AlertKind.ERROR, AlertKind.KEY_REFUSED, AlertKind.PAUSED):
        return str(explain(alert.reason) or "")
    return ""


def _day(iso: str) -> str:
    return formats.date_format(date.fromisoformat(iso), "DATE_FORMAT")


def _summary(alert: Alert) -> str:
    """Return the sums by currency and mode, then a line for each bot."""
    rows: list[dict[str, Any]] = alert.data["bots"]
    sums: dict[tuple[str, str], tuple[Decimal, int]] = {}
    for row in rows:
        place = (row["mode"], row["currency"])
        pnl, trades = sums.get(place, (Decimal(0), 0))
        sums[place] = (pnl + Decimal(row["pnl"]), trades + row["trades"])
    lines = [
        f"{Mode(mode).label}: {money(pnl)} {currency}, {_trades(trades)}"
        for (mode, currency), (pnl, trades) in sorted(sums.items())
    ]
    for row in rows[: 2 * LINES]:
        status = Status(row["status"]).label if row["status"] else ""
        held = ", " + _("in position") if row["held"] else ""
        text = f"{money(row['pnl'])} {row['currency']}, {_trades(row['trades'])}"
        lines.append(f"- {row['name']}: {text} ({status}{held})")
    left = len(rows) - 2 * LINES
    if left > 0:
        lines.append(_left(left))
    return "\n".join(lines) if rows else _("No bot traded or was on.")


def _trades(count: int) -> str:
    return ngettext("%(n)d trade", "%(n)d trades", count) % {"n": count}


def figure(text: str) -> str:
    """Write an amount or price with the active language's separators."""
    short = readable(Decimal(text))
    places = len(short.partition(".")[2])
    return formats.number_format(Decimal(short), places, use_l10n=True, force_grouping=True)


def money(text: str | Decimal) -> str:
    """Write a result with its sign: two decimals, or two digits where it is tiny."""
    value = Decimal(text)
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    if value and abs(value) < Decimal("0.1"):
        return f"{sign}{figure(str(Context(prec=2).plus(abs(value))))}"
    cents = round(abs(value), 2)
    return f"{sign}{formats.number_format(cents, 2, use_l10n=True, force_grouping=True)}"
