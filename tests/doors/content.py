"""One user's content with a row in every table, made the way the product makes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from bots import control, portable, tick
from bots.alerts import addresses, channels
from bots.backtests import asking, running
from bots.backtests.asking import Wanted
from bots.backtests.axes import Axis
from bots.meters import Meters
from bots.models import (
    AccessEvent,
    Account,
    Alert,
    AlertChannel,
    AlertDelivery,
    ApiKey,
    ApiToken,
    BacktestRun,
    Balance,
    BotConfig,
    BotState,
    Command,
    Comparison,
    Funding,
    Heartbeat,
    Hook,
    Inspection,
    Market,
    Order,
    SignalIn,
    Silence,
    Transfer,
    User,
    Watch,
)

#: Found anywhere but in the encrypted column, they are a leak.
CANARIES = ("CANARY-KEY-7f3a-wxyz", "CANARY-SECRET-91bc", "CANARY-PASSPHRASE-55de")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What `fill` made. `token` is the text that nobody may ever see again."""

    owner: User
    bot: BotConfig
    idle: BotConfig
    key: ApiKey
    token: str


def make_key(owner: User, label: str = "main") -> ApiKey:
    return control.put_key(
        owner,
        via="page",
        exchange="binance",
        mode="testnet",
        label=label,
        api_key=CANARIES[0],
        secret_key=CANARIES[1],
        passphrase=CANARIES[2],
    )


def traded_bot(owner: User, name: str = "Traded") -> BotConfig:
    """Return a running paper bot that bought and sold once, by real ticks, and bought again."""
    values = {"name": name, "symbol": "ETH/USDT", "position_size_fixed": Decimal(100)}
    bot = control.create(owner, values)
    control.start(bot, by=owner, via="page")
    for kind in (Command.Kind.ENTER, Command.Kind.EXIT, Command.Kind.ENTER):
        control.command(bot, kind, by=owner, via="page")
        assert tick.run(bot.pk) is not None
    return bot


def resting_order(bot: BotConfig, **values: Any) -> Order:
    """Give a started bot an order, by default an entry, that rests at the exchange."""
    state = BotState.objects.get(pk=bot.pk)
    now = timezone.now()
    row = {
        "client_order_id": f"bs1rest{bot.pk}",
        "symbol": bot.symbol,
        "side": "buy",
        "type": "limit",
        "purpose": "entry",
        "reason": "signal",
        "amount": Decimal("0.002"),
        "price": Decimal("64000.10"),
        "status": "open",
        "signed_at": now,
        "created_at": now,
        "fence": state.fence,
        "run_epoch": state.run_epoch,
        **values,
    }
    order = Order.objects.create(bot=bot, account=bot.account, **row)
    told = {"has_unsettled_orders": True, "status": "running", "reason": "entry_resting"}
    if order.purpose == Order.Purpose.PROTECT:
        told = {"has_protection": True}
    BotState.objects.filter(pk=bot.pk).update(**told)
    return order


def _told(owner: User, bot: BotConfig) -> None:
    """An alert, and the message that told it to a channel with a secret address."""
    link = addresses.webhook(f"https://hooks.example.org/{CANARIES[1]}/something-else")
    channel = channels.add(owner, "webhook", link, label="", kinds=["error"])
    AlertChannel.objects.filter(pk=channel.pk).update(is_on=False)
    now = timezone.now()
    Alert.objects.create(owner=owner, bot=bot, kind="error", reason="clock", at=now, key="event:0")
    AlertDelivery.objects.create(channel=channel, kind="error", subject="▲ Traded: error", body="")


def tried(bot: BotConfig, hours: int = 3, vary: Sequence[Axis] = ()) -> BacktestRun:
    """Return a backtest of a bot that has ended, tried by the worker's own function."""
    until = timezone.now()
    wanted = Wanted(since=until - timedelta(hours=hours), until=until)
    found = running.run(asking.ask(bot.owner, bot, wanted, origin="bot", of=bot, vary=vary).pk)
    assert found is not None
    return found


def fill(owner: User) -> Content:
    """Make one of everything for `owner`."""
    bot = traded_bot(owner)
    key = make_key(owner)
    _asked(key, bot)
    _measured()
    _watched(owner)
    tried(bot)
    idle = control.create(
        owner,
        {
            "name": "Idle",
            "exchange": "binance",
            "mode": "testnet",
            "symbol": "BTC/USDT",
            "position_size_perc": 5,
            "account": Account.objects.get(pk=key.account_id),
        },
    )
    portable.keep(owner, "Recipe", idle)
    _told(owner, bot)
    Hook.objects.create(bot=bot)
    SignalIn.objects.create(
        bot=bot, key="k", received_at=timezone.now(), said="buy", status="refused", result="late"
    )
    AccessEvent.objects.create(owner=owner, what="session_ended", details="Firefox, Linux")
    token = ApiToken.issue(owner, "script")
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    return Content(owner=owner, bot=bot, idle=idle, key=key, token=token)


def _asked(key: ApiKey, bot: BotConfig) -> None:
    """What an exchange was asked for this account: balance, comparison, funding, a transfer."""
    now = timezone.now()
    Balance.objects.create(account=key.account, spot={"BTC": "0.5", "USDT": "10"}, as_of=now)
    Silence.keep(scope="binance spot", quiet="all", account="", until=now, why="429")
    sides = {"ours": Decimal("0.5"), "there": Decimal("0.5"), "text": "they agree"}
    Comparison.objects.create(account=key.account, symbol="BTC/USDT", as_of=now, ok=True, **sides)
    Funding.objects.create(
        bot=bot,
        account=bot.account,
        symbol="ETH/USDT:USDT",
        funding_id="1",
        amount=Decimal("-0.01"),
        at=now,
        trading_day=now.date(),
    )
    Transfer.objects.create(
        account=key.account,
        currency="USDT",
        amount=Decimal(25),
        direction="to_futures",
        status="unknown",
        by=key.account.owner,
        via="page",
        expires_at=now,
    )


def _measured() -> None:
    """What the platform knows of itself."""
    Heartbeat.beat("worker")
    Inspection.objects.create(ended_at=timezone.now(), bots=2)
    meters = Meters()
    meters.used("binance spot testnet", "f" * 64, "orders/10S", used=5, most=50, seconds=4)
    meters.ahead("binance spot testnet", -12.4)
    meters.ticked(0.2)
    meters.write(at_once=True)


def _watched(owner: User) -> None:
    """A market that the owner has an eye on."""
    market, _ = Market.objects.get_or_create(
        exchange="simulated",
        mode="paper",
        symbol="ETH/USDT",
        defaults={"base": "ETH", "quote": "USDT", "amount_step": 1, "price_tick": 1},
    )
    Watch.put(owner, market, on=True)
