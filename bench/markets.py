"""How long a search over 5,000 markets takes: the suggestions of the form, and the whole page."""

import statistics
import time
from collections import Counter
from decimal import Decimal
from itertools import islice, product

from bench import scene

MARKETS = 5_000
QUOTES = ("USDT", "USDC", "BTC", "TRY")
#: From nothing typed to a pair; what begins many bases, what none has, a Turkish i.
TEXTS = (
    "",
    "b",
    "bt",
    "btc",
    "btcu",
    "btcusdt",
    "btc usdt",
    "BTC/USDT",
    "usd",
    "b\u0131t",
    "zzzzz",
)
REPEATS = 10
PLACE = {"exchange": "binance", "mode": "paper"}


def _store_markets() -> None:
    from bots.models import Market

    rules = {"amount_step": Decimal("0.0001"), "price_tick": Decimal("0.01")}
    letters = ("".join(word) for word in product("TBCZIUX", repeat=5))
    bases = ["BTC", "ETH", "BNB", "BIT", *islice(letters, MARKETS // len(QUOTES))]
    pairs = [(base, quote) for base in bases for quote in QUOTES if base != quote][:MARKETS]
    count = Counter(base for base, _quote in pairs)
    rows = [
        Market(symbol=f"{b}/{q}", base=b, quote=q, pairs=count[b], min_notional=5, **PLACE, **rules)
        for b, q in pairs
    ]
    Market.objects.bulk_create(rows, batch_size=500)


def main() -> None:
    scene.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from bots.models import Market

    call_command("collectstatic", interactive=False, verbosity=0)
    user = scene.owner()
    _store_markets()
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])
    for name, path, field in (
        ("suggestions", "/markets/suggest/", "symbol"),
        ("page", "/markets/", "q"),
    ):
        times = []
        for number in range(REPEATS * len(TEXTS) + 1):
            text = TEXTS[number % len(TEXTS)]
            begun = time.perf_counter()
            answer = client.get(path, {**PLACE, field: text})
            times.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200 or (text == "btc" and b"BTC/USDT" not in answer.content):
                raise SystemExit(f"{path} does not find {text!r}")
        # The first request loads templates and connects.
        p95 = statistics.quantiles(times[1:], n=20)[-1]
        scene.tell(
            f"symbol search over {Market.objects.count():,} markets, {name}, {scene.database()}",
            f"{p95:.0f} ms p95 (median {statistics.median(times[1:]):.0f} ms)",
            ms=p95,
        )


if __name__ == "__main__":
    main()
