"""Templates and copies: settings kept under a name, and forms that begin with them."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from bots import portable, setup
from bots.forms import BotForm
from bots.models import BotConfig, BotTemplate, User
from tests.pages.builders import bot_of, form_of, market, sign_in, text_of

SPECIAL = {
    "symbol": "ETH/USDT",
    "timeframe": "5m",
    "params": {"ema_fast": 5, "ema_slow": 34},
    "initial_capital": Decimal("2500.5"),
    "stop_loss_perc": Decimal("1.25"),
    "take_profit_perc": Decimal(3),
    "max_daily_trades": 7,
    "entry_type": "limit",
    "entry_offset_perc": Decimal("0.2"),
    "cooldown_minutes": 45,
    "protect_on_exchange": False,
    "check_interval_seconds": 30,
}


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _kept(owner: User, name: str = "Recipe", **values: Any) -> BotTemplate:
    return portable.keep(owner, name, bot_of(owner, "Source", **SPECIAL | values))


def _same(one: BotConfig, other: BotConfig) -> bool:
    skip = {"name"}
    first, second = portable.settings_of(one), portable.settings_of(other)
    return {k: v for k, v in first.items() if k not in skip} == {
        k: v for k, v in second.items() if k not in skip
    }


def test_a_template_a_file_and_a_copy_know_every_setting_but_the_account() -> None:
    assert set(portable.SETTINGS) == setup.SETTINGS - {"account"}
    assert set(BotForm.Meta.fields) - {"account"} == set(portable.SETTINGS) - {"params"}


def test_a_bots_settings_are_kept_used_and_make_the_same_bot(alice: User, client: Client) -> None:
    bot = bot_of(alice, "Dip buyer", **SPECIAL)
    page = client.get(f"/bots/{bot.pk}/template/")
    assert page.context["form"]["name"].value() == "Dip buyer"
    assert "Not kept are its account, its key and its history." in text_of(page)
    answer = client.post(f"/bots/{bot.pk}/template/", {"name": "My dips"}, follow=True)
    assert "The template My dips was saved." in text_of(answer)
    template = alice.templates.get()
    assert set(template.settings) == set(portable.SETTINGS) - {"name"}
    assert template.settings["initial_capital"] == "2500.5"
    path = f"/bots/new/?template={template.pk}"
    assert path in answer.content.decode()
    form = client.get(path)
    assert "Filled in from the template My dips; its values are marked." in text_of(form)
    client.post(path, form_of(client, path))
    made = alice.bots.get(name="My dips")
    assert _same(made, bot)
    assert made.account != bot.account
    assert not made.is_active


def test_what_a_template_filled_in_is_marked(alice: User, client: Client) -> None:
    template = _kept(alice)
    page = client.get(f"/bots/new/?template={template.pk}")
    filled = page.context["filled"]
    assert {"symbol", "timeframe", "cooldown_minutes", "entry_type", "param_ema_fast"} <= filled
    assert not filled & {"param_rsi_period", "position_size_perc"}
    assert not filled & {"name", "leverage", "daily_target_perc", "account"}
    fields = [name for name in page.context["form"].fields if name in filled]
    assert _marked(page) == len(fields)
    assert _marked(client.get("/bots/new/")) == 0
    assert _marked(client.get("/bots/new/?preset=bold")) == 9


def _marked(page: Any) -> int:
    return len(re.findall(r'class="field[^"]* filled', page.content.decode()))


def test_a_copy_has_every_setting_and_a_name_of_its_own(alice: User, client: Client) -> None:
    bot = bot_of(alice, "Dip buyer", **SPECIAL)
    path = f"/bots/new/?from={bot.pk}"
    assert "A copy of Dip buyer with all of its settings." in text_of(client.get(path))
    client.post(path, form_of(client, path))
    copy = alice.bots.get(name="Dip buyer copy")
    assert _same(copy, bot)
    assert form_of(client, path)["name"] == "Dip buyer copy 2"


def test_a_copys_name_fits_however_long_the_first_one_is(alice: User, client: Client) -> None:
    bot = bot_of(alice, "x" * 80)
    path = f"/bots/new/?from={bot.pk}"
    assert client.post(path, form_of(client, path)).status_code == 302
    assert len(form_of(client, path)["name"]) <= 80


def test_a_template_is_renamed_and_a_name_that_is_taken_is_refused(
    alice: User, client: Client
) -> None:
    first, second = _kept(alice, "First"), _kept(alice, "Second")
    client.post(f"/templates/{first.pk}/rename/", {"name": " Early "})
    first.refresh_from_db()
    assert first.name == "Early"
    for wrong in ("Second", "", "x" * 81):
        page = client.post(f"/templates/{first.pk}/rename/", {"name": wrong})
        assert page.status_code == 422
        first.refresh_from_db()
        assert first.name == "Early"
    taken = client.post(f"/templates/{second.pk}/rename/", {"name": "Early"})
    assert "You have a template of this name already." in text_of(taken)
    again = client.post(f"/bots/{alice.bots.first().pk}/template/", {"name": "Early"})
    assert again.status_code == 422
    assert "You have a template of this name already." in text_of(again)


def test_two_owners_may_use_the_same_name(alice: User, bob: User) -> None:
    assert _kept(alice, "Recipe").name == _kept(bob, "Recipe").name


def test_deleting_a_template_asks_first_and_leaves_its_bots(alice: User, client: Client) -> None:
    template = _kept(alice)
    asked = client.get(f"/templates/{template.pk}/delete/")
    assert "Bots made from this template stay as they are." in text_of(asked)
    assert BotTemplate.objects.exists()
    client.post(f"/templates/{template.pk}/delete/")
    assert not BotTemplate.objects.exists()
    assert alice.bots.count() == 1


def test_a_template_is_put_on_the_markets_that_were_chosen(alice: User, client: Client) -> None:
    template = _kept(alice)
    markets = [market(symbol) for symbol in ("ADA/USDT", "SOL/USDT")]
    address = "&".join(f"market={one.pk}" for one in markets)
    form = client.get(f"/bots/new/?template={template.pk}&{address}").context["form"]
    assert (form["symbol"].value(), form["more_symbols"].value()) == ("ADA/USDT", "SOL/USDT")
    assert form["cooldown_minutes"].value() == 45


def test_another_users_template_fills_in_nothing(
    alice: User, mallory: User, client: Client
) -> None:
    template = _kept(alice)
    sign_in(client, mallory)
    page = client.get(f"/bots/new/?template={template.pk}")
    assert page.context["form"]["symbol"].value() == "BTC/USDT"
    assert page.context["said"] == ""


@pytest.mark.parametrize("wild", ["x", "-1", "9" * 40, "²", ""])
def test_a_wild_number_fills_in_nothing(wild: str, client: Client) -> None:
    assert client.get(f"/bots/new/?template={wild}&from={wild}").context["said"] == ""


def test_what_this_version_does_not_know_of_a_template_is_left_out(
    alice: User, client: Client
) -> None:
    template = _kept(alice)
    template.settings |= {"from_the_future": 1, "stop_loss_perc": "NaN", "is_active": True}
    template.save()
    bot = portable.filled_in(template)
    assert (bot.stop_loss_perc, bot.is_active, bot.symbol) == (None, False, "ETH/USDT")
    assert client.get(f"/bots/new/?template={template.pk}").status_code == 200
    assert client.get("/templates/").status_code == 200


def test_a_template_may_name_a_strategy_that_is_gone(alice: User, client: Client) -> None:
    template = _kept(alice)
    template.settings |= {"strategy": "gone", "params": {"a": 1}}
    template.save()
    assert client.get(f"/bots/new/?template={template.pk}").status_code == 200


def test_pages_lead_to_templates_and_files(alice: User, client: Client) -> None:
    empty = client.get("/templates/")
    assert "No templates yet." in text_of(empty)
    bot = bot_of(alice)
    assert 'href="/templates/"' in client.get("/").content.decode()
    body = client.get(f"/bots/{bot.pk}/").content.decode()
    assert f'href="/bots/{bot.pk}/template/"' in body
    assert f'href="/bots/{bot.pk}/bot.json"' in body
    assert f'href="/bots/{bot.pk}/template/"' in (
        client.get(f"/bots/{bot.pk}/settings/").content.decode()
    )
    assert 'href="/bots/import/"' in client.get("/templates/").content.decode()
