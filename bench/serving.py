"""The site as it is served to people, for benchmarks that look at it from outside."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.memory import wait_for


@contextmanager
def served(*names: str) -> Iterator[str]:
    """Run these of the platform's programs ("web", "worker", "beat"); yields the site's address."""
    from django.core.management import call_command

    from botsite.platform.launch import programs

    call_command("collectstatic", interactive=False, verbosity=0)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    chosen = [one for one in programs(os.environ) if one.name in names]
    running = [subprocess.Popen(one.argv, env=one.env, **quiet) for one in chosen]
    url = f"http://127.0.0.1:{os.environ['PORT']}"
    try:
        wait_for(f"{url}/accounts/login/")
        yield url
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=50)


def session_of(user: Any) -> tuple[str, str]:
    """Return name and value of a cookie with which a browser is signed in as `user`."""
    from django.conf import settings
    from django.test import Client

    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])
    name = settings.SESSION_COOKIE_NAME
    return name, client.cookies[name].value


def p95(milliseconds: list[float]) -> float:
    """Return what 95 of 100 do not exceed."""
    return sorted(milliseconds)[max(0, -(-len(milliseconds) * 95 // 100) - 1)]
