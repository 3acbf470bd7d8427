"""manage.py backtest: a bot tried on a file or on the simulated market, and nothing written."""

import csv
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bots import control
from bots.models import BotConfig, BotState, Fill, Market, Order, User
from tests.trading.candles import btcusdt_1m

#: As long as the window and a day: enough for some trades.
COUNT = 1700


@pytest.fixture
def bot(alice: User) -> BotConfig:
    fields = {
        "name": "Tried",
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "timeframe": "1m",
        "position_size_fixed": 100,
        "stop_loss_perc": 1,
    }
    Market.objects.create(
        exchange="binance",
        mode="live",
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        amount_step="0.00001",
        price_tick="0.01",
        min_notional=10,
        taker_fee="0.001",
        as_of=timezone.now(),
    )
    return control.create(alice, fields)


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    c, path = btcusdt_1m(), tmp_path / "candles.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp_ms", "open", "high", "low", "close", "volume"])
        columns = (c.times, c.open, c.high, c.low, c.close, c.volume)
        rows.writerows(list(zip(*columns, strict=True))[:COUNT])
    return path


def backtest(bot_id: int, **options: Any) -> str:
    out = StringIO()
    # As it is typed: the command reads numbers and paths itself.
    words = [f"--{name}={value}" for name, value in options.items()]
    call_command("backtest", str(bot_id), *words, stdout=out)
    return out.getvalue()


def test_it_tells_figures_and_assumptions_and_writes_each_order(
    bot: BotConfig, candles: Path, tmp_path: Path
) -> None:
    orders = tmp_path / "orders.csv"
    text = backtest(bot.pk, candles=candles, orders=orders, spread="0.01")
    assert f"{COUNT:,} candles, 2023-03-01 00:00 to 2023-03-02 04:20" in text
    assert "assumed: fee 0.1 %, slippage 0.05 %, spread 0.01 %, 1000 USDT at the start" in text
    with orders.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    trades = sum(row["side"] == "sell" for row in rows)
    assert f"trades {trades} (won " in text
    assert trades >= 10
    assert {row["reason"] for row in rows} == {"signal"}
    realised = sum(float(row["pnl"]) for row in rows)
    assert f"realised {realised:+.2f} USDT" in text


def test_nothing_is_written(bot: BotConfig, candles: Path) -> None:
    backtest(bot.pk, candles=candles)
    assert not BotState.objects.exists()
    assert not Order.objects.exists()
    assert not Fill.objects.exists()


def test_costs_are_the_installations_unless_they_are_named(
    bot: BotConfig, candles: Path, settings: Any
) -> None:
    settings.PAPER_FEE_PERC *= 2
    dear = backtest(bot.pk, candles=candles)
    assert "assumed: fee 0.2 %, slippage 0.05 %, spread 0 %, 1000 USDT" in dear
    free = backtest(bot.pk, candles=candles, fee="0", slippage="0", capital="500")
    assert "assumed: fee 0 %, slippage 0 %, spread 0 %, 500 USDT" in free
    assert ", fees 0.00," in free


def test_missing_and_repeated_candles_are_told(bot: BotConfig, candles: Path) -> None:
    lines = candles.read_text(encoding="utf-8").splitlines()
    kept = [*lines[:600], *lines[610:], lines[5]]
    candles.write_text("\n".join(kept), encoding="utf-8")
    text = backtest(bot.pk, candles=candles)
    assert "10 candles are missing in 1 gaps" in text
    assert "1 lines told a candle twice" in text


def test_the_simulated_market_needs_no_file(alice: User) -> None:
    fields = {"name": "S", "symbol": "WAVE/USDT", "timeframe": "15m", "position_size_fixed": 100}
    bot = control.create(alice, fields)
    text = backtest(bot.pk, days=3)
    assert "288 candles" in text
    waits = {"entry_type": "limit", "entry_offset_perc": "0.1", "entry_timeout_seconds": 900}
    BotConfig.objects.update(**waits)
    waited = backtest(bot.pk, days=3)
    assert "assumed: entries as limit orders" in waited
    assert "within 900 s" in waited
    assert re.search(r"entry orders [1-9]\d*, filled [1-9]", waited)
    assert "buy and hold" in text


def test_what_cannot_be_tried_is_said(bot: BotConfig, candles: Path, tmp_path: Path) -> None:
    def refusal(match: str, **options: Any) -> None:
        with pytest.raises(CommandError, match=match):
            backtest(bot.pk, **options)

    refusal("not all of these days are kept", days=3)
    refusal("No such file", candles=tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text("no,candle\nx,y\n", encoding="utf-8")
    refusal("line 2: ", candles=tmp_path / "bad.csv")
    BotConfig.objects.update(entry_type="limit", entry_timeout_seconds=5)
    refusal("cannot tell whether the price came", candles=candles)
    BotConfig.objects.update(entry_type="market", params={"ema_fast": 9000})
    refusal("ema_fast", candles=candles)
    BotConfig.objects.update(params={}, strategy="gone")
    refusal("unknown strategy: gone", candles=candles)
    Market.objects.all().delete()
    BotConfig.objects.update(strategy="ema_rsi")
    refusal("No worker has read the markets of binance", candles=candles)


@pytest.mark.parametrize("value", ["-1", "nan", "x", "inf"])
def test_a_cost_that_is_no_number_is_refused(bot: BotConfig, candles: Path, value: str) -> None:
    with pytest.raises(CommandError, match="invalid number value"):
        backtest(bot.pk, candles=candles, fee=value)


def test_an_unknown_bot_ends_with_2(db: None, candles: Path) -> None:
    with pytest.raises(CommandError, match="there is no bot 7") as error:
        backtest(7, candles=candles)
    assert error.value.returncode == 2


def test_a_sweep_lists_the_best_sets_and_writes_all_of_them(
    bot: BotConfig, candles: Path, tmp_path: Path
) -> None:
    out, path = StringIO(), tmp_path / "sets.csv"
    words = [str(bot.pk), f"--candles={candles}", f"--csv={path}", "--top=2", "--processes=1"]
    words += ["--vary", "ema_fast=5:9:2", "--vary", "take_profit_perc=1,2"]
    call_command("sweep", *words, stdout=out)
    lines = out.getvalue().splitlines()
    assert "6 sets" in lines[1]
    assert lines[2].startswith("ema_fast  take_profit_perc  trades")
    assert len(lines) == 5
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    earned = [float(row["pnl"]) for row in rows]
    assert earned == sorted(earned, reverse=True)


@pytest.mark.parametrize("vary", ["ema_fast", "ema_fast=", "ema_fast=9:5", "ema_fast=1:9:0"])
def test_a_sweep_refuses_values_that_are_none(bot: BotConfig, candles: Path, vary: str) -> None:
    with pytest.raises(CommandError):
        call_command("sweep", str(bot.pk), f"--candles={candles}", "--vary", vary)
