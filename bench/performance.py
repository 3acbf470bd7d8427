"""How long the figures of 10,000 fills take: read, folded into trades, and shown as a page."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bench import scene

BOTS, FILLS, REPEATS = 10, 1_000, 7


def write_ledger(user: Any) -> None:
    """Give each of the user's bots as many filled orders, a buy and a sale in turn."""
    from bots.models import Fill, Order
    from tests.rows import whole_fill

    first = datetime.now(UTC) - timedelta(hours=FILLS)
    for bot in user.bots.select_related("account"):
        orders = [
            Order(
                bot=bot,
                account=bot.account,
                client_order_id=f"bench{bot.pk}x{number}",
                symbol=bot.symbol,
                side="sell" if number % 2 else "buy",
                type="market",
                purpose="exit" if number % 2 else "entry",
                reason="signal",
                amount=Decimal("0.00123"),
                expected_price=Decimal(60_000),
                status="filled",
                filled=Decimal("0.00123"),
                booked=Decimal("0.00123"),
                is_settled=True,
                fence=1,
                run_epoch=1,
                signed_at=first + timedelta(hours=number),
                created_at=first + timedelta(hours=number),
            )
            for number in range(FILLS)
        ]
        Order.objects.bulk_create(orders, batch_size=200)
        prices = (Decimal(60_000 + number % 977) for number in range(FILLS))
        fills = [whole_fill(*pair) for pair in zip(orders, prices, strict=True)]
        Fill.objects.bulk_create(fills, 200)


def main() -> None:
    scene.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from bots.performance import Span, histories, report

    call_command("collectstatic", interactive=False, verbosity=0)
    user = scene.owner()
    scene.started_bots(user, BOTS)
    write_ledger(user)

    def figures() -> None:
        found = report(histories(user.bots.all()).values(), Span(), Decimal(10_000))
        if found.summary.trades < BOTS * FILLS // 2:
            raise SystemExit(f"{found.summary.trades} trades: nothing was measured")

    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])

    def page() -> None:
        answer = client.get("/performance/")
        if answer.status_code != 200:
            raise SystemExit(f"no page: {answer.status_code}")

    for what, work in (("figures", figures), ("page", page)):
        times = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            work()
            times.append((time.perf_counter() - begun) * 1000)
        scene.tell(
            f"performance of {BOTS} bots with {BOTS * FILLS:,} fills, {what}, {scene.database()}",
            f"{statistics.median(times):.0f} ms",
            ms=statistics.median(times),
        )


if __name__ == "__main__":
    main()
