"""An alert becomes a command of the bot's owner, once, or is refused with its reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from bots import control
from bots.change import Refusal
from bots.lifecycle import PositionType
from bots.models import BotConfig, Command, Outpaced, SignalIn
from bots.signals.reading import Said, Unreadable, digest, market_of, read
from trading.market import Side

MINUTE = timedelta(minutes=1)
#: How long a text without a time counts as the same alert, told again.
SAME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of an alert: accepted, duplicate, or the word of a refusal; the row, if any."""

    result: str
    row: SignalIn | None = None

    @property
    def is_accepted(self) -> bool:
        return self.result == "accepted"


def take(bot: BotConfig, body: bytes, now: datetime, *, signed: bool = False) -> Answer:
    """Take an alert that came under the right secret.

    Refused are: more than HOOK_SIGNALS_PER_MINUTE (too_many), what cannot be read, what is older
    than HOOK_MAX_AGE_SECONDS or from the future (late), what is `signed` and has no time (no_time),
    another market's, and what the bot cannot do now. The same alert counts once.
    """
    rows = SignalIn.objects.filter(bot=bot)
    if rows.filter(received_at__gt=now - MINUTE).count() >= settings.HOOK_SIGNALS_PER_MINUTE:
        return Answer(result="too_many")
    try:
        said = read(body)
    except Unreadable as error:
        text = body[:60].decode("utf-8", "replace").replace("\x00", "")
        said = Said(action="", key=digest(text))
        return _keep(bot, said, now, text, refused="unreadable") or Answer(result=str(error))
    if _has_no_own_key(said) and rows.filter(key__startswith=said.key, received_at__gt=now - SAME):
        return Answer(result="duplicate")
    refused = _refusal(bot, said, now, signed=signed)
    found = _keep(bot, said, now, said.action, refused=refused)
    return found or Answer(result="duplicate")


def _has_no_own_key(said: Said) -> bool:
    """Whether two alerts may say the same, one a while after the other."""
    return said.at is None and not said.is_named


def _refusal(bot: BotConfig, said: Said, now: datetime, *, signed: bool) -> str:
    """Return why an alert is not followed, whatever the bot does; empty: it may be."""
    if said.at is None and signed:
        return "no_time"  # whoever overheard it could send it again
    most = timedelta(seconds=settings.HOOK_MAX_AGE_SECONDS)
    if said.at is not None and abs(now - said.at) > most:
        return "late"
    if said.symbol and market_of(said.symbol) != market_of(bot.symbol):
        return "other_market"
    return ""


def _keep(bot: BotConfig, said: Said, now: datetime, text: str, *, refused: str) -> Answer | None:
    """Write the alert down and do what it says, in one transaction; None: it was here before."""
    key = said.key
    if _has_no_own_key(said):
        # A text says the same each time: a minute later it is another alert.
        key = f"{key}:{int(now.timestamp() // SAME.total_seconds())}"
    row = SignalIn(
        bot=bot, key=key[:64], received_at=now, said=text[:80], status=SignalIn.Status.REFUSED
    )
    try:
        with transaction.atomic():
            row.result = refused
            row.save(force_insert=True)
            if not refused:
                _follow(bot, said, row)
    except IntegrityError:
        return None
    except Outpaced:
        return Answer(result="busy")  # nothing was kept: it may be sent again
    return Answer(result=row.result or "accepted", row=row)


def _follow(bot: BotConfig, said: Said, row: SignalIn) -> None:
    try:
        kind = _kind(bot, said.action)
        command = control.command(bot, kind, by=bot.owner, via="signal")
    except Refusal as error:
        row.result = error.reason
    else:
        row.status, row.command = SignalIn.Status.ACCEPTED, command
    row.save()


def _kind(bot: BotConfig, action: str) -> str:
    """Return the command that an action is for this bot; Refusal for one that it has no way for."""
    if action in ("enter", "exit", "cancel"):
        return action
    state = bot.state_or_none
    if state is not None and state.in_position:
        leaves = state.position.exit_side
        return Command.Kind.EXIT if action == leaves else Command.Kind.ENTER
    opens = {"long": Side.BUY, "short": Side.SELL}.get(bot.direction, Side.BUY)
    if action == opens:
        return Command.Kind.ENTER
    if bot.position_type == PositionType.FUTURES and bot.direction == "both":
        raise Refusal("direction", "")
    return Command.Kind.EXIT
