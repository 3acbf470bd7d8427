"""Ticks per second of one worker process, claim to release: flat, and with an order in each tick.

Fifty bots of one market, as a worker sees them: candles and price are asked for once a round. The
market is a script, so no network is in the figure; the paper exchange books the orders.
"""

import time

from bench import scene

BOTS = 50
SECONDS = 6.0


def main() -> None:
    scene.setup()
    from bots import tick
    from bots.world import World
    from tests.engine.market import Market
    from trading.market_data import MarketData

    bots = scene.started_bots(scene.owner(), BOTS, exchange="binance", mode="paper")
    market = Market()
    world = World(clock=market.clock, data=MarketData(price_ttl_s=1), feed=market)
    trends = {"flat": ["flat"], "with an order each": ["up", "down"]}
    for name, turns in trends.items():
        orders = rounds = 0

        def go_round(turns: list[str] = turns) -> None:
            nonlocal orders, rounds
            market.trend = turns[rounds % len(turns)]
            market.pass_time(61)
            rounds += 1
            for bot in bots:
                found = tick.run(bot.pk, world)
                if found is None or found.action == "failed":
                    raise SystemExit(f"bot {bot.pk}: {found}")
                orders += found.order is not None

        for _ in turns:
            go_round()
        orders, rounds, begun, cpu = 0, 0, time.perf_counter(), time.process_time()
        scene.busy(go_round, SECONDS, time.perf_counter)
        ticks, seconds = rounds * BOTS, time.perf_counter() - begun
        each = (time.process_time() - cpu) / ticks * 1000
        if orders != (ticks if len(turns) > 1 else 0):
            raise SystemExit(f"{orders} orders in {ticks} ticks")
        scene.tell(
            f"ticks of one worker process, {name}, {scene.database()}",
            f"{ticks / seconds:.0f} a second ({each:.1f} ms CPU each)",
            per_second=ticks / seconds,
            cpu_ms=each,
        )


if __name__ == "__main__":
    main()
