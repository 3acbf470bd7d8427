"""What has to be so before the site can start: tables and static files. Cheap when it is so."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from bots import sweep

Say = Callable[[str], None]


def unapplied() -> int:
    """Return how many migrations the database has not seen."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def database(say: Say) -> None:
    """Bring the tables up to date."""
    if waiting := unapplied():
        say(f"applying {waiting} migrations to the {connection.vendor} database")
        call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)


def schedule() -> None:
    """Bring the rows of django-celery-beat in line with the bots."""
    sweep.repair_schedule()


def _fingerprint() -> str:
    """Return what changes whenever the collected files would: our sources and our packages."""
    digest = hashlib.sha256(str(settings.STATIC_MANIFEST).encode())
    for folder in map(Path, settings.STATICFILES_DIRS):
        for path in sorted(folder.rglob("*")):
            state = path.stat()
            digest.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode())
    digest.update((settings.BASE_DIR / "requirements.txt").read_bytes())
    return digest.hexdigest()


def static_files(say: Say) -> None:
    """Collect the static files where something changed since the last time."""
    if not settings.STATIC_MANIFEST:
        return
    root = Path(settings.STATIC_ROOT)
    mark: Path = settings.DATA_DIR / "run" / "staticfiles.sha256"
    now = _fingerprint()
    if root.is_dir() and mark.is_file() and mark.read_text(encoding="utf-8") == now:
        return
    say("collecting static files")
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    mark.write_text(now, encoding="utf-8")
