"""A live futures bot's whole life: key, market, leverage, long, short, funding, liquidation."""

import os
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest

from bots import accounts, invariants, schedule
from bots.models import ApiKey, Balance, BotConfig, BotState, Funding, Market, Order, Transfer
from tests.doors.client import Caller, fields_of
from tests.testexchange import DEFAULT_API_KEY, DEFAULT_CONFIG, ExchangeControl, TestExchange
from tests.whole.api import wait_for
from tests.whole.conftest import MakeBot, standing_still
from tests.whole.futures_ledger import assert_ledger_is_the_exchanges, waiting_algos, wallet
from tests.whole.processes import FAST, Worker, database_url, wait_until

SYMBOL = "BTC/USDT:USDT"
#: Funding each second, of which the rate is zero unless a test sets it.
FUTURES = {"funding_hours": 1 / 3600, "funding_rate": "0"}
RIGHTS = {"enableFutures": True, "permitsUniversalTransfer": True}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestExchange]:
    file = standing_still(tmp_path_factory.mktemp("market") / "btc.csv", "20000")
    symbols = [
        entry | ({"file": file} if entry["symbol"] == "BTCUSDT" else {})
        for entry in DEFAULT_CONFIG["symbols"]
    ]
    with TestExchange(config={"symbols": symbols, "futures": FUTURES}) as exchange:
        exchange.control.deposit_futures("default", "USDT", 1_000)
        yield exchange


@pytest.fixture(scope="module")
def worker_env(django_db_setup: None, django_db_blocker: Any, market: TestExchange) -> Any:
    """Each tick compares: what the exchange did by itself is found at once."""
    own = {"DATABASE_URL": database_url(), "EXCHANGE_API_BASE": market.api_base}
    return {**os.environ, **FAST, **own, "RECONCILE_SECONDS": "0"}


@pytest.fixture
def rights(exchange: ExchangeControl) -> Iterator[None]:
    exchange.set_permissions(DEFAULT_API_KEY, **RIGHTS)
    yield
    exchange.set_permissions(DEFAULT_API_KEY, **dict.fromkeys(RIGHTS, False))
    exchange.set_funding_rate("BTCUSDT", "0")


@pytest.fixture
def futures_bot(live_bot: MakeBot, rights: None) -> MakeBot:
    def make(**changes: Any) -> BotConfig:
        values = {"symbol": SYMBOL, "position_type": "futures", "leverage": 5}
        return live_bot(**values | {"position_size_fixed": D(500)} | changes)

    return make


def wait_ticking(api: Caller, bot: BotConfig, **wanted: Any) -> dict[str, Any]:
    """Wait for values of the bot's state while it ticks."""

    def arrived() -> dict[str, Any] | None:
        schedule.send(schedule.RUN_BOT, bot.pk)
        state = api.get(f"/bot-states/{bot.pk}").body
        return state if all(state[name] == value for name, value in wanted.items()) else None

    try:
        return wait_until(arrived, every=0.4) or {}
    except AssertionError:
        state = api.get(f"/bot-states/{bot.pk}").body
        raise AssertionError(f"wanted {wanted}, is {state}") from None


def test_a_long_from_the_key_to_its_target(
    worker: Worker,
    exchange: ExchangeControl,
    as_alice: Caller,
    futures_bot: MakeBot,
    key: ApiKey,
) -> None:
    before = wallet(exchange)
    bot = futures_bot(stop_loss_perc=D(2), take_profit_perc=D(3), start=False)
    schedule.send("bots.tasks.check_key", key.pk)
    wait_until(lambda: as_alice.get(f"/api-keys/{key.pk}").body["may_trade_futures"])
    told = f"/api-keys/balance?api_key={key.pk}"
    balance = wait_until(lambda: (b := as_alice.get(told).body)["futures"] and b)
    assert D(balance["futures"]["USDT"]) == before
    assert D(balance["total"]["USDT"]) == before + D(balance["spot"]["USDT"])

    assert as_alice.post(f"/bots/{bot.pk}/start").status == 200
    wait_for(as_alice, bot.pk, status="running", reason="no_signal")
    as_alice.post(f"/bots/{bot.pk}/enter")
    state = wait_for(as_alice, bot.pk, in_position=True, protection="resting")
    assert (state["position_side"], state["entry_price"]) == ("long", "20000")
    (position,) = exchange.futures("default")["positions"]["default"]
    assert (position["leverage"], position["isolated"]) == (5, True)
    assert D(position["amount"]) == D("0.025") == D(state["current_position_size"])
    rests = {row["orderType"]: row for row in waiting_algos(exchange)}
    assert {name: D(row["triggerPrice"]) for name, row in rests.items()} == {
        "STOP_MARKET": D(19600),
        "TAKE_PROFIT_MARKET": D(20600),
    }
    assert all(row["reduceOnly"] for row in rests.values())
    assert {D(row["quantity"]) for row in rests.values()} == {D("0.025")}

    exchange.set_price("BTCUSDT", "20600")  # no tick runs: the target works by itself
    assert exchange.futures("default")["positions"]["default"] == []
    wait_ticking(as_alice, bot, in_position=False, has_unsettled_orders=False)
    newest = as_alice.get(f"/bots/{bot.pk}/orders").body["items"]
    filled = {(row["purpose"], row["reason"]) for row in newest if row["status"] == "filled"}
    assert filled == {("entry", "command"), ("protect", "take_profit")}
    assert_ledger_is_the_exchanges(exchange, before)
    assert invariants.check() == []


def test_a_short_with_funding_leaves_by_command(
    worker: Worker, exchange: ExchangeControl, as_alice: Caller, futures_bot: MakeBot
) -> None:
    before = wallet(exchange)
    bot = futures_bot(direction="short", stop_loss_perc=D(2), leverage=3)
    wait_for(as_alice, bot.pk, status="running")
    as_alice.post(f"/bots/{bot.pk}/enter")
    state = wait_for(as_alice, bot.pk, position_side="short", protection="resting")
    assert D(state["stop_loss_price"]) == D(20400)
    (stop,) = waiting_algos(exchange)
    assert (stop["side"], D(stop["triggerPrice"])) == ("BUY", D(20400))
    exchange.set_funding_rate("BTCUSDT", "0.0001")

    def payments() -> int:
        rows = exchange.futures("default")["income"]["default"]
        return sum(row["incomeType"] == "FUNDING_FEE" for row in rows)

    wait_until(lambda: payments() >= 2)
    wait_ticking(as_alice, bot, in_position=True)
    wait_until(Funding.objects.exists)
    exchange.set_price("BTCUSDT", "19900.1")
    as_alice.post(f"/bots/{bot.pk}/exit")
    # What is paid between the last comparison and the exit counts as well.
    wait_for(as_alice, bot.pk, in_position=False, has_unsettled_orders=False)
    exchange.set_funding_rate("BTCUSDT", "0")
    paid = payments()
    wait_until(lambda: schedule.send(schedule.RUN_BOT, bot.pk) and Funding.objects.count() == paid)
    assert set(Funding.objects.values_list("amount", flat=True)) >= {D("0.05")}
    assert_ledger_is_the_exchanges(exchange, before)
    state = BotState.objects.get(pk=bot.pk)
    assert state.profit == state.daily_pnl == wallet(exchange) - before
    assert invariants.check() == []


def test_a_liquidation_is_booked_with_all_it_cost(
    worker: Worker, exchange: ExchangeControl, as_alice: Caller, futures_bot: MakeBot
) -> None:
    before = wallet(exchange)
    bot = futures_bot(leverage=20, protect_on_exchange=False)
    wait_for(as_alice, bot.pk, status="running")
    as_alice.post(f"/bots/{bot.pk}/enter")
    wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
    exchange.set_mark("BTCUSDT", "19050")
    assert exchange.futures("default")["positions"]["default"] == []
    exchange.set_mark("BTCUSDT", None)
    wait_ticking(as_alice, bot, in_position=False, has_unsettled_orders=False)
    order = Order.objects.get(purpose="liquidation")
    assert (order.side, order.reason, order.filled) == ("sell", "liquidation", D("0.025"))
    kinds = {row["incomeType"] for row in exchange.futures("default")["income"]["default"]}
    assert "INSURANCE_CLEAR" in kinds
    assert_ledger_is_the_exchanges(exchange, before)
    assert invariants.check() == []


def test_no_bot_gets_more_leverage_than_the_installation_allows(
    exchange: ExchangeControl, as_alice: Caller, futures_bot: MakeBot, settings: Any
) -> None:
    settings.MAX_LEVERAGE = 7
    bot = futures_bot(leverage=7, start=False)
    assert fields_of(as_alice.patch(f"/bot-configs/{bot.pk}", {"leverage": 8})) == {"leverage"}
    assert BotConfig.objects.get(pk=bot.pk).leverage == 7


def test_a_key_needs_the_right_that_its_bots_need(
    exchange: ExchangeControl, futures_bot: MakeBot, key: ApiKey
) -> None:
    exchange.set_permissions(DEFAULT_API_KEY, enableFutures=False)
    checked = accounts.check_key(key.pk)
    assert checked is not None
    # Spot is all that the account's bots trade: nothing is missing, and no fault is shown.
    assert (checked.is_valid, checked.may_trade_futures) == (True, False)
    balance = Balance.objects.get(account=key.account)
    assert (balance.fault, balance.futures) == ("", {})
    futures_bot(start=False)
    checked = accounts.check_key(key.pk)
    assert checked is not None
    assert (checked.is_valid, checked.check_fault) == (False, "api_key_rights")
    assert "may not trade futures" in checked.check_message
    exchange.set_permissions(DEFAULT_API_KEY, **RIGHTS)
    checked = accounts.check_key(key.pk)
    assert checked is not None
    assert (checked.is_valid, checked.check_fault) == (True, "")
    # The right is taken back after the check: no fault of the balance, nothing to show.
    exchange.set_permissions(DEFAULT_API_KEY, enableFutures=False)
    refreshed = accounts.refresh_balance(key.account_id)
    assert refreshed is not None
    assert (refreshed.fault, refreshed.futures) == ("", {})
    assert D(refreshed.spot["USDT"]) == 10_000


def test_perpetuals_are_among_the_markets(
    exchange: ExchangeControl, key: ApiKey, scaled: Any
) -> None:
    assert accounts.refresh_markets("binance", "live") == 5
    assert not Market.objects.filter(symbol=SYMBOL).exists()
    assert accounts.refresh_markets("binance", "live", "futures") == 4
    row = Market.objects.get(exchange="binance", mode="live", symbol=SYMBOL)
    assert (row.amount_step, row.price_tick, row.quote) == (D("0.001"), D("0.1"), "USDT")
    # One list does not make the other one's markets vanish.
    accounts.refresh_markets("binance", "live")
    assert Market.objects.filter(is_tradable=True).count() == 9


def test_funds_are_moved_by_a_worker_once(
    worker: Worker, exchange: ExchangeControl, as_alice: Caller, key: ApiKey, rights: None
) -> None:
    before = wallet(exchange)
    path = f"/accounts/{key.account_id}/transfers"
    wanted = {"currency": "USDT", "amount": "12.34567891", "direction": "to_futures"}
    assert as_alice.post(path, wanted).status == 202
    row = Transfer.objects.get()
    wait_until(lambda: Transfer.objects.get().status == "done")
    for _ in range(3):
        schedule.send("bots.tasks.send_transfer", row.pk)
    exchange.add_fault("close", path="sapi/v1/asset/transfer", method="POST", when="after")
    assert as_alice.post(path, wanted | {"amount": "5"}).status == 202
    lost = Transfer.objects.latest("pk")
    wait_until(lambda: Transfer.objects.get(pk=lost.pk).status == "unknown")
    assert as_alice.post(path, wanted).body["reason"] == "pending"
    schedule.send("bots.tasks.look_up_transfer", lost.pk)
    wait_until(lambda: Transfer.objects.get(pk=lost.pk).status == "done")
    assert wallet(exchange) == before + D("17.34567891")
    told = exchange.futures("default")["transfers"]
    assert [str(one["tranId"]) for one in told] == list(
        Transfer.objects.order_by("pk").values_list("exchange_id", flat=True)
    )
