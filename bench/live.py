"""A person looks at the dashboard and at three bots for five minutes while a worker ticks the bots.

Two of the three have a ladder: their resting orders come, are filled and go.

Printed: how far things moved by themselves (CLS, as the browser sums it up), how many polls there
were and how long they took, and after how many milliseconds a click is seen. LIVE_SECONDS changes
how long it looks. Nothing is scaled: bots tick each five seconds, pages poll as always.
"""

import os
import time
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench import scene, serving
from tests import chromium

BOTS = 50
SECONDS = float(os.environ.get("LIVE_SECONDS", "300"))
SYMBOLS = ("WAVE/USDT", "BTC/USDT", "ETH/USDT", "SOL/USDT", "CALM/USDT")
#: Lines so close that a wave of eight minutes crosses dozens of them.
LADDERS: dict[str, dict[str, Any]] = {
    "grid": {"params": {"lowest": "92", "highest": "108", "lines": 101, "resting": 5}},
    "dca": {
        "params": {"orders": 5, "resting": 3, "step": "0.1", "step_scale": "1"},
        "take_profit_perc": "0.2",
    },
}
WATCH = """
window.shifts = [];
window.polls = [];
const told = ({node, previousRect: from, currentRect: to}) => {
  const element = node && (node.outerHTML ? node : node.parentElement);
  const text = element ? element.outerHTML.replace(/\\s+/g, " ").slice(0, 90) : "gone";
  return `${text} ${Math.round(to.x - from.x)},${Math.round(to.y - from.y)} px`;
};
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput)
      window.shifts.push([entry.startTime, entry.value, entry.sources.map(told).join("; ")]);
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    if (entry.initiatorType === "xmlhttprequest") window.polls.push(entry.duration);
}).observe({type: "resource", buffered: true});
"""
#: Time from the press until a frame with the resting button has been drawn.
PRESS = """
() => new Promise(done => {
  const button = document.querySelector(".state .acts button");
  addEventListener("submit", event => {
    const begun = performance.now();
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(
      () => done([performance.now() - begun, button.disabled]))));
  }, {once: true});
  button.click();
})
"""


def cls(shifts: list[list[Any]]) -> float:
    """Return the largest sum within a window: 5 s long at most, gaps under 1 s (web.dev/cls)."""
    worst = total = 0.0
    first = last = float("-inf")
    for at, value, _what in shifts:
        if at - last < 1000 and at - first < 5000:
            total += value
        else:
            total, first = value, at
        last, worst = at, max(worst, total)
    return worst


def look(page: Page, name: str) -> None:
    """Print what a page that polls did by itself."""
    shifts, polls = page.evaluate("[window.shifts, window.polls]")
    if not polls:
        raise SystemExit(f"{name} asked for nothing: nothing was measured")
    total = sum(value for _at, value, _what in shifts)
    scene.tell(
        f"{name}, {SECONDS:.0f} s of polling",
        f"CLS {cls(shifts):.4f} (all shifts {total:.4f}); {len(polls)} polls, "
        f"p95 {serving.p95(polls):.0f} ms",
        cls=cls(shifts),
    )
    for at, _value, what in shifts:
        scene.tell(f"- moved on {name}, {at / 1000:.0f} s", what.replace("|", "/"))


def press(page: Page, url: str) -> None:
    """Print how soon a pressed button is seen to rest; the answer is held back meanwhile."""
    page.route("**/st*/", lambda _route: None)
    page.goto(url)
    took, rests = page.evaluate(PRESS)
    if not rests:
        raise SystemExit("the pressed button does not rest")
    scene.tell("click until it is seen", f"{took:.0f} ms", ms=took)


def make_bots(user: Any) -> tuple[Any, dict[str, Any]]:
    """Return a bot that is stopped, and the bots to look at by name: one of `BOTS`, two ladders."""
    from bots import control

    bots: list[Any] = []
    each = {"check_interval_seconds": 5}
    for symbol in SYMBOLS:
        bots += scene.started_bots(user, BOTS // len(SYMBOLS), symbol=symbol, **each)
    shown = {"bot": bots[0]}
    for strategy, values in LADDERS.items():
        given = {"symbol": SYMBOLS[0], "strategy": strategy, "position_size_fixed": 20}
        shown[f"bot, {strategy}"] = scene.started_bots(user, 1, **given, **values, **each)[0]
    idle = bots.pop()
    control.stop(idle, by=user, via="command")
    return idle, shown


def main() -> None:
    """Look at all of them at once, then press a button."""
    scene.setup()
    from bots import schedule, sweep

    user = scene.owner()
    idle, shown = make_bots(user)
    schedule.repair(sweep.intervals())
    name, value = serving.session_of(user)
    with serving.served("worker", "web", "beat") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find(), args=chromium.ARGUMENTS
        )
        # What starts up is not what a person looks at: each bot has ticked before.
        time.sleep(15)
        pages = {}
        paths = {title: f"/bots/{bot.pk}/" for title, bot in shown.items()}
        for title, path in ({f"dashboard, {BOTS + len(LADDERS)} bots": "/"} | paths).items():
            # Windows of their own: a tab in the background asks for nothing.
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            context.add_cookies([{"name": name, "value": value, "url": url}])
            context.add_init_script(WATCH)
            pages[title] = context.new_page()
            pages[title].goto(url + path)
        next(iter(pages.values())).wait_for_timeout(SECONDS * 1000)
        for title, page in pages.items():
            look(page, title)
        press(page, f"{url}/bots/{idle.pk}/")
        browser.close()
    for title, bot in shown.items():
        orders = bot.orders.count()
        scene.tell(f"- what {title} did", f"{orders} orders, {bot.fills.count()} fills")


if __name__ == "__main__":
    main()
