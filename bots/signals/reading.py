"""What an alert says: TradingView's JSON or plain text, in the words that traders use. Pure."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: Longer alerts are not read.
MOST_BYTES = 4096
#: The words of an alert -> what is asked for.
WORDS = {
    "buy": "buy",
    "long": "buy",
    "sell": "sell",
    "short": "sell",
    "enter": "enter",
    "entry": "enter",
    "exit": "exit",
    "close": "exit",
    "flat": "exit",
    "cancel": "cancel",
}
#: What may stand between such a word and the end of what is asked: "exit long", "enter short".
WAYS = {"long", "short"}
LONGEST_ID = 64


class Unreadable(ValueError):
    """An alert in which nothing that a bot could do is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an alert asks for: buy, sell, enter, exit or cancel.

    `at`: when it was sent, by its own word (None: it does not say). `symbol`: the market that it
    speaks of, as it wrote it; empty: of the bot's. `key`: what the same alert has in common with
    its copies; `is_named`: its sender chose it, so that no other alert ever has the same.
    """

    action: str
    key: str
    is_named: bool = False
    at: datetime | None = None
    symbol: str = ""


def read(body: bytes) -> Said:
    """Read an alert; raises Unreadable.

    JSON: `action` (or `side`, `order`), and where they are known `time` (ISO 8601, or Unix seconds
    or milliseconds), `symbol` (or `ticker`) and `id`. Text: its first word is the action, or its
    first two ("enter long", "close short"); another action further on makes it unreadable.
    """
    if len(body) > MOST_BYTES:
        raise Unreadable("too long")
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None
    return _of_json(text) if text.startswith("{") else _of_text(text)


def _of_text(text: str) -> Said:
    words = [word.lower() for word in re.findall(r"\w+", text)]
    action = _action(words[0] if words else "")
    if action in ("enter", "exit") and words[1:2] and words[1] in WAYS:
        way = words.pop(1)
        action = _action(way) if action == "enter" else action
        words[0] = way if action != "exit" else words[0]
    # "Long stop hit: sell", "Close crossed above: buy": no guess is made with money.
    if {WORDS[word] for word in words if word in WORDS} != {action}:
        raise Unreadable("two actions")
    return Said(action=action, key=digest(text))


def _of_json(text: str) -> Said:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    if not isinstance(data, dict):
        raise Unreadable("no object")
    action = _action(_text(data, "action", "side", "order"))
    at = _time(data.get("time"))
    name = _text(data, "id")
    # Two bars may say the same; their time tells them apart.
    # What no column holds (a null, half a character) is as good an id as any.
    is_kept = 0 < len(name) <= LONGEST_ID and name.isprintable()
    key = name if is_kept else digest(name or text)
    market = _text(data, "symbol", "ticker")
    return Said(action=action, key=key, is_named=bool(name), at=at, symbol=market)


def _text(data: dict[str, Any], *names: str) -> str:
    for name in names:
        value = data.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value).strip()
    return ""


def _action(word: str) -> str:
    try:
        return WORDS[word.lower()]
    except KeyError:
        raise Unreadable("no action") from None


def _time(value: object) -> datetime | None:
    """Read when an alert was sent; Unreadable for a time that is none."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d{9,13}(\.\d+)?", value):
            at = datetime.fromisoformat(value)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        number = float(value) if isinstance(value, str | int | float) else float("nan")
        # Milliseconds have thirteen digits until the year 2286.
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unreadable("no time") from None


def digest(text: str) -> str:
    """Return 40 hexadecimal digits that no other text has."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:40]


def market_of(symbol: str) -> str:
    """Return what two spellings of a market have in common.

    >>> market_of("BINANCE:BTCUSDT.P"), market_of("BTC/USDT:USDT"), market_of("btc-usdt")
    ('BTCUSDT', 'BTCUSDT', 'BTCUSDT')
    """
    text = symbol.upper()
    if "/" in text:
        text = text.partition(":")[0]
    text = text.rpartition(":")[2].removesuffix(".P").removesuffix("PERP")
    return re.sub(r"[^A-Z0-9]", "", text)
