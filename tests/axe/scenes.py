"""What the audited pages show: a trader with a bot in every state, a newcomer, an operator."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from django.utils import timezone

from bots import candles, control, twins
from bots.alerts import addresses, channels
from bots.backtests.axes import Axis
from bots.models import (
    AlertChannel,
    AlertDelivery,
    ApiKey,
    BacktestRun,
    BotConfig,
    BotState,
    Comparison,
    DayStats,
    Market,
    Order,
    User,
    Watch,
)
from bots.models.alert import USUAL
from tests.axe.addresses import Address
from tests.doors.client import signed_in
from tests.doors.content import fill, resting_order, tried
from tests.pages.builders import bot_of, candles_of, decision, filled, holding, market, state_of
from tests.perpetual import Silent, kept_perpetual
from trading.market import Candles

D = Decimal
PASSWORD = "alice-has-a-long-password"
LONG_NAME = "A bot whose name is as long as its owner found necessary to tell it from others"
REJECTED = "-2010 Account has insufficient balance for requested action. " * 3


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The viewers by name, what addresses need to be filled in, and further pages to look at."""

    viewers: Mapping[str, User]
    values: Mapping[str, Mapping[str, object]]
    extras: list[Address]


def _history(bot: BotConfig) -> None:
    """Three weeks of trades and days, won and lost, with the reasons that end a trade."""
    now = timezone.now()
    reasons = ("take_profit", "stop_loss", "signal", "command")
    for number in range(20):
        at = now - timedelta(days=20 - number)
        price = D(60000) + 311 * number
        filled(bot, "buy", "0.0015", str(price), at=at)
        gone = price * (D("1.013") if number % 3 else D("0.984"))
        later = at + timedelta(hours=5)
        filled(bot, "sell", "0.0015", str(gone), at=later, reason=reasons[number % 4])
        day = (bot.owner, at.date())[1]
        DayStats.objects.create(bot=bot, day=day, pnl=D(number % 5) - 2, fees="0.1", trades=1)


def _holder(owner: User) -> BotConfig:
    """In position, its stop at the exchange, all limits set, with a log of decisions."""
    limits = {"daily_target_perc": D(3), "take_profit_perc": D(3), "trailing_stop_perc": D(1)}
    bot = bot_of(owner, **limits, trailing_stop_active=True)
    _history(bot)
    candles_of(bot)
    columns = holding(
        protection="resting", daily_trades_count=3, daily_pnl=D("12.34"), take_profit_price=D(68500)
    )
    state_of(bot, "running", "in_position", "trade", **columns)
    sell = {"purpose": Order.Purpose.PROTECT, "side": "sell", "price": None, "type": "stop_market"}
    resting_order(bot, reason="stop_loss", trigger=D("65170.11"), **sell)
    numbers = {"close": "67120.55", "rsi": "41.2", "ema_fast": "67010.1", "ema_slow": "66871"}
    decision(bot, "in_position", numbers=numbers, count=41)
    decision(bot, "no_signal", numbers=numbers)
    decision(bot, "max_spread", action="blocked", numbers={"spread": "0.31", "limit": "0.1"})
    decision(bot, "network", action="failed")
    return bot


def _paper_bots(owner: User) -> list[BotConfig]:
    """One bot for each state that a page shows in its own way."""
    told = [
        ("Starting", "pending", "start", "trade", {}),
        ("Resting entry", "running", "no_signal", "trade", {}),
        ("Waits", "waiting", "stale_data", "trade", {"last_error_message": "no candles for 190 s"}),
        ("Switched off", "error", "api_key_invalid", "none", {"last_error_message": REJECTED}),
        ("Three bad ticks", "error", "network", "trade", {"last_error_message": "Read timed out."}),
        ("Used up", "paused", "max_daily_trades", "none", {"daily_trades_count": 10}),
        ("Left alone", "stopped", "by_owner", "none", holding()),
        ("Unprotected", "running", "in_position", "trade", holding(protection="failed")),
        ("Winding down", "stopped", "by_owner", "exit", holding()),
    ]
    bots = []
    for name, status, reason, duty, columns in told:
        bot = bot_of(owner, name)
        message = {"protection_message": REJECTED} if "protection" in columns else {}
        state_of(bot, status, reason, duty, **columns, **message)
        bots.append(bot)
    resting_order(bots[1])
    for level in (1, 2):
        rung = {"purpose": "rung", "client_order_id": f"bs1{level}", "level": level}
        resting_order(bots[1], price=D(65000 - 100 * level), **rung)
    return [*bots, bot_of(owner, LONG_NAME)]


def _differing(owner: User, key: ApiKey) -> BotConfig:
    """Off, as the exchange holds half of what the bot bought."""
    values: dict[str, Any] = {"exchange": "binance", "mode": "testnet", "account": key.account}
    bot = bot_of(owner, "Differs", symbol="SOL/USDT", **values)
    state_of(bot, "error", "reconcile", "none", **holding())
    sides = {"ours": D("0.0015"), "there": D("0.0007"), "text": "they differ", "ok": False}
    mine = [{"id": "77", "side": "sell", "type": "limit", "amount": "0.5", "price": "90000"}]
    now = timezone.now()
    Comparison.objects.create(
        account=key.account, symbol="SOL/USDT", as_of=now, external=mine, **sides
    )
    # Of its twin the comparison shows a trade of one side, and settings that are not the same.
    twin = twins.make(bot, by=owner, via="page")
    control.start(twin, by=owner, via="page")
    later = now + timedelta(minutes=2)
    filled(bot, "buy", "0.0015", "140", at=later)
    filled(twin, "buy", "0.0015", "141", at=later)
    BotConfig.objects.filter(pk=twin.pk).update(stop_loss_perc=D(3))
    return bot


def _short(owner: User, key: ApiKey) -> BotConfig:
    """A live perpetual, short, with leverage."""
    bot = bot_of(
        owner,
        "Hedge",
        symbol="BTC/USDT:USDT",
        exchange="binance",
        mode="live",
        position_type="futures",
        leverage=5,
        direction="short",
        account=key.account,
    )
    columns = holding(position_side="short", liquidation_price=D("79402.98"))
    state_of(bot, "running", "in_position", "trade", **columns)
    return bot


def _watched(owner: User) -> Market:
    """A watched market with a day of candles; another one is halted and has none."""
    shown = market()
    market("HALT/USDT", is_tradable=False)
    Watch.put(owner, shown, on=True)
    end = round(timezone.now().timestamp() * 1000) // 900_000 * 900_000
    prices = [(end - at * 900_000, 64_000 + 37 * (at % 9)) for at in range(100, 0, -1)]
    rows = [(time, one, one + 9, one - 9, one, 1) for time, one in prices]
    key = candles.key_of("simulated", "paper", shown.symbol, "15m")
    candles.store(key, Candles.from_rows(shown.symbol, "15m", rows))
    return shown


def _keys(owner: User) -> ApiKey:
    """A key with all rights that was checked, and one that the exchange refused."""
    secrets = {"api_key": "PUBLICabcdefgh1234", "secret_key": "SECRETabcdefgh5678"}
    key = control.put_key(
        owner, via="page", exchange="binance", mode="live", label="savings", **secrets
    )
    rights = {"may_trade": True, "may_trade_futures": True, "may_withdraw": True, "ip_bound": False}
    ApiKey.objects.filter(pk=key.pk).update(is_valid=True, checked_at=timezone.now(), **rights)
    old = control.put_key(
        owner, via="page", exchange="binance", mode="testnet", label="old", **secrets
    )
    refused = {"is_valid": False, "check_message": "-2015 Invalid API-key, IP, or permissions."}
    ApiKey.objects.filter(pk=old.pk).update(checked_at=timezone.now(), **refused)
    return key


def _channels(owner: User) -> AlertChannel:
    """A channel that works, one that waits for its receiver, one that is off; with messages."""
    link = addresses.webhook("https://hooks.example.org/services/a-long-secret")
    mail = addresses.mail("alice@example.com")
    shown = channels.add(owner, "webhook", link, label="Phone", kinds=USUAL)
    channels.add(owner, "mail", mail, label="", kinds=USUAL)
    off = channels.add(owner, "webhook", link, label=LONG_NAME[:40], kinds=[])
    AlertChannel.objects.filter(pk=off.pk).update(is_on=False, off_reason="failing")
    subject = f"▲ {LONG_NAME}: error - exchange not reachable (12 times)"[:120]
    told = {"kind": "error", "subject": subject, "body": f"{subject}\n{REJECTED}", "alerts": 12}
    for status, fault in (("sent", ""), ("pending", "timeout"), ("failed", "answer")):
        AlertDelivery.objects.create(
            channel=shown, status=status, fault=fault, code=503, attempts=2, **told
        )
    return shown


def _backtests(owner: User, bot: BotConfig) -> int:
    """Return the number of a result; make one of a perpetual, one open, one failed, two sweeps."""
    fast = Axis(name="ema_fast", low=D(5), high=D(9), step=D(1))
    stop = Axis(name="stop_loss_perc", low=D(0), high=D(2), step=D("0.5"))
    tried(bot, hours=12, vary=[fast, stop])
    tried(bot, hours=12, vary=[stop])
    with patch("bots.backtests.past.feed_of", lambda *_args: Silent()):
        assert tried(kept_perpetual(owner), hours=200).status == "done"
    done, runs, failed = (tried(bot, hours=30) for _number in range(3))
    now = timezone.now()
    rows = BacktestRun.objects
    rows.filter(pk=runs.pk).update(status="running", stage="signals", progress=61, seen_at=now)
    rows.filter(pk=failed.pk).update(status="failed", fault="exchange", error=REJECTED)
    return done.pk


def _guarded(owner: User) -> None:
    """The second factor is on, a recovery code is used, and there is a session elsewhere."""
    TOTP.activate(owner, generate_totp_secret())
    codes = RecoveryCodes.activate(owner)
    codes.validate_code(codes.get_unused_codes()[0])
    telephone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1"
    signed_in(owner).get("/help/", headers={"user-agent": telephone})


def halfway() -> Client:
    """Return a browser in which the trader has shown the password and not yet the code."""
    client = Client()
    client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    return client


#: What is empty for whoever has just signed up.
NEWCOMER = (
    "/",
    "/keys/",
    "/activity/",
    "/performance/",
    "/backtests/",
    "/profile/",
    "/bots/new/",
    "/templates/",
    "/bots/bulk/",
    "/profile/notifications/",
    "/profile/notifications/log/",
)


def _extras(alice: User, bots: list[BotConfig], holder: BotConfig) -> list[Address]:
    """Pages beside the first look of each: other states, filters, questions, mistakes."""
    reset = f"{user_pk_to_url_str(alice)}-{default_token_generator.make_token(alice)}"
    trader = [
        *(f"/bots/{bot.pk}/" for bot in bots),
        *(f"/bots/{bot.pk}/performance/" for bot in bots if bot.mode != "paper"),
        f"/bots/{holder.pk}/orders/?kind=protect",
        f"/bots/new/?from={holder.pk}",
        f"/bots/new/?template={alice.templates.get().pk}",
        f"/bots/{holder.pk}/decisions/{holder.decisions.latest('pk').pk}/",
        *(f"/backtests/{run.pk}/" for run in alice.backtests.all()),
        "/backtests/compare/?" + "&".join(f"run={run.pk}" for run in alice.backtests.all()),
        *(f"/backtests/{run.pk}/?show=drawdown" for run in alice.backtests.filter(kind="sweep")),
        f"/backtests/new/?bot={holder.pk}",
        "/activity/?errors=1",
        "/profile/notifications/new/?service=telegram",
        "/?status=error",
        "/markets/?exchange=kraken",
        "/markets/?q=nothing+is+called+so",
        "/?q=nothing+is+called+so",
        "/there-is-no-such-page/",
        "/markets/?q=btc",
    ]
    return [
        *(Address(path=path, viewer="trader") for path in trader),
        *(Address(path=path, viewer="newcomer") for path in NEWCOMER),
        Address(path=f"/accounts/password/reset/key/{reset}/", viewer="stranger"),
        Address(path="/help/", viewer="stranger"),
        Address(path="/", viewer="operator"),
        Address(path="/accounts/2fa/authenticate/", viewer="halfway"),
        *(Address(path=f"/admin/{path}", viewer="operator") for path in _operators(holder)),
        *_answers(),
    ]


def _operators(bot: BotConfig) -> list[str]:
    """The admin's main pages: each kind of page that Django draws for us, and the longest lists."""
    lists = [f"bots/{name}/" for name in ("botconfig", "order", "apikey")]
    return ["", *lists, f"bots/botconfig/{bot.pk}/change/"]


def _answers() -> list[Address]:
    """Pages that only a form leads to: mistakes, and what is about to happen."""
    bots = [{"name": "In", "symbol": "BTC/USDT", "position_size_perc": "10"}, {"name": LONG_NAME}]
    saved = json.dumps({"format": "botsite", "version": 1, "bots": bots}).encode()
    markets = Market.objects.filter(exchange="simulated", mode="paper").order_by("pk")[:2]
    many = "&".join(f"market={market.pk}" for market in markets)
    submit = ".bot-form button.primary"
    return [
        Address(path="/bots/new/", viewer="trader", press=submit, ticked=True),
        Address(path=f"/bots/new/?preset=careful&first=1&{many}", viewer="trader", press=submit),
        Address(path="/bots/bulk/", viewer="trader", press="#bulk button.primary", ticked=True),
        Address(
            path="/bots/import/", viewer="trader", press="main form button.primary", file=saved
        ),
    ]


def build(settings: Any) -> Scene:
    """Make everything in the database; no worker runs."""
    settings.LIVE_TRADING_ENABLED = True
    alice = User.objects.create_user("alice", "alice@example.com", PASSWORD)
    emma = User.objects.create_user("emma", password="emma-has-a-long-password")
    olga = User.objects.create_superuser("olga", password="olga-has-a-long-password")
    shown = _watched(alice)
    content = fill(alice)
    key = _keys(alice)
    _guarded(alice)
    holder = _holder(alice)
    channel = _channels(alice)
    differs = _differing(alice, content.key)
    bots = [*_paper_bots(alice), differs, _short(alice, key)]
    BotState.objects.filter(pk=content.bot.pk).update(last_ok_at=timezone.now())
    values: dict[str, Mapping[str, object]] = {
        "bots/": {"pk": holder.pk},
        "hooks/": {"name": "nobody", "secret": "knows"},
        "markets/": {"pk": shown.pk},
        "bot-accept": {"pk": differs.pk},
        "bot-decision": {"pk": content.bot.pk, "number": content.bot.decisions.latest("pk").pk},
        "key-delete": {"pk": key.pk},
        "backtests/": {"pk": _backtests(alice, content.bot)},
        "backtest-sets-csv": {"pk": alice.backtests.filter(kind="sweep").latest("pk").pk},
        "templates/": {"pk": alice.templates.get().pk},
        "channel": {"pk": channel.pk},
        "channel-log": {"pk": channel.pk},
        "channel-test": {"pk": channel.pk},
        "channel-delete": {"pk": channel.pk},
        "channel-confirm": {"pk": channel.pk, "token": "some-token"},
        "account-limits": {"pk": key.account_id},
        "account-transfer": {"pk": key.account_id},
        "transfer-close": {"pk": content.key.account.transfers.get().pk},
        "token-revoke": {"pk": alice.api_tokens.get().pk},
        "session-end": {"pk": 1},
        "account_confirm_email": {"key": "expired-link"},
        "account_reset_password_from_key": {"uidb36": "1", "key": "expired-link"},
    }
    viewers = {"trader": alice, "newcomer": emma, "operator": olga}
    return Scene(viewers=viewers, values=values, extras=_extras(alice, bots, holder))
