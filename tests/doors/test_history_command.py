"""manage.py history: candles of the past in files under DATA_DIR, and backtests that use them."""

from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bots import control
from bots.backtests import past
from bots.models import Market, User
from tests.testexchange import TestExchange
from trading.archive import Part, Series
from trading.archive.stretches import present
from trading.exchanges.ccxt_exchange import shared_feed
from trading.exchanges.simulated import SimulatedFeed

BTC = ("binance", "BTC/USDT", "1m")


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def history(*words: object) -> str:
    out = StringIO()
    call_command("history", *map(str, words), stdout=out)
    return out.getvalue()


def test_candles_come_from_the_exchange_page_by_page(db: None, settings: Any) -> None:
    """Through the real ccxt, and once: the second time nothing is asked for."""
    with TestExchange() as server:
        settings.EXCHANGE_API_BASE = {"binance": server.url}
        shared_feed.cache_clear()
        try:
            now = past.feed_of("binance", "live", past.World()).now() // 60_000 * 60_000
            since, until = (past_text(now - minutes * 60_000) for minutes in (2_500, 100))
            words = ("fetch", *BTC, "--since", since, "--until", until)
            assert "2,400 candles fetched, 2,400 there" in history(*words)
            server.control.reset_log()
            assert "0 candles fetched, 2,400 there" in history(*words)
            assert server.control.requests() == []
            with pytest.raises(CommandError, match="NOSUCH"):
                history("fetch", "binance", "NOSUCH/USDT", "1m", "--since", since)
        finally:
            shared_feed.cache_clear()
    assert "binance BTC/USDT 1m: 2,400 candles" in history("list")


def test_a_perpetuals_candles_bring_its_funding_rates(db: None, settings: Any) -> None:
    """Through the real ccxt, more than a page of hourly ones, and once."""
    hourly = {"funding_hours": 1, "funding_rate": "-0.00012345"}
    with TestExchange(config={"futures": hourly}) as server:
        settings.EXCHANGE_API_BASE = {"binance": server.url}
        shared_feed.cache_clear()
        try:
            now = past.feed_of("binance", "live", past.World()).now() // 3_600_000 * 3_600_000
            since, until = (past_text(now - hours * 3_600_000) for hours in (1_100, 1_095))
            words = ("fetch", "binance", "BTC/USDT:USDT", "1h", "--since", since)
            assert "\n5 funding rates fetched, 5 there" in history(*words, "--until", until)
            assert "\n1,096 funding rates fetched, 1,101 there" in history(*words)
            assert "\n0 funding rates fetched, 1,101 there" in history(*words)
        finally:
            shared_feed.cache_clear()
    assert "BTC/USDT:USDT funding: 1,101 rates, " in history("list")
    kept = past.rate_archive().read("binance", "BTC/USDT:USDT", 0, now + 1).rates
    assert {rate for _at, rate in kept} == {Decimal("-0.00012345")}
    assert all(at % 3_600_000 == 0 for at, _rate in kept)


def past_text(at: int) -> str:
    from bots.backtests.figures import instant

    return instant(at).isoformat()


def test_a_file_is_imported_and_what_is_wrong_with_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    rows = [f"{1_772_316_000 + 60 * n},10,11,9,10,1" for n in range(200) if n not in (50, 51)]
    path.write_text("\n".join([*rows, rows[3]]), encoding="utf-8")
    text = history("import", *BTC, path)
    assert "198 there, 2026-02-28 22:00 to 2026-03-01 01:19, 2 missing in 1 gaps" in text
    assert "1 lines told a candle twice" in text
    assert "198 candles, 2026-02-28 22:00 to 2026-03-01 01:20, 2 missing" in history("list")
    path.write_text(rows[7].replace(",10,1", ",11,1"), encoding="utf-8")
    with pytest.raises(CommandError, match="differently"):
        history("import", *BTC, path)


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("1772316000,10,11,9,10,1", encoding="utf-8")
    assert history("list") == "no candles are kept yet\n"
    with pytest.raises(CommandError, match="needs no files"):
        history("fetch", "simulated", "BTC/USDT", "1m", "--since", "2026-03-01")
    with pytest.raises(CommandError, match="is no series"):
        history("import", "..", "BTC/USDT", "1m", path)


def test_a_backtest_uses_the_days_that_are_kept(alice: User) -> None:
    Market.objects.create(
        exchange="binance",
        mode="live",
        symbol="WAVE/USDT",
        base="WAVE",
        quote="USDT",
        amount_step="0.001",
        price_tick="0.001",
        as_of=timezone.now(),
    )
    fields = {"exchange": "binance", "symbol": "WAVE/USDT", "timeframe": "15m"}
    bot = control.create(alice, {"name": "S", **fields, "position_size_fixed": 100})
    with pytest.raises(CommandError, match=r"history fetch binance WAVE/USDT 15m --since \d{4}-"):
        call_command("backtest", str(bot.pk), "--days=3")
    feed = SimulatedFeed(1, lambda: past.ms(timezone.now()))
    candles = feed.candles("WAVE/USDT", "15m", 300)
    part = Part(candles=candles, asked=tuple(present(candles)))
    past.archive().add(Series(**fields), part)
    out = StringIO()
    call_command("backtest", str(bot.pk), "--days=3", stdout=out)
    assert "288 candles" in out.getvalue()
