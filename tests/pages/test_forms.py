"""Making and editing a bot."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.test import Client
from django.utils import timezone, translation

from bots import control
from bots.forms.fields import read_number
from bots.models import Account, BotConfig, Order, Outpaced, StateEvent, User
from tests.pages.builders import bot_of, form_of, holding, market, sign_in, state_of, text_of


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _post(client: Client, path: str = "/bots/new/", **changes: Any) -> Any:
    return client.post(path, form_of(client, path) | changes)


def test_a_bot_is_made_from_the_page_as_it_stands(alice: User, client: Client) -> None:
    answer = _post(client, name="First")
    bot = BotConfig.objects.get(owner=alice)
    assert (answer.status_code, answer.url) == (302, f"/bots/{bot.pk}/")
    assert (bot.name, bot.mode, bot.exchange, bot.is_active) == (
        "First",
        "paper",
        "simulated",
        False,
    )
    assert bot.params["ema_fast"] == 8
    assert bot.account is not None
    assert bot.account.mode == "paper"


@pytest.mark.parametrize(
    ("preset", "stop", "trailing"),
    [("careful", "1", None), ("balanced", "2", "1.5"), ("bold", "4", "3")],
)
def test_presets_fill_the_fields_without_scripts(
    alice: User, client: Client, preset: str, stop: str, trailing: str | None
) -> None:
    _post(client, f"/bots/new/?preset={preset}", name="Preset")
    bot = BotConfig.objects.get(owner=alice)
    assert bot.stop_loss_perc == Decimal(stop)
    assert bot.trailing_stop_perc == (None if trailing is None else Decimal(trailing))
    assert bot.trailing_stop_active is (trailing is not None)


def test_a_bad_number_and_a_missing_name_are_said_at_their_fields(client: Client) -> None:
    answer = _post(client, name="", stop_loss_perc="abc", param_ema_fast="500")
    assert answer.status_code == 422
    errors = answer.context["form"].errors
    assert set(errors) == {"name", "stop_loss_perc", "param_ema_fast"}
    assert errors["param_ema_fast"] == ["Must be at most 200."]
    assert not BotConfig.objects.exists()


def test_the_strategys_own_rules_are_field_errors(client: Client) -> None:
    answer = _post(client, name="x", param_ema_fast="30", param_ema_slow="21")
    assert answer.context["form"].errors["param_ema_fast"] == ["Must be less than the slow EMA."]


def test_either_a_fixed_size_or_a_percentage(client: Client) -> None:
    answer = _post(client, name="x", position_size_fixed="50")
    assert "Set either a fixed size or a percentage." in text_of(answer)


def test_what_the_first_order_froze_is_shown_disabled_and_explained(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    Order.objects.create(
        bot=bot,
        account=bot.account,
        client_order_id="bs1",
        symbol=bot.symbol,
        side="buy",
        type="market",
        purpose="entry",
        reason="signal",
        amount=1,
        signed_at=timezone.now(),
        fence=1,
        run_epoch=1,
    )
    path = f"/bots/{bot.pk}/settings/"
    page = client.get(path)
    assert all(page.context["form"].fields[n].disabled for n in ("symbol", "exchange", "mode"))
    assert "Fixed since the first order: its history belongs to it." in text_of(page)
    _post(client, path, symbol="ETH/USDT", name="Renamed")
    bot.refresh_from_db()
    assert (bot.symbol, bot.name) == ("BTC/USDT", "Renamed")


def test_in_position_the_account_is_frozen(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    form = client.get(f"/bots/{bot.pk}/settings/").context["form"]
    assert form.fields["account"].disabled
    assert not form.fields["stop_loss_perc"].disabled


def test_an_edit_of_a_running_bot_says_when_it_works(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    before = state_of(bot, "running", "no_signal", "trade")
    path = f"/bots/{bot.pk}/settings/"
    page = client.post(path, form_of(client, path) | {"stop_loss_perc": "3"}, follow=True)
    assert "It works from the next tick." in text_of(page)
    bot.refresh_from_db()
    assert bot.stop_loss_perc == 3
    assert bot.state.run_epoch == before.run_epoch + 1
    assert StateEvent.objects.filter(bot=bot, move="edit", by=alice, via="page").exists()


def test_a_copy_starts_from_the_bots_settings(alice: User, client: Client) -> None:
    params = {"ema_fast": 5, "ema_slow": 13}
    bot = bot_of(alice, "Model", symbol="SOL/USDT", stop_loss_perc=Decimal("1.5"), params=params)
    data = form_of(client, f"/bots/new/?from={bot.pk}")
    copied = (data["name"], data["symbol"], data["stop_loss_perc"], data["param_ema_fast"])
    assert copied == ("Model copy", "SOL/USDT", "1.5", "5")


def test_a_foreign_account_is_no_choice(alice: User, mallory: User, client: Client) -> None:
    account = Account.objects.create(owner=mallory, exchange="binance", mode="testnet", label="m")
    answer = _post(client, name="x", exchange="binance", mode="testnet", account=str(account.pk))
    assert "account" in answer.context["form"].errors
    assert not BotConfig.objects.exists()


def test_live_wants_the_operators_consent_and_the_bots_name(
    alice: User, client: Client, settings: Any
) -> None:
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="main")
    live = {"name": "Real", "exchange": "binance", "mode": "live", "account": str(account.pk)}
    assert "mode" in _post(client, **live).context["form"].errors
    settings.LIVE_TRADING_ENABLED = True
    for typed in ("", "real"):
        answer = _post(client, **live, confirm_name=typed)
        assert set(answer.context["form"].errors) == {"confirm_name"}
    assert not BotConfig.objects.exists()
    assert _post(client, **live, confirm_name="Real").status_code == 302
    bot = BotConfig.objects.get(owner=alice)
    assert (bot.mode, bot.account) == ("live", account)
    assert _post(client, f"/bots/{bot.pk}/settings/", stop_loss_perc="5").status_code == 302


def test_the_live_check_warns_below_the_markets_minimum(client: Client) -> None:
    market()
    query = "exchange=simulated&mode=paper&symbol=BTC/USDT&initial_capital=100"
    low = text_of(client.get(f"/bots/check/?{query}&position_size_fixed=3.2"))
    assert "at least 5.00 USDT; you entered 3.20." in low
    fine = text_of(client.get(f"/bots/check/?{query}&position_size_fixed=5&max_daily_loss_perc=2"))
    assert "at least" not in fine
    assert "Worst day: −2.00 % = 2.00 USDT" in fine
    unknown = client.get(f"/bots/check/?{query.replace('BTC', 'NOPE')}")
    assert "NOPE/USDT is not in this exchange" in text_of(unknown)
    assert client.get("/bots/check/?initial_capital=%00&position_size_perc=1e9").status_code == 200


def test_symbols_are_suggested_from_the_market_rows(client: Client) -> None:
    for symbol in ("BTC/USDT", "WBTC/USDT", "ETH/BTC", "SOL/USDT"):
        market(symbol)
    market("HALT/USDT", is_tradable=False)
    body = client.get("/markets/suggest/?exchange=simulated&mode=paper&symbol=btc").content.decode()
    found = [part.split('"')[0] for part in body.split('data-value="')[1:]]
    assert found == ["BTC/USDT", "WBTC/USDT", "ETH/BTC"]
    assert "at least 5.00 USDT" in body


def test_an_unknown_list_of_markets_is_asked_for_once(
    client: Client, sent: list[tuple[str, tuple[object, ...]]]
) -> None:
    for _ in range(3):
        client.get("/markets/suggest/?exchange=kraken&mode=paper&symbol=")
        client.get("/markets/suggest/?exchange=../evil&mode=paper&symbol=")
    assert sent == [("bots.tasks.refresh_markets", ("kraken", "paper"))]


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("en", "1.5", "1.5"),
        ("en", "1,5", "1.5"),
        ("tr", "1,5", "1.5"),
        ("tr", "1.5", "1.5"),
        ("tr", "0.001", "0.001"),
        ("tr", "1.234,56", "1234.56"),
        ("en", "1,234.56", "1234.56"),
        ("en", "1000", "1000"),
        ("tr", " 1000 ", "1000"),
    ],
)
def test_numbers_are_read_with_either_decimal_sign(language: str, text: str, value: str) -> None:
    with translation.override(language):
        assert read_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("language", "text"),
    [("tr", "1.234"), ("en", "1,234"), ("en", "12,34.5"), ("en", "1e3"), ("tr", "NaN"), ("en", "")],
)
def test_a_number_that_could_be_two_is_asked_back(language: str, text: str) -> None:
    with translation.override(language), pytest.raises(ValidationError):
        read_number(text)


def test_a_turkish_form_keeps_its_numbers(alice: User, client: Client) -> None:
    alice.language = "tr"
    alice.save()
    bot = bot_of(alice, stop_loss_perc=Decimal("1.25"))
    path = f"/bots/{bot.pk}/settings/"
    data = form_of(client, path)
    assert data["stop_loss_perc"] == "1,25"
    assert client.post(path, data).status_code == 302
    bot.refresh_from_db()
    assert bot.stop_loss_perc == Decimal("1.25")


def test_a_rule_about_an_unshown_field_is_still_said(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValidationError({"params": ["rsi_period: too long for this market"]})

    monkeypatch.setattr(control, "create", refuse)
    answer = _post(client, name="new")
    assert answer.status_code == 422
    assert "rsi_period: too long for this market" in text_of(answer)


def test_a_second_tab_does_not_put_back_what_the_first_one_changed(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice, max_daily_trades=20)
    path = f"/bots/{bot.pk}/settings/"
    tab = form_of(client, path)
    tab["seen"] = re.findall(r'name="seen" value="([^"]+)"', client.get(path).content.decode())[0]
    control.edit(bot, {"max_daily_trades": 7}, by=alice, via="page")
    late = client.post(path, tab | {"stop_loss_perc": "9", "protect_on_exchange": ""})
    assert late.status_code == 422
    # Each field that saving would change says what is stored; nothing else is marked.
    errors = {name: texts for name, texts in late.context["form"].errors.items() if texts}
    assert errors.pop("__all__")[0].startswith("The settings were changed meanwhile. The marked")
    assert errors == {
        "max_daily_trades": ["Saved now: 7"],
        "stop_loss_perc": ["Saved now: 2"],
        "protect_on_exchange": ["Saved now: on"],
    }
    assert "Please correct the marked fields" not in text_of(late)
    bot.refresh_from_db()
    assert bot.max_daily_trades == 7
    again = client.post(path, form_of(client, path) | {"stop_loss_perc": "9"})
    assert again.status_code == 302
    bot.refresh_from_db()
    assert (bot.max_daily_trades, bot.stop_loss_perc) == (7, Decimal(9))


def test_what_another_tab_stored_is_shown_as_a_person_would_choose_it(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice, timeframe="5m", entry_type="limit")
    path = f"/bots/{bot.pk}/settings/"
    tab = form_of(client, path) | {"seen": "long ago"}
    same = client.post(path, tab)
    assert same.context["form"].errors == {
        "__all__": ["The settings were changed meanwhile. Look through yours and save again."]
    }
    typed = {"entry_type": "market", "take_profit_perc": "4", "param_rsi_period": "9"}
    errors = client.post(path, tab | typed).context["form"].errors
    assert errors["entry_type"] == ["Saved now: limit"]
    assert errors["take_profit_perc"] == ["Saved now: empty"]
    assert errors["param_rsi_period"] == ["Saved now: 7"]


def test_the_history_names_only_what_was_changed(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    control.start(bot, by=alice, via="page")
    _post(client, f"/bots/{bot.pk}/settings/", stop_loss_perc="7.5")
    assert StateEvent.objects.get(bot=bot, move="edit").why == "stop_loss_perc"


def test_an_exchange_that_nobody_knows_is_refused_at_its_field(client: Client) -> None:
    answer = _post(client, name="x", exchange="nope")
    assert answer.status_code == 422
    assert answer.context["form"].errors["exchange"] == ["There is no such exchange."]
    assert not BotConfig.objects.exists()
    assert _post(client, name="x", exchange="Kraken").status_code == 302


def test_a_list_of_an_unknown_exchange_is_asked_of_nobody(
    client: Client, sent: list[tuple[str, tuple[object, ...]]]
) -> None:
    client.get("/markets/suggest/?exchange=nope&mode=paper&symbol=")
    assert sent == []


def test_no_account_is_called_none_whatever_the_mode(alice: User, client: Client) -> None:
    bot = bot_of(alice, exchange="binance", mode="testnet")
    form = client.get(f"/bots/{bot.pk}/settings/").context["form"]
    assert str(form.fields["account"].empty_label) == "none"
    assert form.fields["account"].label == "Account"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("initial_capital", "0", "Must be more than zero."),
        ("position_size_fixed", "-5", "Must be more than zero."),
        ("max_daily_trades", "9" * 25, "Ensure this value is less than or equal to 100000."),
    ],
)
def test_limits_are_said_in_numbers_that_people_write(
    field: str, value: str, text: str, client: Client
) -> None:
    answer = _post(client, name="x", **{"position_size_perc": "", field: value})
    assert answer.context["form"].errors[field] == [text]


@pytest.mark.parametrize("error", [Outpaced("taken"), OperationalError("database is locked")])
def test_a_busy_moment_keeps_what_was_typed(
    error: Exception, alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = bot_of(alice)

    def busy(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(control, "edit", busy)
    monkeypatch.setattr(control, "create", busy)
    for path in (f"/bots/{bot.pk}/settings/", "/bots/new/"):
        answer = _post(client, path, name="Typed with care")
        assert answer.status_code == 503
        assert "The site is busy. Try again." in text_of(answer)
        assert answer.context["form"]["name"].value() == "Typed with care"
    bot.refresh_from_db()
    assert bot.name != "Typed with care"
