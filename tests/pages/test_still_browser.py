"""Nothing moves by itself on a page that polls: the browser's own layout shifts are counted."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bots.models import BotState, User
from tests.pages.builders import bot_of, candles_of, decision, holding, market, state_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Adds up how far things moved by themselves, as the browser's own measure of it does.
SHIFTS = """
window.shifts = [];
const told = ({node, previousRect, currentRect}) => {
  const element = node && (node.outerHTML ? node : node.parentElement);
  const text = element ? element.outerHTML.slice(0, 160) : "gone";
  const place = ({x, y, width, height}) => [x, y, width, height].map(Math.round);
  return `${text} ${place(previousRect)} -> ${place(currentRect)}`;
};
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput)
      window.shifts.push([entry.value, entry.startTime, ...entry.sources.map(told)].join(" "));
}).observe({type: "layout-shift", buffered: true});
"""


def settled(page: Page) -> None:
    """Count from here on: a page that is still being read is Lighthouse's business."""
    page.wait_for_timeout(300)
    page.evaluate("window.shifts = []")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_while_numbers_and_states_change(
    width: int, seen: Page, live_server: Any, alice: User, quick: None
) -> None:
    market()
    bots = [bot_of(alice, f"Bot {number}") for number in range(4)]
    for bot in bots:
        ends = timezone.now() + timedelta(hours=11, minutes=43)
        state_of(bot, "running", "in_position", "trade", day_ends_at=ends, **holding())
    seen.add_init_script(SHIFTS)
    seen.set_viewport_size({"width": width, "height": 900})
    steps: list[dict[str, Any]] = [
        {"daily_pnl": Decimal("-1234.56"), "last_price": Decimal("67999.99")},
        {"daily_trades_count": 10, "last_price": Decimal(9)},
        # A profit of millionths has more digits than any other.
        {"last_price": Decimal("66500.13")},
        {"last_run_at": timezone.now() - timedelta(seconds=65), "reason": "entered"},
        # A shorter text, which may stand on a line less.
        {"day_ends_at": timezone.now() + timedelta(minutes=5)},
        {"reason": "no_signal", "in_position": False, "position_side": ""},
    ]
    own = f"/bots/{bots[1].pk}/"
    for bot, path, region in ((bots[0], "/", "#board"), (bots[1], own, "#panel")):
        seen.goto(live_server.url + path)
        settled(seen)
        for step in steps if region == "#board" else steps[:-1]:
            before = seen.locator(region).get_attribute("hx-get")
            BotState.objects.filter(pk=bot.pk).update(**step)
            expect(seen.locator(region)).not_to_have_attribute("hx-get", str(before))
        seen.wait_for_timeout(300)
        shifts = seen.evaluate("window.shifts")
        assert not shifts, f"{path}: {shifts}"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_when_a_position_opens_and_ends(
    width: int, seen: Page, live_server: Any, alice: User, quick: None
) -> None:
    market()
    stops = {"stop_loss_perc": 2, "take_profit_perc": 3, "trailing_stop_perc": 1}
    bot = bot_of(alice, **stops, trailing_stop_active=True)
    levels = {"stop_loss_price": Decimal("65170.12"), "take_profit_price": Decimal("68495.12")}
    held = holding(**levels, protection="watched", reason="in_position")
    flat = {"in_position": False, "position_side": "", "protection": "", "reason": "no_signal"}
    seen.add_init_script(SHIFTS)
    seen.set_viewport_size({"width": width, "height": 900})
    state_of(bot, "running", "no_signal", "trade", last_price=Decimal("67000.12"))
    decision(bot, "no_signal")
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    settled(seen)
    for change, word in ((held, "0.00150 BTC"), (flat, "flat"), (held, "0.00150 BTC")):
        decision(bot, change["reason"], numbers={"price": "67110.5", "entry": "66500.12"})
        BotState.objects.filter(pk=bot.pk).update(**change | {"last_price_at": timezone.now()})
        expect(seen.locator("#panel .side")).to_contain_text(word)
    seen.wait_for_timeout(300)
    shifts = seen.evaluate("window.shifts")
    assert not shifts, "\n".join(shifts)


#: Writes a piece of a page that is still arriving; returns how far down its boxes begin.
ARRIVES = """
piece => {
  document.write(piece);
  const boxes = [...document.querySelectorAll(".tops, .bot .side, .bot .drawn, .bot .why")];
  return boxes.map(box => [box.className, Math.round(box.getBoundingClientRect().top)]);
}
"""


def test_nothing_moves_while_a_page_still_arrives(
    seen: Page, live_server: Any, alice: User, quick: None
) -> None:
    market()
    bot = bot_of(alice, strategy="grid", params={"lowest": "60000", "highest": "70000"})
    state_of(bot, "running", "no_signal", "trade", last_price=Decimal("67000.12"))
    decision(bot, "no_signal")
    candles_of(bot)
    seen.set_viewport_size({"width": 1280, "height": 900})
    seen.goto(f"{live_server.url}/bots/{bot.pk}/")
    whole = seen.evaluate("fetch(location.href).then(answer => answer.text())")
    head, rest = whole.split("</head>")
    seen.evaluate("head => { document.open(); document.write(head) }", head + "</head>")
    seen.wait_for_function("[...document.styleSheets].some(one => /chart/.test(one.href))")
    places: dict[str, set[int]] = {}
    for piece in re.findall(r"[^<>]*<[^<>]+>", rest):
        for name, top in seen.evaluate(ARRIVES, piece):
            places.setdefault(name, set()).add(top)
    assert len(places) == 4, places
    assert all(len(tops) == 1 for tops in places.values()), places
