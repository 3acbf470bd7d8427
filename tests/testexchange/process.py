"""The test exchange as a child process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.testexchange.client import ExchangeControl
from tests.testexchange.settings import ROOT


class TestExchange:
    """The exchange as a child process on a loopback port."""

    __test__ = False  # not a test case, for all its name

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        port: int = 0,
        start_timeout: float = 15.0,
    ) -> None:
        self.config = dict(config or {})
        self.port = port
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_base(self) -> str:
        """The value for EXCHANGE_API_BASE."""
        return f"binance={self.url}"

    @property
    def control(self) -> ExchangeControl:
        return ExchangeControl(self.url)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the test exchange is not running")
        return self._process.pid

    def start(self) -> Self:
        """Starts the process and waits until it listens; RuntimeError when it does not."""
        command = [sys.executable, "-m", "tests.testexchange", "--config", "-", "--until-eof"]
        self._process = process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes of the test exchange are missing")
        process.stdin.write(json.dumps(self.config, default=str).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._start_timeout)
        line = process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            raise RuntimeError("the test exchange did not start; its error is on standard error")
        self.port = urlsplit(json.loads(line)["url"]).port or 0
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds; harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """SIGKILL: the port refuses connections, the state is lost."""
        if self._process is not None:
            self._process.kill()
        self._reap()

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def install(self, exchange: Any) -> None:
        """Points a ccxt binance instance here: hosts replaced, paths kept."""
        exchange.urls["api"] = {
            name: self.url + urlsplit(address).path
            for name, address in exchange.urls["api"].items()
            if isinstance(address, str)
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
