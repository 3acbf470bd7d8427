"""A stretch of candles through ccxt and HTTP: a live bot on an exchange whose clock we turn."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots import connect, control, invariants, reset, tick
from bots.models import ApiKey, BotState, DayStats, Order, User
from bots.world import World
from tests.testexchange import DEFAULT_API_KEY, DEFAULT_SECRET, TestExchange, replay_config
from tests.trading.candles import MINUTE, START
from tests.whole.ledger import assert_ledger_is_the_exchanges
from tests.whole.replaying import WINDOW, said, start_in_the_past, talib_signals
from trading.exchanges.ccxt_exchange import shared_feed
from trading.market_data import MarketData

TICKS = 300
SETTINGS: dict[str, Any] = {
    "name": "Live replay",
    "exchange": "binance",
    "mode": "live",
    "symbol": "BTC/USDT",
    "position_size_fixed": Decimal(900),
    "stop_loss_perc": Decimal("0.2"),
    "take_profit_perc": Decimal("0.4"),
    "trailing_stop_perc": Decimal("0.25"),
    "trailing_stop_active": True,
}


@pytest.mark.replay
def test_a_live_bot_follows_the_candles_of_a_real_exchange(
    alice: User, settings: Any, db: None
) -> None:
    secrets = {"api_key": DEFAULT_API_KEY, "secret_key": DEFAULT_SECRET}
    key = ApiKey.put(owner=alice, exchange="binance", mode="live", label="main", **secrets)
    config = replay_config("BTCUSDT-1m-2023-03.csv.gz", now_ms=START + WINDOW * MINUTE)
    with TestExchange(config=config) as market:
        settings.LIVE_TRADING_ENABLED = True
        settings.EXCHANGE_API_BASE = {"binance": market.url}
        shared_feed.cache_clear()
        bot = start_in_the_past(alice, {**SETTINGS, "account": key.account})
        exchange, at = market.control, [0]
        feed = connect.feed_of("binance", "live", World())
        world = World(
            clock=lambda: datetime.fromtimestamp(at[0] / 1000, UTC),
            data=MarketData(price_ttl_s=1, markets_ttl_s=10**6),
        )
        found = []
        for number in range(TICKS):
            at[0] = exchange.set_time(START + (WINDOW + number) * MINUTE + 20_000)
            feed.clock.forget()
            outcome = tick.run(bot.pk, world)
            assert outcome is not None
            assert outcome.action != "failed", outcome.message
            found.append(outcome)
        expected = talib_signals(feed.candles("BTC/USDT", "1m", WINDOW + TICKS - 1).close)
        in_position = False
        for number, outcome in enumerate(found):
            assert expected[number] in said(outcome, in_position), number
            in_position ^= outcome.order is not None
        assert_ledger_is_the_exchanges(exchange)
        state = BotState.objects.get(pk=bot.pk)
        assert Order.objects.count() >= 10
        assert state.daily_pnl == DayStats.objects.get(bot=bot).pnl
        usdt = exchange.balances()["USDT"]["free"]
        assert usdt - 10_000 == state.daily_pnl - state.position_cost
    control.stop(bot, by=None, via="command")
    reset.roll_over(timezone.now())
    assert invariants.check() == []
