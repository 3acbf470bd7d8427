"""Ticks per second of one worker process, claim to release: flat, with an order in each tick, and
with a ladder of which nothing happens.

Fifty bots of one market, as a worker sees them: candles and price are asked for once a round. The
market is a script, so no network is in the figure; the paper exchange books the orders.
"""

import time
from typing import Any

from bench import scene

BOTS = 50
#: Orders that rest of each grid, buys alone: it holds nothing.
RESTING = 5
SECONDS = 6.0


def main() -> None:
    scene.setup()
    from tests.engine.market import Market

    user, market = scene.owner(), Market()
    values = {"exchange": "binance", "mode": "paper"}
    bots = scene.started_bots(user, BOTS, **values)
    measure("flat", bots, market, ["flat"], orders=0)
    measure("with an order each", bots, market, ["up", "down"], orders=1)
    market.trend = "flat"
    around = {"lowest": f"{market.price * 9 / 10:.2f}", "highest": f"{market.price * 11 / 10:.2f}"}
    grid = {"strategy": "grid", "params": {**around, "lines": 20, "resting": RESTING}}
    bots = scene.started_bots(user, BOTS, **values, **grid)
    measure(f"with {RESTING} orders that rest", bots, market, ["flat"], orders=0)


def measure(name: str, bots: list[Any], market: Any, turns: list[str], *, orders: int) -> None:
    """Tick all bots in turn for `SECONDS`; `orders`: how many each tick must have sent."""
    from bots import tick
    from bots.world import World
    from trading.market_data import MarketData

    world = World(clock=market.clock, data=MarketData(price_ttl_s=1), feed=market)
    sent = rounds = 0

    def go_round() -> None:
        nonlocal sent, rounds
        market.trend = turns[rounds % len(turns)]
        market.pass_time(61)
        rounds += 1
        for bot in bots:
            found = tick.run(bot.pk, world)
            if found is None or found.action == "failed":
                raise SystemExit(f"bot {bot.pk}: {found}")
            sent += found.order is not None

    for _ in (*turns, *turns):
        go_round()
    sent, rounds, begun, cpu = 0, 0, time.perf_counter(), time.process_time()
    scene.busy(go_round, SECONDS, time.perf_counter)
    ticks, seconds = rounds * BOTS, time.perf_counter() - begun
    each = (time.process_time() - cpu) / ticks * 1000
    if sent != orders * ticks:
        raise SystemExit(f"{sent} orders in {ticks} ticks")
    scene.tell(
        f"ticks of one worker process, {name}, {scene.database()}",
        f"{ticks / seconds:.0f} a second ({each:.1f} ms CPU each)",
        per_second=ticks / seconds,
        cpu_ms=each,
    )


if __name__ == "__main__":
    main()
