"""From what happens to what arrives: every kind, storms, quiet hours, the day in figures."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots import control, twins
from bots.lifecycle import Move
from bots.models import (
    Alert,
    AlertDelivery,
    AlertScan,
    AlertSettings,
    ApiKey,
    BotConfig,
    BotState,
    DayStats,
    Fill,
    Order,
    StateEvent,
    User,
)
from bots.models.alert import AlertKind
from tests.alerts.builders import ALL, mail_of, webhook_of
from tests.engine.test_twins import real_bot
from tests.pages.builders import bot_of, filled, holding, state_of
from tests.receivers import Received, text_of_mail

Look = Callable[..., int]


def event(bot: BotConfig, move: str, status: str, reason: str, **values: Any) -> StateEvent:
    row = {"old_status": "running", "old_reason": "no_signal", "via": "tick", **values}
    return StateEvent.objects.create(
        bot=bot, move=move, new_status=status, new_reason=reason, **row
    )


@pytest.fixture
def bot(alice: User) -> BotConfig:
    return bot_of(alice, "BTC EMA")


def everything(bot: BotConfig) -> None:
    """Let one alert of each kind happen; the day has to end yet."""
    control.start(bot, by=bot.owner, via="page")
    control.stop(bot, by=bot.owner, via="page")
    event(bot, "pause", "paused", "max_daily_loss")
    event(bot, "run", "running", "no_signal", old_status="error")
    event(bot, "switch_off", "error", "bad_settings")
    event(bot, "switch_off", "error", "api_key_invalid")
    filled(bot, "buy", "0.0015", "66500.12")
    filled(bot, "sell", "0.0015", "67000", reason="take_profit")
    control.start(bot, by=bot.owner, via="page")
    control.halt(bot.owner, flatten=False, by=bot.owner, via="page")
    BotState.objects.filter(pk=bot.pk).update(**holding())


def test_an_alert_of_each_kind_arrives_by_mail_and_by_webhook(
    alice: User,
    bot: BotConfig,
    hook: Received,
    post: Received,
    tell: Look,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With a bot of a high number the links alone would leave no room for the last of them.
    monkeypatch.setattr("bots.alerts.wording.LONGEST", 3000)
    for made in (webhook_of(alice, hook), mail_of(alice)):
        made.created_at = timezone.now() - timedelta(days=2)
        made.save(update_fields=["created_at"])
    everything(bot)
    assert tell() == 2
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    DayStats.objects.create(bot=bot, day=midnight.date(), pnl=Decimal("12.34"), trades=3)
    tomorrow = midnight + timedelta(days=1, minutes=4)
    BotState.objects.filter(pk=bot.pk).update(day_ends_at=tomorrow + timedelta(days=1))
    assert tell(tomorrow) == 2
    assert set(Alert.objects.values_list("kind", flat=True)) == set(ALL)
    assert set(AlertDelivery.objects.values_list("status", flat=True)) == {"sent"}
    mails = "\n".join(f"{mail['Subject']}\n{text_of_mail(mail)}" for mail in post.mails)
    for text in ("\n".join(hook.texts), mails.replace("\r", "")):
        for line in (
            "↻ BTC EMA: started",
            "■ BTC EMA: stopped - by its owner",
            "■ BTC EMA: stopped - halt",
            "‖ BTC EMA: paused - max daily loss reached",
            "● BTC EMA: works again",
            "▲ BTC EMA: error - settings no longer valid",
            "▲ BTC EMA: error - api key invalid",
            "▲ BTC EMA: nobody watches the position",
            "→ BTC EMA: bought 0.0015 BTC at 66,500.12",
            "← BTC EMA: sold 0.0015 BTC at 67,000, 0.00 USDT (take profit)",
            "≡ summary of ",
            "Paper: +12.34 USDT, 3 trades",
            f"/bots/{bot.pk}/",
        ):
            assert line in text, line
    assert {mail["To"] for mail in post.mails} == {"alice@example.org"}
    assert {mail["From"] for mail in post.mails} == {"Botsite <alerts@example.org>"}
    assert hook.posts[0][0] == "/hook?room=1"
    assert hook.posts[0][1]["type"] == "failure"


def test_a_paper_twin_is_told_of_on_no_channel(alice: User, hook: Received, tell: Look) -> None:
    webhook_of(alice, hook)
    bot = real_bot(alice)
    twin = twins.make(bot, by=alice, via="page")
    tell()
    control.start(bot, by=alice, via="page")
    everything(twin)
    tell()
    assert set(Alert.objects.filter(kind="started").values_list("bot", flat=True)) == {bot.pk}
    assert not Alert.objects.filter(bot=twin).exists()


def test_a_thousand_equal_errors_make_one_message(
    alice: User, bot: BotConfig, hook: Received, tell: Look
) -> None:
    webhook_of(alice, hook)
    now = timezone.now()
    row = {"move": "fail", "new_status": "error", "new_reason": "network", "via": "tick"}
    StateEvent.objects.bulk_create(StateEvent(bot=bot, at=now, **row) for _ in range(1000))
    tell(now)
    tell(now + timedelta(seconds=30))
    assert len(hook.posts) == 1
    title, body = hook.posts[0][1]["title"], hook.posts[0][1]["message"]
    assert title == "▲ BTC EMA: error - exchange not reachable (1000 times)"
    assert "The exchange could not be reached" in body
    # Those that follow wait for the end of the window, and are one message again.
    for seconds in (60, 120, 180):
        event(bot, "fail", "error", "network", at=now + timedelta(seconds=seconds))
        tell(now + timedelta(seconds=seconds))
    event(bot, "fail", "error", "clock", at=now + timedelta(seconds=200))
    tell(now + timedelta(seconds=200))
    assert [post["title"].partition(" - ")[2] for _path, post in hook.posts[1:]] == ["clock"]
    tell(now + timedelta(minutes=10))
    assert hook.posts[2][1]["title"].endswith("exchange not reachable (3 more times)")
    assert len(hook.posts) == 3


def test_trades_that_follow_soon_are_all_listed(
    alice: User, bot: BotConfig, hook: Received, tell: Look
) -> None:
    webhook_of(alice, hook, ["entry"])
    now = timezone.now()
    filled(bot, "buy", "1", "100", at=now)
    tell(now)
    for price in ("101", "102"):
        filled(bot, "buy", "1", price, at=now)
    tell(now + timedelta(minutes=1))
    assert len(hook.posts) == 1
    tell(now + timedelta(minutes=10))
    assert "at 101 " in hook.texts[1]
    assert "at 102 " in hook.texts[1]


def test_an_order_is_told_once_its_fills_are_complete(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    webhook_of(alice, hook)
    now = timezone.now()
    order = filled(bot, "buy", "1", "100", at=now).order
    type(order).objects.filter(pk=order.pk).update(status="partial", is_settled=False)
    assert look(now) == 0
    assert look(now + timedelta(seconds=30)) == 0
    type(order).objects.filter(pk=order.pk).update(status="filled", is_settled=True)
    assert look(now + timedelta(seconds=40)) == 1
    assert look(now + timedelta(minutes=5)) == 0


def test_an_order_that_rests_is_told_of_in_parts(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    webhook_of(alice, hook)
    now = timezone.now()
    first = filled(bot, "buy", "1", "100", at=now)
    rung = {"status": "partial", "is_settled": False, "purpose": "rung"}
    Order.objects.filter(pk=first.order_id).update(**rung)
    assert look(now + timedelta(seconds=61)) == 1
    late = now + timedelta(hours=3)
    for number in (1, 2):
        first.pk, first.trade_id, first.at, first.booked_at = None, f"later {number}", late, late
        first.save()
    assert look(late) == 0
    assert look(late + timedelta(seconds=61)) == 1
    assert look(late + timedelta(minutes=30)) == 0
    texts = AlertDelivery.objects.order_by("pk").values_list("subject", flat=True)
    assert ["bought 1 BTC" in texts[0], "bought 2 BTC" in texts[1]] == [True, True]


def test_rows_that_commit_late_are_found_and_none_is_told_twice(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    """A number is given out before its transaction commits: a later one may be seen before it."""
    webhook_of(alice, hook)
    now = timezone.now()
    late, early = (event(bot, "fail", "error", "network", at=now) for _ in range(2))
    number = late.pk
    late.delete()
    look(now)
    look(now + timedelta(seconds=60))
    StateEvent(
        pk=number, bot=bot, at=now, move="fail", new_status="error", new_reason="clock", via="tick"
    ).save(force_insert=True)
    look(now + timedelta(seconds=100))
    for minutes in (3, 6, 9):
        look(now + timedelta(minutes=minutes))
    assert set(Alert.objects.values_list("key", flat=True)) == {
        f"event:{number}",
        f"event:{early.pk}",
    }
    # By now they are behind the mark, and are not even read.
    assert AlertScan.objects.get().event_low >= early.pk


def test_who_has_no_channel_yet_is_not_told_of_the_past(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    now = timezone.now()
    event(bot, "fail", "error", "network", at=now)
    for minutes in (0, 3, 6):
        look(now + timedelta(minutes=minutes))
    webhook_of(alice, hook)
    assert look(now + timedelta(minutes=7)) == 0
    event(bot, "fail", "error", "network", at=now - timedelta(hours=7))
    assert look(now + timedelta(minutes=7)) == 0


def test_what_was_filled_while_the_platform_was_down_is_news_when_it_is_booked(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    webhook_of(alice, hook)
    now = timezone.now()
    long_ago = now - timedelta(hours=7)
    known = filled(bot, "buy", "0.001", "66000", at=long_ago)
    unknown = filled(bot, "sell", "0.001", "65000", at=long_ago, reason="stop_loss")
    Fill.objects.filter(pk=unknown.pk).update(booked_at=now)
    look(now)
    [alert] = Alert.objects.all()
    assert (alert.kind, alert.at) == ("exit", long_ago)
    assert known.booked_at == long_ago


def test_a_channel_gets_what_it_was_told_to_and_nobody_elses(
    alice: User, bob: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    errors = webhook_of(alice, hook, ["error"])
    trades = webhook_of(alice, hook, ["entry", "exit"])
    webhook_of(bob, hook)
    event(bot, "fail", "error", "network")
    filled(bot, "buy", "1", "100")
    event(bot, "pause", "paused", "daily_target")
    assert look() == 2
    found = dict(AlertDelivery.objects.values_list("channel", "kind"))
    assert found == {errors.pk: "error", trades.pk: "entry"}


def test_what_cannot_be_told_to_one_silences_nobody_else(
    alice: User, bob: User, hook: Received, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    webhook_of(alice, hook)
    webhook_of(bob, hook)
    for owner, reason in ((alice, "of a later version"), (bob, "clock")):
        row = {"owner": owner, "bot": bot_of(owner, "BTC EMA"), "kind": "error", "reason": reason}
        Alert.objects.create(at=timezone.now(), key=reason, **row)
    assert look() == 1
    assert f"alerts of user {alice.pk} not planned" in caplog.text


# -- quiet hours ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("start", "end", "quiet", "loud"),
    [
        ("22:00", "07:00", ["22:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "21:59"]),
        ("13:00", "14:30", ["13:00", "14:29"], ["12:59", "14:30", "03:00"]),
        ("08:00", "08:00", [], ["08:00", "20:00"]),
    ],
)
def test_quiet_hours_may_span_midnight(
    start: str, end: str, quiet: list[str], loud: list[str]
) -> None:
    hours = AlertSettings(
        owner=User(time_zone="Europe/Istanbul"),
        quiet_from=time.fromisoformat(start),
        quiet_to=time.fromisoformat(end),
    )
    for texts, is_quiet in ((quiet, True), (loud, False)):
        for text in texts:
            local = datetime.combine(date(2026, 11, 23), time.fromisoformat(text), UTC)
            assert hours.is_quiet(local - timedelta(hours=3)) is is_quiet, text


def test_what_happens_in_quiet_hours_is_one_message_after_them(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    alice.time_zone, alice.language = "Europe/Istanbul", "tr"
    alice.save()
    webhook_of(alice, hook)
    night = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)  # 02:00 in Istanbul
    hours = AlertSettings.objects.create(owner=alice, quiet_from=time(22), quiet_to=time(7))
    event(bot, "pause", "paused", "daily_target", at=night)
    filled(bot, "buy", "1", "100", at=night)
    assert look(night) == 0
    event(bot, "fail", "error", "network", at=night)
    assert look(night) == 1, "what is urgent passes"
    AlertSettings.objects.filter(pk=hours.pk).update(urgent_passes=False)
    event(bot, "fail", "error", "clock", at=night)
    assert look(night + timedelta(minutes=20)) == 0
    assert look(night + timedelta(hours=4, minutes=59)) == 0
    assert look(night + timedelta(hours=5)) == 1
    newest = AlertDelivery.objects.latest("pk")
    assert newest.alerts == 3
    assert newest.body.startswith("▲ BTC EMA: hata - ")
    assert "24 Kas 2026 02:00" in newest.body
    assert "\n\n‖ BTC EMA: duraklatıldı - " in newest.body


# -- keys, positions, days ------------------------------------------------------------------------
def test_a_refused_key_is_told_once_until_it_was_good_again(
    alice: User, hook: Received, look: Look
) -> None:
    webhook_of(alice, hook)
    secrets = {"api_key": "k" * 12, "secret_key": "s" * 12}
    key = control.put_key(
        alice, via="page", exchange="binance", mode="testnet", label="main", **secrets
    )
    ApiKey.objects.update(is_valid=False, check_fault="api_key_invalid")
    now = timezone.now()
    assert [look(now + timedelta(minutes=20 * n)) for n in range(3)] == [1, 0, 0]
    body = AlertDelivery.objects.get().body
    assert body.startswith("▲ key main was refused")
    assert "…kkkk: The exchange refused the api key." in body
    ApiKey.objects.filter(pk=key.pk).update(checked_at=now)
    assert look(now + timedelta(hours=2)) == 1


def test_a_position_that_nobody_watches_is_told_once_each_time(
    alice: User, bot: BotConfig, hook: Received, look: Look
) -> None:
    webhook_of(alice, hook, ["unwatched"])
    now = timezone.now()
    blind = holding(last_price_at=now - timedelta(minutes=5))
    state_of(bot, "waiting", "network", "trade", **blind)
    assert [look(now + timedelta(minutes=20 * n)) for n in range(3)] == [1, 0, 0]
    assert "could not read the price" in AlertDelivery.objects.get().body
    BotState.objects.filter(pk=bot.pk).update(last_price_at=timezone.now())
    assert look(now + timedelta(hours=1)) == 0
    control.stop(bot, by=alice, via="page", position="leave")
    assert [look(now + timedelta(hours=2, minutes=n)) for n in (0, 20)] == [1, 0]
    assert "still holds 0.0015 BTC" in AlertDelivery.objects.latest("pk").body


def test_the_day_is_summed_once_after_its_rollover_by_currency_and_mode(
    alice: User, hook: Received, look: Look
) -> None:
    alice.time_zone = "Europe/Istanbul"
    alice.save()
    made = webhook_of(alice, hook, ["summary"])
    midnight = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
    type(made).objects.update(created_at=midnight - timedelta(hours=1))
    day = date(2026, 11, 23)
    bots = [bot_of(alice, name) for name in ("A", "B")]
    bots += [bot_of(alice, "C", symbol="ETH/BTC"), bot_of(alice, "D")]
    for one, pnl, trades in zip(bots, ("10.5", "-4", "0.002", "0"), (2, 1, 1, 0), strict=True):
        state_of(one, "running", "no_signal", "trade", day_ends_at=midnight)
        DayStats.objects.create(bot=one, day=day, pnl=Decimal(pnl), trades=trades)
    BotConfig.objects.filter(name="D").update(is_active=False)
    assert look(midnight + timedelta(minutes=1)) == 0, "the rollovers have their time"
    assert look(midnight + timedelta(minutes=4)) == 0, "a day is not closed yet"
    BotState.objects.update(day_ends_at=midnight + timedelta(days=1))
    times = [midnight + timedelta(minutes=minutes) for minutes in (5, 30, 300)]
    assert [look(moment) for moment in times] == [1, 0, 0]
    body = AlertDelivery.objects.get().body
    assert "Paper: +6.50 USDT, 3 trades" in body
    assert "Paper: +0.002 BTC, 1 trade\n" in body
    assert "- A: +10.50 USDT, 2 trades (Running)" in body
    assert "- D" not in body
    assert look(midnight + timedelta(hours=7)) == 0


def test_every_move_is_news_or_is_meant_to_be_none(bot: BotConfig) -> None:
    from bots.alerts.scan import kind_of

    silent = {Move.WAIT, Move.SETTLE, Move.EDIT, Move.PROTECT, Move.ADJUST, Move.RECOMPUTE}
    silent |= {Move.RUN, Move.RESET}
    rows = {
        move: kind_of(StateEvent(move=move, old_status="running", new_reason="network"))
        for move in Move
    }
    assert {move for move, kind in rows.items() if kind is None} == silent
    woken = StateEvent(move="reset", old_status="paused", new_reason="daily_reset")
    assert kind_of(woken) == AlertKind.RESUMED
