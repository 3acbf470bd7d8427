"""Data is never invented: what is missing, stale or broken becomes no order."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.bench import D
from tests.engine.conftest import Maker
from trading.exchange import Fault, Unusable
from trading.market import Candles


def changed(candles: Candles, column: str, value: float) -> Candles:
    row = list(getattr(candles, column))
    row[-1] = value
    return replace(candles, **{column: tuple(row)})


def with_gap(candles: Candles) -> Candles:
    keep = [index for index in range(len(candles)) if index != 100]
    columns = {
        name: tuple(getattr(candles, name)[index] for index in keep)
        for name in ("times", "open", "high", "low", "close", "volume")
    }
    return replace(candles, **columns)


def stale(candles: Candles) -> Candles:
    return replace(candles, times=tuple(time - 10 * 60_000 for time in candles.times))


BAD_CANDLES: list[tuple[str, Callable[[Candles], Candles], str]] = [
    ("nan", lambda c: changed(c, "close", float("nan")), "broken_data"),
    ("infinite", lambda c: changed(c, "high", float("inf")), "broken_data"),
    ("zero", lambda c: changed(c, "low", 0.0), "broken_data"),
    ("negative", lambda c: changed(c, "low", -1.0), "broken_data"),
    ("gap", with_gap, "broken_data"),
    ("stale", stale, "stale_data"),
    ("none", lambda c: c.last(0), "stale_data"),
]


@pytest.mark.parametrize(("bad", "reason"), [row[1:] for row in BAD_CANDLES])
def test_bad_candles_never_become_an_order(
    bench: Maker, bad: Callable[[Candles], Candles], reason: str
) -> None:
    b = bench()
    b.tick()
    b.market.trend = "up"
    b.market.pass_time(60)
    b.market.candles_are = bad(b.market.make_candles("BTC/USDT", "1m", 200))
    command = b.command("enter")
    b.tick(after=0)
    assert b.orders == []
    assert b.where == ("waiting", reason, "trade")
    command.refresh_from_db()
    assert (command.status, command.result) == ("refused", reason)


def test_the_stop_is_watched_on_a_fresh_price_while_candles_are_bad(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    b.enter()
    b.market.candle_error = Unusable(Fault.BROKEN_DATA, "a gap")
    b.tick()
    assert b.where == ("waiting", "broken_data", "trade")
    b.market.price = D(90)
    b.tick()
    assert (b.order.side, b.order.reason) == ("sell", "stop_loss")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bid": Decimal("NaN")}, "broken_data"),
        ({"ask": Decimal("Infinity")}, "broken_data"),
        ({"bid": Decimal(0)}, "broken_data"),
        ({"last": Decimal(-1)}, "broken_data"),
        ({"bid": Decimal(101)}, "broken_data"),
        ({"at": 0}, "stale_data"),
    ],
)
def test_a_bad_price_never_becomes_an_order(
    bench: Maker, changes: dict[str, Any], reason: str
) -> None:
    b = bench(stop_loss_perc=D(5))
    b.enter()
    b.market.quote_is = replace(b.market.quote("BTC/USDT"), **changes)
    b.market.trend = "down"
    b.tick()
    assert len(b.orders) == 1
    assert b.where == ("waiting", reason, "trade")
    assert b.state.stop_loss_price is not None


def test_too_few_candles_are_no_signal(bench: Maker) -> None:
    b = bench()
    b.market.trend = "up"
    b.market.pass_time(60)
    b.market.candles_are = b.market.make_candles("BTC/USDT", "1m", 150)
    b.tick(after=0)
    assert b.orders == []
    assert b.decisions[-1].numbers["why"] == "ema_rsi.too_few_candles"
