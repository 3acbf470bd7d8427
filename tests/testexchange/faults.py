"""Scripted faults: what goes wrong, for which requests, how often.

A rule matches by `path` (a shell pattern without the leading slash: "api/v3/order", "*klines"),
`method`, `params` (each given one must be equal, as text) and `api_key`. It lets `after` matching
requests pass and then acts on `times` of them (None: all). The first rule that acts wins.

`when` is "before" (the request is not carried out) or "after" (it is, and its answer is lost or
replaced). Actions and their details:

==============  ===============================================================================
http            status=, body= (text or JSON value), content_type=, headers={}
error           code=, msg=, status=: Binance's error body; text and status default to its own
rate_limit      retry_after= seconds: 429, -1003
ban             retry_after= seconds: 418, -1003
hang            seconds=: sleeps, then goes on (before: the timestamp is checked again afterwards)
hold            as hang, until the rule is released, and seconds= (default 30) at the longest
close           the connection is reset without an answer
cut             half of the answer, then the connection is reset
html            200 with a maintenance page
truncated       200 with a whole HTTP answer whose JSON ends in the middle
empty           200 without a body
list            200 with []
null            200 with null
other_order     200 with a well-formed order of another id and client id
klines          defect= gap, duplicate (of row index=, default -5), nan, negative, zero (in row
                index=, default -2, field=, default "close"), reversed, empty, stale (no candle
                later than since_ms=, default: now)
==============  ===============================================================================

Any action "after" takes wait= seconds: the answer comes (or is lost) only then. A script is a list
of rules that are in force together, each with `nth` for the one call it acts on: the first matching
one since the rule was added is 1, and those that other rules act on are counted too.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.testexchange.errors import ApiError
from tests.testexchange.messages import DropConnection, Request, Response

HTML = (
    "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>502</h1></body></html>"
)
OTHER_ORDER = {
    "symbol": "BTCUSDT",
    "orderId": 999999999,
    "orderListId": -1,
    "clientOrderId": "someone-elses-order",
    "transactTime": 1678320000000,
    "price": "0.00000000",
    "origQty": "1.00000000",
    "executedQty": "1.00000000",
    "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "20000.00000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "BUY",
    "workingTime": 1678320000000,
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "fills": [],
}
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "html": lambda body: HTML.encode(),
    "truncated": lambda body: body[: len(body) // 2],
    "empty": lambda body: b"",
    "list": lambda body: b"[]",
    "null": lambda body: b"null",
    "other_order": lambda body: json.dumps(OTHER_ORDER).encode(),
}
FIELDS = ("time", "open", "high", "low", "close", "volume")
VALUES = {"nan": "NaN", "negative": "-1.00000000", "zero": "0.00000000"}
DEFECTS = {*VALUES, "gap", "duplicate", "reversed", "empty", "stale"}
ACTIONS = {*BODIES, "http", "error", "rate_limit", "ban", "hang", "hold", "close", "cut"}
ACTIONS |= {"klines"}
HOLD_S = 30.0


@dataclass(kw_only=True)
class Rule:
    """One fault; `seen` counts the matching requests, `hits` those it acted on."""

    id: int
    action: str
    path: str = "*"
    method: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    api_key: str | None = None
    times: int | None = 1
    after: int = 0
    nth: int | None = None
    when: str = "before"
    details: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def matches(self, request: Request) -> bool:
        return (
            fnmatchcase(request.path, self.path.lstrip("/"))
            and self.method in (None, request.method)
            and self.api_key in (None, request.api_key)
            and all(request.params.get(name) == str(value) for name, value in self.params.items())
        )

    def is_due(self) -> bool:
        """Whether it acts on the request that it has just seen."""
        if self.nth is not None:
            return self.seen == self.nth
        return self.seen > self.after and (self.times is None or self.hits < self.times)

    @property
    def replaces_request(self) -> bool:
        """Whether the request is never carried out."""
        return self.when == "before" and not self.waits and self.action != "klines"

    @property
    def waits(self) -> bool:
        """Whether all that it does is to take time."""
        return self.action in ("hang", "hold")

    def wait(self) -> None:
        """The time that a rule of `hang` or `hold` takes."""
        if self.action == "hang":
            time.sleep(float(self.details["seconds"]))
        else:
            self.released.wait(float(self.details.get("seconds", HOLD_S)))

    def dump(self) -> dict[str, Any]:
        return {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "released"
        }


class Faults:
    """The rules in force, in the order in which they were added."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._last_id = 0

    def add(self, action: str, *, now_ms: int, details: Mapping[str, Any], **match: Any) -> int:
        """A new rule's id; ValueError for an action, a defect or a `when` that does not exist."""
        if action not in ACTIONS:
            raise ValueError(f"unknown fault {action!r}")
        if match.get("when", "before") not in ("before", "after"):
            raise ValueError("`when` is 'before' or 'after'")
        given = dict(details)
        if action == "klines":
            if given.get("defect") not in DEFECTS:
                raise ValueError(f"unknown defect {given.get('defect')!r}")
            given.setdefault("since_ms", now_ms)
        self._last_id += 1
        self.rules.append(Rule(id=self._last_id, action=action, details=given, **match))
        return self._last_id

    def take(self, request: Request) -> Rule | None:
        """The rule that acts on this request, if any."""
        acting: Rule | None = None
        for rule in self.rules:
            if (acting and rule.nth is None) or not rule.matches(request):
                continue
            rule.seen += 1
            if acting is None and rule.is_due():
                acting = rule
                rule.hits += 1
        return acting

    def dump(self) -> list[dict[str, Any]]:
        return [rule.dump() for rule in self.rules]

    def release(self, fault_id: int) -> None:
        """Lets go what a rule of `hold` holds, now and later; KeyError when there is none such."""
        {rule.id: rule for rule in self.rules}[fault_id].released.set()

    def clear(self) -> None:
        """Removes all rules and lets go what they hold."""
        for rule in self.rules:
            rule.released.set()
        self.rules.clear()


def prepare(rule: Rule, request: Request) -> None:
    """What a rule changes before the request is carried out: stale candles end early."""
    if rule.action == "klines" and rule.details["defect"] == "stale":
        end = request.integer("endTime")
        since = int(rule.details["since_ms"])
        request.params["endTime"] = str(since if end is None else min(end, since))


def apply(rule: Rule, answer: Response | None) -> Response:
    """What the client gets; `answer` is the true one, None if nothing was carried out."""
    details = rule.details
    true = answer or Response.json(OTHER_ORDER)
    if "wait" in details:
        time.sleep(float(details["wait"]))
    if rule.action == "close":
        raise DropConnection
    if rule.waits:
        rule.wait()
        return true
    if rule.action == "cut":
        true.cut = True
        return true
    if rule.action == "klines":
        return damaged(true, details)
    if rule.action in BODIES:
        kind = "text/html" if rule.action == "html" else "application/json;charset=UTF-8"
        return Response(body=BODIES[rule.action](true.body), content_type=kind)
    return _refusal(rule)


def _refusal(rule: Rule) -> Response:
    """The actions http, error, rate_limit and ban."""
    details = rule.details
    if rule.action == "error":
        code, status = int(details["code"]), details.get("status")
        return Response.error(ApiError(code, details.get("msg"), status=status))
    if rule.action in ("rate_limit", "ban"):
        status = 429 if rule.action == "rate_limit" else 418
        response = Response.error(ApiError(-1003, status=status))
        response.headers["Retry-After"] = str(details.get("retry_after", 5))
        return response
    body = details.get("body", HTML)
    is_text = isinstance(body, str)
    return Response(
        status=int(details["status"]),
        body=body.encode() if is_text else json.dumps(body).encode(),
        content_type=details.get("content_type", "text/html" if is_text else "application/json"),
        headers={name: str(value) for name, value in details.get("headers", {}).items()},
    )


def damaged(answer: Response, details: Mapping[str, Any]) -> Response:
    """An answer of `klines` with one defect; error answers stay as they are."""
    defect = details["defect"]
    if answer.status != 200 or defect == "stale":
        return answer
    rows = json.loads(answer.body)
    index = max(int(details.get("index", -2 if defect in VALUES else -5)), -len(rows))
    if defect == "empty":
        rows = []
    elif defect == "reversed":
        rows.reverse()
    elif defect == "gap":
        del rows[index]
    elif defect == "duplicate":
        rows.insert(index, rows[index])
    else:
        rows[index][FIELDS.index(details.get("field", "close"))] = VALUES[defect]
    return Response.json(rows)
