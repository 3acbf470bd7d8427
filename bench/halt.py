"""How long after the halt of 1,000 bots a new order is still written, with workers in full swing.

Two processes tick bots that all want to buy, as fast as they can; a third halts everybody. An
intent counts from the moment its transaction is committed. Exit code 1 above LIMIT seconds.
"""

import multiprocessing
import random
import sys
import time
from typing import Any

from bench import scene

BOTS = 1_000
LIMIT = 1.0


def buy(mine: list[int], go: Any, done: Any, told: Any) -> None:
    """Tick these bots until `done`; tell when each intent was committed."""
    import django

    django.setup()
    from bots import intents, tick
    from bots.world import World
    from tests.engine.market import Market
    from trading.market_data import MarketData

    market = Market()
    market.trend = "up"
    world = World(clock=market.clock, data=MarketData(price_ttl_s=1), feed=market)
    write = intents.write_intent
    moments: list[float] = []

    def timed(*args: Any, **options: Any) -> Any:
        order = write(*args, **options)
        moments.append(time.time())
        return order

    intents.write_intent = timed
    go.wait()
    for bot_id in mine:
        if done.is_set():
            break
        tick.run(bot_id, world)
    told.put(moments)


def main() -> int:
    scene.setup()
    from django.db import connections

    from bots import control

    bots = [bot.pk for bot in scene.started_bots(scene.owner(), BOTS, exchange="binance")]
    random.Random(1).shuffle(bots)
    connections.close_all()
    spawn = multiprocessing.get_context("spawn")
    go, done, told = spawn.Event(), spawn.Event(), spawn.Queue()
    buyers = [
        spawn.Process(target=buy, args=(bots[number::2], go, done, told)) for number in range(2)
    ]
    for process in buyers:
        process.start()
    time.sleep(4)  # they import Django meanwhile
    go.set()
    time.sleep(3)
    asked = time.time()
    count = control.halt(None, flatten=False, by=None, via="command")
    answered = time.time()
    time.sleep(2)
    done.set()
    moments = sorted(moment for _ in buyers for moment in told.get(timeout=60))
    for process in buyers:
        process.join()
    # Those of other benchmarks on the same database are halted, too.
    if count < BOTS or not 10 < len(moments) < BOTS:
        raise SystemExit(f"{count} bots halted, {len(moments)} orders: nothing was measured")
    last = max(moments[-1] - asked, 0.0)
    scene.tell(
        f"halt of {BOTS:,} bots while two workers buy, {scene.database()}",
        f"last new order {last:.2f} s after the click, answered after {answered - asked:.2f} s",
        last=last,
        answered=answered - asked,
    )
    return int(last > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
