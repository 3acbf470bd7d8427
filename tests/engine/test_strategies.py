"""Bots of each strategy on a scripted market: what they trade, and what their pages say of it."""

import re
from collections.abc import Sequence
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import translation

from bots.models import User
from tests.engine.bench import Bench
from tests.engine.market import closes as trend
from tests.pages.builders import sign_in, text_of
from tests.trading.feeds import SYMBOL
from trading import strategies
from trading.market import TIMEFRAMES, Candles

STILL = [100.0] * 230
#: Quiet closes around 100, so that bands and channel have a width.
QUIET = [100.0 + (0.2 if number % 2 else -0.2) for number in range(230)]
RISE = [100.5 + number * number / 40 for number in range(12)]
#: Strategy -> the closes that buy, those that sell then, and a number of the page.
SCRIPTS = {
    "ema_rsi": (trend("up", 230, 100.0), trend("down", 230, 100.0), "fast EMA"),
    "macd": ([*QUIET, *RISE], [*QUIET, *RISE, 90.0, 80.0], "signal line"),
    "bollinger": ([*QUIET, 98.0], [*QUIET, 103.0], "lower band"),
    "breakout": ([*QUIET, *RISE], [*QUIET, 95.0], "highest high"),
}


def script(bench: Bench, closes: Sequence[float]) -> None:
    """Let the market show these closes, and quote the last one."""
    bench.market.pass_time(60)
    length = TIMEFRAMES[bench.bot.timeframe]
    newest = bench.market.now() // length * length - length
    rows = []
    before = closes[0]
    for number, close in enumerate(closes):
        at = newest - (len(closes) - 1 - number) * length
        rows.append((at, before, max(before, close), min(before, close), close, 1.0))
        before = close
    bench.market.candles_are = Candles.from_rows(SYMBOL, bench.bot.timeframe, rows)
    bench.market.price = Decimal(repr(closes[-1]))
    bench.tick(after=0)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_bot_buys_and_sells_and_says_why(alice: User, client: Client, name: str) -> None:
    buying, selling, number = SCRIPTS[name]
    bench = Bench(alice, strategy=name)
    script(bench, STILL)
    assert bench.where == ("running", "no_signal", "trade")
    script(bench, buying)
    assert bench.order.purpose == "entry"
    assert bench.decisions[-1].numbers["why"] == f"{name}.buy"
    assert bench.where == ("running", "entered", "trade")
    script(bench, selling)
    assert bench.order.purpose == "exit"
    assert bench.decisions[-1].numbers["why"] == f"{name}.sell"
    assert not bench.state.in_position
    _page_says(client, alice, bench, name, number)


def _page_says(client: Client, owner: User, bench: Bench, name: str, number: str) -> None:
    """Every rule's page gives the strategy's sentence and its numbers, in both languages."""
    sign_in(client, owner)
    reasons = strategies.get(name).reasons
    for language in ("en", "tr"):
        client.cookies["django_language"] = language
        for row in bench.decisions[1:]:
            text = text_of(client.get(f"/bots/{bench.bot.pk}/decisions/{row.pk}/"))
            with translation.override(language):
                why = translation.gettext(reasons[row.numbers["why"]])
                label = translation.gettext(number)
            assert why in text, (language, row.numbers)
            assert re.search(rf"{label}\s+\S*\d", text), (language, text)


def test_each_strategy_has_a_script() -> None:
    ladders = {name for name in strategies.STRATEGIES if strategies.ladder_of(name)}
    assert ladders == {"dca", "grid"}  # tests/engine/test_rungs.py
    assert set(SCRIPTS) == set(strategies.STRATEGIES) - ladders - {"signal"}
