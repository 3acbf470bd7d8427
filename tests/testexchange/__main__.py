"""Runs the exchange: prints one line of JSON, {"url": ...}, when it listens; ends by SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.testexchange.app import App
from tests.testexchange.exchange import Exchange
from tests.testexchange.server import Server
from tests.testexchange.settings import complete


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.testexchange", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument(
        "--config", help="file with the JSON configuration; - reads one line from standard input"
    )
    parser.add_argument("--now", type=int, metavar="MS", help="a standing clock at this time")
    parser.add_argument("--seed", type=int, help="of the candle generator")
    parser.add_argument(
        "--candles", action="append", default=[], metavar="SYMBOL=FILE", help="csv or csv.gz"
    )
    parser.add_argument("--api-key", help="of the only account")
    parser.add_argument("--secret", help="of the only account")
    parser.add_argument(
        "--balance", action="append", default=[], metavar="ASSET=AMOUNT", help="of the only account"
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standing input closes (parent's death)"
    )
    return parser.parse_args(arguments)


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """The configuration of file or line, with the other options over it."""
    given: dict[str, Any] = {}
    if options.config == "-":
        given = json.loads(sys.stdin.readline())
    elif options.config:
        given = json.loads(Path(options.config).read_text())
    config = complete(given)
    if options.seed is not None:
        config["seed"] = options.seed
    if options.now is not None:
        config["clock"]["now_ms"] = options.now
    files = dict(pair.split("=", 1) for pair in options.candles)
    config["symbols"] = [
        entry | ({"file": files[entry["symbol"]]} if entry["symbol"] in files else {})
        for entry in config["symbols"]
    ]
    account = dict(config["accounts"][0]) if config["accounts"] else {"name": "default"}
    changes = {"api_key": options.api_key, "secret": options.secret}
    changes["balances"] = dict(pair.split("=", 1) for pair in options.balance)
    if any(changes.values()):
        config["accounts"] = [account | {name: v for name, v in changes.items() if v}]
    return config


def end_with_parent() -> None:
    """Ends the process at once when the pipe on standard input closes."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def main() -> None:
    options = parse()
    server = Server(App(Exchange(configuration(options))), options.port)
    if options.until_eof:
        threading.Thread(target=end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
    server.serve_forever(poll_interval=3600)


main()
