"""How gunicorn serves the site: `gunicorn -c python:botsite.gunicorn botsite.wsgi:application`."""

import os
from pathlib import Path
from urllib.parse import urlsplit


def listen_host(site_url: str, given: str = "") -> str:
    """Return the address to listen on: `given` (BIND), else what SITE_URL calls for.

    A plain http address that is not this machine's own loopback means that others in the network
    are to reach us. Behind https there is a proxy, and it asks from this machine.
    """
    if given:
        return given
    url = urlsplit(site_url)
    own = {"127.0.0.1", "localhost", "::1", "", None}
    return "0.0.0.0" if url.scheme == "http" and url.hostname not in own else "127.0.0.1"  # noqa: S104


_port = os.environ.get("PORT", "8000")
_site_url = os.environ.get("SITE_URL", "")

bind = f"{listen_host(_site_url, os.environ.get('BIND', ''))}:{_port}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Loaded once and shared: half the work at the start, and less memory.
preload_app = True
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 60
graceful_timeout = 5
keepalive = 5
# The heartbeat's file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
loglevel = "warning"
