"""Settings as documents by the API and the commands: all or nothing, and never a secret."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots import portable
from bots.models import BotConfig, BotTemplate, User
from tests.doors.client import Caller
from tests.doors.conftest import Maker

WAVE = {"name": "Wave", "symbol": "WAVE/USDT", "position_size_perc": "10"}


def _document(*bots: Any, **more: Any) -> dict[str, Any]:
    return {"format": "botsite", "version": 1, "bots": list(bots), **more}


def test_what_goes_out_comes_in(alice: User, as_alice: Caller, bob: User, make_bot: Maker) -> None:
    bot = make_bot(alice, stop_loss_perc="1.005")
    portable.keep(alice, "Recipe", bot)
    one = as_alice.get(f"/bot-configs/{bot.pk}/export")
    assert (one.status, set(one.body["bots"][0])) == (200, set(portable.SETTINGS))
    whole = as_alice.get("/bot-configs/export").body
    assert whole["bots"] == one.body["bots"]
    dry = Caller(bob).post("/bot-configs/import?dry_run=true", whole)
    assert (dry.status, dry.body["bots"]) == (200, [{"id": None, "name": "Wave"}])
    assert not bob.bots.exists()
    made = Caller(bob).post("/bot-configs/import", whole)
    assert made.status == 201
    copy = BotConfig.objects.get(pk=made.body["bots"][0]["id"], owner=bob)
    assert portable.settings_of(copy) == portable.settings_of(bot)
    assert BotTemplate.objects.get(owner=bob).pk == made.body["templates"][0]["id"]
    again = Caller(bob).post("/bot-configs/import", whole).body
    assert (again["bots"][0]["name"], again["templates"][0]["name"]) == ("Wave 2", "Recipe 2")


def test_another_users_bot_is_unknown(alice: User, as_mallory: Caller, make_bot: Maker) -> None:
    bot = make_bot(alice)
    assert as_mallory.get(f"/bot-configs/{bot.pk}/export").status == 404
    assert as_mallory.get("/bot-configs/export").body == {"format": "botsite", "version": 1}


def test_one_wrong_field_refuses_the_whole_and_is_named(as_alice: Caller) -> None:
    answer = as_alice.post("/bot-configs/import", _document(WAVE, WAVE | {"api_key": "x"}))
    assert answer.status == 422
    assert answer.body["detail"] == [
        {"loc": ["body", "bots", 1, "api_key"], "msg": "This is not a setting."}
    ]
    assert not BotConfig.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"format": "botsite", "version": 9}', "[" * 9999, "x" * 300_000]
)
def test_garbage_is_a_422(body: str, as_alice: Caller) -> None:
    answer = as_alice.post("/bot-configs/import", body)
    assert answer.status == 422
    assert answer.body["detail"][0]["loc"] == ["body"]


def test_scopes_of_import_and_export(alice: User, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = True
    reader, trader = Caller(alice, "read"), Caller(alice, "read", "trade")
    assert reader.get("/bot-configs/export").status == 200
    assert reader.post("/bot-configs/import", _document(WAVE)).status == 403
    live = _document(WAVE | {"exchange": "binance", "mode": "live"})
    assert trader.post("/bot-configs/import?modes=file", live).status == 403
    assert trader.post("/bot-configs/import", live).status == 201
    assert BotConfig.objects.get().mode == "paper"
    assert Caller(alice).post("/bot-configs/import?modes=file", live).status == 201
    assert Caller(alice).post("/bot-configs/import?modes=casino", live).status == 422


# -- commands -------------------------------------------------------------------------------------
def _run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_users_bots_move_by_command(
    alice: User, bob: User, make_bot: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = make_bot(alice, exchange="binance", mode="testnet", symbol="BTC/USDT")
    portable.keep(alice, "Recipe", bot)
    file = tmp_path / "bots.json"
    file.write_text(_run("export_bots", "alice"), encoding="utf-8")
    assert json.loads(file.read_text(encoding="utf-8"))["bots"][0]["name"] == "Wave"
    said = _run("import_bots", "bob", str(file), "--dry-run")
    assert "would make paper bot: Wave" in said
    assert not bob.bots.exists()
    assert "made testnet bot: Wave" in _run("import_bots", "bob", str(file), "--modes", "file")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert "made template: Recipe 2" in _run("import_bots", "bob", "-")
    assert sorted(bob.bots.values_list("name", "mode")) == [
        ("Wave", "testnet"),
        ("Wave 2", "paper"),
    ]


def test_a_command_refuses_the_whole_file_and_says_where(alice: User, tmp_path: Path) -> None:
    file = tmp_path / "bots.json"
    file.write_text(json.dumps(_document(WAVE, WAVE | {"stop_loss_perc": "NaN"})))
    with pytest.raises(CommandError, match=r"bots\[1\].stop_loss_perc: Enter a number.") as refused:
        _run("import_bots", "alice", str(file))
    assert refused.value.returncode == 1
    file.write_text("{")
    with pytest.raises(CommandError, match="This is no JSON"):
        _run("import_bots", "alice", str(file))
    with pytest.raises(CommandError, match="No such file"):
        _run("import_bots", "alice", str(tmp_path / "nowhere"))
    for command in (["export_bots", "nobody"], ["import_bots", "nobody", str(file)]):
        with pytest.raises(CommandError) as unknown:
            _run(*command)
        assert unknown.value.returncode == 2
    assert not BotConfig.objects.exists()
