"""Many bots by one call: each by itself, nobody else's, and live ones by a token that may."""

from typing import Any

import pytest

from bots.models import Account, BotConfig, BotState, User
from tests.doors.client import Caller
from tests.doors.conftest import Maker


def _start(caller: Caller, *bots: BotConfig, **more: Any) -> Any:
    return caller.post("/bots/bulk", {"ids": [b.pk for b in bots], "verb": "start"} | more)


def test_many_are_started_and_stopped_each_by_itself(
    alice: User, as_alice: Caller, make_bot: Maker
) -> None:
    bots = [make_bot(alice, name=name) for name in ("A", "B")]
    answer = _start(as_alice, *bots)
    assert answer.status == 200
    row = {"bot_config_id": bots[0].pk, "done": True, "failed": False, "detail": "was started"}
    assert answer.body["results"][0] == row
    again = _start(as_alice, *bots).body["results"]
    assert [(row["done"], row["failed"]) for row in again] == [(False, False)] * 2
    BotState.objects.filter(pk=bots[1].pk).update(
        in_position=True, position_side="long", entry_price=1, current_position_size=1
    )
    body = {"ids": [bot.pk for bot in bots], "verb": "stop", "position": "close"}
    assert as_alice.post("/bots/bulk", body).status == 200
    states = BotState.objects.order_by("bot__name")
    assert [(s.duty, s.wind_down) for s in states] == [("none", "close"), ("exit", "close")]


def test_anothers_id_is_a_404_for_all(
    alice: User, mallory: User, as_mallory: Caller, make_bot: Maker
) -> None:
    own, foreign = make_bot(mallory, name="Own"), make_bot(alice, name="Alice's")
    assert _start(as_mallory, own, foreign).status == 404
    assert not BotState.objects.exists()


def test_a_live_bot_needs_the_scope_live(
    alice: User, as_alice: Caller, make_bot: Maker, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="l")
    live = make_bot(alice, exchange="binance", mode="live", symbol="BTC/USDT", account=account)
    paper = make_bot(alice)
    assert _start(Caller(alice, "read", "trade"), live, paper).status == 403
    assert not BotState.objects.exists()
    assert _start(as_alice, live, paper).status == 200
    stop = {"ids": [live.pk], "verb": "stop"}
    assert Caller(alice, "trade").post("/bots/bulk", stop).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": [], "verb": "start"},
        {"ids": [1]},
        {"ids": [1], "verb": "delete"},
        {"ids": ["x"], "verb": "start"},
        {"ids": list(range(1, 502)), "verb": "start"},
        {"ids": [1], "verb": "stop", "position": "sell"},
        {"ids": [1], "verb": "start", "force": True},
    ],
)
def test_what_is_wrong_with_the_body_is_named(body: dict[str, Any], as_alice: Caller) -> None:
    answer = as_alice.post("/bots/bulk", body)
    assert answer.status == 422
    assert answer.body["detail"][0]["loc"][0] == "body"
