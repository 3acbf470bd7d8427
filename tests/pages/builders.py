"""Bots in every state for the page tests. States are set by update(): no engine runs here."""

import re
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.utils import timezone

from bots import candles, charting, control, sessions
from bots.models import BotConfig, BotState, Decision, Fill, Market, Order, User
from tests.doors.client import just_shown
from trading.market import TIMEFRAMES, Candles

HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def sign_in(client: Client, user: User) -> None:
    """Give the client a session of `user`; how people sign in has tests of its own.

    It counts as seen just now, so that no page that counts its queries has to write it down.
    """
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.update(just_shown(user))
    session.save()
    sessions._seen[str(session.session_key)] = time.monotonic()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)


def bot_of(owner: User, name: str = "Dip buyer", **values: Any) -> BotConfig:
    """Make a paper bot on the simulated exchange."""
    fields = {
        "symbol": "BTC/USDT",
        "position_size_perc": Decimal(10),
        "stop_loss_perc": Decimal(2),
        "max_daily_trades": 10,
        "max_daily_loss_perc": Decimal(2),
    }
    return control.create(owner, {"name": name, **fields, **values})


def state_of(bot: BotConfig, status: str, reason: str, duty: str, **values: Any) -> BotState:
    """Start the bot and put its row where a test needs it."""
    control.start(bot, by=bot.owner, via="page")
    now = timezone.now()
    columns = {"last_run_at": now - timedelta(seconds=5), "last_ok_at": now, **values}
    BotState.objects.filter(pk=bot.pk).update(status=status, reason=reason, duty=duty, **columns)
    BotConfig.objects.filter(pk=bot.pk).update(is_active=duty == "trade")
    return BotState.objects.select_related("bot").get(pk=bot.pk)


def holding(**values: Any) -> dict[str, Any]:
    """The columns of an open position."""
    return {
        "in_position": True,
        "position_side": "long",
        "entry_price": Decimal("66500.12"),
        "current_position_size": Decimal("0.0015"),
        "position_cost": Decimal("99.75018"),
        "stop_loss_price": Decimal("65170.11"),
        "last_price": Decimal("67120.55"),
        "last_price_at": timezone.now(),
        **values,
    }


def market(symbol: str = "BTC/USDT", **values: Any) -> Market:
    """A market of the simulated exchange, unless `values` name another."""
    base, quote = symbol.split("/")
    rules = {
        "exchange": "simulated",
        "mode": "paper",
        "amount_step": Decimal("0.00001"),
        "price_tick": Decimal("0.01"),
        "min_notional": Decimal(5),
    }
    return Market.objects.create(symbol=symbol, base=base, quote=quote, **rules | values)


def decision(bot: BotConfig, gate: str = "no_signal", **values: Any) -> Decision:
    """One row of the decision log."""
    now = timezone.now()
    row = {"action": "hold", "first_at": now, "last_at": now, "fence": 1, **values}
    return Decision.objects.create(bot=bot, gate=gate, **row)


def filled(
    bot: BotConfig,
    side: str,
    amount: str,
    price: str,
    *,
    at: datetime | None = None,
    fee: str = "0.1",
    reason: str = "signal",
    entry: bool | None = None,
) -> Fill:
    """One order of the bot that was filled at once; buying enters unless `entry` says otherwise."""
    at, units = at or timezone.now(), Decimal(amount)
    order = _filled_order(bot, side, units, at, reason, side == "buy" if entry is None else entry)
    return Fill.objects.create(
        order=order,
        bot=bot,
        account=bot.account,
        symbol=bot.symbol,
        trade_id=f"t{order.exchange_order_id}",
        side=side,
        price=Decimal(price),
        amount=units,
        quote=units * Decimal(price),
        fee=Decimal(fee),
        fee_currency=bot.symbol.split(":")[0].split("/")[1],
        fee_quote=Decimal(fee),
        at=at,
        booked_at=at,
        trading_day=at.date(),
    )


def _filled_order(
    bot: BotConfig, side: str, units: Decimal, at: datetime, reason: str, is_entry: bool
) -> Order:
    number = Order.objects.count() + 1
    return Order.objects.create(
        bot=bot,
        account=bot.account,
        client_order_id=f"bs000{number:013}",
        exchange_order_id=str(number),
        symbol=bot.symbol,
        side=side,
        type="market",
        purpose="entry" if is_entry else "exit",
        reason=reason,
        amount=units,
        status="filled",
        filled=units,
        booked=units,
        is_settled=True,
        signed_at=at,
        fence=1,
        run_epoch=1,
    )


def candles_of(bot: BotConfig, count: int = 120, *, close: float = 67110.5) -> int:
    """Store candles of the bot's market, a gap among them; the newest closed just now at `close`.

    Returns when the newest opened, Unix ms.
    """
    length = TIMEFRAMES[bot.timeframe]
    newest = round(timezone.now().timestamp() * 1000) // length * length - length
    rows = []
    for back in range(count, -1, -1):
        middle = 67000.0 + back * 37 % 200
        end = middle + (-1) ** back * 30 if back else close
        if not 8 < back < 12:
            high, low = max(middle, end) + 20, min(middle, end) - 20
            rows.append((newest - back * length, middle, high, low, end, 1.5))
    made = Candles.from_rows(bot.symbol, bot.timeframe, rows)
    candles.store(charting.key_of(bot), made)
    return newest


def form_of(client: Client, path: str) -> dict[str, str]:
    """Return what the bot form on a page would send, as its inputs hold it."""
    page = client.get(path)
    form = page.context["form"]
    data = {}
    for name in form.fields:
        value = form[name].value()
        if value is True:
            data[name] = "on"
        elif value not in (None, False):
            data[name] = str(value)
    return data


def text_of(response: Any) -> str:
    """Return what a person reads of a page: no tags, white space folded."""
    body = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", body)
