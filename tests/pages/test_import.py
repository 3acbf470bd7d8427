"""Files of settings: out without a secret, in after a look, and garbage is told as such."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from bots import control, portable
from bots.models import BotConfig, BotTemplate, User
from tests.pages.builders import HOSTILE, bot_of, holding, sign_in, state_of, text_of

PATH = "/bots/import/"
WAVE = {"name": "Wave", "symbol": "WAVE/USDT", "position_size_perc": "10"}


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    cache.clear()
    sign_in(client, alice)


def _file(*bots: Any, **more: Any) -> bytes:
    content = {"format": "botsite", "version": 1, "bots": list(bots), **more}
    return json.dumps(content).encode()


def _read(client: Client, raw: bytes, **more: str) -> Any:
    return client.post(PATH, {"file": SimpleUploadedFile("bots.json", raw), **more})


def _confirm(client: Client, preview: Any, **more: Any) -> Any:
    """Press the button of a preview, with the boxes as they are ticked."""
    ids = [row["entry"].id for row in preview.context["rows"] if not row["errors"]]
    fields = {name: preview.context[name] for name in ("token", "modes")}
    return client.post(PATH, {"step": "do", "entry": ids, **fields, **more}, follow=True)


def _errors(preview: Any) -> dict[str, list[str]]:
    return {k: v for row in preview.context["rows"] for k, v in row["entry"].errors.items()}


def test_all_bots_go_out_and_come_in_as_they_were(alice: User, bob: User, client: Client) -> None:
    bot_of(alice, "One", stop_loss_perc=Decimal("1.005"), params={"ema_fast": 5})
    bot_of(alice, "Two", position_size_perc=None, position_size_fixed=Decimal("99.9"))
    state_of(alice.bots.get(name="One"), "running", "in_position", "trade", **holding())
    twin = bot_of(alice, "Twin of one")
    BotConfig.objects.filter(pk=twin.pk).update(twin_of=alice.bots.get(name="One"))
    saved = client.get("/bots/bots.json")
    assert saved["Content-Disposition"] == 'attachment; filename="bots.json"'
    assert saved["Content-Type"].startswith("application/json")
    sign_in(client, bob)
    preview = _read(client, saved.content)
    assert preview.status_code == 200
    assert not bob.bots.exists()
    page = _confirm(client, preview)
    assert "2 bots were imported. They are stopped" in text_of(page)
    for old in alice.bots.filter(twin_of=None):
        new = bob.bots.get(name=old.name)
        assert portable.settings_of(new) == portable.settings_of(old)
        assert (new.is_active, new.state_or_none) == (False, None)
        assert new.account is not None
        assert new.account.owner == bob


def test_a_file_has_no_account_key_state_or_secret(alice: User, client: Client) -> None:
    fields = {"exchange": "binance", "mode": "testnet", "label": "my label"}
    key = control.put_key(
        alice, via="page", **fields, api_key="alicekey1234", secret_key="alicesecret1"
    )
    bot = bot_of(alice, "T", exchange="binance", mode="testnet", account=key.account)
    saved = client.get(f"/bots/{bot.pk}/bot.json").content.decode()
    row = json.loads(saved)["bots"][0]
    assert set(row) == set(portable.SETTINGS)
    for word in ("account", "api_key", "secret", "my label", "1234", "is_active", "owner", "alice"):
        assert word not in saved


def test_one_bots_file_bears_its_name_whatever_that_is(alice: User, client: Client) -> None:
    for name, stem in (("Dip buyer", "dip-buyer"), ('⚡\r\n"x"', "x"), ("///", "bot")):
        bot = bot_of(alice, name)
        answer = client.get(f"/bots/{bot.pk}/bot.json")
        assert answer["Content-Disposition"] == f'attachment; filename="{stem}.json"'


def test_templates_go_out_and_in(alice: User, client: Client) -> None:
    template = portable.keep(alice, "Recipe", bot_of(alice, cooldown_minutes=30))
    one = client.get(f"/templates/{template.pk}/template.json").content
    assert one == client.get("/templates/templates.json").content
    page = _confirm(client, _read(client, one))
    assert "1 template was imported." in text_of(page)
    again = alice.templates.get(name="Recipe 2")
    assert again.settings == template.settings


def test_names_that_are_taken_are_changed_and_said(alice: User, client: Client) -> None:
    bot_of(alice, "Wave")
    preview = _read(client, _file(WAVE, WAVE))
    assert "In the file: Wave. You have that name already." in text_of(preview)
    _confirm(client, preview)
    assert sorted(alice.bots.values_list("name", flat=True)) == ["Wave", "Wave 2", "Wave 3"]


def test_only_what_is_ticked_is_made(alice: User, client: Client) -> None:
    preview = _read(client, _file(WAVE, WAVE | {"name": "Other"}))
    _confirm(client, preview, entry=["bots-1"])
    assert [bot.name for bot in alice.bots.all()] == ["Other"]
    preview = _read(client, _file(WAVE))
    nothing = _confirm(client, preview, entry=[])
    assert "Choose at least one row." in text_of(nothing)
    assert alice.bots.count() == 1


def test_pressing_twice_imports_once(alice: User, client: Client) -> None:
    preview = _read(client, _file(WAVE))
    _confirm(client, preview)
    again = _confirm(client, preview)
    assert "The file was imported already" in text_of(again)
    assert alice.bots.count() == 1


def test_anothers_file_cannot_be_taken(alice: User, mallory: User, client: Client) -> None:
    preview = _read(client, _file(WAVE))
    sign_in(client, mallory)
    _confirm(client, preview)
    assert not BotConfig.objects.exists()


def test_modes_are_paper_unless_the_owner_says_otherwise(
    alice: User, client: Client, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    real = WAVE | {"exchange": "binance", "mode": "live"}
    tested = WAVE | {"exchange": "binance", "mode": "testnet", "name": "Tested"}
    raw = _file(real, tested)
    _confirm(client, _read(client, raw))
    assert set(alice.bots.values_list("mode", flat=True)) == {"paper"}
    alice.bots.all().delete()
    preview = _read(client, raw)
    token = preview.context["token"]
    preview = client.post(PATH, {"token": token, "modes": "file"})
    assert [row["bot"].mode for row in preview.context["rows"]] == ["live", "testnet"]
    refused = _confirm(client, preview)
    assert "Type your user name to import bots that trade real money." in text_of(refused)
    assert not alice.bots.exists()
    _confirm(client, preview, confirm_name="alice")
    assert sorted(alice.bots.values_list("mode", "account")) == [("live", None), ("testnet", None)]


def test_live_bots_are_refused_where_live_is_off(client: Client, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = False
    raw = _file(WAVE | {"exchange": "binance", "mode": "live"})
    preview = _read(client, raw, modes="file")
    assert _errors(preview) == {"mode": ["Live trading is switched off in this installation."]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "sk-canary-1234"),
        ("account", 1),
        ("is_active", True),
        ("owner", 1),
        ("status", "running"),
        ("\ud800" + "x" * 99, 1),
        ("stop_loss_perc", "NaN"),
        ("stop_loss_perc", "1e999999999"),
        ("stop_loss_perc", "-1"),
        ("stop_loss_perc", [1]),
        ("stop_loss_perc", True),
        ("stop_loss_perc", "2,5"),
        ("initial_capital", "9" * 50),
        ("initial_capital", "0.0000000000000000001"),
        ("initial_capital", None),
        ("max_daily_trades", 1.5),
        ("max_daily_trades", "3"),
        ("max_daily_trades", 10**30),
        ("max_daily_trades", -1),
        ("trailing_stop_active", "yes"),
        ("trailing_stop_active", None),
        ("mode", "casino"),
        ("symbol", "nonsense"),
        ("symbol", "A\x00/USDT"),
        ("symbol", "\udfff/USDT"),
        ("symbol", {"a": 1}),
        ("exchange", "no-such-exchange"),
        ("timeframe", "7m"),
        ("strategy", "moon"),
        ("params", [1]),
        ("params", {"ema_fast": 10**40}),
        ("params", {"ema_fast": 8.5}),
        ("params", {"no_such": 1}),
        ("params", {"ema_fast": {"deep": [1.5]}}),
        ("name", ""),
        ("name", "x" * 81),
        ("check_interval_seconds", 0),
        ("leverage", 0),
        ("direction", "short"),
        ("position_size_fixed", "5"),
        # Each check of the database has words of its own here.
        ("mode", "testnet"),
        ("initial_capital", "0"),
        ("direction", "up"),
        ("entry_type", "magic"),
        ("position_type", "options"),
    ],
)
def test_a_wrong_field_is_named_and_refuses_its_bot_alone(
    name: str, value: object, alice: User, client: Client
) -> None:
    preview = _read(client, _file(WAVE | {name: value}, WAVE | {"name": "Good"}), modes="file")
    assert preview.status_code == 200
    errors = _errors(preview)
    assert name[:40].replace("\ud800", "?") in errors
    assert "canary" not in preview.content.decode()
    _confirm(client, preview)
    assert [bot.name for bot in alice.bots.all()] == ["Good"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_bare_nan_is_no_json(number: str, client: Client) -> None:
    raw = _file(WAVE | {"stop_loss_perc": "@"}).replace(b'"@"', number.encode())
    page = _read(client, raw)
    assert page.status_code == 422
    assert f"{number} is no number in JSON." in text_of(page)


def test_numbers_are_taken_digit_by_digit_and_huge_ones_refused(
    alice: User, client: Client
) -> None:
    raw = _file(WAVE | {"stop_loss_perc": "@"})
    for number in (b"1e999999999", b"9" * 5000, b"1" + b"0" * 70):
        preview = _read(client, raw.replace(b'"@"', number))
        assert _errors(preview) == {"stop_loss_perc": ["Enter a number."]}
    _confirm(client, _read(client, raw.replace(b'"@"', b"1.123456789012345678")))
    assert alice.bots.get().stop_loss_perc == Decimal("1.123456789012345678")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "This is no JSON: see line 1, column 1."),
        (b"{", "This is no JSON: see line 1, column 2."),
        (b"\x89PNG\r\n\x1a\n\xff", "This is no text in UTF-8."),
        (b"[]", "This is no file of bots"),
        (b"null", "This is no file of bots"),
        (b'{"bots": []}', "This is no file of bots"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": "botsite", "version": 2, "bots": [{}]}', "another version"),
        (b'{"format": "botsite", "version": true, "bots": [{}]}', "another version"),
        (b'{"format": "botsite", "bots": [{}]}', "another version"),
        (b'{"format": "botsite", "version": 1, "keys": []}', "Not known here: keys."),
        (b'{"format": "botsite", "version": 1, "bots": {}}', "must be lists"),
        (b'{"format": "botsite", "version": 1, "bots": []}', "neither a bot nor a template"),
        (b'{"format": "botsite", "version": 1, "version": 1}', "Given twice: version."),
        (b"x" * (10 * 1024 * 1024), "The file is too large: at most 1 MiB."),
        (_file(*[{}] * 501), "At most 500 bots and templates in one file."),
    ],
    ids=lambda value: str(value)[:24],
)
def test_garbage_is_told_as_such(raw: bytes, said: str, alice: User, client: Client) -> None:
    page = _read(client, raw)
    assert page.status_code == 422
    assert said in text_of(page).replace("&quot;", '"')
    assert not alice.bots.exists()
    assert not BotTemplate.objects.exists()


def test_entries_that_are_no_bots_are_refused_one_by_one(client: Client) -> None:
    preview = _read(client, _file(1, None, "x", [], {}, WAVE))
    assert (preview.context["fine"], preview.context["refused"]) == (1, 5)


def test_the_text_can_be_pasted_and_too_much_of_it_is_refused(alice: User, client: Client) -> None:
    preview = client.post(PATH, {"text": _file(WAVE).decode()})
    _confirm(client, preview)
    assert alice.bots.get().name == "Wave"
    assert client.post(PATH, {"text": "x" * 200_001}).status_code == 422
    flooded = client.post(PATH, {"text": "x" * 300_000})
    assert flooded.status_code == 400
    assert "This request was not understood" in text_of(flooded)


def test_a_hostile_file_is_only_text_on_the_page(client: Client) -> None:
    hostile = {HOSTILE: 1, "name": HOSTILE, "symbol": HOSTILE, "exchange": HOSTILE}
    for raw in (_file(WAVE | hostile), _file(**{HOSTILE: 1})):
        body = _read(client, raw).content.decode()
        assert "<script>alert" not in body
        assert "<img" not in body.replace('<img src="/static/icon', "")


def test_a_mark_at_the_start_of_a_file_does_no_harm(client: Client) -> None:
    assert _read(client, b"\xef\xbb\xbf" + _file(WAVE)).context["fine"] == 1


def test_two_hundred_bots_come_in(alice: User, client: Client) -> None:
    rows = [WAVE | {"name": f"Bot {n}"} for n in range(200)]
    page = _confirm(client, _read(client, _file(*rows)))
    assert "200 bots were imported." in text_of(page)
    assert alice.bots.count() == 200
