"""The form shows the parameters of the strategy that is chosen, and saves no others."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from bots import control
from bots.forms.params import PREFIX
from bots.models import BotConfig, BotTemplate, User
from tests.doors.client import Caller
from tests.pages.builders import bot_of, candles_of, form_of, market, sign_in, text_of
from trading import strategies
from trading.strategies import Registry, clean
from trading.strategies.macd import Macd

DCA = strategies.get("dca")
MACD = {"fast": 5, "slow": 35, "signal": 5}
SENT = {"strategy": "macd", "params_of": "macd", "param_fast": "5", "param_slow": "35"}


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def shown(response: Any) -> dict[str, str]:
    """Return the parameters that a page's form shows, and whose they are."""
    form = response.context["form"]
    (owner,) = re.findall(r'name="params_of" value="(\w*)"', response.content.decode())
    names = [name for name in form.fields if name.startswith(PREFIX)]
    return {name.removeprefix(PREFIX): str(form[name].value()) for name in names} | {"of": owner}


def test_each_strategy_shows_its_own_parameters_and_what_it_does(
    alice: User, client: Client
) -> None:
    for name, strategy in strategies.STRATEGIES.items():
        bot = bot_of(alice, name, strategy=name, take_profit_perc=Decimal(2))
        page = client.get(f"/bots/{bot.pk}/settings/")
        defaults = {key: str(value) for key, value in clean(strategy, {}).items()}
        assert shown(page) == defaults | {"of": name}
        assert strategy.help in text_of(page)


@pytest.mark.parametrize("language", ["en", "tr"])
def test_the_choices_speak_the_readers_language(client: Client, language: str) -> None:
    client.cookies["django_language"] = language
    body = client.get("/bots/new/").content.decode()
    with translation.override(language):
        for name, strategy in strategies.STRATEGIES.items():
            assert f'<option value="{name}"' in body
            assert f">{translation.gettext(strategy.label)}</option>" in body


def test_a_bot_is_made_with_the_parameters_of_its_strategy(alice: User, client: Client) -> None:
    typed = form_of(client, "/bots/new/") | {"name": "M", "param_signal": "5"} | SENT
    assert client.post("/bots/new/", typed).status_code == 302
    bot = BotConfig.objects.get()
    assert (bot.strategy, bot.params) == ("macd", MACD)
    copy = client.get(f"/bots/new/?from={bot.pk}")
    assert shown(copy) == {"fast": "5", "slow": "35", "signal": "5", "of": "macd"}
    assert copy.content.decode().count('class="field filled"') >= 3


def test_asking_for_another_strategys_settings_saves_and_judges_nothing(
    alice: User, client: Client
) -> None:
    typed = form_of(client, "/bots/new/") | {
        "name": "",
        "stop_loss_perc": "nonsense",
        "more_symbols": "ETH/USDT",
        "strategy": "bollinger",
        "params_of": "ema_rsi",
        "show": "1",
    }
    page = client.post("/bots/new/", typed)
    assert page.status_code == 200
    assert shown(page) == {"period": "20", "deviations": "2", "sell_at": "upper", "of": "bollinger"}
    body = page.content.decode()
    assert 'value="nonsense"' in body
    assert 'value="ETH/USDT"' in body
    assert 'class="wrong"' not in body
    assert "Nothing is saved yet" not in body
    assert not BotConfig.objects.exists()


def test_nobody_saves_parameters_that_were_never_seen(alice: User, client: Client) -> None:
    # Without scripts: the strategy was changed and "Create" was pressed.
    typed = form_of(client, "/bots/new/") | {"name": "Unseen"}
    page = client.post("/bots/new/", typed | {"strategy": "macd", "params_of": "ema_rsi"})
    assert page.status_code == 200
    assert "Nothing is saved yet: these are the settings of MACD." in text_of(page)
    assert shown(page) == {"fast": "12", "slow": "26", "signal": "9", "of": "macd"}
    assert not BotConfig.objects.exists()
    # Of two parameters with one name the value goes from none to the other.
    again = typed | {"param_signal": "77", "strategy": "macd", "params_of": "bollinger"}
    assert shown(client.post("/bots/new/", again))["signal"] == "9"


class Twin(Macd):
    """Has parameters of the same names, which mean something else."""

    name = "twin"
    reasons = {"twin.none": "Nothing."}


def test_a_value_does_not_move_to_another_strategys_parameter_of_that_name(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "STRATEGIES", Registry(Macd(), Twin()))
    bot = bot_of(alice, strategy="macd", params=MACD)
    path = f"/bots/{bot.pk}/settings/"
    typed = form_of(client, path) | {"seen": bot.updated_at.isoformat(), "strategy": "twin"}
    page = client.post(path, typed | {"params_of": "macd", "show": "1"})
    assert shown(page) == {"fast": "12", "slow": "26", "signal": "9", "of": "twin"}


def test_a_copy_keeps_its_own_parameters_when_the_choice_comes_back(
    alice: User, client: Client
) -> None:
    source = bot_of(alice, "Source", strategy="macd", params=MACD)
    path = f"/bots/new/?from={source.pk}"
    typed = form_of(client, path)
    other = client.post(path, typed | {"strategy": "breakout", "params_of": "macd", "show": "1"})
    assert shown(other) == {"entry_period": "20", "exit_period": "10", "of": "breakout"}
    back = client.post(path, typed | {"strategy": "macd", "params_of": "breakout", "show": "1"})
    assert shown(back) == {"fast": "5", "slow": "35", "signal": "5", "of": "macd"}


def test_an_edit_shows_what_is_stored_and_changes_strategy_and_parameters_together(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice, strategy="macd", params=MACD)
    path = f"/bots/{bot.pk}/settings/"
    typed = form_of(client, path) | {"seen": bot.updated_at.isoformat()}
    other = {"strategy": "bollinger", "params_of": "macd", "show": "1", "name": "Typed"}
    page = client.post(path, typed | other)
    assert shown(page)["of"] == "bollinger"
    assert 'value="Typed"' in page.content.decode()
    bot.refresh_from_db()
    assert (bot.strategy, bot.name) == ("macd", "Dip buyer")
    wrong = {"strategy": "bollinger", "params_of": "bollinger", "param_period": "1"}
    refused = client.post(path, typed | wrong)
    assert refused.status_code == 422
    assert refused.context["form"].errors["param_period"] == ["Must be at least 2."]
    right = wrong | {"param_period": "30", "param_deviations": "2,5", "param_sell_at": "middle"}
    assert client.post(path, typed | right).status_code == 302
    bot.refresh_from_db()
    assert bot.strategy == "bollinger"
    assert bot.params == {"period": 30, "deviations": "2.5", "sell_at": "middle"}


def test_a_second_tab_is_told_before_it_is_shown_other_settings(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice, strategy="macd", params=MACD)
    path = f"/bots/{bot.pk}/settings/"
    typed = form_of(client, path) | {"seen": bot.updated_at.isoformat(), "params_of": "macd"}
    control.edit(bot, {"stop_loss_perc": Decimal(9)}, by=alice, via="page")
    page = client.post(path, typed | {"strategy": "breakout", "show": "1"})
    assert page.status_code == 422
    assert "The settings were changed meanwhile." in text_of(page)


def test_the_api_and_files_keep_the_parameters_of_the_right_strategy(
    alice: User, client: Client
) -> None:
    api = Caller(alice)
    bot = bot_of(alice, strategy="macd", params=MACD)
    path = f"/bot-configs/{bot.pk}"
    # Another strategy begins with its defaults; what is left out of its own stays.
    assert api.patch(path, {"strategy": "breakout"}).body["params"] == {
        "entry_period": 20,
        "exit_period": 10,
    }
    wide = api.patch(path, {"params": {"entry_period": 55}}).body["params"]
    assert wide == {"entry_period": 55, "exit_period": 10}
    assert api.patch(path, {"params": {"fast": 5}}).status == 422
    saved = client.get(f"/bots/{bot.pk}/bot.json").json()
    assert saved["bots"][0]["strategy"] == "breakout"
    assert saved["bots"][0]["params"] == wide


def test_a_template_brings_its_strategy_and_parameters(alice: User, client: Client) -> None:
    bot = bot_of(alice, strategy="macd", params=MACD)
    client.post(f"/bots/{bot.pk}/template/", {"name": "Momentum"})
    template = BotTemplate.objects.get()
    page = client.get(f"/bots/new/?template={template.pk}")
    assert shown(page) == {"fast": "5", "slow": "35", "signal": "5", "of": "macd"}


def test_a_strategy_that_is_gone_is_said_and_is_not_quietly_replaced(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    BotConfig.objects.filter(pk=bot.pk).update(strategy="gone", params={"x": 1})
    path = f"/bots/{bot.pk}/settings/"
    page = client.get(path)
    assert '<option value="gone" selected>gone (not installed)</option>' in page.content.decode()
    assert "This strategy is not installed here." in text_of(page)
    assert shown(page) == {"of": ""}
    typed = form_of(client, path) | {"params_of": ""}
    refused = client.post(path, typed)
    assert refused.status_code == 422
    assert refused.context["form"].errors["strategy"] == ["There is no such strategy."]
    bot.refresh_from_db()
    assert (bot.strategy, bot.params) == ("gone", {"x": 1})
    seen = client.post(path, typed | {"strategy": "macd"})
    assert shown(seen)["of"] == "macd"
    fields = {PREFIX + key: value for key, value in shown(seen).items() if key != "of"}
    chosen = typed | fields | {"strategy": "macd", "params_of": "macd"}
    assert client.post(path, chosen).status_code == 302
    bot.refresh_from_db()
    assert (bot.strategy, bot.params) == ("macd", {"fast": 12, "slow": 26, "signal": 9})


@pytest.mark.parametrize("name", ["<script>", "no\x00ne", "x" * 500])
def test_a_strategy_that_never_was_is_refused(client: Client, name: str) -> None:
    page = client.post("/bots/new/", form_of(client, "/bots/new/") | {"strategy": name})
    assert page.status_code in (200, 422)
    assert "<script>" not in page.content.decode().replace("<script ", "")
    assert not BotConfig.objects.exists()


def test_a_round_needs_an_end(alice: User, client: Client) -> None:
    typed = form_of(client, "/bots/new/") | {"name": "D", "strategy": "dca", "take_profit_perc": ""}
    shows = client.post("/bots/new/", typed | {"show": "1"})
    assert shown(shows)["of"] == "dca"
    typed |= {f"param_{name}": str(value) for name, value in clean(DCA, {}).items()}
    typed |= {"params_of": "dca"}
    assert "A round ends at its target" in text_of(client.post("/bots/new/", typed))
    assert client.post("/bots/new/", typed | {"take_profit_perc": "2"}).status_code == 302
    assert BotConfig.objects.get().strategy == "dca"


def test_the_check_says_what_all_orders_of_a_ladder_come_to(client: Client) -> None:
    query = "/bots/check/?symbol=BTC/USDT&initial_capital=1000&position_size_fixed=100"
    text = text_of(client.get(f"{query}&strategy=dca&stop_loss_perc=10"))
    assert "All its orders together: up to 600.00 USDT." in text
    assert "loses about 60.00 USDT" in text
    more = text_of(client.get(f"{query}&strategy=dca&param_orders=10&param_volume_scale=1"))
    assert "up to 1,100.00 USDT" in more
    assert "All orders together are worth more than the initial capital." in more
    assert "All its orders" not in text_of(client.get(f"{query}&strategy=macd"))


def test_a_grid_beside_the_price_is_warned_of(alice: User, client: Client) -> None:
    market("BTC/USDT", exchange="binance")
    candles_of(bot_of(alice, exchange="binance", timeframe="1m"), close=67110.5)
    query = "/bots/check/?exchange=binance&symbol=BTC/USDT&timeframe=1m&strategy=grid"
    beside = text_of(client.get(f"{query}&param_lowest=10&param_highest=20"))
    assert "The last price, 67,1" in beside
    assert "lies outside the grid" in beside
    around = text_of(client.get(f"{query}&param_lowest=60000&param_highest=70000"))
    assert "outside the grid" not in around
