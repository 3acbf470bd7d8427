"""What a failed call means: one table by HTTP status and exchange code, class names last.

ccxt's classes mislead (a revoked key is DDoSProtection on a client that has authenticated before),
so they decide only where the exchange's own code is not known to us. For an order each doubt is
`Unreachable(sent=True)`: look it up later, never send it again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import unescape

from trading.exchange import ExchangeError, Fault, Refused, Rejected, Unreachable, Unusable
from trading.exchanges.codes import binance
from trading.exchanges.codes.verdicts import (
    BAD_KEY,
    HALTED,
    LIMITED,
    MALFORMED,
    NO_FUNDS,
    NO_MARKET,
    NO_ORDER,
    NO_RIGHT,
    SO_ALREADY,
    UNBELIEVABLE,
    UNCERTAIN,
    Code,
    Outcome,
    Table,
    Verdict,
)

#: Silence kept when an exchange limits or bans us without saying for how long, in seconds.
LIMIT_S, BAN_S = 10.0, 120.0
#: The longest silence we believe in: Binance bans for up to three days.
LONGEST_SILENCE_S = 3 * 86_400.0
LONGEST_TEXT = 300


class Call(StrEnum):
    """What the failed call was to do; for the same failure a read and an order mean different."""

    READ = "read"
    FIND = "find"  # of an order, which may not exist
    VITAL = "vital"  # a read that the fate of an order hangs on: its fills, the time to sign it
    ORDER = "order"
    CANCEL = "cancel"
    SET = "set"  # a setting of the account
    TRANSFER = "transfer"  # of funds between two wallets of the account


#: Calls that say what becomes of money that is at stake already.
URGENT = frozenset({Call.FIND, Call.VITAL, Call.ORDER, Call.CANCEL})


#: ccxt's classes, for exchanges whose codes we do not know; looked up from the most special on.
CLASSES: Mapping[str, Verdict] = {
    "InsufficientFunds": NO_FUNDS,
    "OrderNotFound": NO_ORDER,
    "InvalidOrder": MALFORMED,
    "ArgumentsRequired": MALFORMED,
    "BadSymbol": NO_MARKET,
    "MarketClosed": HALTED,
    "MarginModeAlreadySet": SO_ALREADY,
    "NoChange": SO_ALREADY,
    "PermissionDenied": NO_RIGHT,
    "AccountNotEnabled": NO_RIGHT,
    "AccountSuspended": NO_RIGHT,
    "AuthenticationError": BAD_KEY,
    "NotSupported": (Outcome.REFUSED, Fault.CLIENT),
    "InvalidNonce": (Outcome.UNKNOWN, Fault.CLOCK),
    "OnMaintenance": UNCERTAIN,
    "DDoSProtection": (Outcome.UNKNOWN, Fault.RATE_LIMIT),
    "RateLimitExceeded": (Outcome.UNKNOWN, Fault.RATE_LIMIT),
    "RequestTimeout": (Outcome.UNKNOWN, Fault.NETWORK),
    "ExchangeNotAvailable": UNCERTAIN,
    "NetworkError": (Outcome.UNKNOWN, Fault.NETWORK),
}
#: Classes that, when the exchange answered, count only if the answer was its own JSON: a proxy's
#: 401 or 404 page is neither a refused key nor a missing order.
SAID_BY_EXCHANGE = frozenset({Outcome.REJECTED, Outcome.REFUSED, Outcome.ABSENT, Outcome.UNCHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known of a call that failed. `text` may still hold secrets.

    `kinds`: the exception's class names, most special first. `attempted`: a request was made;
    `written`: it may have reached the exchange. `status`, `body_is_json`, `code`, `message`: the
    answer, if any. `retry_after`: seconds, from the header.
    """

    kinds: tuple[str, ...]
    text: str
    attempted: bool = True
    written: bool = True
    status: int | None = None
    body_is_json: bool = False
    code: Code | None = None
    message: str = ""
    retry_after: float | None = None


def verdict(failure: Failure, *, codes: Table = binance.SPOT) -> Verdict:
    """Return what the failure decides, whatever the call was. `codes`: those of this exchange."""
    if failure.attempted and not failure.written:
        return (Outcome.NOT_ACCEPTED, Fault.NETWORK)
    status, code = failure.status, failure.code
    if status in (418, 429):
        return LIMITED
    if status is not None and status >= 500:
        return UNCERTAIN
    found = None if code is None else codes.rows.get(code)
    if found is None or code in codes.explained:
        lowered = failure.message.lower()
        for part, meaning in codes.messages:
            if part in lowered:
                return meaning
    if found is not None:
        return found
    if status == 451:
        return UNCERTAIN
    return _by_class(failure, knows_codes=codes.is_complete and code is not None)


def _by_class(failure: Failure, *, knows_codes: bool) -> Verdict:
    for kind in failure.kinds:
        found = CLASSES.get(kind)
        if found is None:
            continue
        if found[0] in SAID_BY_EXCHANGE and failure.attempted:
            # A code we have no meaning for is no clear no, whatever class ccxt gave it.
            return UNBELIEVABLE if knows_codes or not failure.body_is_json else found
        if failure.status is not None and failure.status < 500 and found[1] is Fault.MAINTENANCE:
            return UNBELIEVABLE  # ccxt calls each unmapped 4xx "not available"
        return found
    return UNBELIEVABLE if failure.attempted else (Outcome.NOT_ACCEPTED, Fault.BAD_ANSWER)


def classify(
    failure: Failure,
    call: Call,
    *secrets: str,
    codes: Table = binance.SPOT,
) -> ExchangeError | None:
    """Return the error to raise, its text scrubbed.

    None when a FIND found no such order, or what was to be SET is so already.
    """
    outcome, fault = verdict(failure, codes=codes)
    text = describe(failure, *secrets)
    if outcome is Outcome.REFUSED:
        return Refused(fault, text)
    if outcome is Outcome.REJECTED:
        return _rejection(fault, text, call)
    if outcome is Outcome.ABSENT:
        return _absence(fault, text, call)
    if outcome is Outcome.UNCHANGED:
        return None if call is Call.SET else Unreachable(Fault.BAD_ANSWER, text)
    sent = outcome is Outcome.UNKNOWN and failure.attempted
    after = silence(failure) if not sent and fault is Fault.RATE_LIMIT else None
    return Unreachable(fault, text, sent=sent, retry_after=after)


def _rejection(fault: Fault, text: str, call: Call) -> ExchangeError:
    if call in (Call.ORDER, Call.CANCEL, Call.SET, Call.TRANSFER):
        return Rejected(fault, text)
    if fault is Fault.MARKET_UNKNOWN:
        return Unusable(fault, text)
    return Unreachable(Fault.BAD_ANSWER, text)


def _absence(fault: Fault, text: str, call: Call) -> ExchangeError | None:
    if call is Call.FIND:
        return None
    if call is Call.CANCEL:
        return Rejected(fault, text)
    return Unreachable(Fault.BAD_ANSWER, text, sent=True)


def silence(failure: Failure) -> float:
    """Return for how many seconds a limited address or account keeps silent."""
    if failure.retry_after is not None:
        return min(max(failure.retry_after, 1.0), LONGEST_SILENCE_S)
    return BAN_S if failure.status == 418 else LIMIT_S


def describe(failure: Failure, *secrets: str) -> str:
    """Say in one scrubbed line what happened; never the address that was called."""
    parts = []
    if failure.status is not None:
        parts.append(f"HTTP {failure.status}")
    if failure.code is not None:
        parts.append(f"code {failure.code}")
    head = ", ".join(parts)
    said = scrub(failure.message or failure.text, *secrets)
    return f"{head}: {said}" if head and said else head or said or "no answer"


#: What must never be stored or shown, and what stands in its place.
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?is)<(script|style)\b.*?</\1\s*>"), " "),
    (re.compile(r"<[^>]{0,200}>"), " "),
    (re.compile(r"(https?://[^\s?\"']*)\?[^\s\"']*"), r"\1?[...]"),
    (
        re.compile(
            r"(?i)\b(signature|sign|api-?_?key|x-mbx-apikey|secret(?:_?key)?|passphrase|password"
            r"|token|authorization)\b[\"']?(\s*[=:]\s*[\"']?)(?:bearer\s+)?[^\s&\"',;]+"
        ),
        r"\1\2[...]",
    ),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "[...]"),
    (re.compile(r"[A-Za-z0-9+/_=-]{40,}"), "[...]"),
    (re.compile(r"[\x00-\x1f\x7f\s]+"), " "),
)


def scrub(text: str, *secrets: str) -> str:
    """Return `text` as one short line without keys, signatures, signed addresses and markup.

    `secrets` are removed wherever they stand; empty ones are ignored.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[...]")
    text = unescape(text[: 20 * LONGEST_TEXT])
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    text = text.strip()
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
