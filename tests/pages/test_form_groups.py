"""The form's groups: entry order, protections and futures, with and without scripts."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from bots.models import Account, BotConfig, StateEvent, User
from tests.doors.content import make_key
from tests.pages.builders import bot_of, form_of, market, sign_in, state_of, text_of

FUTURES = {
    "name": "Perp",
    "exchange": "binance",
    "mode": "live",
    "confirm_name": "Perp",
    "position_type": "futures",
    "symbol": "btc/usdt:usdt",
}


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _post(client: Client, **changes: Any) -> Any:
    return client.post("/bots/new/", form_of(client, "/bots/new/") | changes)


def test_an_entry_order_and_protections_are_set_from_the_page(client: Client) -> None:
    sent = {
        "entry_type": "post_only",
        "entry_offset_perc": "0,2",
        "entry_timeout_seconds": "300",
        "entry_fallback": "market",
        "max_spread_perc": "0.1",
        "cooldown_minutes": "30",
        "stop_guard_stops": "3",
        "stop_guard_minutes": "240",
        "max_drawdown_perc": "15",
        "max_daily_loss_perc": "2",
        "loss_includes_open": "on",
    }
    assert _post(client, name="Patient", **sent).status_code == 302
    bot = BotConfig.objects.get()
    assert (bot.entry_type, bot.entry_offset_perc, bot.entry_timeout_seconds) == (
        "post_only",
        Decimal("0.2"),
        300,
    )
    assert (bot.entry_fallback, bot.max_spread_perc) == ("market", Decimal("0.1"))
    assert (bot.cooldown_minutes, bot.stop_guard_stops, bot.stop_guard_minutes) == (30, 3, 240)
    assert (bot.max_drawdown_perc, bot.loss_includes_open) == (15, True)
    assert bot.protect_on_exchange
    copy = form_of(client, f"/bots/new/?from={bot.pk}")
    assert (copy["entry_type"], copy["cooldown_minutes"]) == ("post_only", "30")


def test_a_group_is_folded_until_something_in_it_is_worth_seeing(
    alice: User, client: Client
) -> None:
    def is_open(body: str, group: str) -> bool:
        found = re.search(rf'<details class="card group" id="group-{group}"( open)?>', body)
        assert found
        return bool(found[1])

    new = client.get("/bots/new/").content.decode()
    assert not is_open(new, "entry")
    assert not is_open(new, "protections")
    bot = bot_of(alice, cooldown_minutes=10)
    body = client.get(f"/bots/{bot.pk}/settings/").content.decode()
    assert is_open(body, "protections")
    assert not is_open(body, "entry")
    wrong = _post(client, name="x", entry_timeout_seconds="1", stop_guard_stops="2")
    assert wrong.status_code == 422
    assert is_open(wrong.content.decode(), "entry")
    assert is_open(wrong.content.decode(), "protections")
    assert "The stop guard needs both" in text_of(wrong)


def test_a_futures_bot_is_made_where_live_is_allowed(client: Client, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = True
    settings.MAX_LEVERAGE = 10
    body = client.get("/bots/new/").content.decode()
    assert 'id="group-futures"' in body
    assert re.search(r'name="leverage"[^>]* max="10"', body)
    wrong = _post(client, **FUTURES, direction="both", leverage="11")
    assert wrong.context["form"].errors["leverage"] == ["At most 10 in this installation."]
    assert _post(client, **FUTURES, direction="both", leverage="5").status_code == 302
    bot = BotConfig.objects.get()
    assert (bot.symbol, bot.direction, bot.leverage) == ("BTC/USDT:USDT", "both", 5)


def test_a_spot_bot_forgets_what_the_hidden_futures_fields_still_hold(client: Client) -> None:
    answer = _post(client, name="Spot", direction="short", leverage="200")
    assert answer.status_code == 302
    bot = BotConfig.objects.get()
    assert (bot.direction, bot.leverage) == ("long", 1)


def test_paper_futures_are_refused_at_the_field(client: Client) -> None:
    answer = _post(client, name="x", position_type="futures", symbol="BTC/USDT:USDT")
    errors = answer.context["form"].errors
    assert errors["position_type"] == ["Futures are not offered for paper bots yet."]


def test_leverage_is_frozen_in_position(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    in_position = {"in_position": True, "position_side": "long", "entry_price": Decimal(1)}
    state_of(bot, "running", "in_position", "trade", **in_position)
    form = client.get(f"/bots/{bot.pk}/settings/").context["form"]
    assert form.fields["leverage"].disabled
    path = f"/bots/{bot.pk}/settings/"
    assert client.post(path, form_of(client, path) | {"name": "Renamed"}).status_code == 302


def test_suggestions_follow_the_kind_of_market(client: Client) -> None:
    market("BTC/USDT")
    market("BTC/USDT:USDT")
    for kind, found in (("spot", "BTC/USDT"), ("futures", "BTC/USDT:USDT")):
        query = f"exchange=simulated&mode=paper&position_type={kind}&symbol=btc"
        body = client.get(f"/markets/suggest/?{query}").content.decode()
        assert re.findall(r'data-value="([^"]+)"', body) == [found]


def test_the_live_check_speaks_of_margin_and_of_a_stop_beyond_it(client: Client) -> None:
    query = "position_type=futures&leverage=20&position_size_fixed=100&initial_capital=1000"
    text = text_of(client.get(f"/bots/check/?{query}&stop_loss_perc=6"))
    assert "It binds 5.00" in text
    assert "At leverage 20 the margin is gone after 5.00 %: before this stop." in text
    none = text_of(client.get(f"/bots/check/?{query}"))
    assert "No stop loss is set: the exchange liquidates" in none
    fine = text_of(client.get(f"/bots/check/?{query}&stop_loss_perc=2"))
    assert "margin is gone" not in fine
    spot = text_of(client.get(f"/bots/check/?{query.replace('futures', 'spot')}"))
    assert "margin" not in spot


def test_the_limits_of_an_account_are_set_on_the_keys_page(alice: User, client: Client) -> None:
    account = Account.objects.get(pk=make_key(alice).account_id)
    bot = bot_of(alice, exchange="binance", mode="testnet", account=account)
    state_of(bot, "running", "no_signal", "trade")
    path = f"/keys/{account.pk}/limits/"
    assert "Limits of all its bots : none" in text_of(client.get("/keys/")).replace(
        "bots:", "bots :"
    )
    limits = {"max_open_positions": "2", "max_daily_loss": "50,5"}
    page = client.post(path, limits, follow=True)
    assert "2 open positions, loss of 50.50 a day" in text_of(page)
    event = StateEvent.objects.filter(bot=bot).latest("pk")
    assert (event.via, event.why) == (
        "page",
        "account: max_daily_loss, account: max_open_positions",
    )
    wrong = client.post(path, {"max_open_positions": "0", "max_daily_loss": "-1"})
    assert wrong.status_code == 422
    assert "Between 1 and 10000." in text_of(wrong)
    assert 'value="-1"' in wrong.content.decode()
    account.refresh_from_db()
    assert (account.max_open_positions, account.max_daily_loss) == (2, Decimal("50.5"))
    client.post(path, {"max_open_positions": "", "max_daily_loss": ""})
    account.refresh_from_db()
    assert (account.max_open_positions, account.max_daily_loss) == (None, None)
