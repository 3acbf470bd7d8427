"""The ledger against the exchanges themselves: asked, not remembered. For operators and tests."""

from collections.abc import Iterator
from datetime import timedelta

from bots.connect import account_exchange
from bots.invariants.violation import Violation
from bots.lifecycle import Mode
from bots.models import BotConfig, Installation, Order
from bots.models.ledger import PREFIX
from trading.exchange import Can, Exchange, ExchangeError
from trading.market import OrderReport, OrderStatus

#: How far before the oldest order the exchange is asked.
MARGIN = timedelta(minutes=10)


def check_exchanges() -> list[Violation]:
    """Compare every order of every bot on a real account with what its exchange says now."""
    bots = BotConfig.objects.exclude(mode=Mode.PAPER).filter(account__isnull=False)
    return [violation for bot in bots.select_related("account") for violation in _of_bot(bot)]


def _of_bot(bot: BotConfig) -> Iterator[Violation]:
    oldest = Order.objects.filter(bot=bot).order_by("signed_at").first()
    if oldest is None or bot.account is None:
        return
    try:
        exchange = account_exchange(bot.account, bot.position_type)
        since = round((oldest.signed_at - MARGIN).timestamp() * 1000)
        there = {r.client_order_id: r for r in exchange.history(bot.symbol, since)}
        there |= {r.client_order_id: r for r in exchange.open_orders(bot.symbol)}
        yield from _orders(bot, there)
        yield from _position(bot, exchange)
    except ExchangeError as error:
        yield Violation(code="I2", bot_id=bot.pk, text=f"cannot be compared: {error}")


def _orders(bot: BotConfig, there: dict[str, OrderReport]) -> Iterator[Violation]:
    """I2: what the exchange took is written here once, with the same end and the same amount."""
    mark = f"{PREFIX}{Installation.get().mark}"
    account = Order.objects.filter(account=bot.account)
    known = set(account.values_list("client_order_id", flat=True))
    for name in there.keys() - known:
        if name.startswith(mark):
            yield Violation(code="I2", bot_id=bot.pk, text=f"{name} is not in the ledger")
    for order in Order.objects.filter(bot=bot).exclude(purpose=Order.Purpose.ADJUSTMENT):
        report, name = there.get(order.client_order_id), order.client_order_id
        taken = order.status not in (OrderStatus.REJECTED, OrderStatus.ABANDONED)
        if report is None and taken and order.is_settled:
            yield Violation(code="I2", bot_id=bot.pk, text=f"{name} is not at the exchange")
        if report is not None and order.is_settled and order.filled != report.filled:
            text = f"{name}: filled {report.filled} there, {order.filled} here"
            yield Violation(code="I2", bot_id=bot.pk, text=text)
        if report is not None and not taken and report.filled:
            text = f"{name} was filled there and given up here"
            yield Violation(code="I2", bot_id=bot.pk, text=text)


def _position(bot: BotConfig, exchange: Exchange) -> Iterator[Violation]:
    """I7: a futures position is the ledger's."""
    state = bot.state_or_none
    if state is None or Can.FUTURES not in exchange.can or state.has_unsettled_orders:
        return
    there = exchange.position(bot.symbol).amount
    if there != state.position.signed_amount:
        text = f"position {there} there, {state.position.signed_amount} here"
        yield Violation(code="I7", bot_id=bot.pk, text=text)
