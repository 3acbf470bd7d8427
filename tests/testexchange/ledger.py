"""What came in: the log of requests, and how often an order was sent and taken by client id."""

from __future__ import annotations

from collections import deque
from typing import Any

from tests.testexchange.messages import Request

LOG_LENGTH = 200_000
CLIENT_IDS = {
    "api/v3/order": ("newClientOrderId",),
    "api/v3/orderList/oco": ("listClientOrderId", "aboveClientOrderId", "belowClientOrderId"),
    "fapi/v1/order": ("newClientOrderId",),
    "fapi/v1/algoOrder": ("clientAlgoId",),
}


class Ledger:
    """Every request but the control plane's; `posts` counts the order requests by client id."""

    def __init__(self) -> None:
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.posts: dict[str, dict[str, int]] = {}
        self._seq = 0

    def enter(self, request: Request, at_ms: int) -> dict[str, Any]:
        """A new entry of the log; status stays None when no answer was sent."""
        self._seq += 1
        params = dict(request.params)
        entry = {
            "seq": self._seq,
            "at_ms": at_ms,
            "method": request.method,
            "path": request.path,
            "signature": params.pop("signature", None),
            "params": params,
            "api_key": request.api_key or None,
            "headers": request.headers,
            "status": None,
            "code": None,
            "fault": None,
            "accepted": False,
        }
        self.log.append(entry)
        self._count(request, "received")
        return entry

    def accept(self, request: Request, entry: dict[str, Any]) -> None:
        """The exchange has carried the request out, whatever becomes of its answer."""
        entry["accepted"] = True
        self._count(request, "accepted")

    def _count(self, request: Request, what: str) -> None:
        if request.method != "POST":
            return
        for name in CLIENT_IDS.get(request.path, ()):
            client_id = request.params.get(name, "")
            if client_id:
                counts = self.posts.setdefault(client_id, {"received": 0, "accepted": 0})
                counts[what] += 1
