"""What a futures position pays and receives counts, whenever it is heard of; others' does not."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import invariants, reconcile, schedule, sweep, tick
from bots.models import Account, ApiKey, BotConfig, BotState, Fill, Funding, Market, User
from tests.engine.bench import Bench, D
from tests.engine.exchange import ScriptedExchange
from tests.engine.test_reconcile import age_comparison
from trading.exchange import Can
from trading.market import FundingReport

SYMBOL = "BTC/USDT:USDT"
VALUES: dict[str, Any] = {"mode": "live", "position_type": "futures", "symbol": SYMBOL}


@pytest.fixture
def account(alice: User, settings: Any) -> Account:
    settings.LIVE_TRADING_ENABLED = True
    return Account.objects.create(owner=alice, exchange="binance", mode="live", label="f")


@pytest.fixture
def perpetual(alice: User, account: Account, monkeypatch: pytest.MonkeyPatch) -> Bench:
    b = Bench(alice, start=False, account=account, **VALUES)
    # As in a worker that has run for a day.
    monkeypatch.setattr(reconcile, "STARTED", b.market.at - timedelta(days=2))
    b.exchange = ScriptedExchange(b.market, can=frozenset({Can.STOP, Can.FUTURES}))
    b.start()
    b.tick()
    return b


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    messages: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        schedule, "send", lambda task, *args, **_: messages.append((task, *args)) or True
    )
    return messages


def pay(b: Bench, name: str, amount: str, **more: Any) -> None:
    assert isinstance(b.exchange, ScriptedExchange)
    b.exchange.payments.append(
        FundingReport(
            funding_id=name,
            symbol=SYMBOL,
            amount=D(amount),
            currency="USDT",
            at=b.market.now(),
            **more,
        )
    )


def booked(b: Bench) -> list[str]:
    age_comparison(b)
    b.tick()
    return list(Funding.objects.order_by("funding_id").values_list("funding_id", flat=True))


def trade_once(b: Bench) -> None:
    """Open, be paid while the position is open, close: no comparison comes in between."""
    b.command("enter")
    b.tick(after=10)
    assert b.state.in_position
    b.market.pass_time(5)
    pay(b, "mine", "-0.5")
    b.command("exit")
    b.tick(after=5)
    assert not b.state.in_position


def test_a_payment_just_before_the_exit_is_booked_after_it(perpetual: Bench) -> None:
    b = perpetual
    pay(b, "before", "7")
    b.market.pass_time(60)
    trade_once(b)
    assert not Funding.objects.exists()
    before = b.state.profit
    b.market.pass_time(60)
    pay(b, "after", "7")
    assert booked(b) == ["mine"]
    assert b.state.profit - before == D("-0.5")
    assert booked(b) == ["mine"]
    assert invariants.check() == []


def test_two_positions_between_two_comparisons_are_told_apart(perpetual: Bench) -> None:
    b = perpetual
    trade_once(b)
    b.market.pass_time(60)
    pay(b, "between", "7")
    b.market.pass_time(60)
    b.command("enter")
    b.tick(after=1)
    b.market.pass_time(5)
    pay(b, "mine too", "-0.25")
    assert booked(b) == ["mine", "mine too"]


@pytest.mark.parametrize(("seconds", "counts"), [(59, True), (61, False)])
def test_what_a_liquidation_cost_may_be_charged_a_little_later(
    perpetual: Bench, seconds: int, counts: bool
) -> None:
    b = perpetual
    trade_once(b)
    b.market.pass_time(seconds)
    pay(b, "penalty", "-2", is_penalty=True)
    pay(b, "others", "-2")
    assert booked(b) == (["mine", "penalty"] if counts else ["mine"])


def test_a_bot_that_stopped_with_its_exit_is_compared_once_more(
    perpetual: Bench, sent: list[tuple[Any, ...]]
) -> None:
    b = perpetual
    trade_once(b)
    b.stop()
    assert b.state.duty == "none"
    compare = ("bots.tasks.reconcile", b.bot.pk)
    BotState.objects.update(reconciled_at=b.market.at - timedelta(days=1))
    sweep.sweep()
    assert compare in sent
    sent.clear()
    # Compared since, but what a liquidation cost may have been charged after that.
    b.market.pass_time(600)
    fill = Fill.objects.latest("at").at
    BotState.objects.update(reconciled_at=fill + timedelta(seconds=59))
    sweep.sweep()
    assert compare in sent
    sent.clear()
    BotState.objects.update(reconciled_at=fill + timedelta(seconds=61))
    sweep.sweep()
    assert compare not in sent


# -- what workers read of futures ------------------------------------------------------------------
def keyed(account: Account, **values: Any) -> ApiKey:
    return ApiKey.objects.create(account=account, api_key="a", secret_key="b", **values)


@pytest.mark.parametrize(
    ("position_type", "may_withdraw", "status"),
    [
        ("spot", False, "running"),
        ("spot", None, "error"),
        ("spot", True, "error"),
        ("futures", False, "error"),
    ],
)
def test_a_right_that_only_other_bots_miss_switches_nobody_off(
    perpetual: Bench, position_type: str, may_withdraw: bool | None, status: str
) -> None:
    b = perpetual
    rights = {"may_trade": True, "may_trade_futures": False, "may_withdraw": may_withdraw}
    keyed(b.bot.account, check_fault="api_key_rights", **rights)
    if position_type == "spot":
        spot = {"position_type": "spot", "symbol": "BTC/USDT"}
        BotConfig.objects.filter(pk=b.bot.pk).update(**spot)
        b.exchange = ScriptedExchange(b.market)
        b.bot.refresh_from_db()
    b.market.pass_time(60)
    assert tick.run(b.bot.pk, b.world) is not None
    assert b.where[0] == status


def test_a_new_futures_bot_has_its_key_checked_for_the_right(
    alice: User, account: Account, sent: list[tuple[Any, ...]]
) -> None:
    key = keyed(account, checked_at=timezone.now(), is_valid=True, may_trade_futures=False)
    assert sweep.sweep()["key_checks"] == 0
    Bench(alice, start=False, account=account, **VALUES)
    assert sweep.sweep()["key_checks"] == 1
    assert ("bots.tasks.check_key", key.pk) in sent
    ApiKey.objects.update(check_fault="api_key_rights")
    assert sweep.sweep()["key_checks"] == 0


def test_perpetuals_are_read_where_somebody_could_trade_them(
    account: Account, sent: list[tuple[Any, ...]]
) -> None:
    def asked() -> set[tuple[Any, ...]]:
        sent.clear()
        sweep.sweep()
        return {row[1:] for row in sent if row[0] == "bots.tasks.refresh_markets"}

    assert asked() == {("simulated", "paper", "spot")}
    keyed(account)
    both = {("binance", "live", "spot"), ("binance", "live", "futures")}
    assert asked() == {("simulated", "paper", "spot"), *both}
    row = {"exchange": "binance", "mode": "live", "base": "BTC", "quote": "USDT"}
    Market.objects.create(symbol="BTC/USDT", amount_step=1, price_tick=1, **row)
    assert asked() == {("simulated", "paper", "spot"), ("binance", "live", "futures")}
    Market.objects.create(symbol=SYMBOL, amount_step=1, price_tick=1, **row)
    assert asked() == {("simulated", "paper", "spot")}
