"""What benchmarks share: a database made for them, an owner, bots, and a way to tell results."""

import json
import os
from collections.abc import Callable
from typing import Any

WINDOW = 200


def setup() -> None:
    """Load Django and make the tables in the scratch database that the environment names."""
    import django
    from django.core.management import call_command

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)


def tell(what: str, result: str, **numbers: float) -> None:
    """Print one row of the table, and the bare numbers for whoever compares runs."""
    print(json.dumps({"what": what, "result": result, **numbers}), flush=True)


def owner() -> Any:
    """Return a new user without a password."""
    from bots.models import User

    number = User.objects.count()
    return User.objects.create(username=f"bench{number}")


def started_bots(user: Any, count: int, **values: Any) -> list[Any]:
    """Return `count` bots of `user` that were started; no message is sent for them."""
    from decimal import Decimal
    from unittest.mock import patch

    from bots import control

    given = {"symbol": "BTC/USDT", "position_size_fixed": Decimal(100)} | values
    bots = []
    with patch("bots.schedule.nudge"):
        for number in range(count):
            bot = control.create(user, {"name": f"Bot {number}", **given})
            control.start(bot, by=user, via="command")
            bots.append(bot)
    return bots


def database() -> str:
    """Return the name of the database in use, for people."""
    from django.db import connection

    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]


def busy(work: Callable[[], object], seconds: float, clock: Callable[[], float]) -> int:
    """Repeat `work` for `seconds`; returns how often."""
    end, count = clock() + seconds, 0
    while clock() < end:
        work()
        count += 1
    return count
