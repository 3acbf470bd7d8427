"""How long the server works on an operator's pages with 10,000 bots and 100,000 orders."""

import statistics
import sys
import time
from datetime import timedelta
from decimal import Decimal

from bench import rollover, scene

BOTS, ORDERS_EACH, REPEATS = 10_000, 10, 10
#: What is measured -> its address.
PAGES = {
    "first page": "/admin/",
    "list of bots": "/admin/bots/botconfig/",
    "late bots": "/admin/bots/botstate/?watch=late",
    "search in orders": "/admin/bots/order/?q=bot+77",
    "status page": "/status/",
}


def fill(count: int) -> None:
    """Make bots of every kind, a few of them late, with settled orders and some unknown ones."""
    from django.db import connection
    from django.utils import timezone

    from bots.models import BotConfig, BotState, Order

    now = timezone.now()
    rollover.fill(count)
    BotState.objects.update(last_run_at=now, day_ends_at=now + timedelta(hours=9))
    bots = list(BotConfig.objects.order_by("pk"))
    late = [bot.pk for bot in bots[::100]]
    BotState.objects.filter(pk__in=late).update(last_run_at=now - timedelta(hours=1))
    rows = []
    for number in range(count * ORDERS_EACH):
        bot, is_open = bots[number % count], number < count // 200
        rows.append(
            Order(
                bot=bot,
                account_id=bot.account_id or 0,
                client_order_id=f"bsadm{number:013}",
                exchange_order_id=str(number),
                symbol=bot.symbol,
                side="buy",
                type="market",
                purpose="entry",
                reason="signal",
                amount=Decimal("0.002"),
                status="unknown" if is_open else "filled",
                is_settled=not is_open,
                signed_at=now,
                created_at=now - timedelta(minutes=30),
                fence=1,
                run_epoch=1,
            )
        )
    Order.objects.bulk_create(rows, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def main(count: int) -> None:
    scene.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from bots.models import User

    call_command("collectstatic", interactive=False, verbosity=0)
    fill(count)
    client = Client(headers={"host": "127.0.0.1"})
    operator = User.objects.create_superuser("operator")
    client.force_login(operator, backend=settings.AUTHENTICATION_BACKENDS[-1])
    for what, address in PAGES.items():
        with CaptureQueriesContext(connection) as queries:
            page = client.get(address)
            asked = len(queries)
        if page.status_code != 200:
            raise SystemExit(f"no {what}: {page.status_code}")
        times = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            client.get(address)
            times.append((time.perf_counter() - begun) * 1000)
        scene.tell(
            f"admin, {what}, {count:,} bots, {scene.database()}",
            f"{statistics.median(times):.0f} ms, {asked} queries",
            ms=statistics.median(times),
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else BOTS)
