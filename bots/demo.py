"""The demo: a user and a bot for every status, each of them reached by clicks and real ticks."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import transaction

from bots import control, rotation, schedule, tick
from bots.lifecycle import Mode, Status, WindDown
from bots.models import ApiKey, BotConfig, BotState, Command, User

NAME = "demo"
VIA = "command"
LOGIN_FILE = "demo-login.txt"
FOREIGN_LABEL = "Old installation"
#: Buys on nearly every rise and sells almost never, so that its position can be looked at.
HOLDER = {"rsi_oversold": 98, "rsi_overbought": 99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One demo bot: its settings, and what is done with it once it exists."""

    values: Mapping[str, Any]
    play: Callable[[BotConfig], None]


def make_user(*, new_password: bool = False) -> tuple[User, str]:
    """Return the demo user and the password just set, or "" where an older one still holds."""
    user, created = User.objects.get_or_create(username=NAME)
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


def make_bots(user: User) -> list[BotConfig]:
    """Make the demo bots that are missing, and bring each new one to its status."""
    bots = []
    for part in [*_paper_parts(), *_keyed_parts(user)]:
        bot = user.bots.filter(name=part.values["name"]).first()
        if bot is None:
            bot = control.create(user, part.values)
        if bot.deleted_at is None and bot.state_or_none is None:
            part.play(bot)
        bots.append(BotConfig.objects.select_related("state").get(pk=bot.pk))
    return bots


def _paper_parts() -> list[Part]:
    return [
        Part(values=_paper("Wave rider", "WAVE/USDT", take_profit_perc=Decimal(1)), play=_start),
        Part(
            values=_paper("BTC classic", "BTC/USDT", position_size_fixed=Decimal(99)), play=_start
        ),
        Part(
            values=_paper(
                "ETH holder",
                "ETH/USDT",
                params=HOLDER,
                stop_loss_perc=Decimal(5),
                take_profit_perc=Decimal(10),
                trailing_stop_perc=Decimal(4),
                trailing_stop_active=True,
            ),
            play=_hold,
        ),
        Part(values=_paper("Halted market", "HALT/USDT"), play=_start),
        Part(values=_paper("One trade a day", "SOL/USDT", max_daily_trades=1), play=_use_up),
        Part(values=_paper("At rest", "ADA/USDT"), play=_rest),
        Part(values=_paper("Never started", "AVAX/USDT"), play=_leave),
    ]


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


def _leave(_bot: BotConfig) -> None:
    """Never started."""


def _start(bot: BotConfig) -> None:
    """Pending until a worker ticks it."""
    control.start(bot, by=bot.owner, via=VIA)


def _hold(bot: BotConfig) -> None:
    """In position: the owner said enter, a tick bought."""
    _start(bot)
    control.command(bot, Command.Kind.ENTER, by=bot.owner, via=VIA)
    tick.run(bot.pk)


def _use_up(bot: BotConfig) -> None:
    """Paused: the one trade a day is bought and sold, then the limit holds."""
    _hold(bot)
    if BotState.objects.get(pk=bot.pk).in_position:
        control.command(bot, Command.Kind.EXIT, by=bot.owner, via=VIA)
    for _ in range(3):
        tick.run(bot.pk)
        if BotState.objects.get(pk=bot.pk).status == Status.PAUSED:
            break


def _rest(bot: BotConfig) -> None:
    """Stopped by its owner after a good tick, and flat: what that tick bought is sold again."""
    _start(bot)
    tick.run(bot.pk)
    control.stop(bot, by=bot.owner, via=VIA, position=WindDown.CLOSE)
    tick.run(bot.pk)
