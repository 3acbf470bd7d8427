"""What the bot page says of a position's side, of who watches its stop, and of orders that rest."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots import control, schedule, tasks
from bots.models import Account, BotConfig, BotState, Command, Comparison, Order, User
from bots.templatetags.show import number
from tests.doors.content import resting_order, traded_bot
from tests.pages.builders import HTMX, bot_of, decision, holding, market, sign_in, state_of, text_of

SHORT = holding(
    position_side="short",
    entry_price=Decimal(67000),
    current_position_size=Decimal("0.01"),
    position_cost=Decimal(670),
    last_price=Decimal(66000),
    stop_loss_price=Decimal(68340),
    liquidation_price=Decimal("79402.98"),
)
PROTECT = {"purpose": "protect", "side": "sell", "price": None, "reason": "stop_loss"}


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


@pytest.fixture
def perpetual(alice: User, settings: Any) -> BotConfig:
    """A live futures bot that may go short."""
    settings.LIVE_TRADING_ENABLED = True
    values = {"exchange": "binance", "mode": "live", "position_type": "futures", "leverage": 5}
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="main")
    more = {"symbol": "BTC/USDT:USDT", "direction": "short", "account": account}
    return bot_of(alice, **more, **values)


def _panel(client: Client, bot: BotConfig) -> str:
    return text_of(client.get(f"/bots/{bot.pk}/panel/?v=0"))


def test_a_short_position_earns_when_the_price_falls(client: Client, perpetual: BotConfig) -> None:
    state_of(perpetual, "running", "in_position", "trade", **SHORT)
    text = _panel(client, perpetual)
    assert "0.01 BTC short 5×" in text
    # 670 - 0.01 x 66000 = 10, of 670; the stop lies above the price.
    assert "+10.00 USDT +1.49 %" in text
    assert "Stop loss 68,340 +3.55 %" in text
    assert "Liquidation 79,402.98 +20.31 %" in text
    assert "short +1.49 %" in text_of(client.get("/"))
    BotState.objects.filter(pk=perpetual.pk).update(last_price=Decimal(68000))
    assert "−10.00 USDT −1.49 %" in _panel(client, perpetual)


def test_a_short_position_is_sold_short_and_bought_back(
    client: Client, perpetual: BotConfig
) -> None:
    state_of(perpetual, "running", "no_signal", "trade")
    assert "Sell short now" in _panel(client, perpetual)
    assert "Sell BTC/USDT:USDT short now" in text_of(client.get(f"/bots/{perpetual.pk}/enter/"))
    BotState.objects.filter(pk=perpetual.pk).update(reason="in_position", **SHORT)
    text = text_of(client.get(f"/bots/{perpetual.pk}/exit/"))
    assert "buys back at the market price what this bot sold short" in text
    values = {"status": "filled", "type": "market", "price": None, "is_settled": True}
    for side, purpose in (("sell", "entry"), ("buy", "exit")):
        names = {"client_order_id": purpose, "side": side, "purpose": purpose}
        resting_order(perpetual, **values, **names)
    text = text_of(client.get(f"/bots/{perpetual.pk}/orders/"))
    assert "entry market sell short" in text
    assert "exit market buy back" in text


@pytest.mark.parametrize(
    ("protection", "message", "words"),
    [
        ("watched", "", "Protection watched by each tick"),
        ("watched", "below_minimum: need 5, have 3", "below_minimum: need 5, have 3"),
        ("resting", "", "Protection at the exchange"),
    ],
)
def test_the_page_says_who_watches_the_stop(
    alice: User, client: Client, protection: str, message: str, words: str
) -> None:
    bot = bot_of(alice)
    columns = holding(protection=protection, protection_message=message)
    state_of(bot, "running", "in_position", "trade", **columns)
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert words in re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))
    assert "banner error" not in body
    assert 'data-errors="0"' in body


def test_a_stop_that_could_not_be_placed_is_a_red_banner(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    why = "-2021 <b>Order would immediately trigger.</b>"
    columns = holding(protection="failed", protection_message=why)
    state_of(bot, "running", "in_position", "trade", **columns)
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert '<section class="banner error" role="alert"><h2>The stop could not be placed' in body
    assert "-2021 &lt;b&gt;Order would" in body
    assert 'data-errors="1"' in body
    board = client.get("/").content.decode()
    assert "stop not at the exchange" in board
    assert 'data-errors="1"' in board
    BotState.objects.filter(pk=bot.pk).update(in_position=False, position_side="", protection="")
    assert "could not be placed" not in client.get(f"/bots/{bot.pk}/").content.decode()


def test_an_entry_order_that_waits_is_shown_with_its_age_and_can_be_cancelled(
    alice: User, client: Client
) -> None:
    market()
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    resting_order(bot, created_at=timezone.now() - timedelta(seconds=34))
    text = _panel(client, bot)
    assert "Entry order waits: buy 0.00200 BTC @ 64,000.10 · 34 s ago Cancel the order" in text
    assert "Buy now" not in text
    page = client.post(f"/bots/{bot.pk}/cancel/", follow=True)
    assert "The bot cancels its entry order with its next tick." in text_of(page)
    assert Command.objects.get(bot=bot).kind == "cancel"
    assert "Cancel the order" not in _panel(client, bot)
    assert client.get(f"/bots/{bot.pk}/cancel/").status_code == 405


def test_nothing_to_cancel_is_a_message(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    page = client.post(f"/bots/{bot.pk}/cancel/", follow=True)
    assert "No order of this bot is waiting at the exchange." in text_of(page)
    assert not Command.objects.exists()


def test_what_is_filled_of_an_entry_that_waits_can_be_left(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    resting_order(bot, status="partial", filled=Decimal("0.0015"))
    body = client.get(f"/bots/{bot.pk}/panel/?v=0").content.decode()
    assert 'data-dialog="ask-exit"' in body
    client.post(f"/bots/{bot.pk}/exit/")
    assert Command.objects.get(bot=bot).kind == "exit"


def test_an_order_whose_end_is_unknown_is_no_order_that_waits(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    resting_order(bot, status="unknown")
    assert "Entry order waits" not in _panel(client, bot)


def test_protective_orders_are_shown_apart(alice: User, client: Client) -> None:
    market()
    bot = bot_of(alice)
    columns = holding(protection="resting", has_protection=True)
    state_of(bot, "running", "in_position", "trade", **columns)
    resting_order(bot, status="filled", is_settled=True, type="post_only")
    BotState.objects.filter(pk=bot.pk).update(has_unsettled_orders=False, reason="in_position")
    for kind, trigger in (("stop", "65170.11"), ("target", "70000")):
        names = {"client_order_id": f"bs1{kind}", "type": kind, "trigger": Decimal(trigger)}
        level = {"reason": "stop_loss" if kind == "stop" else "take_profit", "pair": "bs1pair"}
        resting_order(bot, **PROTECT | names | level, amount=Decimal("0.0015"))
    text = _panel(client, bot)
    assert "stop @ 65,170.11 · sell 0.00150" in text
    assert "target @ 70,000.00 · sell 0.00150" in text
    path = f"/bots/{bot.pk}/orders/"
    trades, apart = text_of(client.get(path)), text_of(client.get(f"{path}?kind=protect"))
    assert "limit, never taking" in trades
    assert "65,170.11" not in trades
    assert "65,170.11 trigger" in apart
    assert "pair bs1pair" in apart
    assert "Take profit" in apart
    assert "was reached" not in apart
    assert "limit, never taking" not in apart


def test_an_order_says_why_it_was_given_up(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    resting_order(bot, status="canceled", is_settled=True, cancel_reason="entry_timeout")
    text = text_of(client.get(f"/bots/{bot.pk}/orders/"))
    assert "cancelled: The entry order's time was over." in text.replace("&#x27;", "'")
    Order.objects.update(purpose="rung", reason="ladder", cancel_reason="ladder")
    text = text_of(client.get(f"/bots/{bot.pk}/orders/")).replace("&#x27;", "'")
    assert "cancelled: The strategy's ladder no longer has this order." in text


def test_a_stopped_bot_offers_to_close_what_it_left(client: Client, perpetual: BotConfig) -> None:
    state_of(perpetual, "stopped", "by_owner", "none", **SHORT)
    body = client.get(f"/bots/{perpetual.pk}/").content.decode()
    assert "still holds 0.01 BTC (short). No stop loss and no target works." in body
    assert 'name="position" value="close">Close position' in body
    Order.objects.all().delete()
    resting_order(perpetual, **PROTECT | {"side": "buy"}, type="stop", trigger=Decimal(68340))
    text = _panel(client, perpetual)
    assert "Only its orders at the exchange protect it: nobody looks after them." in text
    client.post(f"/bots/{perpetual.pk}/stop/", {"position": "close"})
    state = BotState.objects.get(pk=perpetual.pk)
    assert (state.duty, state.wind_down) == ("exit", "close")


def test_a_position_that_no_tick_can_see_is_not_called_watched(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    now = timezone.now()
    columns = holding(protection="watched", last_price_at=now - timedelta(minutes=3))
    state_of(bot, "waiting", "network", "trade", **columns, last_run_at=now)
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert "The bot could not read the price for two intervals." in body
    assert '<dd class="more down">position unwatched' in body
    assert "watched by each tick" not in body
    BotState.objects.filter(pk=bot.pk).update(last_price_at=now - timedelta(seconds=50))
    assert "watched by each tick" in client.get(f"/bots/{bot.pk}/").content.decode()


def _differing_bot(owner: User) -> BotConfig:
    """Return a testnet bot that is off because the exchange holds half of what it bought."""
    bot = traded_bot(owner)
    off = {"status": "error", "reason": "reconcile", "duty": "none"}
    BotState.objects.filter(pk=bot.pk).update(**off)
    there = {"exchange": "binance", "mode": "testnet"}
    BotConfig.objects.filter(pk=bot.pk).update(is_active=False, **there)
    bot.refresh_from_db()
    ours = BotState.objects.get(pk=bot.pk).current_position_size
    sides = {"ours": ours, "there": ours / 2, "text": "they differ", "ok": False}
    at = timezone.now() - timedelta(minutes=3)
    Comparison.objects.create(account=bot.account, symbol=bot.symbol, as_of=at, **sides)
    return bot


def test_a_mismatch_shows_both_sides_and_a_way_out(alice: User, client: Client) -> None:
    bot = _differing_bot(alice)
    ours = BotState.objects.get(pk=bot.pk).current_position_size
    mine = [{"id": "77", "side": "sell", "type": "limit", "amount": "0.5", "price": "90000"}]
    Comparison.objects.update(external=mine)
    text = _panel(client, bot)
    assert f"The bots hold {number(ours)} ETH The exchange holds {number(ours / 2)} ETH" in text
    assert "Book the difference" in text
    assert "Book the difference" in text_of(client.get(f"/bots/{bot.pk}/accept/"))
    page = client.post(f"/bots/{bot.pk}/accept/", follow=True)
    assert "The difference is booked." in text_of(page)
    assert Order.objects.filter(bot=bot).latest("pk").purpose == "adjustment"
    again = client.post(f"/bots/{bot.pk}/accept/", follow=True)
    assert "Compare with the exchange again first." in text_of(again)
    orders = text_of(client.get(f"/bots/{bot.pk}/orders/"))
    assert "Your own orders in this market" in orders
    assert "sell 0.5 ETH @ 90,000 limit 77" in orders


def test_both_sides_are_compared_again_by_a_worker(
    alice: User, client: Client, sent: list[Any]
) -> None:
    bot = _differing_bot(alice)
    body = client.get(f"/bots/{bot.pk}/panel/?v=0").content.decode()
    assert f'formaction="/bots/{bot.pk}/reconcile/">Compare again</button>' in body
    quiet = client.get(f"/bots/{bot.pk}/").context["shown"]
    sent.clear()
    page = client.post(f"/bots/{bot.pk}/reconcile/", follow=True)
    assert page.redirect_chain == [(f"/bots/{bot.pk}/", 302)]
    text = text_of(page)
    assert "The comparison with the exchange was asked for." in text
    assert "A worker compares both sides now: the result shows here in a moment." in text
    assert "Compare again" not in text
    asked = page.context["shown"]
    assert (quiet.every, asked.every) == (60, 3)
    assert asked.token != quiet.token
    # A second press finds the first one waiting.
    again = client.post(f"/bots/{bot.pk}/reconcile/", follow=True)
    assert "The comparison with the exchange was asked for." in text_of(again)
    queued = [message for message in sent if message[0] == "bots.tasks.reconcile"]
    assert queued == [("bots.tasks.reconcile", (bot.pk,))]


def test_the_page_shows_what_a_comparison_found(alice: User, client: Client) -> None:
    bot = _differing_bot(alice)
    client.post(f"/bots/{bot.pk}/reconcile/")
    waiting = client.get(f"/bots/{bot.pk}/").context["shown"].token
    assert client.get(f"/bots/{bot.pk}/panel/?v={waiting}").status_code == 204
    # The exchange cannot be reached from here: the worker's end counts, not what it found.
    tasks.reconcile(bot.pk)
    Comparison.objects.update(as_of=timezone.now())
    body = client.get(f"/bots/{bot.pk}/panel/?v={waiting}")
    assert body.status_code == 200
    text = text_of(body)
    assert "Compared 0 s ago" in text
    assert "Compare again" in text
    Comparison.objects.update(ok=True, there=Decimal(9))
    text = text_of(client.get(f"/bots/{bot.pk}/"))
    assert "Nothing is missing at the exchange any more: you can start the bot." in text
    assert "The exchange holds 9 ETH" in text
    assert "Compare again" not in text
    assert "Book the difference" not in text


def test_what_cannot_be_compared_says_why(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = bot_of(alice)
    state_of(paper, "running", "in_position", "trade", **holding())
    page = client.post(f"/bots/{paper.pk}/reconcile/", follow=True)
    assert "A paper bot has no exchange to be compared with." in text_of(page)
    bot = _differing_bot(alice)
    monkeypatch.setattr(schedule, "send", lambda *_, **__: False)
    page = client.post(f"/bots/{bot.pk}/reconcile/", follow=True)
    text = text_of(page)
    assert "The workers cannot be reached now: try again shortly." in text
    assert "was asked for" not in text
    assert "Compare again" in text


def test_the_loss_bar_counts_the_open_position_where_that_is_wished(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice, loss_includes_open=True, max_drawdown_perc=Decimal(10))
    losing = holding(last_price=Decimal(60000), daily_pnl=Decimal(-2))
    totals = {"profit": Decimal(5), "profit_peak": Decimal(30), "profit_base": Decimal(0)}
    state_of(bot, "running", "in_position", "trade", **losing, **totals)
    # 99.75018 - 0.0015 x 60000 = 9.75 open and 2 realised; 30 - 5 below the peak.
    text = _panel(client, bot)
    assert "11.75 / 20.00 USDT" in text
    assert "25.00 / 100.00 USDT" in text
    control.edit(bot, {"loss_includes_open": False}, by=alice, via="page")
    assert "2.00 / 20.00 USDT" in _panel(client, bot)


def test_the_numbers_of_the_new_rules_are_words_times_and_money(
    alice: User, client: Client
) -> None:
    market()
    alice.time_zone = "Europe/Istanbul"
    alice.save()
    bot = bot_of(alice)
    state_of(bot, "running", "held_back", "trade")
    day = f"{timezone.now():%Y-%m-%d}"
    until = {"have": "3", "limit": "30", "until": f"{day}T09:05:00+00:00"}
    rests = {"limit_price": "64000.104", "filled": "0.0012349", "age": "95"}
    rows = [
        ("cooldown", until, "The bot rests after a loss."),
        ("entry_resting", rests, "The entry order waits for its price."),
        ("spread", {"have": "0.30001", "limit": "0.1"}, "Ask and bid are too far apart."),
        ("account_daily_loss", {"have": "-50.123", "limit": "-50"}, "account's daily loss limit"),
        ("direction", {"direction": "both"}, "This bot may not go that way."),
        ("liquidation", {"have": "71000.123", "limit": "70000"}, "beyond the liquidation price"),
        ("stop_guard", {"have": "3", "limit": "3"}, "Too many stops in a short time."),
    ]
    for gate, numbers, _words in rows:
        decision(bot, gate, numbers=numbers, action="blocked")
    decision(bot, "liquidation", action="exit")
    text = text_of(client.get(f"/bots/{bot.pk}/decisions/")).replace("&#x27;", "'")
    for _gate, _numbers, words in rows:
        assert words in text
    assert re.search(r"there is 3 min limit 30 min until (\d+ \w+ )?12:05:00", text)
    assert "limit price 64,000.10 filled 0.00123 waits for 1 min" in text
    assert "there is 0.300 % limit 0.100 %" in text
    assert "there is -50.12 limit -50.00" in text
    assert "direction long and short" in text
    assert "there is 71,000.12 limit 70,000.00" in text
    assert "The exchange liquidated the position." in text


def test_the_panel_and_the_chart_show_what_rests_of_a_ladder(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    columns = holding(has_ladder=True, last_price=Decimal(100))
    state_of(bot, "running", "in_position", "trade", **columns)
    for side, price, level in (("buy", 90, 1), ("sell", 110, 2)):
        values = {"purpose": "rung", "client_order_id": f"bs1{level}", "level": level}
        resting_order(bot, side=side, price=Decimal(price), **values)
    panel = client.get(f"/bots/{bot.pk}/panel/")
    rows = [(rung.order.side, rung.price, rung.distance) for rung in panel.context["rungs"]]
    assert rows == [("sell", 110, 10), ("buy", 90, -10)]
    assert "Orders that wait for their price 2 " in text_of(panel)
    told = client.get(f"/bots/{bot.pk}/candles/").json()["levels"]
    lines = [(line["tone"], Decimal(line["price"])) for line in told if "tone" in line]
    assert lines == [("buy", 90), ("sell", 110)]


@pytest.fixture
def shared(alice: User) -> list[BotConfig]:
    """Two bots of one account that sets limits; the bots set none."""
    limits = {"max_daily_loss": Decimal(50), "max_open_positions": 2}
    names = {"exchange": "binance", "mode": "testnet"}
    account = Account.objects.create(owner=alice, label="main", **names, **limits)
    unlimited = {"max_daily_trades": None, "max_daily_loss_perc": None}
    return [bot_of(alice, name, account=account, **names, **unlimited) for name in ("one", "two")]


def test_limits_of_the_account_are_shown_with_what_its_bots_used(
    client: Client, shared: list[BotConfig]
) -> None:
    one, other = shared
    state_of(one, "running", "no_signal", "trade", daily_pnl=Decimal(-5))
    state_of(other, "running", "in_position", "trade", daily_pnl=Decimal("-7.5"), **holding())
    text = _panel(client, one)
    assert "no daily limits set" not in text
    assert re.search(r"Loss, whole account 25 % 12.50 / 50.00 USDT Resets at", text)
    assert re.search(r"Positions, whole account 50 % 1 / 2", text)


def test_what_another_bot_uses_of_a_shared_limit_is_news(
    client: Client, shared: list[BotConfig]
) -> None:
    one, other = shared
    for bot in shared:
        state_of(bot, "running", "no_signal", "trade")
    body = client.get(f"/bots/{one.pk}/").content.decode()
    [poll] = re.findall(r'hx-get="(/bots/\d+/panel/[^"]+)"', body)
    assert client.get(poll, headers=HTMX).status_code == 204
    BotState.objects.filter(pk=other.pk).update(daily_pnl=Decimal(-40))
    assert "40.00 / 50.00" in text_of(client.get(poll, headers=HTMX))


def test_a_drawdown_stands_apart_from_what_a_day_resets(alice: User, client: Client) -> None:
    bot = bot_of(alice, max_daily_trades=None, max_daily_loss_perc=None, max_drawdown_perc=10)
    profit = {"profit": Decimal(20), "profit_peak": Decimal(70), "profit_base": Decimal(0)}
    state_of(bot, "running", "no_signal", "trade", **profit)
    text = _panel(client, bot)
    today, _, after = text.partition("Resets at")
    assert "no daily limits set" in today
    assert "Drawdown" not in today
    assert "Drawdown since the start 50 % 50.00 / 100.00 USDT" in after
