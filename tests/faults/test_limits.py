"""X1: the exchange asks for silence, and every worker keeps it."""

import time
from decimal import Decimal

import pytest

from bots import control
from bots.models import ApiKey, BotConfig, BotState, User
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import HEALED
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.conftest import MakeBot
from tests.whole.processes import Beat, wait_until

pytestmark = pytest.mark.long(seconds=8)

SILENCE = 4
#: How late another process may hear of a silence, and how long a call under way may take.
HEARD = 1.5


@pytest.mark.parametrize("action", ["rate_limit", "ban"])
def test_X1_all_workers_are_silent_and_other_exchanges_go_on(
    action: str,
    ticking: Beat,
    bot: BotConfig,
    live_bot: MakeBot,
    exchange: ExchangeControl,
    as_alice: Caller,
    alice: User,
    bob: User,
) -> None:
    """429 and 418 are of our address: another account's bots fall silent as well."""
    secrets = {"api_key": action[0] * 64, "secret_key": "secret"}
    balances = {"USDT": 9000}
    exchange.add_account(action, api_key=action[0] * 64, secret="secret", balances=balances)
    key = ApiKey.put(owner=bob, exchange="binance", mode="live", label="main", **secrets)
    size = {"position_size_fixed": Decimal(100), "check_interval_seconds": 1}
    values = {"exchange": "binance", "mode": "live", "symbol": "ETH/USDT", "account": key.account}
    others = control.create(bob, {"name": "Bob's", **values, **size})
    elsewhere = control.create(alice, {"name": "Paper", "symbol": "CALM/USDT", **size})
    for made in (others, elsewhere):
        control.start(made, by=made.owner, via="page")
        wait_until(BotState.objects.filter(pk=made.pk, status="running").exists)
    seen = max(row["seq"] for row in exchange.requests())
    fault = exchange.add_fault(action, path="api/v3/*", retry_after=SILENCE)
    wait_until(lambda: [one for one in exchange.faults() if one["id"] == fault and one["hits"]])
    began, fence = exchange.now(), BotState.objects.get(pk=elsewhere.pk).fence
    state = wait_for(as_alice, bot.pk, reason="rate_limit")
    assert (state["duty"], state["retry_at"] is not None) == ("trade", True)
    wait_until(BotState.objects.filter(pk=others.pk, reason="rate_limit").exists)
    time.sleep(max(0, SILENCE - 0.5 - (exchange.now() - began) / 1000))
    quiet = (began + HEARD * 1000, began + (SILENCE - 0.5) * 1000)
    asked = [row for row in exchange.requests(seen) if quiet[0] < row["at_ms"] < quiet[1]]
    assert asked == []
    assert BotState.objects.get(pk=elsewhere.pk).fence > fence + 1
    assert state_of(as_alice, elsewhere.pk)["status"] == "running"
    wait_for(as_alice, bot.pk, timeout=SILENCE + HEALED, status="running")
    wait_until(BotState.objects.filter(pk=others.pk, status="running").exists, HEALED)
    stage.assert_all_holds(exchange, ticking)


def test_X1_too_many_orders_silence_the_account_alone(
    ticking: Beat, bot: BotConfig, exchange: ExchangeControl, as_alice: Caller
) -> None:
    """-1015 is of one account's orders: its bots look on, the order was surely not taken."""
    details = {"code": -1015, "status": 429}
    exchange.add_fault("error", path="api/v3/order", method="POST", **details)
    stage.ask(bot, "enter")
    wait_for(as_alice, bot.pk, reason="rate_limit")
    order = stage.orders_of(bot)[0]
    assert (order.status, order.is_settled) == ("abandoned", True)
    seen = max(row["seq"] for row in exchange.requests())
    stage.wait_for_ticks(bot, 2)
    assert [row for row in exchange.requests(seen) if "ticker" in row["path"]]
    stage.assert_all_holds(exchange, ticking)
