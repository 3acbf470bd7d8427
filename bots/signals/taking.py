"""An alert becomes a command of the bot's owner, once, or is refused with its reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from bots import control
from bots.change import Refusal
from bots.lifecycle import PositionType
from bots.models import BotConfig, BotState, Command, Order, Outpaced, SignalIn
from bots.signals.reading import Said, Unreadable, digest, market_of, read
from trading.entries import OPENS
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
    except Unreadable:
        text = body[:60].decode("utf-8", "replace").replace("\x00", "")
        return _keep(bot, Said(action="", key=digest(text)), now, text, refused="unreadable")
    if _is_copy(rows, said, now):
        return Answer(result="duplicate")
    refused = _refusal(bot, said, now, signed=signed)
    return _keep(bot, said, now, said.action, refused=refused)


def _is_copy(rows: QuerySet[SignalIn], said: Said, now: datetime) -> bool:
    """Whether the same was accepted before; one that was refused may be sent again."""
    accepted = rows.filter(status=SignalIn.Status.ACCEPTED)
    if _has_no_own_key(said):
        return accepted.filter(key__startswith=said.key, received_at__gt=now - SAME).exists()
    return accepted.filter(key=said.key[:64]).exists()


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


def _keep(bot: BotConfig, said: Said, now: datetime, text: str, *, refused: str) -> Answer:
    """Write the alert down and do what it says, in one transaction."""
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
            if not refused:
                _follow(bot, said, row)
            row.save(force_insert=True)
    except IntegrityError:
        return Answer(result="duplicate")  # of two at once the other one was first
    except Outpaced:
        return Answer(result="busy")  # nothing was kept: it may be sent again
    if not row.is_accepted and _is_copy(SignalIn.objects.filter(bot=bot), said, now):
        # What refused it is the command that its copy has just given.
        return Answer(result="duplicate", row=row)
    return Answer(result="accepted" if row.is_accepted else row.result, row=row)


def _follow(bot: BotConfig, said: Said, row: SignalIn) -> None:
    try:
        kind, side = _wish(bot, said.action)
        if kind != Command.Kind.ENTER and control.withdraw(bot):
            row.result = control.WITHDRAWN
        else:
            row.command = control.command(bot, kind, by=bot.owner, via="signal", side=side)
    except Refusal as error:
        row.result = error.reason
    else:
        row.status = SignalIn.Status.ACCEPTED


def _wish(bot: BotConfig, action: str) -> tuple[str, str]:
    """Return the command that an action is for this bot now, and which way it enters.

    What leaves a position takes an entry back that is not filled yet.
    """
    state = BotState.objects.filter(pk=bot.pk).first()
    rests = state is not None and not state.in_position and control.entry_rests(state)
    leaving = Command.Kind.CANCEL if rests else Command.Kind.EXIT
    if action in ("enter", "cancel"):
        return action, ""
    if action == "exit":
        return leaving, ""
    if state is not None and state.in_position:
        is_exit = action == state.position.exit_side
        return (Command.Kind.EXIT, "") if is_exit else (Command.Kind.ENTER, action)
    sides = OPENS[bot.direction] if bot.position_type == PositionType.FUTURES else (Side.BUY,)
    if action in sides and _awaited(bot) in (None, action):
        return Command.Kind.ENTER, action
    return leaving, ""


def _awaited(bot: BotConfig) -> str | None:
    """Return the side of the entry that was asked for, or rests, and is not filled yet."""
    pending = Command.objects.filter(bot=bot, status=Command.Status.PENDING)
    asked = pending.filter(kind=Command.Kind.ENTER, expires_at__gt=timezone.now()).first()
    if asked is not None:
        return asked.side or OPENS[bot.direction][0]
    order = Order.objects.filter(bot=bot, is_settled=False, purpose=Order.Purpose.ENTRY).first()
    return None if order is None else order.side
