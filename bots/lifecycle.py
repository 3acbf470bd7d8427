"""Where a bot can stand, why, and how it gets there: statuses, reasons, duties, moves.

Pure: no query happens here. The database checks are built from `ALLOWED`, the engine and the
doors ask `target`, and the pages show `Status.label` with `Reason.label`.
"""

from collections.abc import Iterator

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from trading.exchange import Fault


class Status(TextChoices):
    PENDING = "pending", _("Starting")
    RUNNING = "running", _("Running")
    WAITING = "waiting", _("Waiting")
    PAUSED = "paused", _("Paused")
    ERROR = "error", _("Error")
    STOPPED = "stopped", _("Stopped")


class Duty(TextChoices):
    """What the engine still owes a bot: trade it, only settle and reduce, or nothing."""

    TRADE = "trade", _("trade")
    EXIT = "exit", _("wind down")
    NONE = "none", _("none")


class WindDown(TextChoices):
    """What becomes of the position of a bot that stops."""

    LEAVE = "leave", _("leave the position")
    CLOSE = "close", _("close the position")
    AFTER_EXIT = "after_exit", _("after the next exit")


class Mode(TextChoices):
    PAPER = "paper", _("Paper")
    TESTNET = "testnet", _("Testnet")
    LIVE = "live", _("Live")


class PositionType(TextChoices):
    SPOT = "spot", _("Spot")
    FUTURES = "futures", _("Futures")


class Reason(TextChoices):
    """Why a bot has its status. Values of market faults are those of trading.exchange.Fault."""

    START = "start", _("start asked for")
    NO_SIGNAL = "no_signal", _("no signal")
    IN_POSITION = "in_position", _("in position")
    ENTERED = "entered", _("just entered")
    EXITED = "exited", _("just exited")
    ENTRY_RESTING = "entry_resting", _("entry order placed")
    HELD_BACK = "held_back", _("entry held back")

    NETWORK = "network", _("exchange not reachable")
    MAINTENANCE = "maintenance", _("exchange in maintenance")
    RATE_LIMIT = "rate_limit", _("rate limit")
    BAD_ANSWER = "bad_answer", _("unreadable answer")
    STALE_DATA = "stale_data", _("no fresh candles")
    BROKEN_DATA = "broken_data", _("broken price data")
    MARKET_HALTED = "market_halted", _("market halted")
    MARKET_UNKNOWN = "market_unknown", _("market not listed")
    CLOCK = "clock", _("clock")
    INSUFFICIENT_FUNDS = "insufficient_funds", _("not enough funds")
    BELOW_MINIMUM = "below_minimum", _("below the market's minimum")
    ORDER_REJECTED = "order_rejected", _("order rejected")
    ORDER_UNKNOWN = "order_unknown", _("an order's outcome is unknown")
    INTERNAL = "internal", _("unexpected failure")

    MAX_DAILY_TRADES = "max_daily_trades", _("max daily trades reached")
    MAX_DAILY_LOSS = "max_daily_loss", _("max daily loss reached")
    DAILY_TARGET = "daily_target", _("daily target reached")
    ACCOUNT_DAILY_LOSS = "account_daily_loss", _("account's daily loss reached")

    API_KEY_MISSING = "api_key_missing", _("api key missing")
    API_KEY_DECRYPT_FAILED = "api_key_decrypt_failed", _("api key decrypt failed")
    API_KEY_INVALID = "api_key_invalid", _("api key invalid")
    API_KEY_RIGHTS = "api_key_rights", _("api key rights")
    CLIENT_INIT_FAILED = "client_init_failed", _("exchange client failed to start")
    UNKNOWN_STRATEGY = "unknown_strategy", _("unknown strategy")
    BAD_SETTINGS = "bad_settings", _("settings no longer valid")
    OWNER_INACTIVE = "owner_inactive", _("owner is deactivated")
    LIVE_DISABLED = "live_disabled", _("live trading is switched off")
    MAX_DRAWDOWN = "max_drawdown", _("max drawdown reached")
    RESTORED = "restored", _("restored from a backup")
    RECONCILE = "reconcile", _("reconcile")

    BY_OWNER = "by_owner", _("by its owner")
    BY_OPERATOR = "by_operator", _("by an operator")
    HALT = "halt", _("halt")
    DAILY_RESET = "daily_reset", _("daily reset")


RUNNING_REASONS = frozenset(
    {
        Reason.NO_SIGNAL,
        Reason.IN_POSITION,
        Reason.ENTERED,
        Reason.EXITED,
        Reason.ENTRY_RESTING,
        Reason.HELD_BACK,
    }
)
#: Held up, heals by itself: shown as waiting, or as error while the bot has not yet worked.
TRANSIENT = frozenset(
    {
        Reason.NETWORK,
        Reason.MAINTENANCE,
        Reason.RATE_LIMIT,
        Reason.BAD_ANSWER,
        Reason.STALE_DATA,
        Reason.BROKEN_DATA,
        Reason.MARKET_HALTED,
        Reason.MARKET_UNKNOWN,
        Reason.CLOCK,
        Reason.INSUFFICIENT_FUNDS,
        Reason.BELOW_MINIMUM,
        Reason.ORDER_REJECTED,
        Reason.ORDER_UNKNOWN,
        Reason.INTERNAL,
    }
)
LIMITS = frozenset(
    {
        Reason.MAX_DAILY_TRADES,
        Reason.MAX_DAILY_LOSS,
        Reason.DAILY_TARGET,
        Reason.ACCOUNT_DAILY_LOSS,
    }
)
#: Trying again cannot help: these switch the bot off.
FATAL = frozenset(
    {
        Reason.API_KEY_MISSING,
        Reason.API_KEY_DECRYPT_FAILED,
        Reason.API_KEY_INVALID,
        Reason.API_KEY_RIGHTS,
        Reason.CLIENT_INIT_FAILED,
        Reason.UNKNOWN_STRATEGY,
        Reason.BAD_SETTINGS,
        Reason.OWNER_INACTIVE,
        Reason.LIVE_DISABLED,
        Reason.MAX_DRAWDOWN,
        Reason.RESTORED,
        Reason.RECONCILE,
    }
)
STOPS = frozenset({Reason.BY_OWNER, Reason.BY_OPERATOR, Reason.HALT})

OFF = frozenset({Duty.EXIT, Duty.NONE})
ON = frozenset({Duty.TRADE})

#: The only combinations of status, reasons and duties that a row may hold.
ALLOWED: tuple[tuple[Status, frozenset[Reason], frozenset[Duty]], ...] = (
    (Status.PENDING, frozenset({Reason.START}), ON),
    (Status.RUNNING, RUNNING_REASONS, ON),
    (Status.WAITING, TRANSIENT, ON),
    (Status.PAUSED, LIMITS, OFF),
    (Status.ERROR, TRANSIENT, ON),
    (Status.ERROR, FATAL, OFF),
    (Status.STOPPED, STOPS, OFF),
    # After the reset a bot that was on goes on by itself: its next tick says running again.
    (Status.STOPPED, frozenset({Reason.DAILY_RESET}), ON | OFF),
)


class Move(TextChoices):
    START = "start", _("started")
    STOP = "stop", _("stopped")
    RUN = "run", _("ticked")
    WAIT = "wait", _("held up")
    FAIL = "fail", _("failed")
    SWITCH_OFF = "switch_off", _("switched off")
    PAUSE = "pause", _("paused")
    RESET = "reset", _("daily reset")
    SETTLE = "settle", _("wound down")
    EDIT = "edit", _("edited")
    PROTECT = "protect", _("protection changed")
    ADJUST = "adjust", _("difference booked")
    RECOMPUTE = "recompute", _("recomputed from fills")


#: Statuses from which a tick may report; STOPPED only under duty trade (after the daily reset).
TICKING = frozenset({Status.PENDING, Status.RUNNING, Status.WAITING, Status.ERROR, Status.STOPPED})
EVERY = frozenset(Status)

#: move -> (statuses it may come from, status it leads to). None: the status stays.
MOVES: dict[Move, tuple[frozenset[Status], Status | None]] = {
    # A bot that already starts, runs or waits has nothing to be started: the click is a no-op.
    Move.START: (
        frozenset({Status.STOPPED, Status.PAUSED, Status.ERROR}),
        Status.PENDING,
    ),
    Move.STOP: (EVERY, Status.STOPPED),
    Move.RUN: (TICKING, Status.RUNNING),
    Move.WAIT: (TICKING, Status.WAITING),
    Move.FAIL: (TICKING, Status.ERROR),
    Move.SWITCH_OFF: (TICKING, Status.ERROR),
    Move.PAUSE: (TICKING, Status.PAUSED),
    Move.RESET: (EVERY, Status.STOPPED),
    Move.SETTLE: (EVERY, None),
    Move.EDIT: (EVERY, None),
    Move.PROTECT: (EVERY, None),
    Move.ADJUST: (EVERY, None),
    Move.RECOMPUTE: (EVERY, None),
}


class IllegalMove(Exception):
    """The table does not allow this move from this status."""


def target(status: str, move: Move) -> Status:
    """Return the status that `move` leads to from `status`; IllegalMove if the table says no."""
    sources, to = MOVES[move]
    if status not in sources:
        raise IllegalMove(f"{move.value} from {status}")
    return to or Status(status)


def is_allowed(status: str, reason: str, duty: str) -> bool:
    """Whether a state row may hold this combination (I5)."""
    return any(
        status == row_status and reason in reasons and duty in duties
        for row_status, reasons, duties in ALLOWED
    )


def rows() -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield ALLOWED as plain sorted strings, for the database's check constraint."""
    for status, reasons, duties in ALLOWED:
        yield (
            status.value,
            sorted(r.value for r in reasons),
            sorted(d.value for d in duties),
        )


def reason_of(fault: Fault) -> Reason:
    """Return the bot reason that stands for a market fault: they share their values."""
    return Reason(fault.value)


def text(status: str, reason: str) -> str:
    """Return the stable, untranslated text, e.g. `error (api key decrypt failed)`."""
    return f"{status} ({ENGLISH[Reason(reason)]})"


#: English whatever language is active: for the API and for logs.
ENGLISH: dict[Reason, str] = {reason: reason.value.replace("_", " ") for reason in Reason} | {
    Reason.API_KEY_DECRYPT_FAILED: "api key decrypt failed",
    Reason.MAX_DAILY_LOSS: "max daily loss reached",
    Reason.MAX_DAILY_TRADES: "max daily trades reached",
    Reason.DAILY_TARGET: "daily target reached",
}
