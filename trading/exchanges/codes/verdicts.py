"""What a failure may decide, and the tables that say which code decides what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trading.exchange import Fault


class Outcome(StrEnum):
    """The decision that a failure leads to."""

    UNKNOWN = "unknown"  # no answer to be believed: for an order, look it up later
    NOT_ACCEPTED = "not_accepted"  # surely not carried out: may be decided anew later
    REJECTED = "rejected"  # a clear no to this request
    REFUSED = "refused"  # a clear no to this account
    ABSENT = "absent"  # there is no such order
    UNCHANGED = "unchanged"  # a setting that is so already


Verdict = tuple[Outcome, Fault]
#: A number where the exchange has numbers, else its own text.
Code = int | str

UNCERTAIN: Verdict = (Outcome.UNKNOWN, Fault.MAINTENANCE)
UNBELIEVABLE: Verdict = (Outcome.UNKNOWN, Fault.BAD_ANSWER)
LIMITED: Verdict = (Outcome.NOT_ACCEPTED, Fault.RATE_LIMIT)
LATE: Verdict = (Outcome.NOT_ACCEPTED, Fault.CLOCK)
MALFORMED: Verdict = (Outcome.REJECTED, Fault.ORDER_REJECTED)
NO_FUNDS: Verdict = (Outcome.REJECTED, Fault.INSUFFICIENT_FUNDS)
TOO_SMALL: Verdict = (Outcome.REJECTED, Fault.BELOW_MINIMUM)
NO_MARKET: Verdict = (Outcome.REJECTED, Fault.MARKET_UNKNOWN)
HALTED: Verdict = (Outcome.REJECTED, Fault.MARKET_HALTED)
BAD_KEY: Verdict = (Outcome.REFUSED, Fault.KEY_INVALID)
NO_RIGHT: Verdict = (Outcome.REFUSED, Fault.KEY_RIGHTS)
NO_ORDER: Verdict = (Outcome.ABSENT, Fault.ORDER_REJECTED)
SO_ALREADY: Verdict = (Outcome.UNCHANGED, Fault.ORDER_REJECTED)


def rows(verdict: Verdict, *codes: Code) -> dict[Code, Verdict]:
    """Return one verdict for many codes."""
    return dict.fromkeys(codes, verdict)


def number_and_text(code: object, text: object) -> tuple[Code | None, str]:
    """Return a code as a number, and its message."""
    try:
        number: int | None = int(str(code))
    except ValueError:
        number = None
    return number, text if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The codes of one exchange.

    `messages` are parts of texts that say more than a code of `explained`, or than one that has no
    row; the first that fits counts. `account_limits` limit the orders of an account, not our
    address. `is_complete`: a code without a row is nothing that we can interpret; else ccxt's class
    of it counts. `read` returns code and message of an error body (a JSON object).
    """

    rows: Mapping[Code, Verdict] = field(default_factory=dict)
    messages: tuple[tuple[str, Verdict], ...] = ()
    explained: frozenset[Code] = frozenset()
    account_limits: frozenset[Code] = frozenset()
    is_complete: bool = False
    read: Callable[[Mapping[str, Any]], tuple[Code | None, str]] = lambda body: number_and_text(
        body.get("code"), body.get("msg")
    )


UNKNOWN_EXCHANGE = Table()
