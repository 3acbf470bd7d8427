"""The tests' surroundings: a real Redis, and a real PostgreSQL where TEST_DATABASE=postgres.

The environment is set before Django reads its settings, so nothing here may import a model at the
top. Helpers for one kind of test stand beside those tests.
"""

import atexit
import os
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import pytest

from botsite.platform.bootstrap import ROOT, fernet_key
from tests import chromium
from tests.postgres import postgres_server
from tests.redis_server import redis_server

if TYPE_CHECKING:
    from bots.models import User

_surroundings = ExitStack()
atexit.register(_surroundings.close)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, in the process that the workers inherit their environment from."""
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is None:
        _start_surroundings()
    else:
        # One Redis, a database of it for each worker, so that no test sees another's messages.
        number = int(worker["workerid"].removeprefix("gw")) + 1
        os.environ["REDIS_URL"] = os.environ["REDIS_URL"].removesuffix("/0") + f"/{number}"
        os.environ["DATA_DIR"] += f"/{number}"
    # Playwright leaves an event loop running in the thread of all later tests; next to one Django
    # takes the ORM for unsafe.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    os.environ["DJANGO_SETTINGS_MODULE"] = "botsite.settings"
    django.setup()
    # The workers inherit it otherwise, and pytest-django reads the settings before the lines above.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start with the modules that take longest, so that no worker is left alone with one.

    On PostgreSQL what never touches a database is left to the run on SQLite; on SQLite what is
    marked `postgres` is left to the other.
    """
    is_postgres = os.environ.get("TEST_DATABASE") == "postgres"
    here = _uses_a_database if is_postgres else _is_for_any_database
    config.hook.pytest_deselected(items=[item for item in items if not here(item)])
    items[:] = [item for item in items if here(item)]
    seconds: Counter[str] = Counter()
    for item in items:
        for mark in item.iter_markers("slow"):
            seconds[item.location[0]] += mark.kwargs["seconds"]
        if mark := item.get_closest_marker("long"):
            seconds[item.location[0]] = mark.kwargs["seconds"]
    items.sort(key=lambda item: -seconds[item.location[0]])


def _uses_a_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    touching = fixtures & {"db", "transactional_db", "django_db_setup", "live_server"}
    return bool(touching) or item.get_closest_marker("django_db") is not None


def _is_for_any_database(item: pytest.Item) -> bool:
    return item.get_closest_marker("postgres") is None


def _start_surroundings() -> None:
    settings = (ROOT / "botsite/settings.py").read_text(encoding="utf-8")
    for name in re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', settings):
        # Whatever the developer has set is theirs: no test may reach their database or exchange.
        os.environ.pop(name, None)
    folder = Path(_surroundings.enter_context(tempfile.TemporaryDirectory(prefix="botsite-tests-")))
    redis = _surroundings.enter_context(redis_server(folder / "redis"))
    if os.environ.get("TEST_DATABASE", "sqlite") == "postgres":
        server = _surroundings.enter_context(postgres_server())
        os.environ["DATABASE_URL"] = server.url
    os.environ.update(
        ENV_FILE="",
        SECRET_KEY=secrets.token_urlsafe(48),
        FERNET_KEYS=fernet_key(),
        DATA_DIR=str(folder / "data"),
        REDIS_URL=redis.url,
        STATIC_MANIFEST="false",
    )


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Argon2 is slow on purpose; one test of the settings checks that it comes first."""
    quick = "django.contrib.auth.hashers.MD5PasswordHasher"
    settings.PASSWORD_HASHERS = [quick, *settings.PASSWORD_HASHERS]


@pytest.fixture(autouse=True)
def _plain_language() -> Iterator[None]:
    """A page that was read in Turkish leaves its language with the thread."""
    from django.utils import timezone, translation

    yield
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture(autouse=True)
def _nothing_stored() -> None:
    """Each test's process has stored no candles yet: the tables are empty again."""
    from bots import candles

    candles._known.clear()


def _user(name: str) -> "User":
    from bots.models import User

    return User.objects.create_user(name, password=f"{name}-has-a-long-password")


@pytest.fixture
def alice(db: None) -> "User":
    """The owner of what a test makes."""
    return _user("alice")


@pytest.fixture
def bob(db: None) -> "User":
    """Another trader, with things of his own."""
    return _user("bob")


@pytest.fixture
def mallory(db: None) -> "User":
    """Must never see or touch anything of alice's."""
    return _user("mallory")


@pytest.fixture
def process_env(transactional_db: None, settings: Any) -> dict[str, str]:
    """The environment for a real worker or beat: it shares this test's database and Redis."""
    name = settings.DATABASES["default"]["NAME"]
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        url = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{name}"
    else:
        url = f"sqlite:///{name}"
    return {**os.environ, "DATABASE_URL": url}


@pytest.fixture(scope="session")
def chrome_path() -> str:
    """A real Chromium: CHROME, /usr/bin/chromium, or the one that `make test` fetched."""
    return chromium.find()


@pytest.fixture(scope="session")
def browser_type_launch_args(chrome_path: str) -> dict[str, Any]:
    """How pytest-playwright starts its browser; on a busy machine it may take its time."""
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    return {"executable_path": chrome_path, "args": chromium.ARGUMENTS}
