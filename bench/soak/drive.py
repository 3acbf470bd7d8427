"""The loop of a soak: strikes, clicks, looks; and at its end the healing and the verdict."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from django.utils import timezone

from bench.soak import perpetuals, verdict
from bench.soak.chaos import Chaos
from bench.soak.clicks import Clicks
from bench.soak.report import Results
from bench.soak.site import Site
from bench.soak.watching import Watching
from bots import control
from bots.models import ApiKey, ApiToken, BotConfig, BotState, Fill, Order, User
from tests.testexchange import ExchangeControl

COLUMNS = ("pk", "duty", "in_position", "has_unsettled_orders", "last_run_at", "tick_started_at")
#: How many sizes of bots there are, so that their orders differ.
SIZES = (100, 150, 370)
#: Every so manieth bot trades a perpetual.
PERPETUAL = 4
LEVERAGES = (3, 20)
#: Of so many bots one averages down and one has a grid.
LADDER = 8


@dataclass(kw_only=True)
class Drive:
    """Everything that one soak needs; Django is set up on the platform's own database."""

    site: Site
    exchange: ExchangeControl
    folder: Path
    seed: int
    accounts: Sequence[Mapping[str, Any]]
    symbols: Mapping[str, Decimal]
    watching: Watching
    margin: Decimal

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.owner = User.objects.create_user("soak")
        token = ApiToken.issue(self.owner, "soak", ("read", "trade", "live"))
        self.clicks = Clicks(url=self.site.url, token=token, random=Random(self.seed + 1))
        self.chaos = Chaos(
            site=self.site,
            exchange=self.exchange,
            folder=self.folder,
            random=Random(self.seed + 2),
            keys=[str(account["api_key"]) for account in self.accounts],
            symbols=dict(self.symbols),
            on_kill=self._killed,
        )

    def make_bots(self, count: int) -> None:
        """Make bots over all accounts and markets, and start them."""
        keys = [
            ApiKey.put(
                owner=self.owner,
                exchange="binance",
                mode="live",
                label=str(account["name"]),
                api_key=str(account["api_key"]),
                secret_key=str(account["secret"]),
            )
            for account in self.accounts
        ]
        for number in range(count):
            market = self._market(number)
            # Perpetuals of one market lie in different accounts, for up to 48 bots.
            turn = number // PERPETUAL if ":" in market["symbol"] else number
            bot = control.create(
                self.owner,
                {
                    "name": f"Soak {number}",
                    "exchange": "binance",
                    "mode": "live",
                    "account": keys[turn % len(keys)].account,
                    "position_size_fixed": Decimal(SIZES[number % len(SIZES)]),
                    "stop_loss_perc": Decimal(2),
                    "take_profit_perc": Decimal(2),
                    "check_interval_seconds": 5,
                }
                | market,
            )
            control.start(bot, by=self.owner, via="command")

    def _market(self, number: int) -> dict[str, Any]:
        """Return what a bot trades: coins, or the perpetual of the same market, long or short."""
        symbol = [*self.symbols][number % len(self.symbols)]
        pair = f"{symbol.removesuffix('USDT')}/USDT"
        if number % PERPETUAL:
            return {"symbol": pair, **_ladder(number, self.symbols[symbol])}
        return {
            "symbol": f"{pair}:USDT",
            "position_type": "futures",
            "direction": "short" if number % 8 else "long",
            "leverage": LEVERAGES[number // 8 % len(LEVERAGES)],
        }

    def step(self) -> None:
        """Click once or twice, strike now and then, look who ticks."""
        rows = self.rows()
        self.watching.look(rows)
        if rows:
            self.clicks.click(rows)
        if self.random.random() < 0.35:
            self.chaos.strike()
        else:
            self.chaos.look()
        time.sleep(self.random.uniform(0.2, 0.8))

    def rows(self) -> list[dict[str, Any]]:
        return list(BotState.objects.order_by("pk").values(*COLUMNS))

    def summary(self) -> str:
        return f"{Order.objects.count()} orders, {self.chaos.kills.total()} kills"

    def heal(self, seconds: float) -> float:
        """End all faults and wait until everything is settled; returns how long that took."""
        self.chaos.heal()
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            time.sleep(1)
            rows = self.rows()
            self.watching.look(rows)
            open_orders = any(row["has_unsettled_orders"] for row in rows)
            if not open_orders and not self.watching.never:
                break
        return time.monotonic() - begun

    def judge(self, results: Results) -> None:
        """Stop the platform, so that nothing moves, and compare everything."""
        self._flatten()
        self.site.stop()
        found = perpetuals.settled()
        found += verdict.violations(self.exchange)
        found += perpetuals.violations(self.exchange, self.margin)
        found += [f"never ticked again {text}" for text in self.watching.never]
        found += self.clicks.server_errors
        results.violations = found
        results.kills, results.faults = self.chaos.kills, self.chaos.faults
        results.clicks, results.watched = self.clicks.answers, self.watching.times
        results.orders = Counter(Order.objects.values_list("status", flat=True))
        results.fills = Fill.objects.count()
        results.perpetuals = perpetuals.counts()
        results.ticks = sum(BotState.objects.values_list("fence", flat=True))
        results.posts = sum(row["method"] == "POST" for row in self.exchange.requests())

    def _flatten(self) -> None:
        """Stop every bot and close every position; what cannot be sold within a minute stays."""
        for bot in BotConfig.objects.filter(state__isnull=False):
            control.stop(bot, by=self.owner, via="command", position="close")
        end = time.monotonic() + 60
        while BotState.objects.exclude(duty="none").exists() and time.monotonic() < end:
            time.sleep(1)

    def _killed(self, kind: str) -> None:
        rows = self.rows()
        on = [row["pk"] for row in rows if row["duty"] != "none"]
        self.watching.killed(kind, timezone.now(), on)


def _ladder(number: int, price: Decimal) -> dict[str, Any]:
    """Return the strategy of a bot on spot: each fourth has a ladder of orders that rest."""
    if number % LADDER == 1:
        steps = {"orders": 4, "resting": 3, "step": "0.3", "step_scale": 1}
        return {"strategy": "dca", "params": steps}
    if number % LADDER == 5:
        ends = {"lowest": f"{price * Decimal('0.97'):f}", "highest": f"{price * Decimal('1.03'):f}"}
        return {"strategy": "grid", "params": {**ends, "lines": 13, "resting": 3}}
    return {}
