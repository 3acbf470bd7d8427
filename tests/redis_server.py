"""A real Redis for the tests; a test that stops, restarts or flushes one starts its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botsite.platform.redis import PrivateRedis


class RedisServer:
    """One server; it keeps its address and password over `stop()` and `start()`."""

    def __init__(self, folder: Path) -> None:
        self.plan = PrivateRedis(folder=folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.plan.url

    def start(self) -> None:
        process = subprocess.Popen(self.plan.write_config(), stdin=subprocess.DEVNULL)
        self._process = process
        self.plan.wait(alive=lambda: process.poll() is None)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Yield a running server whose files are in `folder`, and end it afterwards."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
