"""Orders as a tick writes them down, for tests of what becomes of them."""

from dataclasses import replace
from typing import Any

from bots import intents, lease
from bots.models import BotState, Command, Order
from tests.engine.bench import Bench, D
from trading.execution import Decision
from trading.market import OrderType, Side
from trading.protective import Protective
from trading.risk import Gate

BUY = Decision(action="enter", gate=Gate.SIGNAL, side=Side.BUY, amount=D(2), price=D(100))
SELL = Decision(action="exit", gate=Gate.CLOSING, side=Side.SELL, amount=D(2), price=D(100))
STOP = Protective(
    type=OrderType.STOP, gate=Gate.STOP_LOSS, side=Side.SELL, amount=D(2), trigger=D(95)
)
TARGET = replace(STOP, type=OrderType.TARGET, gate=Gate.TAKE_PROFIT, trigger=D(110))
#: Unix milliseconds that are no whole second.
SIGNED = 1_795_000_000_123


def claim(b: Bench) -> lease.Held:
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    return held


def intend(
    b: Bench, held: lease.Held, decision: Decision = BUY, command: Command | None = None
) -> Order:
    rules = b.market.market
    return intents.write_intent(held, decision, rules, signed_at=SIGNED, command=command)


def change(b: Bench, **values: Any) -> None:
    """Change the state row behind the tick's back."""
    BotState.objects.filter(pk=b.bot.pk).update(**values)


def flags(b: Bench) -> tuple[bool, bool]:
    return b.state.has_unsettled_orders, b.state.has_protection
