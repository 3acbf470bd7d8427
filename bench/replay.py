"""30,240 candles of one bot, tick by tick through the engine and the paper exchange."""

import time

from bench import scene


def main() -> None:
    scene.setup()
    from tests.trading.candles import btcusdt_1m
    from tests.whole.test_replay import SETTINGS, replay, start_in_the_past

    bot = start_in_the_past(scene.owner(), SETTINGS)
    count = len(btcusdt_1m())
    begun = time.perf_counter()
    ticks = orders = 0
    for _, _, found in replay(bot, count):
        ticks += 1
        orders += found.order is not None
    seconds = time.perf_counter() - begun
    scene.tell(
        f"replay of {count:,} candles, {scene.database()}",
        f"{seconds:.0f} s ({ticks:,} ticks, {orders:,} orders, {ticks / seconds:.0f} ticks a s)",
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
