"""How long 10,000 bots of all kinds take to roll over to the next trading day.

Usage: python bench/rollover.py [number of bots]. Uses a database of its own, made beside the one
that DATABASE_URL names (SQLite in a temporary folder without it), and removes it. Exit code 1 when
it takes longer than LIMIT seconds.
"""

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bots.models import BotConfig

LIMIT = 10.0
ROOT = Path(__file__).resolve().parent.parent
#: Status, reason, duty, active; as many of each.
KINDS = [
    ("running", "no_signal", "trade", True),
    ("running", "in_position", "trade", True),
    ("waiting", "network", "trade", True),
    ("error", "stale_data", "trade", True),
    ("error", "api_key_invalid", "none", False),
    ("paused", "max_daily_loss", "none", False),
    ("paused", "max_daily_trades", "none", False),
    ("stopped", "by_owner", "none", False),
]
ZONES = ["", "Europe/Istanbul", "America/New_York", "Asia/Tokyo"]


def _kind(number: int) -> tuple[str, str, str, bool]:
    """Return status, reason, duty and active of a bot: each kind in each zone."""
    return KINDS[number // len(ZONES) % len(KINDS)]


def _configs(count: int) -> "list[BotConfig]":
    """Make the bots' settings, of owners in four zones."""
    from bots.models import Account, BotConfig, User

    accounts = []
    for number, zone in enumerate(ZONES):
        owner = User.objects.create(username=f"owner{number}", time_zone=zone)
        accounts.append(Account.objects.create(owner=owner, exchange="simulated", mode="paper"))
    bots = []
    for number in range(count):
        account = accounts[number % len(accounts)]
        bots.append(
            BotConfig(
                owner=account.owner,
                account=account,
                name=f"bot {number}",
                symbol="BTC/USDT",
                position_size_fixed=Decimal(100),
                is_active=_kind(number)[3],
            )
        )
    return BotConfig.objects.bulk_create(bots, batch_size=500)


def fill(count: int) -> None:
    """Make `count` bots of every kind whose day ended some days ago."""
    from bots import schedule
    from bots.models import BotState
    from trading.day import day_end, local_day

    two_days_ago = datetime.now(UTC) - timedelta(days=2)
    bots = _configs(count)
    states = []
    for number, bot in enumerate(bots):
        status, reason, duty, _ = _kind(number)
        day = local_day(bot.owner.zone, two_days_ago)
        states.append(
            BotState(
                bot=bot,
                status=status,
                reason=reason,
                duty=duty,
                counter_day=day,
                day_ends_at=day_end(bot.owner.zone, day),
                run_epoch=1 + number % 50,
                last_error_message="it failed" if status == "error" else "",
            )
        )
    BotState.objects.bulk_create(states, batch_size=500)
    schedule.sync_many({bot.pk: 60 for bot in bots if bot.is_active})


def measure(count: int) -> float:
    """Return the seconds that the rollover of `count` bots takes."""
    from bots import reset
    from bots.models import BotState, DayStats

    fill(count)
    now = datetime.now(UTC)
    begun = time.perf_counter()
    rolled = reset.roll_over(now)
    seconds = time.perf_counter() - begun
    if len(rolled) != count or DayStats.objects.count() != count:
        raise SystemExit(f"only {len(rolled)} of {count} bots were rolled over")
    if reset.roll_over(now) or BotState.objects.filter(status="paused").exists():
        raise SystemExit("a second rollover found something left to do")
    return seconds


def main() -> int:
    """Measure, print the seconds, and say whether that is fast enough."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="botsite-bench-") as folder:
        from botsite.platform.bootstrap import fernet_key

        os.environ.update(
            DJANGO_SETTINGS_MODULE="botsite.settings",
            ENV_FILE="",
            SECRET_KEY="bench",
            FERNET_KEYS=fernet_key(),
            DATA_DIR=folder,
        )
        import django

        django.setup()
        from django.db import connection

        name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
        try:
            seconds = measure(count)
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)
        print(
            f"rollover of {count} bots on {connection.vendor}: {seconds:.2f} s (limit {LIMIT:.0f})"
        )
        return int(seconds > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
