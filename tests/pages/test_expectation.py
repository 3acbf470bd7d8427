"""Live against expectation, as a trader meets it: a button, a table that adds up, the way back."""

import re
from datetime import timedelta
from decimal import Decimal

from django.test import Client
from django.utils import timezone

from bots import control, twins
from bots.following import twin_of
from bots.models import BotConfig, BotState, Order, User
from tests.doors.client import Caller
from tests.engine.test_twins import real_bot
from tests.pages.builders import bot_of, filled, sign_in, text_of


def compared_bot(owner: User) -> BotConfig:
    """A bot and its twin: a shared signal, one that live missed, one that it had alone."""
    bot = real_bot(owner)
    control.start(bot, by=owner, via="page")
    twin = twins.make(bot, by=owner, via="page")
    now = timezone.now()
    rows = [(bot, 10, "100.2", "104.9", "0.25"), (twin, 10, "100.05", "105", "0.2")]
    rows += [(bot, 90, "102", "101", "0.2"), (twin, 180, "103", "107", "0.2")]
    for one, minute, buy, sell, fee in rows:
        for side, price, after in (("buy", buy, 0), ("sell", sell, 20)):
            at = now + timedelta(minutes=minute + after)
            fill = filled(one, side, "2", price, at=at, fee=fee)
            reckoned = {"buy": "100", "sell": "105"}[side] if minute == 10 else price
            Order.objects.filter(pk=fill.order_id).update(expected_price=Decimal(reckoned))
    for order in Order.objects.all():
        at = order.fills.get().at
        Order.objects.filter(pk=order.pk).update(created_at=at)
    return bot


def cells(page: str, part: str) -> list[str]:
    """The numbers of one row of the table."""
    found = re.search(rf"\b{part}\b[^▲▼]*((?:[▲▼]? ?[+−-]?[\d.]+ (?:USDT)? *)+)", page)
    assert found is not None, part
    return re.findall(r"[+−-]?\d+\.\d+", found.group(1))


def test_the_section_leads_from_a_button_to_parts_that_add_up(alice: User, client: Client) -> None:
    sign_in(client, alice)
    bot = real_bot(alice, symbol="ETH/USDT")
    path = f"/bots/{bot.pk}/performance/"
    assert "Run a paper twin beside it" in text_of(client.get(path))
    assert client.post(f"/bots/{bot.pk}/twin/").url == f"{path}#expectation"
    assert "when both have started" in text_of(client.get(path))
    client.post(f"/bots/{bot.pk}/twin/remove/")
    assert twin_of(bot) is None

    bot = compared_bot(alice)
    page = text_of(client.get(f"/bots/{bot.pk}/performance/"))
    page = page[page.index("Live against expectation") :]
    # Live: 2 × 4.7 − 0.5 and 2 × −1 − 0.4; twin: 2 × 4.95 − 0.4 and 2 × 4 − 0.4.
    assert cells(page, "Fees") == ["−0.50", "−0.40", "−0.10"]
    assert cells(page, "Slippage") == ["−0.60", "−0.10", "−0.50"]
    assert cells(page, "Timing") == ["+10.00", "+10.00", "0.00"]
    assert cells(page, "Signal") == ["−2.40", "+7.60", "−10.00"]
    assert cells(page, "Result") == ["+6.50", "+17.10", "−10.60"]
    assert "On one side only" in page
    assert "Remove the twin" in page


def test_the_api_makes_a_twin_tells_the_gap_and_takes_it_away(alice: User) -> None:
    caller, bot = Caller(alice), compared_bot(alice)
    path = f"/bots/{bot.pk}"
    made = caller("POST", f"{path}/twin")
    assert made.body == {"bot_config_id": bot.pk, "twin_id": bot.twins.get().pk}
    told = caller("GET", f"{path}/expectation").body
    parts = {"fees": "-0.1", "slippage": "-0.5", "timing": "0", "signal": "-10", "total": "-10.6"}
    assert told["gap"] == parts
    assert [row["result"] for row in told["live_only"]] == ["-2.4"]
    assert told["pairs"][0]["gap"]["total"] == "-0.6"
    config = caller("GET", f"/bot-configs/{made.body['twin_id']}").body
    assert (config["twin_of"], config["mode"]) == (bot.pk, "paper")
    assert caller("DELETE", f"{path}/twin").status == 204
    assert caller("DELETE", f"{path}/twin").body["reason"] == "no_twin"
    assert caller("GET", f"{path}/expectation").body["twin_id"] is None


def test_a_twin_is_named_as_one_and_counts_in_no_sum(alice: User, client: Client) -> None:
    sign_in(client, alice)
    bot = compared_bot(alice)
    twin = twin_of(bot)
    assert twin is not None
    BotState.objects.filter(pk__in=[bot.pk, twin.pk]).update(daily_pnl=Decimal(7))
    board = client.get("/")
    assert board.context["today"] == [("USDT", Decimal(7))]
    assert "PAPER paper twin" in text_of(board)
    assert (
        f'href="/bots/{bot.pk}/performance/#expectation"'
        in client.get(f"/bots/{twin.pk}/").content.decode()
    )
    assert twin.name not in text_of(client.get("/performance/?mode=paper"))
    assert "Live against expectation" not in text_of(
        client.get(f"/bots/{bot_of(alice, 'P').pk}/performance/")
    )
