"""One process that has Django and an empty database ready, and a fork of it for each mutant.

A fork puts the mutant in the module's place before anything imports it, takes a copy of the
database, and runs the tests. That is several times as fast as a fresh pytest on changed files.
"""

import importlib
import importlib.util
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path

from botsite.platform.bootstrap import ROOT

#: Seconds after which the tests without a mutant count as hanging.
PATIENCE = 600.0
#: Modules of bots that Django itself has loaded, and that cannot be loaded twice.
KEPT = ("models", "apps", "lifecycle", "world", "failpoints", "schedule", "guards", "migrations")


class Verdict(Enum):
    """What became of a mutant. UNFIT: it cannot even be imported, so it does not count."""

    NOTICED = 0
    SURVIVED = 1
    UNFIT = 2
    BROKEN = 3  # no verdict: the fork itself failed


class Nursery:
    """The process to fork from; `close()` ends its servers."""

    def __init__(self, folder: Path) -> None:
        from tests import conftest

        self._conftest = conftest
        self._folder = folder
        self._template = folder / "template.sqlite3"
        conftest._start_surroundings()
        os.environ |= {
            "DATABASE_URL": f"sqlite:///{self._template}",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
            "DJANGO_SETTINGS_MODULE": "botsite.settings",
        }
        if os.fork() == 0:
            _migrate()
            os._exit(0)
        os.wait()
        self.is_warm = False

    def warm_up(self) -> None:
        """Load Django and what tests need, once for all forks; modules under models cannot wait."""
        import django

        django.setup()
        import hypothesis  # noqa: F401
        import pytest  # noqa: F401
        from playwright import sync_api  # noqa: F401

        self.is_warm = True

    def close(self) -> None:
        self._conftest._surroundings.close()

    def log(self, number: int) -> Path:
        """Return where a fork writes what its tests say."""
        return self._folder / f"{number}.log"

    def start(
        self,
        number: int,
        module: str,
        source: str | None,
        tests: Sequence[str],
        patience: float = PATIENCE,
    ) -> "Trial":
        """Fork, with `source` in place of bots.`module`; None leaves the module as it is.

        After `patience` seconds a mutant counts as noticed: it made a test hang.
        """
        pid = os.fork()
        if pid:
            return Trial(pid, patience)
        status = Verdict.BROKEN.value
        try:
            os.setsid()
            status = self._live(number, module, source, tests).value
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _live(self, number: int, module: str, source: str | None, tests: Sequence[str]) -> Verdict:
        import pytest

        log = os.open(self.log(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        # The servers are the parent's: a fork neither starts nor stops them.
        self._conftest._surroundings = ExitStack()
        vars(self._conftest)["_start_surroundings"] = lambda: None
        self._use_copy(number)
        if self.is_warm:
            _forget()
        if source is not None and not _install(module, source):
            return Verdict.UNFIT
        arguments = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:playwright"]
        code = pytest.main([*arguments, *(str(ROOT / path) for path in tests)])
        return Verdict.NOTICED if code else Verdict.SURVIVED

    def _use_copy(self, number: int) -> None:
        from django.conf import settings
        from django.db import connections
        from django.test import utils

        mine = self._folder / f"{number}.sqlite3"
        shutil.copyfile(self._template, mine)
        for row in (settings.DATABASES["default"], connections["default"].settings_dict):
            row["NAME"] = str(mine)
        # The copy is the tests' database.
        utils.setup_databases = lambda **_: []
        utils.teardown_databases = lambda *_args, **_kwargs: mine.unlink()


class Trial:
    """A fork at work."""

    def __init__(self, pid: int, patience: float) -> None:
        self._pid = pid
        self._until = time.monotonic() + patience

    def verdict(self) -> Verdict | None:
        """Return what became of it, None while it runs; one that takes too long is ended."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            return Verdict(os.WEXITSTATUS(status)) if os.WIFEXITED(status) else Verdict.NOTICED
        if time.monotonic() < self._until:
            return None
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        return Verdict.NOTICED


def _migrate() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    from django.db import connections

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    connections.close_all()  # else a part of it is still in the log beside the file


def _forget() -> None:
    """Let what may hold the module's old names be imported anew."""
    for name in list(sys.modules):
        top, _, rest = name.partition(".")
        if top == "tests" and name not in ("tests", "tests.conftest"):
            del sys.modules[name]
        if top == "bots" and rest and rest.split(".")[0] not in KEPT:
            del sys.modules[name]
            # `from bots import control` takes the package's attribute before it looks here.
            vars(sys.modules[top]).pop(rest, None)


def _install(module: str, source: str) -> bool:
    """Import `source` as bots.`module`; returns whether that went well."""
    name, path = f"bots.{module}", ROOT / "bots" / f"{module}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ImportError(name)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        exec(compile(source, path, "exec"), made.__dict__)
    except Exception:
        return False
    setattr(importlib.import_module("bots"), module, made)
    return True
