"""What replays share: TA-Lib's signals, and a bot whose day is that of the candles."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import talib

from bots import control
from bots.lease import Outcome
from bots.models import BotConfig, BotState, User

WINDOW = 200


def talib_signals(closes: tuple[float, ...]) -> list[str]:
    """Return buy, sell or none for each window of 200 closes; the first one ends at close 199."""
    prices, found = np.array(closes), []
    for end in range(WINDOW, len(prices) + 1):
        window = prices[end - WINDOW : end]
        fast = talib.EMA(window, timeperiod=8)[-1]
        slow = talib.EMA(window, timeperiod=21)[-1]
        strength = talib.RSI(window, timeperiod=7)[-1]
        if fast > slow and strength < 65:
            found.append("buy")
        elif fast < slow and strength > 35:
            found.append("sell")
        else:
            found.append("none")
    return found


def start_in_the_past(owner: User, values: dict[str, Any]) -> BotConfig:
    """Return a started bot whose trading day is the first of March 2023."""
    bot = control.create(owner, values)
    control.start(bot, by=owner, via="command")
    BotState.objects.filter(pk=bot.pk).update(
        counter_day=date(2023, 3, 1), day_ends_at=datetime(2023, 3, 2, tzinfo=UTC)
    )
    return bot


def said(decision: Outcome, in_position: bool) -> set[str]:
    """Return the signals that this decision is compatible with."""
    if decision.gate == "signal":
        return {"sell"} if in_position else {"buy"}
    if not in_position and "why" in decision.numbers:
        return {"none", "sell"}
    if in_position and decision.gate == "in_position":
        return {"none", "buy"}
    return {"buy", "sell", "none"}
