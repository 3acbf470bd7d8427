"""The owner's verbs, written once: page, API, admin and command call these same functions.

Each one changes row, history and schedule in one transaction and nudges the engine on commit.
`by` is the user who asked (None: the system), `via` the door: page, api, admin, command.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from bots import schedule
from bots.change import Refusal, outpacing, read, record
from bots.following import follow
from bots.keys import check_key, drop_key, put_key
from bots.lifecycle import Duty, Mode, Move, PositionType, Reason, Status, WindDown
from bots.models import (
    Account,
    BotConfig,
    BotState,
    Command,
    Order,
    Outpaced,
    User,
)
from bots.setup import create, edit, edit_account
from bots.stopping import halt, stop, stop_once
from trading.day import day_end, local_day
from trading.market import OrderStatus

__all__ = [
    "Refusal",
    "check_key",
    "check_may_start",
    "command",
    "compare",
    "compared",
    "create",
    "delete",
    "drop_key",
    "edit",
    "edit_account",
    "expire_commands",
    "halt",
    "is_comparing",
    "put_key",
    "retire",
    "start",
    "stop",
    "taken_by",
]

#: How long a wish to compare waits for a worker: as long as its message lives.
ASKED_SECONDS = 60


def start(
    bot: BotConfig, *, by: User | None, via: str, why: str = "", at: datetime | None = None
) -> BotState:
    """Start a bot: active, state pending, a tick queued after commit. Refusal when it cannot.

    A bot that already starts, runs or waits stays as it is (and is nudged): clicks do no harm.
    `why`: what whoever asked says of it; the history keeps it. `at` (None: now): when, for a
    replay of past candles.
    """
    state = outpacing(lambda: _start(bot.pk, by, via, why, at or timezone.now()))
    schedule.nudge(bot.pk)
    follow(bot, lambda twin: start(twin, by=by, via=via, why=why, at=at))
    return state


def _start(bot_id: int, by: User | None, via: str, why: str, at: datetime) -> BotState:
    bot = read(bot_id)
    check_may_start(bot)
    old = bot.state_or_none
    if old and old.duty == Duty.TRADE and old.status not in (Status.STOPPED, Status.ERROR):
        return old
    if bot.position_type == PositionType.FUTURES:
        _check_market_is_free(bot)
    # The state row first, here and in every verb: ticks and resets lock in that order too.
    new = _first_state(bot, at) if old is None else _restart(old)
    BotConfig.objects.filter(pk=bot_id).update(is_active=True)
    record(old, new, Move.START, by=by, via=via, why=why, at=at)
    schedule.sync(bot_id, bot.check_interval_seconds)
    return new


def _check_market_is_free(bot: BotConfig) -> None:
    """A futures market of an account is one position: it can belong to one bot only.

    The account's row is locked, so of two starts at once the second sees the first.
    """
    if bot.account is None:
        return
    Account.objects.select_for_update().get(pk=bot.account.pk)
    others = BotState.objects.filter(bot__account=bot.account_id, bot__symbol=bot.symbol)
    others = others.exclude(pk=bot.pk).exclude(duty=Duty.NONE, in_position=False)
    if other := others.select_related("bot").first():
        raise Refusal("market_taken", taken_by(other.bot))


def taken_by(other: BotConfig) -> str:
    """Say that `other` has the futures market that a start wants."""
    words = {"bot": other.name, "symbol": other.symbol}
    return _("%(bot)s already trades %(symbol)s on this account.") % words


def _first_state(bot: BotConfig, at: datetime) -> BotState:
    day = local_day(bot.owner.zone, at)
    return BotState.objects.create(
        bot=bot, counter_day=day, day_ends_at=day_end(bot.owner.zone, day), run_epoch=1
    )


def _restart(old: BotState) -> BotState:
    return old.change(
        Move.START,
        guard={"version": old.version},
        reason=Reason.START,
        duty=Duty.TRADE,
        wind_down=WindDown.LEAVE,
        run_epoch=old.run_epoch + 1,
        # A drawdown counts from the start.
        profit_base=old.profit,
        profit_peak=old.profit,
        failures=0,
        last_ok_at=None,
        retry_at=None,
        last_error_message="",
        last_error_at=None,
    )


def check_may_start(bot: BotConfig) -> None:
    """Raise the Refusal that its settings, its owner or this installation give a start."""
    if bot.deleted_at:
        raise Refusal("deleted", _("This bot was deleted."))
    if not bot.owner.is_active:
        raise Refusal("owner_inactive", _("The owner of this bot is deactivated."))
    if bot.mode == Mode.LIVE and not settings.LIVE_TRADING_ENABLED:
        raise Refusal(
            "live_disabled", _("Live trading is switched off here (LIVE_TRADING_ENABLED).")
        )
    if bot.mode != Mode.PAPER and bot.exchange not in settings.LIVE_EXCHANGES:
        raise Refusal("paper_only", _("This exchange is offered for paper bots only."))


#: The result of a command that its owner's own signal took back.
WITHDRAWN = "withdrawn"


def command(bot: BotConfig, kind: str, *, by: User | None, via: str, side: str = "") -> Command:
    """Ask the next tick to enter or exit by force. Refusal when one waits or it makes no sense.

    `side`: which way to enter, where the bot may go both.
    """
    row = outpacing(lambda: _command(bot.pk, kind, side, by, via))
    schedule.nudge(bot.pk)
    follow(bot, lambda twin: command(twin, kind, by=by, via=via, side=side))
    return row


def withdraw(bot: BotConfig) -> bool:
    """Take back an entry that was asked for and waits for its tick; False where none waits.

    Of this and a tick that is following it, one wins: then no order is written, or none waits.
    """
    is_done = outpacing(lambda: _withdraw(bot.pk))
    if is_done:
        follow(bot, withdraw)
    return is_done


def _withdraw(bot_id: int) -> bool:
    expire_commands(bot_id)
    pending = {"kind": Command.Kind.ENTER, "status": Command.Status.PENDING}
    rows = Command.objects.filter(bot_id=bot_id, **pending)
    if not rows.exists():
        return False
    # The page that shows the command has to hear that it is gone. The state's row comes first, as
    # in a tick that writes its order: neither waits for the other one's lock in a circle.
    BotState.objects.filter(pk=bot_id).update()
    now = timezone.now()
    return bool(rows.update(status=Command.Status.REFUSED, result=WITHDRAWN, ended_at=now))


def _command(bot_id: int, kind: str, side: str, by: User | None, via: str) -> Command:
    expire_commands(bot_id)
    state = BotState.objects.filter(pk=bot_id).first()
    if state is None or state.duty == Duty.NONE:
        raise Refusal("not_running", _("The bot is not running."))
    _check_may_command(state, kind)
    if Command.objects.filter(bot_id=bot_id, status=Command.Status.PENDING).exists():
        raise Refusal("pending", _("A command is already waiting for the next tick."))
    # Touching the row lets the page see the command, and a tick in flight know that it came late.
    state.change(None, guard={"version": state.version})
    expires = timezone.now() + timedelta(seconds=settings.COMMAND_TTL_SECONDS)
    return Command.objects.create(
        bot_id=bot_id, kind=kind, side=side, by=by, via=via, expires_at=expires
    )


def _check_may_command(state: BotState, kind: str) -> None:
    rests = entry_rests(state)
    if kind == Command.Kind.CANCEL:
        if not rests:
            raise Refusal("no_order", _("No order of this bot is waiting at the exchange."))
        return
    if state.has_unsettled_orders and not (rests and kind == Command.Kind.EXIT):
        raise Refusal("order_unknown", _("An order is still open or unanswered."))
    if kind == Command.Kind.ENTER and state.duty != Duty.TRADE:
        raise Refusal("not_running", _("The bot is stopping: it opens nothing."))
    if kind == Command.Kind.ENTER and state.in_position:
        raise Refusal("in_position", _("The bot already holds a position."))
    if kind == Command.Kind.EXIT and not state.in_position:
        raise Refusal("flat", _("The bot holds no position."))


def entry_rests(state: BotState) -> bool:
    """Whether all that is unsettled is an entry order known to wait at the exchange."""
    if not state.has_unsettled_orders:
        return False
    left = Order.objects.filter(bot_id=state.pk, is_settled=False)
    left = left.exclude(purpose=Order.Purpose.PROTECT, status=OrderStatus.OPEN)
    resting = {OrderStatus.OPEN.value, OrderStatus.PARTIAL.value}
    return all(order.purpose == Order.Purpose.ENTRY and order.status in resting for order in left)


def expire_commands(bot_id: int) -> None:
    """Close the bot's commands that waited too long."""
    now = timezone.now()
    Command.objects.filter(
        bot_id=bot_id, status=Command.Status.PENDING, expires_at__lte=now
    ).update(status=Command.Status.EXPIRED, ended_at=now)


def delete(bot: BotConfig, *, by: User | None, via: str) -> None:
    """Hide a bot for good; its ledger stays. Refusal while in position or unsettled.

    A bot whose orders still rest is stopped all the same, so that its next tick takes them back.
    """
    state = read(bot.pk).state_or_none
    if state is not None and state.has_ladder and not state.in_position:
        stop(bot, by=by, via=via)

    def attempt() -> None:
        state = stop_once(bot.pk, by, via, WindDown.LEAVE, Reason.BY_OWNER)
        rows = BotConfig.objects.filter(pk=bot.pk, is_active=False)
        if state is not None:
            if state.in_position:
                raise Refusal("in_position", _("Close the position first: nobody would watch it."))
            if state.duty != Duty.NONE:
                raise Refusal("unsettled", _("An order or a tick is under way: try again shortly."))
            # A start at the same time changes this row too: one of the two has to read again.
            state.change(None, guard={"version": state.version})
        if not rows.update(deleted_at=timezone.now()):
            raise Outpaced(f"bot {bot.pk} was started")

    outpacing(attempt)
    follow(bot, lambda twin: retire(twin, by=by, via=via))


def retire(twin: BotConfig, *, by: User | None, via: str) -> bool:
    """Delete a paper twin; False: it has to close its position first, and stays a bot by itself."""
    stop(twin, by=by, via=via, position=WindDown.CLOSE)
    try:
        delete(twin, by=by, via=via)
    except Refusal:
        BotConfig.objects.filter(pk=twin.pk).update(twin_of=None)
        return False
    return True


def compare(bot: BotConfig) -> None:
    """Have a worker compare the bot with its exchange now; nothing more while one is asked already.

    Refusal for a paper bot, one that never started, and while no worker can be reached.
    """
    if bot.mode == Mode.PAPER:
        raise Refusal("paper_bot", _("A paper bot has no exchange to be compared with."))
    if bot.state_or_none is None:
        raise Refusal("not_started", _("The bot was never started: there is nothing to compare."))
    if not cache.add(_asked(bot.pk), 1, ASKED_SECONDS):
        return
    if not schedule.send("bots.tasks.reconcile", bot.pk, expires=ASKED_SECONDS):
        compared(bot.pk)
        raise Refusal("no_worker", _("The workers cannot be reached now: try again shortly."))


def is_comparing(bot_id: int) -> bool:
    """Whether somebody asked to compare this bot and no worker has done it yet."""
    return cache.get(_asked(bot_id)) is not None


def compared(bot_id: int) -> None:
    """Let the bot be compared again: a worker has done it, whatever it found."""
    cache.delete(_asked(bot_id))


def _asked(bot_id: int) -> str:
    return f"compare-asked-{bot_id}"
