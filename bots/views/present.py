"""A bot as its pages show it: everything derived when it is read, nothing stored."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from bots.lifecycle import FATAL, LIMITS, Duty, Mode, Reason, Status
from bots.messages import Explanation, explain
from bots.models import Balance, BotConfig, BotState, Market, Order
from bots.models.bot import Direction
from bots.models.state import Protection
from bots.sentences import next_run, sentence
from bots.views.exposure import (
    HUNDRED,
    Level,
    Limit,
    Shared,
    drawdown_of,
    is_resting_entry,
    levels_of,
    limits_of,
    unrealised_of,
)
from trading.symbols import quote_of

#: Seconds between two polls: something is about to change, the bot ticks, nothing goes on.
SOON, ACTIVE, IDLE = 3, 10, 60
URGENCY = (
    Status.ERROR,
    Status.WAITING,
    Status.PAUSED,
    Status.PENDING,
    Status.RUNNING,
    Status.STOPPED,
)
KEY_REASONS = frozenset(
    {
        Reason.API_KEY_MISSING,
        Reason.API_KEY_DECRYPT_FAILED,
        Reason.API_KEY_INVALID,
        Reason.API_KEY_RIGHTS,
    }
)
SETTINGS_REASONS = frozenset(
    {
        Reason.BAD_SETTINGS,
        Reason.UNKNOWN_STRATEGY,
        Reason.BELOW_MINIMUM,
        Reason.INSUFFICIENT_FUNDS,
        Reason.MARKET_UNKNOWN,
        Reason.MARKET_HALTED,
        Reason.CLIENT_INIT_FAILED,
        *LIMITS,
    }
)
ORDER_REASONS = frozenset(
    {Reason.ORDER_UNKNOWN, Reason.ORDER_REJECTED, Reason.RECONCILE, Reason.RESTORED}
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One bot at one moment, for the dashboard's row and for the bot's panel."""

    bot: BotConfig
    now: datetime
    market: Market | None = None
    has_command: bool = False
    #: Whether a worker was asked to compare the bot with its exchange and did not do it yet.
    is_comparing: bool = False
    #: The bot's orders that are not final, for the panel; the dashboard does without.
    open_orders: tuple[Order, ...] = ()
    #: What the account's bots used of its limits, for the panel.
    shared: Shared = Shared()

    @cached_property
    def state(self) -> BotState | None:
        return self.bot.state_or_none

    @property
    def sentence(self) -> SafeString:
        return sentence(self.state, self.now)

    @property
    def is_late(self) -> bool:
        return bool(self.state and self.state.is_late(self.now))

    @property
    def is_unwatched(self) -> bool:
        return bool(self.state and self.state.is_unwatched)

    @property
    def is_error(self) -> bool:
        return bool(self.state and self.state.status == Status.ERROR)

    @property
    def has_failed_protection(self) -> bool:
        """Whether the stop of an open position could not be placed at the exchange."""
        state = self.state
        return bool(state and state.in_position and state.protection == Protection.FAILED)

    @property
    def has_no_watcher(self) -> bool:
        """Whether ticks alone should watch the open position, and none does."""
        return self.is_unwatched and bool(
            self.state and self.state.protection == Protection.WATCHED
        )

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to look at it now."""
        return self.is_error or self.is_unwatched or self.has_failed_protection

    @property
    def is_short(self) -> bool:
        return bool(self.state and self.state.position_side == "short")

    @property
    def side(self) -> str:
        """Which way the open position goes, in the active language."""
        return str(_("short") if self.is_short else _("long"))

    @property
    def enters_short(self) -> bool:
        """Whether a forced entry sells short; a bot that may do both buys."""
        return self.bot.direction == Direction.SHORT

    @property
    def resting(self) -> Order | None:
        """The entry order that waits at the exchange for its price."""
        return next((order for order in self.open_orders if is_resting_entry(order)), None)

    @property
    def protective(self) -> list[Order]:
        """The orders that rest at the exchange to close the position."""
        return [o for o in self.open_orders if o.purpose == Order.Purpose.PROTECT]

    @property
    def token(self) -> str:
        """What a poll compares: the row's version, marked where time alone changed the page."""
        version = self.state.version if self.state else 0
        marks = (self.is_late, "l"), (self.has_command, "c"), (self.is_comparing, "r")
        marked = "".join(mark for is_so, mark in marks if is_so)
        return f"{version}{marked}{self._read}{self.shared.mark}"

    @property
    def balance(self) -> Balance | None:
        """What a worker last read of the bot's account; a paper account has none."""
        return getattr(self.bot.account, "balance", None)

    @property
    def _read(self) -> str:
        """Tell one reading of the balance from the next, a failure among them."""
        row = self.balance
        at = row.as_of.timestamp() if row and row.as_of else 0
        return f"b{at:.3f}{row.fault}" if row else ""

    @property
    def every(self) -> int:
        """Seconds until the page should ask again."""
        state = self.state
        is_awaited = self.has_command or self.is_comparing
        if state is None or (state.duty == Duty.NONE and not is_awaited):
            return IDLE
        closing = state.duty == Duty.EXIT and state.wind_down != "after_exit"
        if state.status == Status.PENDING or closing or is_awaited:
            return SOON
        return ACTIVE

    @property
    def urgency(self) -> tuple[int, int, str]:
        """Sort key: errors and unwatched positions first, then by status and name."""
        if self.state is None:
            return 1, len(URGENCY), self.bot.name
        first = 0 if self.is_bad else 1
        return first, URGENCY.index(Status(self.state.status)), self.bot.name

    @property
    def quote(self) -> str:
        """The currency of the bot's profit and loss."""
        return quote_of(self.bot.symbol)

    @property
    def base(self) -> str:
        return self.bot.symbol.split("/")[0]

    @property
    def tick(self) -> Decimal | None:
        return self.market.price_tick if self.market else None

    @property
    def step(self) -> Decimal | None:
        return self.market.amount_step if self.market else None

    @property
    def may_start(self) -> bool:
        state = self.state
        off = state is None or state.duty != Duty.TRADE
        return off or bool(state and state.status == Status.ERROR)

    @property
    def may_stop(self) -> bool:
        """Whether it ticks, or would go on by itself when its trading day ends."""
        state = self.state
        return bool(state and (state.duty != Duty.NONE or state.status == Status.PAUSED))

    @property
    def may_enter(self) -> bool:
        state = self.state
        return bool(state and state.duty == Duty.TRADE and self._is_free and not state.in_position)

    @property
    def may_exit(self) -> bool:
        state = self.state
        is_free = self._is_free or (self.resting is not None and not self.has_command)
        return bool(state and state.duty != Duty.NONE and is_free and state.in_position)

    @property
    def may_cancel(self) -> bool:
        state = self.state
        is_ticked = bool(state and state.duty != Duty.NONE)
        return is_ticked and self.resting is not None and not self.has_command

    @property
    def _is_free(self) -> bool:
        return not self.has_command and not (self.state and self.state.has_unsettled_orders)

    @property
    def next_run(self) -> datetime | None:
        return next_run(self.state) if self.state else None

    @property
    def unrealised(self) -> Decimal | None:
        """Profit or loss of the open position at the last price, before the exit fee."""
        return unrealised_of(self.state) if self.state else None

    @property
    def unrealised_perc(self) -> Decimal | None:
        state, profit = self.state, self.unrealised
        if not state or profit is None or not state.position_cost:
            return None
        cost: Decimal = state.position_cost
        return profit / cost * HUNDRED

    @property
    def levels(self) -> list[Level]:
        """Stop, trailing stop, target and liquidation of the position, or of the next one."""
        return levels_of(self.bot, self.state)

    @cached_property
    def limits(self) -> list[Limit]:
        """Today's counters against the limits that the owner set for the bot."""
        return limits_of(self.bot, self.state, self.quote)

    @property
    def today(self) -> list[Limit]:
        """What a new day clears: the bot's own counters, and the account's."""
        return [*self.limits, *([self.shared.loss] if self.shared.loss else [])]

    @property
    def lasting(self) -> list[Limit]:
        """What no new day clears: the drawdown, and how many positions the account holds."""
        found = (drawdown_of(self.bot, self.state, self.quote), self.shared.positions)
        return [limit for limit in found if limit]

    @property
    def trades_limit(self) -> Limit | None:
        """The counter that the dashboard's row has room for."""
        return next((row for row in self.limits if not row.unit), None)

    @property
    def explanation(self) -> Explanation | None:
        """What a banner says: for errors, waits and pauses only."""
        state = self.state
        if state and state.status in (Status.ERROR, Status.WAITING, Status.PAUSED):
            return explain(state.reason)
        return None

    @property
    def remedy(self) -> str:
        """The one button of the banner: keys, settings, orders, start or nothing."""
        reason = self.state.reason if self.state else ""
        if reason in KEY_REASONS:
            return "keys"
        if reason in SETTINGS_REASONS:
            return "settings"
        if reason in ORDER_REASONS:
            return "orders"
        return "start" if reason in FATAL else ""

    @property
    def is_live(self) -> bool:
        return self.bot.mode == Mode.LIVE
