"""Bad input is a 422 that names the field, whoever finds it: schema, model, strategy or tenant."""

import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from bots.lifecycle import Status
from bots.models import Account, BotConfig, BotState, User
from tests.doors.client import KEY, PAPER, Caller, fields_of
from tests.doors.content import make_key, traded_bot
from trading import strategies
from trading.strategies.ema_rsi import EmaRsi

FORBIDDEN = [
    "status",
    "reason",
    "duty",
    "is_active",
    "owner",
    "owner_id",
    "daily_pnl",
    "daily_trades_count",
    "in_position",
    "fence",
    "deleted_at",
    "created_at",
    "id",
    "state",
    "anything",
]
FUTURES = PAPER | {
    "exchange": "binance",
    "mode": "live",
    "position_type": "futures",
    "symbol": "BTC/USDT:USDT",
}
TESTNET = PAPER | {"exchange": "binance", "mode": "testnet", "symbol": "BTC/USDT"}


def test_a_bot_comes_back_as_it_was_sent(as_alice: Caller) -> None:
    sent = PAPER | {
        "timeframe": "5m",
        "params": {"ema_fast": 5},
        "initial_capital": "2500.50",
        "stop_loss_perc": 1.5,
        "max_daily_trades": 3,
        "check_interval_seconds": 30,
    }
    answer = as_alice.post("/bot-configs", sent)
    assert answer.status == 201
    got = as_alice.get(f"/bot-configs/{answer.body['id']}").body
    assert got == answer.body
    assert (got["initial_capital"], got["stop_loss_perc"]) == ("2500.5", "1.5")
    assert (got["params"]["ema_fast"], got["params"]["ema_slow"]) == (5, 21)
    assert (got["max_daily_trades"], got["timeframe"], got["is_active"]) == (3, "5m", False)
    assert got["account"] is not None
    assert got["api_key"] is None


@pytest.mark.parametrize("number", ["0.1", "1.005", "123456789.123456789012345678"])
def test_a_number_is_taken_as_exactly_as_its_text(number: str, as_alice: Caller) -> None:
    body = '{"name": "n", "symbol": "X/Y", "position_size_perc": 1, "initial_capital": %s}'
    answer = as_alice.post("/bot-configs", body % number)
    assert answer.body["initial_capital"] == number
    assert BotConfig.objects.get().initial_capital == Decimal(number)


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    "number",
    [
        "1e999999999",
        "-1e999999999",
        "1e-999999999",
        "0e999999999",
        "1e99999999999999999999",
        "1e39",
        "0." + "1" * 60,
        "1" * 5000,
    ],
)
def test_a_number_that_no_column_holds_is_refused_before_anybody_reckons_with_it(
    number: str, quote: str, as_alice: Caller
) -> None:
    began = time.perf_counter()
    for field in ("initial_capital", "stop_loss_perc", "max_daily_trades"):
        body = f'{{"name": "n", "symbol": "X/Y", "position_size_perc": 1, "{field}": %s}}'
        answer = as_alice.post("/bot-configs", body % f"{quote}{number}{quote}")
        assert fields_of(answer) == {field}
    params = '{"name": "n", "symbol": "X/Y", "position_size_perc": 1, "params": {"ema_fast": %s}}'
    answer = as_alice.post("/bot-configs", params % f"{quote}{number}{quote}")
    assert fields_of(answer) == {"params"}
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_is_not_the_callers_to_set_is_refused_by_name(
    name: str, as_alice: Caller, bot: BotConfig, mallory: User
) -> None:
    value = mallory.pk
    assert fields_of(as_alice.post("/bot-configs", PAPER | {name: value})) == {name}
    assert fields_of(as_alice.patch(f"/bot-configs/{bot.pk}", {name: value})) == {name}
    assert fields_of(as_alice.put(f"/bot-configs/{bot.pk}", PAPER | {name: value})) == {name}
    assert BotConfig.objects.get().owner == bot.owner
    assert not BotState.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "BTCUSDT"}, "symbol"),
        ({"symbol": "BTC/USDT; x"}, "symbol"),
        ({"exchange": "sim ulated"}, "exchange"),
        ({"exchange": "nope"}, "exchange"),
        ({"max_daily_trades": 100_001}, "max_daily_trades"),
        ({"exchange": "mtgox", "mode": "testnet"}, "exchange"),
        ({"mode": "real"}, "mode"),
        ({"mode": "testnet"}, "mode"),
        ({"position_type": "futures", "symbol": "WAVE/USDT:USDT"}, "position_type"),
        ({"symbol": "BTC/USDT:USDT"}, "symbol"),
        ({"symbol": "BTC/USDT:BTC"}, "symbol"),
        ({"direction": "short"}, "direction"),
        ({"direction": "sideways"}, "direction"),
        ({"entry_type": "iceberg"}, "entry_type"),
        ({"entry_offset_perc": "100"}, "entry_offset_perc"),
        ({"entry_timeout_seconds": 4}, "entry_timeout_seconds"),
        ({"entry_timeout_seconds": None}, "entry_timeout_seconds"),
        ({"entry_fallback": "limit"}, "entry_fallback"),
        ({"max_spread_perc": "0"}, "max_spread_perc"),
        ({"max_drawdown_perc": "0"}, "max_drawdown_perc"),
        ({"cooldown_minutes": 0}, "cooldown_minutes"),
        ({"stop_guard_stops": 2}, "stop_guard_minutes"),
        ({"stop_guard_minutes": 60}, "stop_guard_stops"),
        ({"loss_includes_open": True}, "max_daily_loss_perc"),
        ({"loss_includes_open": "often"}, "loss_includes_open"),
        ({"protect_on_exchange": None}, "protect_on_exchange"),
        ({"timeframe": "7m"}, "timeframe"),
        ({"strategy": "magic"}, "strategy"),
        ({"params": {"ema_fast": "x"}}, "params"),
        ({"params": {"ema_fast": 30, "ema_slow": 20}}, "params"),
        ({"params": {"sorcery": 1}}, "params"),
        ({"params": []}, "params"),
        ({"initial_capital": "0"}, "initial_capital"),
        ({"initial_capital": "-5"}, "initial_capital"),
        ({"initial_capital": "ten"}, "initial_capital"),
        ({"initial_capital": "NaN"}, "initial_capital"),
        ({"initial_capital": "Infinity"}, "initial_capital"),
        ({"initial_capital": "1e500"}, "initial_capital"),
        ({"initial_capital": True}, "initial_capital"),
        ({"initial_capital": [0, [1], 999_999_999]}, "initial_capital"),
        ({"position_size_fixed": "1", "position_size_perc": "1"}, "position_size_fixed"),
        ({"position_size_fixed": None}, "position_size_fixed"),
        ({"stop_loss_perc": "100"}, "stop_loss_perc"),
        ({"trailing_stop_active": True}, "trailing_stop_perc"),
        ({"max_daily_trades": 0}, "max_daily_trades"),
        ({"max_daily_trades": 10**40}, "max_daily_trades"),
        ({"max_daily_loss_perc": "-1"}, "max_daily_loss_perc"),
        ({"leverage": 5}, "leverage"),
        ({"check_interval_seconds": 1}, "check_interval_seconds"),
        ({"check_interval_seconds": 2.5}, "check_interval_seconds"),
        ({"check_interval_seconds": "soon"}, "check_interval_seconds"),
        ({"api_key": 10**30}, "api_key"),
    ],
)
def test_bad_settings_are_refused_by_name(
    changes: dict[str, Any], field: str, as_alice: Caller, bot: BotConfig
) -> None:
    before = BotConfig.objects.values().get()
    assert fields_of(as_alice.post("/bot-configs", PAPER | changes)) == {field}
    # Changed alone, the exchange or mode no longer fits the bot's account either.
    named = fields_of(as_alice.patch(f"/bot-configs/{bot.pk}", changes))
    assert field in named
    assert named <= {field, "api_key"}
    assert BotConfig.objects.values().get() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"symbol": "BTC/USDT"}, "symbol"),
        ({"symbol": "BTC/USD:BTC"}, "symbol"),
        ({"mode": "paper"}, "position_type"),
        ({"mode": "testnet"}, "mode"),
        ({"leverage": 0}, "leverage"),
        ({"leverage": 11}, "leverage"),
        ({"leverage": 126}, "leverage"),
        ({"direction": "up"}, "direction"),
    ],
)
def test_bad_futures_are_refused_by_name(
    changes: dict[str, Any], field: str, as_alice: Caller, settings: Any
) -> None:
    settings.MAX_LEVERAGE = 10
    assert fields_of(as_alice.post("/bot-configs", FUTURES | changes)) == {field}
    assert not BotConfig.objects.exists()


def test_entry_protections_and_futures_come_back_as_they_were_sent(as_alice: Caller) -> None:
    sent = FUTURES | {
        "direction": "both",
        "leverage": 5,
        "entry_type": "post_only",
        "entry_offset_perc": "0.25",
        "entry_timeout_seconds": 300,
        "entry_fallback": "market",
        "max_spread_perc": "0.1",
        "loss_includes_open": True,
        "max_daily_loss_perc": "3",
        "max_drawdown_perc": "15",
        "cooldown_minutes": 30,
        "stop_guard_stops": 3,
        "stop_guard_minutes": 240,
        "protect_on_exchange": False,
    }
    answer = as_alice.post("/bot-configs", sent)
    assert answer.status == 201, answer.body
    got = as_alice.get(f"/bot-configs/{answer.body['id']}").body
    names = [name for name in sent if name != "position_size_fixed"]
    assert {name: got[name] for name in names} == {name: sent[name] for name in names}
    got = as_alice.patch(f"/bot-configs/{got['id']}", {"cooldown_minutes": None}).body
    assert (got["cooldown_minutes"], got["leverage"]) == (None, 5)


def test_what_is_missing_is_named(as_alice: Caller) -> None:
    assert fields_of(as_alice.post("/bot-configs", {})) == {"name", "symbol"}
    assert fields_of(as_alice.post("/bot-configs")) == {""}


@pytest.mark.parametrize("body", ["{", "[1]", '"x"', "null", '{"initial_capital": NaN}'])
def test_a_body_that_is_no_object_is_refused(body: str, as_alice: Caller) -> None:
    assert as_alice.post("/bot-configs", body).status in (400, 422)
    assert not BotConfig.objects.exists()


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=-1", f"offset={10**30}"])
def test_a_bad_window_is_named(query: str, as_alice: Caller) -> None:
    assert fields_of(as_alice.get(f"/bot-configs?{query}")) == {query.partition("=")[0]}


def test_an_id_beyond_every_table_is_just_not_found(as_alice: Caller) -> None:
    huge = "9" * 30
    for path in (f"bot-configs/{huge}", f"bot-states/{huge}", f"bots/{huge}/orders"):
        assert as_alice.get(f"/{path}").status == 404
    assert as_alice.get(f"/api-keys/balance?api_key={huge}").status == 404


def test_a_put_sets_everything_and_a_patch_one_thing(as_alice: Caller, bot: BotConfig) -> None:
    path = f"/bot-configs/{bot.pk}"
    as_alice.patch(path, {"stop_loss_perc": "2", "name": "Renamed"})
    got = as_alice.get(path).body
    assert (got["name"], got["stop_loss_perc"], got["symbol"]) == ("Renamed", "2", "WAVE/USDT")
    account = got["account"]
    got = as_alice.put(path, PAPER | {"take_profit_perc": "4"}).body
    assert (got["name"], got["stop_loss_perc"], got["take_profit_perc"]) == ("Wave", None, "4")
    assert got["account"] == account


def test_a_patch_of_one_parameter_leaves_the_others(as_alice: Caller, bot: BotConfig) -> None:
    path = f"/bot-configs/{bot.pk}"
    as_alice.patch(path, {"params": {"ema_fast": 5, "ema_slow": 30}})
    got = as_alice.patch(path, {"params": {"rsi_period": 9}}).body["params"]
    assert (got["ema_fast"], got["ema_slow"], got["rsi_period"]) == (5, 30, 9)
    assert fields_of(as_alice.patch(path, {"params": {"ema_fast": 30}})) == {"params"}
    got = as_alice.put(path, PAPER | {"params": {"rsi_period": 9}}).body["params"]
    assert (got["ema_fast"], got["ema_slow"], got["rsi_period"]) == (8, 21, 9)


def test_a_market_is_written_in_one_way(as_alice: Caller) -> None:
    sent = PAPER | {"symbol": " wave/usdt ", "exchange": "Simulated"}
    got = as_alice.post("/bot-configs", sent).body
    assert (got["symbol"], got["exchange"]) == ("WAVE/USDT", "simulated")
    got = as_alice.patch(f"/bot-configs/{got['id']}", {"symbol": "eth/usdt"}).body
    assert got["symbol"] == "ETH/USDT"
    perpetual = FUTURES | {"symbol": " btc/usdt:usdt"}
    assert as_alice.post("/bot-configs", perpetual).body["symbol"] == "BTC/USDT:USDT"


def test_what_froze_with_the_first_order_is_refused_by_name(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    assert fields_of(as_alice.patch(f"/bot-configs/{bot.pk}", {"symbol": "X/Y"})) == {"symbol"}
    assert as_alice.patch(f"/bot-configs/{bot.pk}", {"name": "Fine"}).status == 200


def test_a_key_names_the_account(as_alice: Caller, alice: User) -> None:
    key = as_alice.post("/api-keys", KEY).body
    bot = as_alice.post("/bot-configs", TESTNET | {"api_key": key["id"]}).body
    assert (bot["account"], bot["api_key"]) == (key["account"], key["id"])
    newer = as_alice.post("/api-keys", KEY | {"api_key": "ANOTHERKEYOFTHEACCOUNT9999"}).body
    assert newer["account"] == key["account"]
    assert as_alice.get(f"/bot-configs/{bot['id']}").body["api_key"] == newer["id"]
    as_account = as_alice.post("/bot-configs", TESTNET | {"account": key["account"]}).body
    assert as_account["api_key"] == newer["id"]
    assert as_alice.patch(f"/bot-configs/{bot['id']}", {"api_key": None}).body["account"] is None


def test_a_strangers_key_and_one_that_is_not_there_look_alike(
    as_alice: Caller, mallory: User
) -> None:
    theirs = make_key(mallory)
    answers = [
        as_alice.post("/bot-configs", TESTNET | {"api_key": pk}) for pk in (theirs.pk, 999_999)
    ]
    assert answers[0].body == answers[1].body
    assert fields_of(answers[0]) == {"api_key"}
    accounts = [
        as_alice.post("/bot-configs", TESTNET | {"account": pk})
        for pk in (theirs.account_id, 999_999)
    ]
    assert accounts[0].body == accounts[1].body
    assert fields_of(accounts[0]) == {"account"}
    bot = as_alice.post("/bot-configs", TESTNET).body["id"]
    assert fields_of(as_alice.patch(f"/bot-configs/{bot}", {"api_key": theirs.pk})) == {"api_key"}
    assert not BotConfig.objects.exclude(account=None).exists()


def test_a_key_that_does_not_fit_is_refused_by_name(as_alice: Caller, alice: User) -> None:
    key = make_key(alice)
    live = TESTNET | {"mode": "live", "api_key": key.pk}
    assert fields_of(as_alice.post("/bot-configs", live)) == {"api_key"}
    assert fields_of(as_alice.post("/bot-configs", PAPER | {"api_key": key.pk})) == {"api_key"}
    other = make_key(alice, "other")
    both = TESTNET | {"api_key": key.pk, "account": other.account_id}
    assert fields_of(as_alice.post("/bot-configs", both)) == {"account"}


def test_a_paper_bots_own_account_is_nobodys_to_give(as_alice: Caller, bot: BotConfig) -> None:
    assert Account.objects.get().mode == "paper"
    answer = as_alice.post("/bot-configs", TESTNET | {"account": bot.account_id})
    assert fields_of(answer) == {"account"}


def test_stop_takes_no_fourth_way(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    path = f"/bots/{bot.pk}/stop"
    assert fields_of(as_alice.post(path, {"position": "burn"})) == {"position"}
    assert fields_of(as_alice.post(path, {"positon": "close"})) == {"positon"}
    assert BotState.objects.get(pk=bot.pk).status == Status.RUNNING


class Contrary(EmaRsi):
    """Another strategy: a parameter by the same name with another default, and one of its own."""

    name = "contrary"
    params = (
        replace(EmaRsi.params[0], default=3),
        replace(EmaRsi.params[0], name="patience", default=4),
    )

    def check(self, values: Mapping[str, Any]) -> None:
        """Nothing contradicts here."""


def test_another_strategy_begins_with_its_own_parameters(
    as_alice: Caller, bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = MappingProxyType({**strategies.STRATEGIES, "contrary": Contrary()})
    monkeypatch.setattr(strategies, "STRATEGIES", both)
    address = f"/bot-configs/{bot.pk}"
    as_alice.patch(address, {"params": {"ema_fast": 5}})
    moved = as_alice.patch(address, {"strategy": "contrary"})
    assert moved.body["params"] == {"ema_fast": 3, "patience": 4}
    back = as_alice.patch(address, {"strategy": "ema_rsi", "params": {"ema_slow": 40}})
    assert (back.body["params"]["ema_fast"], back.body["params"]["ema_slow"]) == (8, 40)
