"""Backtests by the API: asked for with changes, told of, canceled."""

from decimal import Decimal

from bots.backtests import running
from bots.models import BacktestRun, BotConfig, User
from tests.doors.client import Caller


def test_one_is_asked_for_with_changes_and_told_with_its_figures(
    alice: User, bot: BotConfig
) -> None:
    caller = Caller(alice)
    changes = {"symbol": "WAVE/USDT", "timeframe": "5m", "stop_loss_perc": "1.5"}
    changes["initial_capital"] = "500"
    body = {"bot_config_id": bot.pk, "days": 3, "fee_perc": "0.2"}
    asked = caller.post("/backtests", {**body, "changes": changes})
    assert (asked.status, asked.body["status"], asked.body["progress"]) == (201, "queued", 0)
    assert asked.body["settings"]["stop_loss_perc"] == "1.5"
    assert asked.body["assumed"]["fee_perc"] == "0.2"
    running.run(asked.body["id"])
    told = caller.get(f"/backtests/{asked.body['id']}").body
    assert (told["status"], told["bot_config_id"]) == ("done", bot.pk)
    figures = told["summary"]
    assert Decimal(figures["value"]) == Decimal(500) + Decimal(figures["net"])
    bot.refresh_from_db()
    assert bot.timeframe == "1m"


def test_what_is_wrong_is_named_and_what_ended_is_not_canceled(alice: User, bot: BotConfig) -> None:
    caller = Caller(alice)

    def wrong(**body: object) -> str:
        answer = caller.post("/backtests", {"bot_config_id": bot.pk, **body})
        assert answer.status == 422
        return str(answer.body["detail"][0]["loc"][-1])

    assert wrong() == "days"
    assert wrong(days=1, since="2026-01-01T00:00:00Z") == "days"
    assert wrong(days=1, changes={"mode": "live"}) == "mode"
    assert wrong(days=1, changes={"stop_loss_perc": "x"}) == "stop_loss_perc"
    assert wrong(days=1, spread_perc="99") == "spread_perc"
    assert wrong(days=1, symbol="x") == "symbol"
    assert wrong(days=10, until="0001-01-02T00:00:00Z") == "until"
    run = caller.post("/backtests", {"bot_config_id": bot.pk, "days": 1}).body["id"]
    assert caller.post(f"/backtests/{run}/cancel").body["status"] == "canceled"
    again = caller.post(f"/backtests/{run}/cancel")
    assert (again.status, again.body["reason"]) == (409, "ended")
    assert BacktestRun.objects.count() == 1
