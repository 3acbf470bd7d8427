"""How long the server works on the dashboard, and on its poll when nothing changed."""

import statistics
import time

from bench import scene
from bench.serving import p95

REPEATS = 100


def main() -> None:
    scene.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from bots import tick

    call_command("collectstatic", interactive=False, verbosity=0)
    backend = settings.AUTHENTICATION_BACKENDS[-1]
    for count in (50, 200):
        user = scene.owner()
        for bot in scene.started_bots(user, count):
            tick.run(bot.pk)
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(user, backend=backend)
        # A session is written down when it is first used, and every five minutes.
        client.get("/help/")
        with CaptureQueriesContext(connection) as queries:
            page = client.get("/")
            asked = len(queries)
        if page.status_code != 200 or page.content.count(b"Bot 0") < 1:
            raise SystemExit(f"no dashboard: {page.status_code}")
        times = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            client.get("/")
            times.append((time.perf_counter() - begun) * 1000)
        scene.tell(
            f"dashboard with {count} bots, {scene.database()}",
            f"{statistics.median(times):.0f} ms, p95 {p95(times):.0f} ms, {asked} queries, "
            f"{len(page.content) / 1024:.0f} kB",
            ms=statistics.median(times),
            p95=p95(times),
        )


if __name__ == "__main__":
    main()
