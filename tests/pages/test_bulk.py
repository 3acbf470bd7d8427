"""Several bots at once: chosen on a page that does not poll, confirmed, each by itself."""

import sys
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots import bulk, control
from bots.bulk import Act, Fate
from bots.models import Account, BotConfig, BotState, Outpaced, StateEvent, User
from tests.pages.builders import bot_of, holding, market, sign_in, state_of, text_of

PATH = "/bots/bulk/"


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _live_account(owner: User) -> Account:
    return Account.objects.create(owner=owner, exchange="binance", mode="testnet", label="t")


def _confirmed(client: Client, act: str, *bots: BotConfig) -> Any:
    """Choose, read what would happen, and press the button with what that page sends."""
    asked = client.post(PATH, {"step": "ask", "act": act, "bot": [bot.pk for bot in bots]})
    fields = {name: asked.context[name] for name in ("ids", "held")}
    data = {"step": "do", "act": act, "bots": fields["ids"], "held": fields["held"]}
    return client.post(PATH, data, follow=True)


def _where(bot: BotConfig) -> tuple[str, str]:
    state = BotState.objects.get(pk=bot.pk)
    return state.duty, state.wind_down


def test_the_confirmation_says_for_each_bot_what_would_happen(alice: User, client: Client) -> None:
    market()
    fresh = bot_of(alice, "Fresh")
    running = bot_of(alice, "Busy")
    state_of(running, "running", "in_position", "trade", **holding())
    keyless = bot_of(
        alice, "Keyless", exchange="binance", mode="testnet", account=_live_account(alice)
    )
    data = {"step": "ask", "act": "start", "bot": [fresh.pk, running.pk, keyless.pk]}
    page = client.post(PATH, data)
    text = text_of(page)
    assert page.status_code == 200
    assert "starts, mode: Paper" in text
    assert "runs already, nothing changes" in text
    assert "Its account has no key: the first tick will switch it off." in text
    assert "Start 2 bots" in text
    for act, said in (
        ("leave", "left, nobody watches it"),
        ("close", "closed at the market price"),
        ("after_exit", "watched until its next exit"),
    ):
        text = text_of(client.post(PATH, data | {"act": act}))
        assert "Position of 0.00150 BTC:" in text
        assert said in text
        assert "does not run, nothing changes" in text
        assert "Stop 1 bot" in text
    # Nothing was done by any of it.
    assert _where(running) == ("trade", "leave")
    assert not BotState.objects.filter(pk=fresh.pk).exists()


def test_many_are_started_and_a_second_press_does_no_harm(alice: User, client: Client) -> None:
    bots = [bot_of(alice, f"Bot {n}") for n in range(3)]
    page = _confirmed(client, "start", *bots)
    assert "3 bots were started." in text_of(page)
    assert [_where(bot)[0] for bot in bots] == ["trade"] * 3
    event = StateEvent.objects.filter(bot=bots[0]).get()
    assert (event.move, event.by, event.via) == ("start", alice, "page")
    again = _confirmed(client, "start", *bots)
    assert "3 bots were so already." in text_of(again)
    assert StateEvent.objects.count() == 3
    # What became of them is shown once.
    assert "Choose bots again" in text_of(again)
    assert "Choose bots again" not in text_of(client.get(PATH))


@pytest.mark.parametrize(
    ("act", "duty"), [("leave", "none"), ("close", "exit"), ("after_exit", "exit")]
)
def test_stops_do_with_positions_what_was_confirmed(
    act: str, duty: str, alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    page = _confirmed(client, act, bot)
    assert "1 bot was stopped." in text_of(page)
    assert _where(bot) == (duty, act)


def test_a_position_opened_since_is_not_left_alone_unasked(alice: User, client: Client) -> None:
    bot, other = bot_of(alice, "Buyer"), bot_of(alice, "Other")
    state_of(bot, "running", "no_signal", "trade")
    state_of(other, "running", "no_signal", "trade")
    ids = f"{bot.pk},{other.pk}"
    BotState.objects.filter(pk=bot.pk).update(**holding())
    done = {"step": "do", "act": "leave", "bots": ids, "held": ""}
    text = text_of(client.post(PATH, done, follow=True))
    assert "1 bot was stopped. 1 bot was refused." in text
    assert "It opened a position meanwhile: choose what becomes of it." in text
    assert _where(bot)[0] == "trade"
    assert _where(other)[0] == "none"


def test_what_a_stopped_bot_still_holds_can_be_closed(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "stopped", "by_owner", "none", **holding())
    assert bulk.foresee(bulk.chosen(alice, [bot.pk]), Act.LEAVE)[0].fate == Fate.RESTS
    _confirmed(client, "close", bot)
    assert _where(bot) == ("exit", "close")


def test_a_bot_that_a_limit_paused_is_stopped_for_good(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "paused", "max_daily_loss", "none")
    _confirmed(client, "leave", bot)
    assert BotState.objects.get(pk=bot.pk).status == "stopped"


def test_a_refusal_and_a_busy_row_spare_the_others(
    alice: User, client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIVE_TRADING_ENABLED = False
    live = Account.objects.create(owner=alice, exchange="binance", mode="live", label="l")
    refused = bot_of(alice, "Real money", exchange="binance", mode="live", account=live)
    busy, good = bot_of(alice, "Busy"), bot_of(alice, "Good")
    text = text_of(client.post(PATH, {"step": "ask", "act": "start", "bot": refused.pk}))
    assert "Live trading is switched off here" in text
    assert "Nothing would change." in text
    start = control.start

    def sometimes(bot: BotConfig, **how: Any) -> BotState:
        if bot.pk == busy.pk:
            raise Outpaced("taken")
        return start(bot, **how)

    monkeypatch.setattr(control, "start", sometimes)
    text = text_of(_confirmed(client, "start", refused, busy, good))
    assert "1 bot was started. 2 bots were refused." in text
    assert "The site is busy. Try again." in text
    assert _where(good)[0] == "trade"


def test_a_market_that_another_bot_has_is_foreseen(alice: User, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = True
    live = Account.objects.create(owner=alice, exchange="binance", mode="live", label="l")
    perpetual = {
        "exchange": "binance",
        "mode": "live",
        "position_type": "futures",
        "symbol": "BTC/USDT:USDT",
        "account": live,
    }
    first, second, third = (bot_of(alice, name, **perpetual) for name in ("A", "B", "C"))
    both = bulk.chosen(alice, [first.pk, second.pk])
    assert [row.fate for row in bulk.foresee(both, Act.START)] == [Fate.STARTS, Fate.REFUSED]
    control.start(third, by=alice, via="page")
    rows = bulk.foresee(both, Act.START)
    assert {row.why for row in rows} == {"C already trades BTC/USDT:USDT on this account."}


def test_all_of_the_list_is_what_the_filter_lets_through(alice: User, client: Client) -> None:
    for name in ("Dip one", "Dip two", "Wave"):
        bot_of(alice, name)
    text = text_of(client.get(f"{PATH}?q=dip"))
    assert "All of the list (2 bots)" in text
    page = client.post(f"{PATH}?q=dip", {"step": "ask", "act": "start", "all": "1"})
    assert sorted(row.bot.name for row, _shown in page.context["rows"]) == ["Dip one", "Dip two"]


def test_choosing_again_keeps_the_ticks(alice: User, client: Client) -> None:
    bot, other = bot_of(alice, "A"), bot_of(alice, "B")
    page = client.post(PATH, {"step": "choose", "act": "leave", "bots": f"{bot.pk}"})
    assert page.context["ticked"] == {bot.pk}
    body = page.content.decode()
    assert f'value="{bot.pk}" id="bot-{bot.pk}" checked' in body
    assert f'value="{other.pk}" id="bot-{other.pk}">' in body


def test_nothing_chosen_too_many_and_nonsense_are_said(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots = [bot_of(alice, f"Bot {n}") for n in range(2)]
    empty = client.post(PATH, {"step": "ask", "act": "start"})
    assert empty.status_code == 422
    assert "Choose at least one bot." in text_of(empty)
    wild = {"step": "ask", "act": "start", "bot": ["x", "9" * 40, "-1", "²"]}
    assert client.post(PATH, wild).status_code == 422
    assert client.post(PATH, {"step": "do", "act": "delete", "bots": "1"}).status_code == 200
    monkeypatch.setattr(bulk, "MOST", 1)
    many = {"step": "ask", "act": "start", "bot": [bot.pk for bot in bots]}
    assert "At most 1 bots at once" in text_of(client.post(PATH, many))
    done = {"step": "do", "act": "start", "bots": ",".join(str(bot.pk) for bot in bots)}
    assert "At most 1 bots at once" in text_of(client.post(PATH, done, follow=True))
    assert not BotState.objects.exists()


def test_anothers_bots_are_neither_shown_nor_moved(
    alice: User, mallory: User, client: Client
) -> None:
    bot = bot_of(alice, "Alice's secret bot")
    state_of(bot, "running", "no_signal", "trade")
    sign_in(client, mallory)
    for data in (
        {"step": "ask", "act": "leave", "bot": bot.pk},
        {"step": "ask", "act": "leave", "all": "1"},
        {"step": "choose", "bots": bot.pk},
        {"step": "do", "act": "leave", "bots": bot.pk},
    ):
        assert "secret bot" not in client.post(PATH, data, follow=True).content.decode()
    assert _where(bot)[0] == "trade"


def _queries(client: Client, **post: Any) -> int:
    with CaptureQueriesContext(
        connection,
    ) as found:
        answer = client.post(PATH, post) if post else client.get(PATH)
    assert answer.status_code == 200
    return len(found)


def test_two_hundred_bots_cost_no_more_queries_than_two(alice: User, client: Client) -> None:
    few = [bot_of(alice, f"Bot {n}") for n in range(2)]
    ask = {"step": "ask", "act": "start", "bot": [bot.pk for bot in few]}
    before = _queries(client), _queries(client, **ask)
    BotConfig.objects.bulk_create(
        BotConfig(owner=alice, name=f"More {n}", symbol="BTC/USDT", position_size_perc=10)
        for n in range(198)
    )
    ask["bot"] = list(alice.bots.values_list("pk", flat=True))
    assert (_queries(client), _queries(client, **ask)) == before
    assert max(before) <= 8


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_is_asked_once(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def away(task: str, *args: object, expires: float = 60) -> bool:
        asked.extend(args)
        return False

    monkeypatch.setattr(sys.modules["bots.schedule.nudge"], "send", away)
    bots = [bot_of(alice, f"Bot {n}") for n in range(3)]
    bulk.carry_out(alice, [bot.pk for bot in bots], Act.START, via="page")
    assert asked == [bots[0].pk]
    assert BotState.objects.filter(duty="trade").count() == 3
    control.start(bots[1], by=alice, via="page")
    assert asked == [bots[0].pk, bots[1].pk]


def test_no_transaction_spans_two_bots(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots = [bot_of(alice, f"Bot {n}") for n in range(2)]
    depth: list[int] = []
    start = control.start

    def look(bot: BotConfig, **how: Any) -> BotState:
        depth.append(len(connection.savepoint_ids))
        return start(bot, **how)

    monkeypatch.setattr(control, "start", look)
    outside = len(connection.savepoint_ids)
    bulk.carry_out(alice, [bot.pk for bot in bots], Act.START, via="page")
    assert depth == [outside, outside]
