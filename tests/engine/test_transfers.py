"""Funds move once, on an owner's word: written first, never repeated, unknown until it is known."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from bots import sweep, transferring, transfers
from bots.change import Refusal
from bots.models import Account, ApiKey, Transfer, User
from tests.engine.exchange import ScriptedExchange
from tests.engine.market import Market
from trading.exchange import Fault, Rejected, Unreachable
from trading.wallets import Wallet

Asked = Callable[..., Transfer]
D = Decimal
LOST = Unreachable(Fault.NETWORK, "no answer")


@pytest.fixture
def account(alice: User, settings: Any) -> Account:
    settings.LIVE_TRADING_ENABLED = True
    secrets = {"api_key": "key-of-alice", "secret_key": "secret-of-alice"}
    key = ApiKey.put(owner=alice, exchange="binance", mode="live", label="main", **secrets)
    return key.account


@pytest.fixture
def wallets() -> ScriptedExchange:
    return ScriptedExchange(Market(), usdt="100")


@pytest.fixture
def asked(account: Account, alice: User) -> Asked:
    def ask(**changes: Any) -> Transfer:
        values = {"currency": "USDT", "amount": D(25), "direction": "to_futures"} | changes
        return transfers.request(account, **values, by=alice, via="page")

    return ask


def reason_of(verb: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refused:
        verb()
    return refused.value.reason


def test_a_transfer_is_sent_once_and_done(asked: Asked, wallets: ScriptedExchange) -> None:
    row = asked()
    assert (row.status, row.source, row.target) == ("requested", Wallet.SPOT, Wallet.FUTURES)
    seen: list[str] = []
    wallets.on_place = lambda: seen.append(Transfer.objects.get(pk=row.pk).status)
    sent = transferring.send(row.pk, wallets)
    assert sent is not None
    assert (sent.status, sent.exchange_id, sent.via) == ("done", "t1", "page")
    assert sent.ended_at is not None
    # It said "sent" before it was.
    assert seen == ["sent"]
    assert transferring.send(row.pk, wallets) is None
    assert [(wallet, one.amount) for wallet, one in wallets.moved] == [(Wallet.SPOT, D(25))]
    back = asked(direction="to_spot", amount=D("0.00000001"))
    transferring.send(back.pk, wallets)
    assert wallets.moved[-1][0] is Wallet.FUTURES


def test_a_clear_no_moves_nothing_and_frees_the_account(
    asked: Asked, wallets: ScriptedExchange
) -> None:
    wallets.refuse = Rejected(Fault.INSUFFICIENT_FUNDS, "need more")
    row = transferring.send(asked().pk, wallets)
    assert row is not None
    assert (row.status, row.message) == ("failed", "need more")
    assert asked().status == "requested"


@pytest.mark.parametrize("outcome", ["arrived", "did not"])
def test_a_lost_answer_stays_unknown_until_somebody_knows(
    asked: Asked, wallets: ScriptedExchange, alice: User, outcome: str
) -> None:
    wallets.lose_answer = LOST
    row = transferring.send(asked().pk, wallets)
    assert row is not None
    assert (row.status, row.message, row.ended_at) == ("unknown", "no answer", None)
    assert transferring.send(row.pk, wallets) is None
    assert reason_of(asked) == "pending"
    wallets.moved.clear()
    looked = transferring.look_up(row.pk, wallets)
    assert looked is not None
    assert looked.status == "unknown"
    closed = transfers.close(row, moved=outcome == "arrived", by=alice, via="page")
    assert closed.status == ("done" if outcome == "arrived" else "failed")
    assert closed.closed_by == alice
    assert reason_of(lambda: transfers.close(row, moved=True, by=alice, via="page")) == (
        "not_unknown"
    )
    assert wallets.transfer_calls == 1
    assert asked().status == "requested"


def test_the_exchanges_list_tells_of_a_lost_one(asked: Asked, wallets: ScriptedExchange) -> None:
    wallets.lose_answer = LOST
    row = asked()
    transferring.send(row.pk, wallets)
    found = transferring.look_up(row.pk, wallets)
    assert found is not None
    assert (found.status, found.exchange_id) == ("done", "t1")
    assert wallets.transfer_calls == 1


@pytest.mark.parametrize(
    "other", ["amount", "currency", "direction", "early", "late", "known", "two"]
)
def test_no_other_transfer_is_taken_for_it(
    asked: Asked, wallets: ScriptedExchange, other: str
) -> None:
    first = asked()
    transferring.send(first.pk, wallets)
    wallets.lose_answer = LOST
    row = asked()
    transferring.send(row.pk, wallets)
    if other != "known":
        # `first` was ten minutes ago.
        wallets.moved.pop(0)
    if other == "two":
        wallets.moved.append(wallets.moved[0])
    else:
        lost = wallets.moved.pop()
        wallets.lose_answer = None
        values = {
            "amount": {"amount": D("25.00000001")},
            "currency": {"currency": "BTC"},
            "direction": {"source": Wallet.FUTURES},
        }.get(other, {})
        seconds = {"early": -10, "late": 600}.get(other, 0)
        if other != "known":
            plain = {"currency": "USDT", "amount": D(25), "source": Wallet.SPOT} | values
            wallets.market.pass_time(seconds)
            wallets.transfer(plain["currency"], plain["amount"], plain["source"], Wallet.SPOT)
            wallets.market.pass_time(-seconds)
        assert lost
    found = transferring.look_up(row.pk, wallets)
    assert found is not None
    assert (found.status, found.exchange_id) == ("unknown", "")


def test_a_worker_that_died_left_an_unknown_one(asked: Asked, wallets: ScriptedExchange) -> None:
    row = asked()

    def die() -> None:
        raise KeyboardInterrupt

    wallets.on_place = die
    with pytest.raises(KeyboardInterrupt):
        transferring.send(row.pk, wallets)
    row.refresh_from_db()
    assert row.status == "sent"
    assert transferring.send(row.pk, wallets) is None
    assert transferring.unanswered() == []
    Transfer.objects.update(sent_at=timezone.now() - timedelta(seconds=60))
    assert transferring.unanswered() == [row.pk]
    looked = transferring.look_up(row.pk, wallets)
    assert looked is not None
    assert looked.status == "unknown"
    # After a day nobody asks the exchange any more: it is the owner's to tell.
    Transfer.objects.update(sent_at=timezone.now() - timedelta(days=2))
    assert transferring.unanswered() == []
    assert wallets.moved == []


def test_a_worker_that_died_before_it_signed_has_sent_nothing(
    asked: Asked, wallets: ScriptedExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = asked()

    def slow() -> int:
        # Another worker gives this one up while it still waits for the exchange's time.
        assert transferring.look_up(row.pk, wallets) is not None
        return wallets.market.now()

    monkeypatch.setattr(wallets, "now", slow)
    assert transferring.send(row.pk, wallets) is None
    row.refresh_from_db()
    assert (row.status, row.signed_at) == ("failed", None)
    assert wallets.transfer_calls == 0


def test_what_was_surely_not_sent_has_failed(asked: Asked, wallets: ScriptedExchange) -> None:
    wallets.refuse = Unreachable(Fault.NETWORK, "connection refused", sent=False)
    row = transferring.send(asked().pk, wallets)
    assert row is not None
    assert row.status == "failed"
    # No key: nothing was even signed.
    ApiKey.objects.all().update(api_key="other")
    ApiKey.objects.all().delete()
    account = row.account
    late = Transfer.objects.create(
        account=account,
        currency="USDT",
        amount=D(1),
        direction="to_spot",
        via="page",
        expires_at=timezone.now() + timedelta(minutes=1),
    )
    ended = transferring.send(late.pk)
    assert ended is not None
    assert (ended.status, ended.message) == ("failed", "the account has no api key")


def test_clicks_make_one_transfer(asked: Asked, account: Account) -> None:
    number = uuid4()
    first = asked(number=number)
    assert asked(number=number).pk == first.pk
    assert asked(number=number, amount=D("25.0")).pk == first.pk
    assert reason_of(lambda: asked(number=number, amount=D(26))) == "number_used"
    assert reason_of(asked) == "pending"
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(
            account=account, currency="USDT", amount=1, expires_at=timezone.now()
        )
    assert Transfer.objects.count() == 1
    # Also when it has ended: a form that is sent again moves nothing.
    Transfer.objects.update(status="done")
    assert asked(number=number).status == "done"
    assert Transfer.objects.count() == 1


def test_two_at_once_are_decided_by_the_database(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asked()
    number = first.number
    # The other one's row was not there yet when this one looked.
    looks = iter([None])
    real = transfers._first
    monkeypatch.setattr(transfers, "_check", lambda account: None)
    monkeypatch.setattr(transfers, "_first", lambda *args: next(looks, None) or real(*args))
    assert reason_of(asked) == "pending"
    assert Transfer.objects.count() == 1
    monkeypatch.setattr(transfers, "_first", real)
    assert asked(number=number).pk == first.pk


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"currency": ""}, "currency"),
        ({"currency": "US-DT"}, "currency"),
        ({"amount": D(0)}, "amount"),
        ({"amount": D(-1)}, "amount"),
        ({"amount": D("NaN")}, "amount"),
        ({"amount": D("Infinity")}, "amount"),
        ({"amount": D("1e18")}, "amount"),
        ({"amount": D("0.000000001")}, "amount"),
        ({"amount": D("123456789012345678.123456789")}, "amount"),
        ({"direction": "to_moon"}, "direction"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_name(
    asked: Asked, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        asked(**wrong)
    assert set(raised.value.message_dict) == {field}
    assert not Transfer.objects.exists()


def test_why_nothing_can_be_moved_now(
    asked: Asked, account: Account, alice: User, settings: Any
) -> None:
    assert transfers.refusal(account) is None
    account.mode = "testnet"
    assert reason_of(asked) == "no_wallets"
    account.mode, account.exchange = "live", "kraken"
    assert reason_of(asked) == "no_wallets"
    account.exchange = "binance"
    account.owner.is_active = False
    assert reason_of(asked) == "owner_inactive"
    account.owner.is_active = True
    settings.LIVE_TRADING_ENABLED = False
    assert reason_of(asked) == "live_disabled"
    settings.LIVE_TRADING_ENABLED = True
    ApiKey.objects.update(is_valid=False)
    assert reason_of(asked) == "key_refused"
    ApiKey.objects.all().delete()
    assert reason_of(asked) == "no_key"
    refusal = transfers.refusal(account)
    assert refusal is not None
    assert refusal.reason == "no_key"
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("what", ["live", "owner"])
def test_what_was_forbidden_meanwhile_is_not_sent(
    asked: Asked, wallets: ScriptedExchange, settings: Any, what: str
) -> None:
    row = asked()
    if what == "live":
        settings.LIVE_TRADING_ENABLED = False
    else:
        User.objects.update(is_active=False)
    assert transferring.send(row.pk, wallets) is None
    row.refresh_from_db()
    assert row.status == "failed"
    assert wallets.transfer_calls == 0


def test_a_request_that_waited_too_long_is_not_sent(
    asked: Asked, wallets: ScriptedExchange, settings: Any
) -> None:
    row = asked()
    assert row.expires_at - row.created_at < timedelta(seconds=settings.COMMAND_TTL_SECONDS + 1)
    Transfer.objects.update(expires_at=timezone.now())
    assert transferring.send(row.pk, wallets) is None
    row.refresh_from_db()
    assert (row.status, wallets.transfer_calls) == ("failed", 0)
    assert asked().status == "requested"


def test_the_sweep_finds_what_lost_its_message(
    asked: Asked, account: Account, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        "bots.schedule.send", lambda task, *args, **_: messages.append((task, *args)) or True
    )
    row = asked()
    other = Account.objects.create(owner=bob, exchange="binance", mode="live", label="his")
    at = timezone.now() - timedelta(minutes=2)
    values = {"currency": "USDT", "amount": D(1), "direction": "to_spot", "expires_at": at}
    lost = Transfer.objects.create(account=other, status="sent", sent_at=at, **values)
    assert sweep.sweep()["transfers"] == 2
    assert ("bots.tasks.send_transfer", row.pk) in messages
    assert ("bots.tasks.look_up_transfer", lost.pk) in messages
    Transfer.objects.update(status="requested", expires_at=at)
    assert sweep.sweep()["transfers"] == 0
    assert set(Transfer.objects.values_list("status", flat=True)) == {"failed"}
