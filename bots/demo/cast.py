"""The demo's user, and a bot for every status, each of them reached by clicks and real ticks."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bots import control, portable, rotation, schedule, tick
from bots.backtests import asking
from bots.backtests.asking import Wanted
from bots.demo import HEARTBEAT, NAME, VIA, WITH_A_PAST, awaiting, history
from bots.lifecycle import Duty, Mode, Status, WindDown
from bots.models import ApiKey, BacktestRun, BotConfig, BotState, Command, Heartbeat, User

LOGIN_FILE = "demo-login.txt"
FOREIGN_LABEL = "Old installation"
#: Buys on nearly every rise and sells almost never, so that its position can be looked at.
HOLDER = {"rsi_oversold": 98, "rsi_overbought": 99}
#: Follows the tide of TIDE/USDT, which turns every day, and lets no RSI interfere.
TIDE = {
    "ema_fast": 3,
    "ema_slow": 8,
    "rsi_period": 50,
    "rsi_oversold": 10,
    "rsi_overbought": 90,
}
#: So quick that each small move is a trade: fees and slippage eat the capital, slowly and surely.
QUICK = {"ema_fast": 2, "ema_slow": 4, "rsi_period": 20, "rsi_oversold": 20, "rsi_overbought": 80}
#: Lines around where WAVE/USDT lives, so close that a wave of eight minutes crosses some.
NET = {"lowest": "92", "highest": "108", "lines": 81, "resting": 4}
#: Safety orders so close that some are reached within an hour or two.
STEPS = {"orders": 5, "resting": 3, "step": "0.3", "step_scale": "1.3", "volume_scale": "1.2"}
#: Days to be tried one after the other when the days wanted take too long: the first time may
#: just have been a bad moment.
TRIES = (14, 7, 3)
#: The bot that is tried on the past, and on how much of it.
TRIED, TRIED_DAYS = "Tide rider", 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One demo bot: its settings, and what is done with it once it exists, or has its past.

    `rests_days`: for how many days of its past it has been stopped.
    """

    values: Mapping[str, Any]
    play: Callable[[BotConfig], None]
    rests_days: int = 0

    @property
    def has_past(self) -> bool:
        """Whether there is a history to be made for this bot."""
        return self.values["name"] in WITH_A_PAST


def make_user(*, new_password: bool = False) -> tuple[User, str]:
    """Return the demo user and the password just set, or "" where an older one still holds."""
    # Its bots have taken the first steps already.
    user, created = User.objects.get_or_create(username=NAME, defaults={"hides_first_steps": True})
    if not (created or new_password):
        return user, ""
    password = secrets.token_urlsafe(9)
    user.set_password(password)
    user.save(update_fields=["password"])
    _keep(login(user, password))
    return user, password


def login(user: User, password: str) -> str:
    """Return how to sign in, in one line."""
    return f"{user.get_username()}  password: {password or 'as it was set before'}"


def _keep(text: str) -> None:
    """Leave the line for `make run` to show at each start; only this account may read it."""
    path = Path(settings.DATA_DIR) / LOGIN_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")


def make_bots(user: User, *, leave_past: bool = False) -> list[BotConfig]:
    """Make the demo bots that are missing, and bring each new one to its status.

    `leave_past`: those that have a past are made but not started, for `make_history`.
    """
    bots = []
    for part in _parts(user):
        bot = user.bots.filter(name=part.values["name"]).first()
        if bot is None:
            bot = control.create(user, part.values)
        waits = leave_past and part.has_past
        if not waits and bot.deleted_at is None and bot.state_or_none is None:
            part.play(bot)
        bots.append(BotConfig.objects.select_related("state").get(pk=bot.pk))
    return bots


def make_history(
    user: User, *, end: datetime, days: int, pause: Callable[[], None]
) -> Iterator[tuple[str, int]]:
    """Give the demo bots that never started their last `days` before `end`, one after the other.

    `pause` is called after each bot, so that others get to write. Yields each bot's name and the
    days that it was given: fewer on a machine that is too slow, 0 where not even those can be had
    in time.
    """
    parts = {part.values["name"]: part for part in _parts(user)}
    waiting = {bot.name: bot for bot in awaiting(user, user.bots.select_related("state"))}
    for name in WITH_A_PAST:
        if name in waiting:
            Heartbeat.beat(HEARTBEAT, f"history of {name}")
            yield name, _live_through(parts[name], waiting[name], end=end, days=days)
            pause()


def _live_through(part: Part, bot: BotConfig, *, end: datetime, days: int) -> int:
    got = 0
    for some in [days, *(other for other in TRIES if other < days)]:
        try:
            history.write(
                bot,
                end=end,
                days=some,
                rests_days=min(part.rests_days, some - 1),
                seconds=history.longest(),
            )
        except history.TooSlow:
            continue
        got = some
        break
    bot = BotConfig.objects.select_related("state", "owner").get(pk=bot.pk)
    if bot.state_or_none is None or part.play is not _rest:
        part.play(bot)
    return got


def _parts(user: User) -> list[Part]:
    return [*_paper_parts(), *_keyed_parts(user)]


def _paper_parts() -> list[Part]:
    hourly: dict[str, Any] = {"timeframe": "1h"}
    holder = hourly | {"params": HOLDER, "stop_loss_perc": 5, "take_profit_perc": 10}
    holder |= {"trailing_stop_perc": 4, "trailing_stop_active": True}
    tide = hourly | {"params": TIDE, "position_size_fixed": 500, "take_profit_perc": None}
    quick = hourly | {"params": QUICK, "position_size_fixed": 400, "max_daily_loss_perc": 1}
    once = hourly | {"max_daily_trades": 1, "position_size_fixed": 300}
    return [
        Part(values=_paper("Wave rider", "WAVE/USDT", take_profit_perc=1), play=_start),
        Part(values=_paper("Tide rider", "TIDE/USDT", **tide), play=_start),
        Part(values=_paper("BTC scalper", "BTC/USDT", **quick), play=_start),
        Part(values=_paper("ETH holder", "ETH/USDT", **holder), play=_hold),
        Part(values=_ladder("Wave net", "WAVE/USDT", "grid", NET, size=12), play=_start),
        Part(values=_ladder("Average down", "SOL/USDT", "dca", STEPS, size=50), play=_start),
        Part(values=_paper("Halted market", "HALT/USDT"), play=_start),
        Part(values=_paper("One trade a day", "SOL/USDT", **once), play=_use_up),
        Part(values=_paper("At rest", "ADA/USDT", **hourly), play=_rest, rests_days=3),
        Part(values=_paper("Never started", "AVAX/USDT"), play=_leave),
    ]


def _ladder(
    name: str, symbol: str, strategy: str, params: Mapping[str, Any], *, size: int
) -> dict[str, Any]:
    """A bot of whose orders several rest. A grid sells at its own lines, a round at its target."""
    ends: dict[str, Any] = {"stop_loss_perc": None, "max_daily_trades": None}
    if strategy == "grid":
        ends |= {"take_profit_perc": None, "daily_target_perc": None}
    else:
        ends |= {"take_profit_perc": Decimal("0.6")}
    values = {"strategy": strategy, "params": params, "position_size_fixed": Decimal(size)}
    return _paper(name, symbol, **(values | ends))


def _paper(name: str, symbol: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "symbol": symbol,
        "position_size_fixed": Decimal(100),
        "stop_loss_perc": Decimal(2),
        "take_profit_perc": Decimal(3),
        "max_daily_trades": 12,
        "max_daily_loss_perc": Decimal(2),
        "daily_target_perc": Decimal(3),
        "check_interval_seconds": 5,
        **values,
    }


def _keyed_parts(user: User) -> list[Part]:
    """Two bots that fail before they reach any network: no key, and a key nobody can open."""
    if not settings.LIVE_EXCHANGES:
        return []
    keyless = _paper(
        "Without a key", "BTC/USDT", exchange=settings.LIVE_EXCHANGES[0], mode=Mode.TESTNET
    )
    locked = keyless | {"name": "Unreadable key", "account": _foreign_key(user).account}
    return [Part(values=locked, play=_start), Part(values=keyless, play=_start)]


def _foreign_key(user: User) -> ApiKey:
    """Return a key that was encrypted elsewhere, as after a lost .env: nobody here can read it."""
    found = ApiKey.objects.filter(account__owner=user, account__label=FOREIGN_LABEL)
    if key := found.select_related("account").first():
        return key
    elsewhere = Fernet(Fernet.generate_key())
    secret = secrets.token_hex(32)
    with transaction.atomic():
        key = ApiKey.put(
            owner=user,
            exchange=settings.LIVE_EXCHANGES[0],
            mode=Mode.TESTNET,
            label=FOREIGN_LABEL,
            api_key=secret,
            secret_key=secret,
        )
        token = rotation.raw(elsewhere.encrypt(secret.encode()))
        ApiKey.objects.filter(pk=key.pk).update(api_key=token, secret_key=token, passphrase=token)
        transaction.on_commit(lambda: schedule.send("bots.tasks.check_key", key.pk))
    return key


def try_one(user: User) -> None:
    """Have a worker try one of the bots on its last months, unless the user has tried something."""
    bot = user.bots.alive().filter(name=TRIED).first()
    if bot is None or user.backtests.exists():
        return
    now = timezone.now()
    since = now - timedelta(days=TRIED_DAYS)
    wanted = Wanted(since=since, until=now)
    draft = portable.read_draft(portable.settings_of(bot))
    asking.ask(user, draft, wanted, origin=BacktestRun.Origin.BOT, of=bot)


def _leave(_bot: BotConfig) -> None:
    """Never started."""


def _start(bot: BotConfig) -> None:
    """Pending until a worker ticks it."""
    if bot.state_or_none is None:
        control.start(bot, by=bot.owner, via=VIA)


def _hold(bot: BotConfig) -> None:
    """In position: the owner said enter, a tick bought."""
    _start(bot)
    state = BotState.objects.get(pk=bot.pk)
    if state.duty == Duty.TRADE and not state.in_position:
        _order(bot, Command.Kind.ENTER)


def _use_up(bot: BotConfig) -> None:
    """Paused: the one trade a day is bought and sold, then the limit holds."""
    _hold(bot)
    state = BotState.objects.get(pk=bot.pk)
    if state.duty == Duty.TRADE and state.in_position:
        _order(bot, Command.Kind.EXIT)
    for _ in range(3):
        tick.run(bot.pk)
        if BotState.objects.get(pk=bot.pk).status == Status.PAUSED:
            break


def _order(bot: BotConfig, kind: Command.Kind) -> None:
    """Say it as the owner does, and tick at once."""
    # Refused: a worker's tick was faster, and the bot is in position, flat or paused already.
    with suppress(control.Refusal):
        control.command(bot, kind, by=bot.owner, via=VIA)
        tick.run(bot.pk)


def _rest(bot: BotConfig) -> None:
    """Stopped by its owner after a good tick, and flat: what that tick bought is sold again."""
    _start(bot)
    tick.run(bot.pk)
    control.stop(bot, by=bot.owner, via=VIA, position=WindDown.CLOSE)
    tick.run(bot.pk)
