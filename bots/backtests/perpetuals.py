"""Backtests on perpetuals: a draft made one, and the terms on which its positions are held."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from bots.lifecycle import Mode, PositionType
from bots.models import BotConfig
from bots.models.bot import Direction
from bots.models.fields import plain
from trading.backtest import Terms

HUNDRED = Decimal(100)
#: No exchange of today lets funding cost more in 8 hours, percent.
MOST_FUNDING = Decimal(3)


def is_perpetual(symbol: str) -> bool:
    """Whether a symbol is a perpetual's, as BTC/USDT:USDT is."""
    return ":" in symbol


def fit(bot: BotConfig) -> None:
    """Make an unsaved bot one of the kind that its symbol names: futures or spot.

    Whether there are futures for paper bots, and whether money is real, no backtest asks.
    """
    if is_perpetual(bot.symbol):
        bot.position_type, bot.mode = PositionType.FUTURES, Mode.LIVE
    elif bot.position_type != PositionType.SPOT:
        bot.position_type, bot.leverage, bot.direction = PositionType.SPOT, 1, Direction.LONG


def usual() -> dict[str, Decimal]:
    """Return what is assumed where nothing is said, in percent."""
    terms = Terms()
    return {
        "maintenance_perc": terms.maintenance * HUNDRED,
        "funding_perc": terms.funding_rate * HUNDRED,
    }


def assumed(
    maintenance_perc: Decimal | None, funding_perc: Decimal | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the terms as a run keeps them (percent as text), and what is wrong, field by field."""
    given = {"maintenance_perc": maintenance_perc, "funding_perc": funding_perc}
    found = {name: usual()[name] if value is None else value for name, value in given.items()}
    errors: dict[str, str] = {}
    rate, paid = found["maintenance_perc"], found["funding_perc"]
    if not rate.is_finite() or not 0 <= rate < HUNDRED:
        errors["maintenance_perc"] = _("From 0 up to 100.")
    if not paid.is_finite() or abs(paid) > MOST_FUNDING:
        text = _("Between -%(most)s and %(most)s.")
        errors["funding_perc"] = text % {"most": plain(MOST_FUNDING)}
    return {name: plain(value) for name, value in found.items()}, errors


def terms_of(told: Mapping[str, Any]) -> Terms:
    """Return the terms that a run assumes; the usual ones for what it does not name."""
    percs = {name: Decimal(told.get(name, value)) for name, value in usual().items()}
    return replace(
        Terms(),
        maintenance=percs["maintenance_perc"] / HUNDRED,
        funding_rate=percs["funding_perc"] / HUNDRED,
    )
