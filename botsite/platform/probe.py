"""Ask a site how it is: `python probe.py http://127.0.0.1:8000/healthz [worker=90 ...]`.

Exit code 0 when it answers 200 and each part named gave a sign of life within that many seconds,
else 1 and the reason. Only the standard library, and no import of the project: containers call it
every few seconds.
"""

import http.client
import json
import sys
from urllib.parse import urlsplit


def fetch(url: str) -> tuple[int, bytes]:
    """Return the status and the body. The host named is `localhost`, which is always allowed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=4)
    try:
        connection.request("GET", parts.path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def trouble(url: str, limits: dict[str, float]) -> str:
    """Return what is wrong, or ''. `limits`: part -> oldest allowed sign of life, in seconds."""
    try:
        status, body = fetch(url)
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    if status != http.client.OK:
        return f"{url} answers {status}"
    ages = json.loads(body)["age_seconds"]
    late = [name for name, limit in limits.items() if ages.get(name, float("inf")) > limit]
    return f"no sign of life: {', '.join(late)}" if late else ""


def main(arguments: list[str]) -> int:
    """Return the exit code, after writing the reason where it is 1."""
    url, *rest = arguments
    limits = {name: float(limit) for name, limit in (part.split("=") for part in rest)}
    if reason := trouble(url, limits):
        sys.stderr.write(reason + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
