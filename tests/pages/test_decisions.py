"""The page of one decision: every rule in order with its numbers, and the same decided again."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from bots.models import Decision, StoredCandles, User
from bots.views import rules
from tests.engine.bench import Bench
from tests.pages.builders import bot_of, decision, sign_in, text_of
from trading.exchange import Fault, Rejected, Unreachable
from trading.risk import Gate

D = Decimal


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def page_of(client: Client, row: Decision) -> str:
    response = client.get(f"/bots/{row.bot_id}/decisions/{row.pk}/")
    assert response.status_code == 200
    return text_of(response)


def test_a_spread_says_how_wide_it_is_and_what_came_before(alice: User, client: Client) -> None:
    bench = Bench(alice, max_spread_perc=D("0.5"), max_daily_trades=3, stop_loss_perc=D(2))
    bench.market.trend, bench.market.ask = "up", D(101)
    bench.tick()
    text = page_of(client, bench.decisions[-1])
    told = [
        "The bot is switched on.",
        "0 of 3 trades of the day are used.",
        "The market trades.",
        "Entry signal: The fast EMA is above the slow one and the RSI leaves room.",
        "Spread 0.995 % is above your limit 0.500 %.",
        "Free funds",
    ]
    places = [text.index(sentence.replace("'", "&#x27;")) for sentence in told if sentence in text]
    assert len(places) == len(told) - 1, "the balance was not asked for: it is not listed"
    assert places == sorted(places)
    assert "the same verdict" in text
    assert "judged the candles of that tick again" in text


def test_a_buy_says_that_all_rules_passed(alice: User, client: Client) -> None:
    bench = Bench(alice)
    bench.enter()
    text = page_of(client, Decision.objects.get(order__isnull=False))
    assert re.search(r"All rules passed: 2\.0+ for 200\.00 at 100\.00\.", text)
    assert "10,000 USDT is free" in text
    assert "not asked" not in text


def test_a_stop_says_its_price(alice: User, client: Client) -> None:
    bench = Bench(alice, stop_loss_perc=D(2), take_profit_perc=D(5))
    bench.enter()
    bench.market.price = D(97)
    bench.tick()
    text = page_of(client, bench.decisions[-1])
    assert re.search(r"Price 97\.00 has reached the stop 98\.\d\d\.", text)
    assert "Take profit not asked" in text


def test_an_entry_order_taken_back_says_what_its_signal_lacks(alice: User, client: Client) -> None:
    bench = Bench(alice, entry_type="limit", entry_offset_perc=D(2))
    exchange = bench.scripted()
    bench.enter()
    exchange.on_cancel = lambda: setattr(exchange, "find_error", Unreachable(Fault.NETWORK, "x"))
    bench.tick(after=20)
    text = page_of(client, bench.decisions[-1])
    assert "The signal for the entry order is gone: The two EMAs are equal" in text


def test_a_flat_bot_is_told_its_entry_and_one_in_a_position_its_exit(
    alice: User, client: Client
) -> None:
    bench = Bench(alice, params={"rsi_oversold": "98", "rsi_overbought": "99"})
    bench.market.trend = "down"
    bench.tick()
    text = page_of(client, bench.decisions[-1])
    assert "No entry signal: The fast EMA is not above the slow one." in text
    assert re.search(r"RSI limit\s+99", text)
    assert "oversold" not in text
    bench.enter()
    bench.market.trend = "down"
    bench.tick()
    text = page_of(client, bench.decisions[-1])
    assert "No exit signal: The trend is down, but the RSI says oversold." in text
    assert "Holding: no exit was reached. The trend is down" in text
    assert re.search(r"RSI limit\s+98", text)


def test_a_hold_says_that_its_candles_are_not_kept(alice: User, client: Client) -> None:
    bench = Bench(alice)
    bench.tick()
    text = page_of(client, bench.decisions[-1])
    assert "No entry signal: The two EMAs are equal" in text
    assert "judged the candles of that tick again" in text, "the market's newest candles have them"
    StoredCandles.objects.all().delete()
    assert "The candles of that tick are not kept" in page_of(client, bench.decisions[-1])


def test_a_refused_order_says_what_was_decided(alice: User, client: Client) -> None:
    bench = Bench(alice)
    bench.scripted().refuse = Rejected(Fault.ORDER_REJECTED, "no")
    bench.enter()
    text = page_of(client, bench.decisions[-1])
    assert "Failed : order rejected" in text
    assert "Then bought: The fast EMA is above the slow one" in text


def test_another_verdict_is_said_plainly(alice: User, client: Client) -> None:
    bench = Bench(alice)
    bench.tick()
    row = bench.decisions[-1]
    kept = json.loads(row.inputs)
    kept["view"]["rules"]["active"] = False
    Decision.objects.filter(pk=row.pk).update(inputs=json.dumps(kept))
    text = page_of(client, row)
    assert "another verdict" in text
    assert "Now blocked: The exchange has halted this market." in text


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ("", "This tick ended before it came to decide"),
        ('{"v": "older"}', "Made by an earlier version: cannot be replayed."),
        ("{", "cannot be read"),
    ],
)
def test_what_cannot_be_replayed_says_why(
    inputs: str, sentence: str, alice: User, client: Client
) -> None:
    row = decision(bot_of(alice), inputs=inputs)
    assert sentence in page_of(client, row)


def test_only_a_decision_of_that_bot(alice: User, bob: User, client: Client) -> None:
    mine, theirs = bot_of(alice), bot_of(bob)
    row = decision(theirs)
    assert client.get(f"/bots/{mine.pk}/decisions/{row.pk}/").status_code == 404
    assert client.get(f"/bots/{theirs.pk}/decisions/{row.pk}/").status_code == 404
    assert client.get(f"/bots/{mine.pk}/decisions/{10**30}/").status_code == 404


def test_the_log_leads_to_each_decision(alice: User, client: Client) -> None:
    bench = Bench(alice)
    bench.tick()
    path = f"/bots/{bench.bot.pk}/decisions/{bench.decisions[0].pk}/"
    assert path in client.get(f"/bots/{bench.bot.pk}/decisions/").content.decode()
    assert path in client.get(f"/bots/{bench.bot.pk}/").content.decode()


def _sentences() -> Iterator[tuple[str, Any]]:
    for name, texts in (("passed", rules.PASSED), ("decided", rules.DECIDED)):
        for gate, text in texts.items():
            yield f"{name} {gate}", text


@pytest.mark.parametrize("language", ["en", "tr"])
def test_each_sentence_has_its_words_in_both_languages(language: str) -> None:
    told = rules._Told({"have": "1"})
    with translation.override(language):
        for name, text in _sentences():
            said = str(text) % told
            assert said.strip(), name
            assert "%(" not in said, name


def test_each_gate_that_can_decide_has_a_sentence_and_a_name() -> None:
    assert set(rules.DECIDED) == set(Gate)
    assert set(rules.NAMES) == set(Gate)
