"""Run the soak that the environment asks for: `python -m bench.soak`; 1 on a violation."""

import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.__main__ import environment, machine
from bench.soak.report import Results, markdown
from bench.soak.site import Site
from bench.soak.watching import Watching
from tests.postgres import postgres_server
from tests.testexchange import TestExchange

#: Markets of the test exchange and their price ticks.
SYMBOLS = {"BTCUSDT": Decimal("0.01"), "ETHUSDT": Decimal("0.01"), "XRPUSDT": Decimal("0.0001")}
ACCOUNTS = 4
#: USDT in each futures wallet; far more than the positions of the bots can lose.
MARGIN = Decimal(100_000)
#: Funding each minute, so that a soak of half an hour has some.
FUTURES = {"funding_hours": 1 / 60, "funding_rate": "0.0001"}
#: The longest that a bot may be left alone after a fault (I15), and all orders take to settle.
HEALING_SECONDS = 240


def accounts() -> list[dict[str, Any]]:
    return [
        {
            "name": f"soak{number}",
            "api_key": f"{number}" * 64,
            "secret": f"secret-of-{number}" * 4,
            "balances": {"USDT": "10000000"},
            "futures_balances": {"USDT": str(MARGIN)},
            "permissions": {"enableFutures": True},
        }
        for number in range(ACCOUNTS)
    ]


def settings(folder: Path, postgres_url: str, exchange: TestExchange) -> dict[str, str]:
    """Return the environment of the platform: real times, failpoints armed."""
    failpoints = folder / "failpoints"
    failpoints.mkdir()
    env = environment(folder, "", postgres_url)
    del env["REDIS_URL"]  # runplatform starts one of its own, which may be killed too
    return env | {
        "EXCHANGE_API_BASE": exchange.api_base,
        "FAILPOINTS": str(failpoints),
        "LIVE_TRADING_ENABLED": "true",
        "STATIC_MANIFEST": "false",
    }


def main() -> int:
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    bots = int(os.environ.get("SOAK_BOTS", "20"))
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    results = Results(seed=seed, minutes=minutes, bots=bots, machine=machine())
    print(f"Soak of {minutes:g} minutes, {bots} bots, seed {seed}", flush=True)
    config = {"accounts": accounts(), "seed": seed, "spread": "0.0005", "futures": FUTURES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="botsite-soak-")))
        postgres = stack.enter_context(postgres_server(durable=True))
        exchange = stack.enter_context(TestExchange(config=config))
        env = settings(folder, postgres.url, exchange)
        log = Path(os.environ.get("SOAK_LOG", folder / "platform.log"))
        site = Site(env, log)
        stack.callback(site.kill_everything)
        site.start()
        run(site, exchange, env, results)
    report = markdown(results)
    print(report)
    if where := os.environ.get("SOAK_REPORT"):
        Path(where).write_text(report, encoding="utf-8")
    return 1 if results.violations else 0


def run(site: Site, exchange: TestExchange, env: dict[str, str], results: Results) -> None:
    """Load Django in this process, which watches the platform's database, and soak."""
    for name in {"REDIS_URL", "DATABASE_URL"} - env.keys():
        os.environ.pop(name, None)
    os.environ.update(env)
    import django

    django.setup()
    from bench.soak.drive import Drive

    drive = Drive(
        site=site,
        exchange=exchange.control,
        folder=Path(env["FAILPOINTS"]),
        seed=results.seed,
        accounts=accounts(),
        symbols=SYMBOLS,
        watching=Watching(),
        margin=MARGIN,
    )
    drive.make_bots(results.bots)
    end = time.monotonic() + 60 * results.minutes
    while time.monotonic() < end:
        drive.step()
        print(f"\r{end - time.monotonic():5.0f} s left {drive.summary()}", end="", flush=True)
    print(flush=True)
    results.healed_after = drive.heal(HEALING_SECONDS)
    drive.judge(results)


if __name__ == "__main__":
    sys.exit(main())
