"""How the two databases are spoken to: SQLite for one machine, PostgreSQL for more."""

from pathlib import Path
from typing import Any


def configure(config: dict[str, Any], *, data_dir: Path, conn_max_age: int) -> dict[str, Any]:
    """Return Django's entry for a database, made of what DATABASE_URL says.

    `conn_max_age`: how long a PostgreSQL connection is kept, in seconds.
    """
    if not config["ENGINE"].endswith("sqlite3"):
        options = {"connect_timeout": 5, **config.get("OPTIONS", {})}
        kept = {"CONN_MAX_AGE": conn_max_age, "CONN_HEALTH_CHECKS": True}
        return {**config, **kept, "OPTIONS": options}
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        # A transaction that reads first and then writes fails at once under DEFERRED.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        **config.get("OPTIONS", {}),
    }
    # The tests' database is a file: a worker in its own process, and threads, share it.
    return {**config, "OPTIONS": options, "TEST": {"NAME": str(data_dir / "test.sqlite3")}}
