"""X6, X7, X8, X10: too little money, markets that are closed, odd fees, data not to be believed."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from bots import control
from bots.lease import Outcome
from bots.models import BotConfig, BotState, Decision, Fill, Order, User
from tests.doors.client import Caller, signed_in
from tests.faults import stage
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of
from tests.whole.conftest import MakeBot
from tests.whole.ledger import our_orders

Tick = Callable[[int], Outcome | None]


@pytest.fixture
def checked(scaled: Any, db: None, exchange: ExchangeControl) -> Iterator[None]:
    """Whatever the row did: the books agree at its end. No answer is late on a busy machine."""
    scaled.HTTP_TIMEOUT_SECONDS = 10
    yield
    for bot in BotConfig.objects.all():
        control.stop(bot, by=None, via="command")
    stage.assert_books_agree(exchange)


pytestmark = [pytest.mark.long(seconds=1), pytest.mark.usefixtures("checked")]


def posts(exchange: ExchangeControl, since: int) -> list[dict[str, Any]]:
    return [row for row in exchange.requests(since) if row["method"] == "POST"]


def now_of(exchange: ExchangeControl) -> int:
    """Return the number of the latest request."""
    return max((row["seq"] for row in exchange.requests()), default=0)


#: What the account holds, what the bot may spend, and what its words must say.
TOO_LITTLE = {
    "insufficient_funds": ("123.45", "1000", ("need 1001", "have 123.45")),
    "below_minimum": ("10000", "4.9", ("need 5", "4.")),
    "rounds to zero": ("10000", "0.1", ("need 5",)),
}


@pytest.mark.parametrize("what", TOO_LITTLE)
def test_X6_too_little_is_told_with_numbers_and_not_retried(
    what: str, exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    there, size, words = TOO_LITTLE[what]
    exchange.set_balance("default", "USDT", there)
    bot, since = live_bot(position_size_fixed=size), now_of(exchange)
    stage.ask(bot, "enter")
    for _ in range(4):
        tick_now(bot.pk)
    assert posts(exchange, since) == []
    assert not Order.objects.exists()
    told = " ".join(Decision.objects.filter(bot=bot).values_list("message", flat=True))
    for word in words:
        assert word in told
    assert state_of(as_alice, bot.pk)["duty"] == "trade"


def test_X6_a_no_of_the_exchange_itself_is_asked_for_once(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    """The balance was spent elsewhere between our look and the order."""
    details = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
    exchange.add_fault("error", path="api/v3/order", method="POST", times=None, **details)
    bot, since = live_bot(), now_of(exchange)
    stage.ask(bot, "enter")
    for _ in range(4):
        tick_now(bot.pk)
    assert len(posts(exchange, since)) == 1
    order = Order.objects.get()
    assert (order.status, order.is_settled) == ("rejected", True)
    assert "insufficient balance" in order.message


#: How a market goes away, the reason that is told, and how it comes back.
GONE: dict[str, tuple[Callable[[ExchangeControl], object], str]] = {
    "delisted": (lambda exchange: exchange.delist("BTCUSDT"), "market_unknown"),
    "halted": (lambda exchange: exchange.halt("BTCUSDT"), "market_halted"),
    "maintenance page": (
        lambda exchange: exchange.add_fault("html", path="api/*", times=None),
        "bad_answer",
    ),
    "maintenance": (
        lambda exchange: exchange.add_fault("http", path="api/*", times=None, status=503),
        "maintenance",
    ),
}


@pytest.mark.parametrize("name", GONE)
def test_X7_a_market_that_is_away_is_waited_for_and_the_position_stays_shown(
    name: str,
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
    alice: User,
) -> None:
    go, reason = GONE[name]
    holding, flat = live_bot(name="Holding"), live_bot(name="Flat")
    stage.ask(holding, "enter")
    tick_now(holding.pk)
    tick_now(flat.pk)
    since = now_of(exchange)
    go(exchange)
    stage.ask(flat, "enter")
    for _ in range(2):
        for bot in (holding, flat):
            tick_now(bot.pk)
    assert posts(exchange, since) == []
    state = state_of(as_alice, flat.pk)
    assert (state["reason"], state["duty"]) == (reason, "trade")
    held = state_of(as_alice, holding.pk)
    assert held["in_position"]
    page = signed_in(alice).get(f"/bots/{holding.pk}/")
    assert page.status_code == 200
    assert f"{Decimal(held['entry_price']).normalize():f}" in page.content.decode().replace(",", "")
    exchange.clear_faults()
    exchange.resume("BTCUSDT")
    exchange.list_symbol("BTCUSDT")
    for bot in (holding, flat):
        tick_now(bot.pk)
        assert state_of(as_alice, bot.pk)["status"] == "running"
    stage.ask(holding, "exit")
    tick_now(holding.pk)
    assert not state_of(as_alice, holding.pk)["in_position"]


@pytest.mark.parametrize("mode", ["default", "bnb", "quote"])
@pytest.mark.parametrize("taker", ["0.001", "0.00075", "0.0037"])
def test_X8_what_is_sold_is_what_is_there(
    mode: str,
    taker: str,
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    """Fees in the base coin shrink the position, those in BNB do not; dust stays and is known."""
    exchange.set_balance("default", "BNB", 1)
    exchange.set_fee(mode=mode, taker=taker)
    bot = live_bot()
    for _ in range(3):
        stage.ask(bot, "enter")
        tick_now(bot.pk)
        bought = stage.orders_of(bot)[-1]
        fee_base = sum(fill.fee_base for fill in bought.fills.all())
        assert bool(fee_base) is (mode == "default")
        here = exchange.balances()["BTC"]["free"]
        assert BotState.objects.get(pk=bot.pk).current_position_size == here
        stage.ask(bot, "exit")
        tick_now(bot.pk)
        sold = stage.orders_of(bot)[-1]
        assert (sold.status, sold.purpose) == ("filled", "exit")
        assert here - Decimal("0.00001") < sold.amount <= here
        state = state_of(as_alice, bot.pk)
        assert not state["in_position"]
        assert Decimal(state["current_position_size"]) == here - sold.amount
    coins = {"default": {"BTC", "USDT"}, "bnb": {"BNB"}, "quote": {"USDT"}}
    assert set(Fill.objects.values_list("fee_currency", flat=True)) == coins[mode]


DEFECTS = {
    "gap": "broken_data",
    "duplicate": "broken_data",
    "nan": "broken_data",
    "negative": "broken_data",
    "zero": "broken_data",
    "stale": "stale_data",
    "empty": "stale_data",
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_X10_candles_that_cannot_be_believed_make_no_order(
    defect: str, exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot, since = live_bot(), now_of(exchange)
    tick_now(bot.pk)
    details: dict[str, Any] = {"defect": defect}
    if defect == "stale":
        details["since_ms"] = exchange.now() - 10 * 60_000
    exchange.add_fault("klines", path="api/v3/klines", times=None, **details)
    stage.ask(bot, "enter")
    for _ in range(2):
        tick_now(bot.pk)
    assert posts(exchange, since) == []
    assert not Order.objects.exists()
    assert our_orders(exchange) == {}
    state = state_of(as_alice, bot.pk)
    assert (state["reason"], state["duty"]) == (DEFECTS[defect], "trade")
    exchange.clear_faults()
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"


def test_X9_what_the_owner_does_by_hand_is_not_touched_until_something_is_missing(
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
    settings: Any,
) -> None:
    settings.RECONCILE_SECONDS = 0  # each tick compares
    first, second = live_bot(name="First"), live_bot(name="Second")
    other = live_bot(name="Other coin", symbol="ETH/USDT")
    for bot in (first, second):
        stage.ask(bot, "enter")
        tick_now(bot.pk)
    tick_now(other.pk)
    ours = exchange.balances()["BTC"]["free"]
    since = now_of(exchange)
    exchange.set_balance("default", "BTC", ours + 1)  # bought by hand: no business of ours
    for bot in (first, second, other):
        tick_now(bot.pk)
        assert state_of(as_alice, bot.pk)["status"] == "running"
    exchange.set_balance("default", "BTC", ours / 2)  # sold by hand: some of it was the bots'
    for bot in (first, second, other):
        tick_now(bot.pk)
    for bot in (first, second):
        state = state_of(as_alice, bot.pk)
        assert (state["status"], state["reason"]) == ("error", "reconcile"), state
        told = state["last_error_message"]
        assert f"{(ours / 2).normalize():f}" in told
        assert f"{ours.normalize():f}" in told
    assert state_of(as_alice, other.pk)["status"] == "running"
    assert posts(exchange, since) == []
