"""A bot on a scripted market, and what a test wants to do with it in one word."""

from decimal import Decimal
from typing import Any

from bots import control, tick
from bots.lease import Outcome
from bots.models import Account, BotConfig, BotState, Command, Decision, Order, StateEvent, User
from bots.world import World
from tests.engine.exchange import ScriptedExchange
from tests.engine.market import Market
from tests.trading.feeds import SYMBOL
from trading.market_data import MarketData

D = Decimal

#: Sizes that make round numbers: 200 USDT at a price of 100 are 2 BTC.
DEFAULTS: dict[str, Any] = {
    "name": "Bench",
    "exchange": "binance",
    "mode": "paper",
    "symbol": SYMBOL,
    "initial_capital": D(1000),
    "position_size_fixed": D(200),
}


def make_bot(owner: User, **values: Any) -> BotConfig:
    """Return a paper bot that never started."""
    return control.create(owner, DEFAULTS | values)


class Bench:
    """One bot of `owner` on its own market; `scripted()` gives it an exchange that misbehaves."""

    def __init__(self, owner: User, *, start: bool = True, **values: Any) -> None:
        self.owner = owner
        self.market = Market()
        self.exchange: ScriptedExchange | None = None
        self.bot = make_bot(owner, **values)
        if start:
            self.start()

    @property
    def world(self) -> World:
        """Nothing is cached from one tick to the next: the script alone says what is seen."""
        data = MarketData(price_ttl_s=0, markets_ttl_s=0, failure_ttl_s=0)
        return World(clock=self.market.clock, data=data, feed=self.market, exchange=self.exchange)

    def scripted(self) -> ScriptedExchange:
        """Let the bot trade in an account on an exchange of the test's own from now on."""
        account = Account.objects.create(
            owner=self.owner, exchange="binance", mode="testnet", label=f"test {self.bot.pk}"
        )
        BotConfig.objects.filter(pk=self.bot.pk).update(mode="testnet", account=account)
        self.exchange = ScriptedExchange(self.market)
        return self.exchange

    def start(self) -> BotState:
        return control.start(self.bot, by=self.owner, via="page")

    def stop(self, position: str = "leave") -> BotState | None:
        return control.stop(self.bot, by=self.owner, via="page", position=position)

    def command(self, kind: str) -> Command:
        return control.command(self.bot, kind, by=self.owner, via="page")

    def tick(self, *, after: float = 60) -> Outcome | None:
        """Let `after` seconds pass and tick once."""
        self.market.pass_time(after)
        return tick.run(self.bot.pk, self.world)

    def enter(self) -> None:
        """Buy on a signal, and let the signal end."""
        self.market.trend = "up"
        self.tick()
        self.market.trend = "flat"

    @property
    def state(self) -> BotState:
        return BotState.objects.get(pk=self.bot.pk)

    @property
    def where(self) -> tuple[str, str, str]:
        """Status, reason and duty."""
        state = self.state
        return state.status, state.reason, state.duty

    @property
    def orders(self) -> list[Order]:
        return list(Order.objects.filter(bot=self.bot).order_by("pk"))

    @property
    def order(self) -> Order:
        """The newest order."""
        return self.orders[-1]

    @property
    def decisions(self) -> list[Decision]:
        return list(Decision.objects.filter(bot=self.bot).order_by("pk"))

    @property
    def events(self) -> list[StateEvent]:
        return list(StateEvent.objects.filter(bot=self.bot).order_by("pk"))

    @property
    def is_active(self) -> bool:
        return BotConfig.objects.get(pk=self.bot.pk).is_active
