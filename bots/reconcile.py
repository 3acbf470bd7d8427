"""The exchange's truth against the ledger: unanswered orders are settled, balances compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from bots import lease, outcome, settle
from bots.connect import exchange_of
from bots.lease import Held, LeaseLost, Outcome
from bots.lifecycle import Duty
from bots.models import BotConfig, BotState, Decision
from bots.world import World
from trading.exchange import Exchange, ExchangeError
from trading.market import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What reconciling one bot showed; `ok` is False where page and exchange do not agree."""

    bot_id: int
    ok: bool
    text: str


def reconcile(bot_id: int | None = None, world: World | None = None) -> list[Finding]:
    """Reconcile one bot, or every bot with a position or an order whose end is not known."""
    if bot_id is not None:
        ids = [bot_id]
    else:
        open_ones = BotState.objects.filter(in_position=True) | BotState.objects.filter(
            has_unsettled_orders=True
        )
        ids = list(open_ones.order_by("pk").values_list("pk", flat=True))
    return [finding for pk in ids for finding in _one(pk, world or World())]


def _one(bot_id: int, world: World) -> Iterator[Finding]:
    held = lease.claim(bot_id, world)
    if held is None:
        yield from _without_duty(bot_id, world)
        return
    try:
        finding = _compare(held)
        found = Outcome(move=None, reason=None, action=Decision.Action.HOLD, gate="reconciled")
    except LeaseLost:
        yield Finding(bot_id=bot_id, ok=False, text="a tick took over: try again")
        return
    except ExchangeError as error:
        finding = Finding(bot_id=bot_id, ok=False, text=str(error))
        found = outcome.failed(held, error, gate="reconcile")
    lease.release(held, found)
    yield finding


def _compare(held: Held) -> Finding:
    exchange = exchange_of(held.bot, held.world)
    rules = held.world.data.rules(exchange, held.bot.symbol)
    settle.settle(held, exchange, rules)
    if held.state.has_unsettled_orders:
        return Finding(bot_id=held.bot.pk, ok=False, text="an order's outcome is still unknown")
    return _balance(held.bot, exchange, rules)


def _without_duty(bot_id: int, world: World) -> Iterator[Finding]:
    """A bot that no tick owns (stopped, position left) is compared without its lease."""
    bot = BotConfig.objects.select_related("account").filter(pk=bot_id).first()
    state = BotState.objects.filter(pk=bot_id).first()
    if bot is None or state is None or state.duty != Duty.NONE:
        yield Finding(bot_id=bot_id, ok=state is not None, text="nothing to compare now")
        return
    try:
        exchange = exchange_of(bot, world)
        yield _balance(bot, exchange, world.data.rules(exchange, bot.symbol))
    except ExchangeError as error:
        yield Finding(bot_id=bot_id, ok=False, text=str(error))


def _balance(bot: BotConfig, exchange: Exchange, rules: Rules) -> Finding:
    """Compare the account's base coin with the sum of its bots; only a deficit is a mismatch."""
    same_coin = BotState.objects.filter(
        bot__account=bot.account, bot__symbol__startswith=f"{rules.base}/"
    )
    ours = sum((state.current_position_size for state in same_coin), Decimal(0))
    holding = exchange.balance().get(rules.base)
    there = holding.total if holding else Decimal(0)
    text = f"bots hold {ours} {rules.base}, the account {there}"
    return Finding(bot_id=bot.pk, ok=there >= ours, text=text)
