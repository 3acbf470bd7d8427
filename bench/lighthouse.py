"""What Lighthouse says of a dashboard with 50 bots and of a bot's page, on desk and telephone.

Besides: how much a first visit loads, and how long a poll takes that finds nothing new. Lighthouse
is fetched by npm as bench/lighthouse_npm/package-lock.json pins it, and needs node.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bench import scene, serving
from tests import chromium, npm

BOTS, POLLS = 50, 200
PINNED = Path(__file__).parent / "lighthouse_npm"
CATEGORIES = ("performance", "accessibility", "best-practices")
DEVICES: Mapping[str, list[str]] = {"desk": ["--preset=desktop"], "telephone": []}


def report(url: str, cookie: tuple[str, str], device: str) -> dict[str, Any]:
    """Return Lighthouse's report of a page, each load with an empty cache and a session.

    Every category is a load of its own: Chromium does not keep a page's source for as long as
    axe needs for fifty bots, and an audit that asks for it later has no score.
    """
    whole: dict[str, Any] = {"categories": {}, "audits": {}}
    for category in CATEGORIES:
        found = _load(url, cookie, [*DEVICES[device], f"--only-categories={category}"])
        whole["categories"] |= found["categories"]
        # What several categories hold, as the requests, is told by the first, the quickest load.
        whole["audits"] = found["audits"] | whole["audits"]
    return whole


def _load(url: str, cookie: tuple[str, str], options: list[str]) -> dict[str, Any]:
    program = npm.fetch(PINNED, "lighthouse") / "node_modules/lighthouse/cli/index.js"
    flags = " ".join([*chromium.ARGUMENTS, f"--user-data-dir={tempfile.mkdtemp()}"])
    command = ["node", str(program), url, "--quiet", "--output=json", *options]
    command += [f"--chrome-flags={flags}"]
    command += [f"--extra-headers={json.dumps({'Cookie': '='.join(cookie)})}"]
    env = {**os.environ, "CHROME_PATH": chromium.find()}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    reached = str(found.get("finalDisplayedUrl"))
    if urlsplit(reached).path != urlsplit(url).path:
        raise SystemExit(f"{url} led to {reached}")
    failed = [name for name, one in found["audits"].items() if one["scoreDisplayMode"] == "error"]
    if failed:
        raise SystemExit(f"{url}: Lighthouse could not tell {', '.join(failed)}")
    return found


def tell(name: str, device: str, found: dict[str, Any]) -> None:
    """Print the rows of one page; every audit that is not perfect is named."""
    scores = {key: round(found["categories"][key]["score"] * 100) for key in CATEGORIES}
    audits = found["audits"]
    paint = audits["largest-contentful-paint"]["numericValue"] / 1000
    shift = audits["cumulative-layout-shift"]["numericValue"]
    words = ", ".join(f"{key} {score}" for key, score in scores.items())
    result = f"{words}; LCP {paint:.1f} s, CLS {shift:.3f}"
    scene.tell(f"Lighthouse, {name}, {device}", result, lcp=paint, cls=shift, **scores)
    for key in CATEGORIES[1:]:
        for entry in found["categories"][key]["auditRefs"]:
            audit = audits[entry["id"]]
            if audit["score"] is not None and audit["score"] < 1 and entry["weight"]:
                scene.tell(f"- short of 100 in {key}", audit["title"].replace("|", "/"))


def tell_weight(name: str, found: dict[str, Any]) -> None:
    """Print how much a first visit transfers, and the part that is script and style."""
    items = found["audits"]["network-requests"]["details"]["items"]
    everything = sum(item.get("transferSize", 0) for item in items) / 1024
    code = 0.0
    for item in items:
        if item.get("resourceType") in ("Script", "Stylesheet"):
            question = Request(item["url"], headers={"Accept-Encoding": "gzip"})
            with urlopen(question, timeout=10) as answer:
                code += len(answer.read()) / 1024
    text = f"{everything:.0f} kB in {len(items)} requests; JS and CSS are {code:.1f} kB of it"
    scene.tell(f"first visit, {name}", text, kb=everything, code_kb=code)


def tell_polls(url: str, cookie: tuple[str, str]) -> None:
    """Print how long the dashboard's poll takes where nothing has changed."""
    site = urlsplit(url)
    line = HTTPConnection(site.hostname or "", site.port, timeout=10)
    headers = {"Cookie": "=".join(cookie), "HX-Request": "true"}

    def ask(path: str) -> tuple[int, str]:
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        return answer.status, answer.read().decode()

    times: list[float] = []
    while len(times) < POLLS:
        # The token holds the minute: a new one is asked for whenever a poll brings news.
        _status, body = ask("/board/?v=")
        found = re.search(r'hx-get="(/board/\?v=[^"]+)"', body)
        if not found:
            raise SystemExit("the board has no token")
        status = 204
        while status == 204 and len(times) < POLLS:
            begun = time.perf_counter()
            status, _body = ask(found[1])
            if status == 204:
                times.append((time.perf_counter() - begun) * 1000)
    result = f"p95 {serving.p95(times):.0f} ms"
    scene.tell(f"unchanged poll of {BOTS} bots, over HTTP, {scene.database()}", result)


def tell_change(name: str, address: str, cookie: tuple[str, str]) -> None:
    """Print how much a poll transfers that finds everything new."""
    headers = {"Cookie": "=".join(cookie), "HX-Request": "true", "Accept-Encoding": "gzip"}
    with urlopen(Request(address, headers=headers), timeout=10) as answer:
        size = len(answer.read()) / 1024
    scene.tell(f"changed panel, {name}", f"{size:.1f} kB", kb=size)


def main() -> None:
    scene.setup()
    from bots import tick
    from bots.models import Heartbeat

    user = scene.owner()
    bots = scene.started_bots(user, BOTS)
    for bot in bots:
        tick.run(bot.pk)
    Heartbeat.beat("worker")
    cookie = serving.session_of(user)
    with serving.served("web") as url:
        tell_polls(url, cookie)
        tell_change(f"dashboard, {BOTS} bots, all of them", f"{url}/board/?v=", cookie)
        tell_change("bot", f"{url}/bots/{bots[0].pk}/panel/?v=", cookie)
        for name, path in ((f"dashboard, {BOTS} bots", "/"), ("bot", f"/bots/{bots[0].pk}/")):
            for device in DEVICES:
                found = report(url + path, cookie, device)
                tell(name, device, found)
            tell_weight(name, found)


if __name__ == "__main__":
    main()
