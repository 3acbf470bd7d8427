"""Take the pictures in docs/images: `python -m bench.shots`, or those of the pages that are named.

The demo, two weeks old, is served from a scratch database with a worker at work. Each page is
taken on a desk in light and on a telephone in the dark, in English; two in Turkish as well.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import time as time_of
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from bench import scene, serving
from botsite.platform.bootstrap import ROOT
from tests import chromium
from tests.receivers import mailbox
from tests.redis_server import redis_server

FOLDER = ROOT / "docs" / "images"
LIMIT = 150_000
DAYS = 14
#: Seconds until each demo bot has ticked a few times.
SETTLE = 25.0
HOLDER = "ETH holder"
TRIED = "Tide rider"
#: A bot of whose orders several rest.
LADDER = "Wave net"
PASSWORD = "a-password-for-pictures"
#: Bots whose settings are kept as templates.
KEPT = (HOLDER, "Tide rider")
#: Looks: suffix of the file, width, heights to try (a picture must not be too heavy), light.
LOOKS: tuple[tuple[str, int, tuple[int, ...], Literal["light", "dark"]], ...] = (
    ("", 1280, (600, 540, 480), "light"),
    ("-phone", 390, (540, 480), "dark"),
)
#: The pictures of the README show more.
TALL = ("dashboard", "bot", "bot-ladder", "bot-signals", "backtest", "compare", "sweep")
TALL_HEIGHTS = (980, 860, 760, 620)
TURKISH = ("dashboard", "bot")
VIEWERS = {"status": "operator", "admin": "operator", "bot-twin": "trader"}
#: A live bot beside its twin is not the demo's: it needs an exchange's key.
TWIN = "bot-twin"
#: Both bots' trades: hours ago; then for each side the price decided on and the one that it got,
#: bought and sold.
BESIDE = (
    (120, (("64200", "64222"), ("65150", "65118")), (("64200", "64212"), ("65150", "65140"))),
    (71, (("65446", "65475"), ("64895", "64861")), (("65440", "65450"), ("64900", "64890"))),
    (26, (("64020", "64031"), ("65020", "65030")), (("64020", "64030"), ("65015", "65010"))),
)
#: Of each order: units, and the fee that each side paid.
UNITS, FEES = "0.02", ("1.30", "1.29")


def pages(holder: Any, market: Any, beside: Any) -> dict[str, str]:
    """Return the pages to be taken: name of the picture -> address."""
    bot = f"/bots/{holder.pk}/"
    runs = holder.owner.backtests.filter(status="done")
    tried, sweep = runs.filter(kind="single").first(), runs.filter(kind="sweep").first()
    bought = holder.decisions.filter(action="enter", gate="signal").latest("pk")
    tabs = ("decisions", "orders", "fills", "events", "days", "performance", "signals")
    both = "&".join(f"run={run.pk}" for run in runs.filter(kind="single"))
    return {
        "dashboard": "/",
        "bot": bot,
        "bot-ladder": f"/bots/{holder.owner.bots.get(name=LADDER).pk}/",
        **{f"bot-{tab}": f"{bot}{tab}/" for tab in (*tabs, "settings", "stop")},
        "bot-decision": f"{bot}decisions/{bought.pk}/",
        TWIN: f"/bots/{beside.pk}/performance/#expectation",
        "new-bot": "/bots/new/?preset=balanced",
        "templates": "/templates/",
        "several-bots": "/bots/bulk/",
        "performance": "/performance/",
        "backtests": "/backtests/",
        "new-backtest": f"/backtests/new/?bot={holder.pk}",
        "backtest": f"/backtests/{tried.pk}/",
        "compare": f"/backtests/compare/?{both}",
        "sweep": f"/backtests/{sweep.pk}/",
        "activity": "/activity/",
        "markets": "/markets/",
        **({"market": f"/markets/{market.pk}/"} if market else {}),
        "keys": "/keys/",
        "profile": "/profile/",
        "second-factor": "/accounts/2fa/totp/activate/",
        "notifications": "/profile/notifications/",
        "help": "/help/",
        "sign-in": "/accounts/login/",
        "status": "/status/",
        "admin": "/admin/",
    }


def take(page: Page, path: Path, width: int, heights: tuple[int, ...]) -> int:
    """Write the picture of what the page shows, as high as its weight allows; returns the bytes."""
    for height in heights:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(400)
        content = page.screenshot(animations="disabled")
        if len(content) <= LIMIT:
            break
    else:
        raise SystemExit(f"{path.name}: {len(content):,} bytes, even {height} px high")
    path.write_bytes(content)
    return len(content)


def looks(name: str) -> Iterator[tuple[str, str, int, tuple[int, ...], Literal["light", "dark"]]]:
    """Yield how a page is taken: file, language, width, heights, light."""
    for suffix, width, heights, light in LOOKS:
        if name in TALL and not suffix:
            heights = TALL_HEIGHTS
        yield f"{name}{suffix}.png", "en-US", width, heights, light
    if name in TURKISH:
        _suffix, width, heights, light = LOOKS[0]
        yield f"{name}-tr.png", "tr-TR", width, heights, light


def take_all(browser: Browser, url: str, wanted: dict[str, str], cookies: dict[str, Any]) -> int:
    """Take every page as its viewer sees it; returns all bytes."""
    total = 0
    for name, address in wanted.items():
        for file, locale, width, heights, light in looks(name):
            size = {"width": width, "height": heights[0]}
            context = browser.new_context(locale=locale, color_scheme=light, viewport=size)  # type: ignore[arg-type]
            viewer = VIEWERS.get(name, "demo")
            if name != "sign-in":
                cookie, value = cookies[viewer]
                context.add_cookies([{"name": cookie, "value": value, "url": url}])
            page = context.new_page()
            answer = page.goto(url + address)
            if answer is None or answer.status != 200:
                raise SystemExit(f"{address}: {answer and answer.status}")
            if "reauthenticate" in page.url:
                page.fill("[name=password]", PASSWORD)
                page.locator("main form button").first.click()
            page.wait_for_load_state("networkidle")
            weight = take(page, FOLDER / file, width, heights)
            total += weight
            print(f"{file}: {weight / 1000:.0f} kB", flush=True)
            context.close()
    return total


def arrange() -> tuple[Any, Any]:
    """Make the demo and what its pages are to show; returns its user and an operator."""
    from django.core.management import call_command

    from bots import portable
    from bots.alerts import addresses, channels
    from bots.models import AlertChannel, AlertSettings, Hook, User
    from bots.models.alert import AlertKind
    from bots.models.hook import new_secret

    call_command("demo", history=DAYS, verbosity=0)
    call_command("demo", verbosity=0)
    demo = User.objects.get(username="demo")
    for bot in demo.bots.filter(name__in=KEPT):
        portable.keep(demo, bot.name, bot)
    demo.time_zone = "Europe/Istanbul"
    demo.set_password(PASSWORD)
    demo.save()
    channel = channels.add(
        demo, "mail", addresses.mail("demo@example.org"), label="Phone", kinds=AlertKind.values
    )
    AlertChannel.objects.filter(pk=channel.pk).update(is_confirmed=True)
    AlertSettings.objects.create(owner=demo, quiet_from=time_of(23), quiet_to=time_of(7))
    holder = demo.bots.get(name=HOLDER)
    Hook.objects.create(bot=holder, secret=new_secret())
    send_signals(holder)
    try_settings(demo.bots.get(name=TRIED))
    return demo, User.objects.create_superuser("operator")


def send_signals(bot: Any) -> None:
    """Let a bot be told things from outside: what it may do, what it may not, and nonsense."""
    from django.utils import timezone

    from bots.signals.taking import take

    now = timezone.now()
    for number, text in enumerate(
        ("buy", "hold my beer", '{"action": "buy", "symbol": "BTCUSDT"}')
    ):
        take(bot, text.encode(), now - timedelta(minutes=9 - 4 * number))


def try_settings(bot: Any) -> None:
    """Try a bot on its last weeks, as it is and in many ways, as a worker does it."""
    from django.utils import timezone

    from bots.backtests import asking, running
    from bots.backtests.axes import Axis

    now = timezone.now()
    slow = Axis(name="ema_slow", low=Decimal(6), high=Decimal(24), step=Decimal(2))
    stop = Axis(name="stop_loss_perc", low=Decimal(1), high=Decimal(6), step=Decimal(1))
    for days, vary in ((30, ()), (60, (slow, stop))):
        since = now - timedelta(days=days)
        wanted = asking.Wanted(since=since, until=now)
        run = asking.ask(bot.owner, bot, wanted, origin="bot", of=bot, vary=vary)
        running.run(run.pk)


def trade_beside_a_twin() -> Any:
    """Return a trader's bot on a testnet, stopped, that traded the same signals as its twin."""
    from django.utils import timezone

    from bots import control, twins
    from bots.models import Account, Order, StateEvent, User
    from tests.pages.builders import bot_of, filled

    trader = User.objects.create(username="trader", language="en")
    place = {"exchange": "binance", "mode": "testnet"}
    account = Account.objects.create(owner=trader, label="main", **place)
    bot = bot_of(trader, "Morning tide", account=account, **place)
    control.start(bot, by=trader, via="page")
    twin = twins.make(bot, by=trader, via="page")
    control.stop(bot, by=trader, via="page", position="leave")
    now = timezone.now()
    StateEvent.objects.filter(bot__owner=trader).update(at=now - timedelta(days=6))
    for hours, *sides in BESIDE:
        for one, prices, fee in zip((bot, twin), sides, FEES, strict=True):
            for side, (thought, got), ago in zip(
                ("buy", "sell"), prices, (hours, hours - 7), strict=True
            ):
                at = now - timedelta(hours=ago)
                fill = filled(one, side, UNITS, got, at=at + timedelta(seconds=1), fee=fee)
                Order.objects.filter(pk=fill.order_id).update(
                    created_at=at, expected_price=Decimal(thought)
                )
    return bot


def inside(names: list[str]) -> None:
    """Make the demo in the scratch database, serve it and take the pictures."""
    scene.setup()
    from bots import schedule, sweep
    from bots.models import Market

    demo, operator = arrange()
    beside = trade_beside_a_twin()
    holder = demo.bots.get(name=HOLDER)
    schedule.repair(sweep.intervals())
    viewers = (demo, operator, beside.owner)
    cookies = {viewer.username: serving.session_of(viewer) for viewer in viewers}
    with serving.served("worker", "web", "beat") as url:
        time.sleep(SETTLE)
        market = Market.objects.filter(symbol=holder.symbol, exchange=holder.exchange).first()
        wanted = pages(holder, market, beside)
        wanted = {name: wanted[name] for name in names or wanted}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium.find(), args=chromium.ARGUMENTS
            )
            total = take_all(browser, url, wanted, cookies)
            browser.close()
    print(f"{total / 1000:.0f} kB in all")


def main() -> int:
    """Run `inside` in a process of its own, with an environment that is nobody's."""
    from bench.__main__ import environment

    with (
        tempfile.TemporaryDirectory(prefix="botsite-shots-") as top,
        redis_server(Path(top) / "redis") as redis,
        mailbox() as post,
    ):
        folder = Path(top) / "data"
        folder.mkdir()
        env = environment(folder, redis.url, None)
        env["EMAIL_URL"] = f"smtp://127.0.0.1:{post.port}"
        command = [sys.executable, "-m", "bench.shots", "inside", *sys.argv[1:]]
        return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(inside(sys.argv[2:]) if sys.argv[1:2] == ["inside"] else main())
