"""An account's orders in one market, page by page."""

from collections.abc import Callable
from typing import Any

from trading.exchanges.answers import bad

#: The longest stretch of time that Binance searches for orders at once, Unix ms.
WINDOW_MS = 86_400_000


def order_pages(
    page: Callable[..., Any], *, since: int, now: int, size: int, key: str = "orderId"
) -> list[Any]:
    """Return ccxt's orders made from `since` to `now` (Unix ms), oldest first, each once.

    `page(since, **params)` asks ccxt's fetch_orders for at most `size`. Windows of a day are
    searched for the first order; from there on pages follow the order ids, which grow with time;
    `key` is the parameter that says from which id on.
    """
    found: dict[str, Any] = {}
    start = since
    while not found and start <= now:
        end = start + WINDOW_MS - 1
        for order in _orders(page(start, until=end)):
            found[str(order["id"])] = order
        start = end + 1
    more = bool(found)
    while more:
        newest = max(int(order_id) for order_id in found)
        following = _orders(page(None, **{key: newest + 1}))
        found.update({str(order["id"]): order for order in following})
        more = len(following) >= size
    return [found[order_id] for order_id in sorted(found, key=int)]


def _orders(answer: list[Any]) -> list[Any]:
    if any(not str(order.get("id") or "").isdecimal() for order in answer):
        raise bad("the list names an order without a number")
    return answer
